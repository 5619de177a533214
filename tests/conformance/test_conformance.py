"""What every provider keeps: the norm of Terraform's acceptance tests, and what the kit promises beyond it."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from providers.kit import journal
from providers.kit.model import MEMORY
from providers.kit.provider import SECRETS, Provider
from tests.conformance.engine import UNKNOWN, Run
from tests.conformance.world import KINDS, MARKER, SILENT, WHAT_TO_DO, WORLDS, World, encodings, names

PROVIDERS = Path(__file__).parents[2] / "providers"


def found(text: str, secret: str = MARKER) -> list[str]:
    return [spelling for spelling in encodings(secret) if spelling in text]


def visible(world: World) -> dict[str, Any]:
    """The outputs but what is each resource's own: its memory, and fingerprints made with its key."""
    hidden = {MEMORY, SECRETS, *world.own}
    return {name: value for name, value in world.stack.state["it"].outputs.items() if name not in hidden}


def applied(world: World, **otherwise: Any) -> None:
    """Arrange: the program was applied, and is clean."""
    run = world.stack.up(world.program(**otherwise))
    assert not run.failed, run.text


def test_every_provider_has_a_world() -> None:
    kinds = set()
    for module in sorted([*PROVIDERS.glob("*/resources.py"), *PROVIDERS.glob("*/resources/")]):
        for _, one in inspect.getmembers(importlib.import_module(f"providers.{module.parent.name}.resources")):
            if inspect.isclass(one) and issubclass(one, Provider) and hasattr(one, "kind"):
                kinds.add(one.kind)
    assert kinds - {world.provider.kind for world in WORLDS.values()} == set()


# the norm


def test_what_was_applied_is_there(world: World) -> None:
    run = world.stack.up(world.program())
    assert run.plan == {"it": "create"} and not run.failed, run.text
    assert world.look() == world.wanted(world.arguments)


def test_a_plan_after_up_is_empty_without_and_with_refresh(world: World) -> None:
    applied(world)
    assert world.stack.preview(world.program()).clean
    assert world.stack.refresh().clean
    assert world.stack.preview(world.program()).clean


def test_up_again_changes_nothing(world: World) -> None:
    applied(world)
    calls = len(world.calls)
    assert world.stack.up(world.program()).clean
    assert world.calls[calls:] == []


def test_state_holds_what_is_there_and_nothing_that_the_inputs_lack_a_place_for(world: World) -> None:
    applied(world)
    outputs = world.stack.state["it"].outputs
    assert set(outputs) <= {*world.provider.state.model_fields, MEMORY, "__provider"}
    given = {key: value for key, value in world.arguments.items() if value is not None}
    assert world.stack.state["it"].memory["applied"] == given


def test_adopting_reproduces_the_state(world: World) -> None:
    applied(world)
    first = visible(world)
    world.stack.state.clear()
    if not world.always_there:
        world.take_away()
        world.make_by_hand(world.arguments)
    adopt = {"adopt": True} if "adopt" in world.provider.inputs.model_fields else {}
    run = world.stack.up(world.program(**adopt))
    assert not run.failed, run.text
    assert visible(world) == first
    assert world.stack.preview(world.program(**adopt)).clean


def test_what_somebody_else_made_is_refused_by_name_and_left_alone(world: World) -> None:
    if world.always_there:
        applied(world)
        world.stack.state.clear()
        assert not world.stack.up(world.program()).failed  # nobody makes it, so there is nobody to take it from
        return
    world.make_by_hand(world.arguments)
    there = copy.deepcopy(world.look())
    run = world.stack.up(world.program())
    [line] = run.lines
    assert world.provider().describe(world.provider.inputs.model_validate(world.arguments)) in line
    assert "exists already" in line and "adopt=True" in line
    assert world.look() == there and world.stack.state == {}


def test_what_this_stack_made_and_forgot_is_taken_over(world: World) -> None:
    applied(world)
    world.stack.state.clear()
    run = world.stack.up(world.program())
    assert not run.failed, run.text
    assert world.look() == world.wanted(world.arguments)


def test_a_change_behind_our_back_is_shown_with_its_field_and_healed(world: World) -> None:
    applied(world)
    path = world.disturb()
    if not path:
        return
    assert world.stack.refresh().changed == ["it"]
    plan = world.stack.preview(world.program())
    assert plan.plan == {"it": "replace" if path in world.provider.replace_on else "update"}
    assert any(f"{path}: " in line for line in plan.infos), plan.infos
    assert not world.stack.up(world.program()).failed
    assert world.look() == world.wanted(world.arguments)
    assert world.stack.refresh().clean and world.stack.preview(world.program()).clean


def test_put_back_by_hand_it_is_clean_again(world: World) -> None:
    applied(world)
    world.disturb()
    world.stack.refresh()
    world.restore()
    world.stack.refresh()
    assert world.stack.preview(world.program()).clean


def test_deleted_it_is_gone_and_deleting_again_is_fine(world: World) -> None:
    before = copy.deepcopy(world.look())
    applied(world)
    entry = copy.deepcopy(world.stack.state)
    assert not world.stack.destroy().failed
    assert world.look() == before
    assert world.stack.state == {}
    world.stack.state = entry
    assert not world.stack.destroy().failed
    assert world.look() == before


def test_taken_away_behind_our_back_it_is_made_again(world: World) -> None:
    applied(world)
    if world.always_there:
        assert world.stack.refresh().clean
        return
    world.take_away()
    assert world.stack.refresh().changed == ["it"]
    assert world.stack.preview(world.program()).plan == {"it": "create"}
    applied(world)
    assert world.look() == world.wanted(world.arguments)


def test_taken_away_without_a_refresh_update_makes_it_and_delete_is_fine(world: World) -> None:
    applied(world)
    if not world.always_there:
        world.take_away()
    changed = dict(list(world.changed.items())[:1])
    applied(world, **changed)
    if changed:
        assert world.look() == world.wanted({**world.arguments, **changed})
    if not world.always_there:
        world.take_away()
    assert not world.stack.destroy().failed


# changes


def test_every_argument_that_can_change_is_updated_in_place_and_then_clean(world: World) -> None:
    for name, value in world.changed.items():
        applied(world)
        plan = world.stack.preview(world.program(**{name: value}))
        assert plan.plan == {"it": "update"}
        assert any(name in line for line in plan.infos), plan.infos
        applied(world, **{name: value})
        assert world.look() == world.wanted({**world.arguments, name: value})
        assert world.stack.refresh().clean and world.stack.preview(world.program(**{name: value})).clean


def test_what_needs_a_replacement_is_replaced_and_says_so(world: World) -> None:
    for name, value in world.replacing.items():
        applied(world)
        plan = world.stack.preview(world.program(**{name: value}))
        assert plan.plan == {"it": "replace"} and any(name in line for line in plan.infos)
        applied(world, **{name: value})
        assert world.look() == world.wanted({**world.arguments, name: value})
        assert world.stack.preview(world.program(**{name: value})).clean
        assert not world.stack.destroy().failed


def test_an_argument_that_touches_nothing_is_remembered_without_a_call(world: World) -> None:
    for name, value in world.quiet.items():
        applied(world)
        calls, logins = len(world.calls), world.logins
        run = world.stack.up(world.program(**{name: value}))
        assert run.plan == {"it": "update"} and not run.failed
        assert world.calls[calls:] == [] and world.logins == logins
        assert world.stack.state["it"].memory["applied"][name] == value
        assert world.stack.preview(world.program(**{name: value})).clean


def test_an_argument_taken_out_of_the_program_has_its_default_again(world: World) -> None:
    name = world.optional
    if not name:
        return
    value = world.changed[name]
    applied(world, **{name: value})
    assert world.stack.preview(world.program(**{name: None})).plan == {"it": "update"}
    applied(world, **{name: None})
    assert world.look() == world.wanted({**world.arguments, name: None})
    assert world.stack.refresh().clean and world.stack.preview(world.program(**{name: None})).clean


# previews


def test_a_preview_changes_nothing_and_asks_only_where_new_arguments_are_held_against_the_system(world: World) -> None:
    before = copy.deepcopy(world.look())
    run = world.stack.preview(world.program())
    assert run.plan == {"it": "create"} and not run.failed, run.text
    assert world.look() == before and world.stack.state == {}
    if not world.provider.looks_ahead:
        assert world.calls == [] and world.logins == 0
    applied(world)
    calls, logins = len(world.calls), world.logins
    assert world.stack.preview(world.program()).clean
    assert world.calls[calls:] == [] and world.logins == logins


def test_a_preview_with_unknown_inputs_asks_nothing_and_refuses_nothing(world: World) -> None:
    every = dict.fromkeys(world.arguments, UNKNOWN)
    for unknown in (*({name: UNKNOWN} for name in world.arguments), every):
        run = world.stack.preview(world.program(**unknown))
        assert run.plan == {"it": "create"} and not run.failed, run.text
    assert world.calls == [] and world.logins == 0
    applied(world)
    calls, logins = len(world.calls), world.logins
    for name in world.arguments:
        run = world.stack.preview(world.program(**{name: UNKNOWN}))
        kind = "replace" if name in world.provider.replace_on else "update"
        assert run.plan == {"it": kind} and not run.failed, run.text
    assert world.calls[calls:] == [] and world.logins == logins


def test_unknown_inside_a_value_is_unknown_as_well(world: World) -> None:
    name = next(name for name in world.arguments)
    run = world.stack.preview(world.program(**{name: [UNKNOWN]}))
    assert not run.failed, run.text


def test_inputs_outside_the_model_are_refused_by_name_at_preview(world: World) -> None:
    for name, value in world.wrong.items():
        run = world.stack.preview(world.program(**{name: value}))
        assert name in {prop.split(".")[0] for prop, _ in run.refused}, (name, run.text)
        assert all(world.provider.kind in reason and name in reason for _, reason in run.refused)
        assert run.plan == {}
    assert world.calls == [] and world.logins == 0


def test_what_is_required_is_missed_by_name(world: World) -> None:
    for name, its in world.provider.inputs.model_fields.items():
        if its.is_required():
            run = world.stack.preview(world.program(**{name: None}))
            assert [prop for prop, _ in run.refused] == [name] and "is required" in run.refused[0][1]


# failing at every call

Operation = Callable[[World], Run]


def _create(world: World) -> Run:
    return world.stack.up(world.program())


def _update(world: World) -> Run:
    return world.stack.up(world.program(**world.changed))


def _replace(world: World) -> Run:
    return world.stack.up(world.program(**world.replacing))


def _refresh(world: World) -> Run:
    return world.stack.refresh()


def _delete(world: World) -> Run:
    return world.stack.destroy()


OPERATIONS: dict[str, Operation] = {
    "create": _create,
    "update": _update,
    "replace": _replace,
    "refresh": _refresh,
    "delete": _delete,
}


# Over a real provider these show nothing that a lost session, and an outage a call later, don't; fakes have them all.
ON_FAKES_ONLY = {("temporary", "before"), ("temporary", "after"), ("outage", "after")}


@pytest.mark.parametrize(
    ("name", "operation", "kind", "when"),
    [
        pytest.param(name, operation, kind, when, marks=[pytest.mark.lab] if world.lab else [])
        for name, world in sorted(WORLDS.items())
        for operation in OPERATIONS
        for kind in KINDS
        for when in ("before", "after")
        if operation != "update" or world.changed
        if operation != "replace" or world.replacing
        if name.startswith("fake.") or (kind, when) not in ON_FAKES_ONLY
        if not world.at_every_call or (kind, when) in world.at_every_call
    ],
)
def test_failing_at_every_call(
    name: str, operation: str, kind: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, tried = 1, True
    while tried:
        with monkeypatch.context() as patched:
            tried = _fail_once(WORLDS[name](patched), operation, kind, at, after=when == "after")
        at += 1
    assert at > 2, "nothing was called, so nothing failed"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", names(only=lambda world: world.provider.always_there))
def test_what_was_there_is_put_back_also_after_a_create_that_was_killed(
    name: str, when: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at, killed = 1, True
    while killed:
        with monkeypatch.context() as patched:
            patched.setenv(journal.FOLDER, str(tmp_path / str(at)))
            world = WORLDS[name](patched)
            original = copy.deepcopy(world.look())
            with world.failing("kill", at, after=when == "after") as fault:
                run = world.stack.up(world.program())
            killed = fault.fired
            assert run.killed == killed
            applied(world)
            assert not world.stack.destroy().failed
            assert world.look() == original, f"killed {when} call {at}"
            assert not list((tmp_path / str(at)).rglob("*.json")), "a note was left"
        at += 1
    assert at > 4, "it was never killed in the middle"


def _fail_once(world: World, operation: str, kind: str, at: int, *, after: bool) -> bool:
    """Fails at one call, looks, and runs again; false where the operation makes fewer calls."""
    original = copy.deepcopy(world.look())
    if operation != "create":
        applied(world)
    before = copy.deepcopy(world.stack.state)
    told = f"{world.name}: {operation} with '{kind}' {'after' if after else 'before'} call {at}"

    with world.failing(kind, at, after=after) as fault:
        run = OPERATIONS[operation](world)
    if not fault.fired:
        assert not run.failed, f"{told}: {run.text}"
        return False

    assert world.open == 0, f"{told}: a session was left open"
    _assert_told(world, run, kind, told)
    assert not found(run.text), f"{told}: the secret is in {found(run.text)}"
    assert not found(world.stack.exported()), told
    _assert_state_kept(world, run, before, operation, kind, told)
    _assert_next_run_finishes(world, operation, original, kind, told)
    return True


def test_what_a_killed_create_left_is_replaced_when_the_program_changed_meanwhile(world: World) -> None:
    for name, value in world.replacing.items():
        if name in world.identity:
            continue  # what was left is another thing, which this program says nothing of
        at, tried = 0, True
        while tried:
            at += 1
            with world.failing("kill", at, after=True) as fault:
                world.stack.up(world.program(**{name: value}))
            tried = fault.fired
            if not tried:
                break
            first = world.stack.up(world.program())
            if first.failed:
                [line] = first.lines
                assert "is left from an earlier run" in line and name in line, f"call {at}: {line}"
                again = world.stack.up(world.program())
                assert again.plan == {"it": "replace"} and not again.failed, f"call {at}: {again.text}"
            assert world.look() == world.wanted(world.arguments), f"call {at}"
            assert world.stack.preview(world.program()).clean, f"call {at}"
            assert not world.stack.destroy().failed
        assert at > 2, "nothing was called, so nothing was killed"
        assert not world.stack.destroy().failed


def _assert_told(world: World, run: Run, kind: str, told: str) -> None:
    if kind == "kill":
        assert run.killed, told
        return
    if kind in SILENT:
        assert not run.failed, f"{told}: {run.text}"
        return
    # A provider that goes on with its other parts tells this one in its own sum; each says whom, and what to do.
    assert run.failed and len(run.lines) == 1, f"{told}: {run.lines}"
    [line] = run.lines
    assert "the system: " in line or world.provider.kind in line, f"{told}: {line}"
    head, _, remedy = line.rpartition(". ") if "\n" not in line else line.rpartition("\n")
    assert head and remedy, f"{told}: {line}"
    if kind == "unexpected":
        assert "report" in line or "\n" in line, f"{told}: {line}"
    elif "\n" not in line:
        assert WHAT_TO_DO in line, f"{told}: {line}"
    assert all("Traceback" not in one for one in run.lines), told


def _assert_state_kept(world: World, run: Run, before: dict[str, Any], operation: str, kind: str, told: str) -> None:
    if operation in ("update", "refresh") or (operation == "delete" and run.failed):
        assert set(world.stack.state) == {"it"}, f"{told}: the state was lost"
        kept, was = (one["it"].memory.get("before") for one in (world.stack.state, before))
        assert kept == was, f"{told}: what was there before was forgotten"
    if operation == "delete" and run.failed:
        assert world.stack.state == before, told


def _assert_next_run_finishes(world: World, operation: str, original: Any, kind: str, told: str) -> None:
    if operation == "delete":
        again = world.stack.destroy()
        assert not again.failed, f"{told}: {again.text}"
        assert world.look() == original, told
        return
    changes: dict[str, Mapping[str, Any]] = {"update": world.changed, "replace": world.replacing}
    arguments = {**world.arguments, **changes.get(operation, {})}
    again = world.stack.up(world.program(**arguments))
    assert not again.failed, f"{told}: {again.text}"
    assert world.look() == world.wanted(arguments), told
    assert world.stack.refresh().clean, told
    assert world.stack.preview(world.program(**arguments)).clean, told
    gone = world.stack.destroy()
    assert not gone.failed, f"{told}: {gone.text}"
    # A killed create could not write down what was there before it.
    if not (world.always_there and operation in ("create", "replace") and kind == "kill"):
        assert world.look() == original, f"{told}: what was there before was forgotten"


# sessions


def test_a_refused_login_costs_one_login_in_a_run_whatever_the_number_of_resources(world: World) -> None:
    world.refuses_logins = True
    world.stack.threads = 4
    run = world.stack.up(world.many(4))
    assert world.logins == 1
    assert len(run.lines) == 4 and all("refused the login" in line for line in run.lines)
    assert not found(run.text)
    assert world.stack.state == {}


def test_a_run_with_several_resources_logs_in_once_and_out_once(world: World) -> None:
    applied(world)
    logins = world.logins
    assert world.stack.refresh().clean
    assert (world.logins, world.open) == (logins + 1, 0)


def test_a_lost_session_costs_one_more_login(world: World) -> None:
    with world.failing("session lost", 1):
        applied(world)
    assert (world.logins, world.open) == (2, 0)


# secrets


def test_the_secret_is_in_no_state_and_no_line(world: World) -> None:
    texts = [world.stack.up(world.program()).text, world.stack.exported()]
    texts += [world.stack.refresh().text, world.stack.up(world.program(**world.changed)).text, world.stack.exported()]
    texts += [world.stack.destroy().text]
    assert [found(text) for text in texts] == [[]] * len(texts)


@pytest.mark.parametrize("spelling", range(len(encodings(MARKER))))
def test_a_planted_secret_is_found(world: World, spelling: int) -> None:
    applied(world)
    world.stack.state["it"].outputs["planted"] = encodings(MARKER)[spelling]
    assert found(world.stack.exported())
