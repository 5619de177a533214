"""What the kit promises beyond the conformance suite, each on the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.output import Unknown
from pulumi.runtime.rpc import UNKNOWN

from providers.kit.provider import MEMORY
from providers.kit.resource import end_run_when_unfinished
from providers.kit.retry import RetryPolicy
from tests.conformance.engine import PROJECT, Declared, end_process
from tests.conformance.fake import SwitchProvider, Thing, ThingInputs, ThingProvider
from tests.conformance.fake_worlds import SafeWorld, SwitchWorld, ThingWorld
from tests.conformance.world import MARKER


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)
    yield
    end_process()


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> ThingWorld:
    return ThingWorld(monkeypatch)


@pytest.fixture
def switches(monkeypatch: pytest.MonkeyPatch) -> SwitchWorld:
    return SwitchWorld(monkeypatch)


# previews


def later() -> Any:
    return Unknown()  # type: ignore[no-untyped-call]


def test_the_sdks_unknown_objects_are_let_through_and_given_back_as_its_marker() -> None:
    given: dict[str, Any] = {"name": later(), "labels": {"a": later()}, "size": 3}
    checked = ThingProvider().check({}, given)
    assert checked.failures == []
    assert checked.inputs == {"name": UNKNOWN, "labels": {"a": UNKNOWN}, "size": 3}


# partial failures


def test_parts_that_fail_are_told_kept_in_state_and_done_by_the_next_run(things: ThingWorld) -> None:
    things.system.stuck = {"color", "size"}
    run = things.stack.up(things.program())
    assert run.failed and run.raised == []
    [line] = run.unfinished
    assert "fake.Thing 'bell'" in line and "color: color is stuck" in line and "size: size is stuck" in line
    assert things.stack.state["it"].outputs["size"] == 1
    things.system.stuck.clear()
    plan = things.stack.preview(things.program())
    assert plan.plan == {"it": "update"} and "unfinished" in plan.text
    assert not things.stack.up(things.program()).failed
    assert things.look() == things.wanted(things.arguments)


def test_an_unfinished_resource_ends_the_run_but_not_a_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = {"failed": {"message": "the line"}}
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    end_run_when_unfinished(memory)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    end_run_when_unfinished({"failed": {}})
    end_run_when_unfinished(None)
    with pytest.raises(pulumi.RunError, match="the line"):
        end_run_when_unfinished(memory)


def test_a_delete_that_leaves_parts_fails_keeps_the_state_and_is_finished_later(switches: SwitchWorld) -> None:
    before = switches.look()
    switches.stack.up(switches.program())
    switches.system.stuck = {"b"}
    run = switches.stack.destroy()
    assert run.failed and "b: is stuck" in run.errors[0] and set(switches.stack.state) == {"it"}
    switches.system.stuck.clear()
    assert not switches.stack.destroy().failed
    assert switches.look() == before


# what is remembered


def test_an_outage_in_the_middle_does_not_make_us_forget_what_was_there_before(switches: SwitchWorld) -> None:
    before = switches.look()
    with switches.failing("outage", 3):
        assert switches.stack.up(switches.program()).failed
    assert switches.stack.state["it"].outputs[MEMORY]["before"] == {"units": before}
    assert not switches.stack.up(switches.program()).failed
    switches.stack.destroy()
    assert switches.look() == before


def test_a_mistake_of_ours_in_the_middle_does_not_either(switches: SwitchWorld) -> None:
    before = switches.look()
    with switches.failing("unexpected", 3):
        run = switches.stack.up(switches.program())
    assert "This is our mistake: please report it." in run.unfinished[0]
    switches.stack.destroy()
    assert switches.look() == before


def test_a_thing_that_we_made_has_no_before_however_often_it_is_updated(things: ThingWorld) -> None:
    for size in (2, 3):
        things.stack.up(things.program(size=size))
        assert "before" not in things.stack.state["it"].outputs[MEMORY]


def test_what_a_killed_create_of_ours_left_is_not_what_was_there_before_us(things: ThingWorld) -> None:
    with things.failing("kill", 4):
        things.stack.up(things.program())
    assert not things.stack.up(things.program()).failed
    assert "before" not in things.stack.state["it"].outputs[MEMORY]


def test_what_was_adopted_is_what_was_there_before_us(things: ThingWorld) -> None:
    things.system.things["bell"] = Thing("here", 9, owner="somebody")
    assert not things.stack.up(things.program(adopt=True)).failed
    assert things.stack.state["it"].outputs[MEMORY]["before"]["size"] == 9


def test_a_refresh_gives_the_applied_inputs_back(things: ThingWorld) -> None:
    things.stack.up(things.program())
    provider = ThingProvider()
    provider.configure(ConfigureRequest(config=Config(raw_config=dict(things.config), project_name=PROJECT)))
    assert provider.read("bell", things.stack.state["it"].outputs).inputs == things.arguments


def test_a_secret_that_no_observation_shows_is_a_difference_when_its_value_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    safe = SafeWorld(monkeypatch)
    safe.stack.up(safe.program())
    assert safe.stack.preview(safe.program()).clean
    safe.stack.config["drydock:thing_password"] = "quite another one"
    assert "password_secret: changed" in safe.stack.preview(safe.program()).text
    assert not safe.stack.up(safe.program()).failed
    assert safe.system.things["bell"].password == "quite another one"
    assert safe.stack.preview(safe.program()).clean


# taking over


def test_what_would_have_to_be_replaced_is_not_taken_over(things: ThingWorld) -> None:
    things.system.things["bell"] = Thing("there", owner="somebody")
    run = things.stack.up(things.program(adopt=True))
    assert "can't be taken over" in run.errors[0] and "place: there → here" in run.errors[0]
    assert things.system.things["bell"] == Thing("there", owner="somebody")


def test_what_a_killed_run_left_otherwise_is_told_and_replaced_by_the_next(things: ThingWorld) -> None:
    with things.failing("kill", 4):
        things.stack.up(things.program(place="there"))
    run = things.stack.up(things.program())
    assert "is left from an earlier run (place: there → here)" in run.unfinished[0]
    assert things.stack.up(things.program()).plan == {"it": "replace"}
    assert things.look() == things.wanted(things.arguments)


def test_what_a_killed_run_left_whole_is_not_told_for_ever(things: ThingWorld) -> None:
    with things.failing("kill", 7, after=True):
        assert things.stack.up(things.program(place="there")).killed
    assert things.system.things["bell"].size == 5  # all is done, so the next run finds nothing else to change
    assert "is left from an earlier run" in things.stack.up(things.program()).unfinished[0]
    assert things.stack.up(things.program()).plan == {"it": "replace"}
    assert things.look() == things.wanted(things.arguments)


# differences


def test_an_argument_that_replaces_is_told_even_where_a_part_has_its_name(switches: SwitchWorld) -> None:
    switches.system.units["panel"] = True
    assert not switches.stack.up(switches.program()).failed
    assert switches.stack.preview(switches.program(on=False, panel="other")).plan == {"it": "replace"}


def test_a_preview_tells_the_changes_in_the_order_of_the_arguments(things: ThingWorld) -> None:
    things.stack.up(things.program())
    [line] = things.stack.preview(things.program(color="blue", size=7, place="there")).infos
    assert line == "fake.Thing 'bell': place: here → there, size: 5 → 7, color: red → blue"


def test_a_secret_argument_that_the_state_shows_is_not_shown_by_the_preview(
    things: ThingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThingInputs, "secret_fields", frozenset({"color"}))
    things.stack.up(things.program())
    [line] = things.stack.preview(things.program(color="blue")).infos
    assert line == "fake.Thing 'bell': color: changed"


def test_a_secret_in_a_plain_argument_is_not_shown_by_the_preview(things: ThingWorld) -> None:
    things.stack.up(things.program())
    leaking = {**things.arguments["labels"], "kept": MARKER}
    [line] = things.stack.preview(things.program(labels=leaking)).infos
    assert "labels.kept: yes → ***" in line and MARKER not in line


def test_a_secret_in_a_providers_own_reason_is_not_shown(things: ThingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThingProvider, "verify", lambda self, settings, desired: [("size", f"not with {MARKER}")])
    [(name, reason)] = things.stack.preview(things.program()).refused
    assert (name, reason) == ("size", "fake.Thing: size: not with ***")


def test_a_mistake_of_ours_is_one_line_however_long_its_text(
    things: ThingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: Any) -> None:
        raise ValueError("one\n  two\nthree")

    monkeypatch.setattr(ThingProvider, "observe", mistaken)
    [line] = things.stack.up(things.program()).errors
    assert line == "fake.Thing: unexpected ValueError: one two three. This is our mistake: please report it."


# entries of a mapping


def test_a_label_taken_out_of_the_program_is_taken_off(things: ThingWorld) -> None:
    things.stack.up(things.program(labels={"a": "1", "b": "2"}))
    plan = things.stack.preview(things.program(labels={"a": "1"}))
    assert plan.plan == {"it": "update"} and "labels.b: 2 → nothing" in plan.text
    things.stack.up(things.program(labels={"a": "1"}))
    assert things.system.things["bell"].labels == {"a": "1"}


def test_a_label_that_somebody_else_put_on_is_not_ours_to_compare(things: ThingWorld) -> None:
    things.stack.up(things.program())
    things.system.things["bell"].labels["theirs"] = "1"
    things.stack.refresh()
    assert things.stack.preview(things.program()).clean


def test_a_secrets_new_value_under_the_same_name_is_a_difference_that_shows_no_value(things: ThingWorld) -> None:
    things.stack.up(things.program())
    things.stack.config["drydock:thing_password"] = "quite another one"
    plan = things.stack.preview(things.program())
    assert plan.plan == {"it": "update"} and "password_secret: changed" in plan.text
    assert not things.stack.up(things.program()).failed
    assert things.system.things["bell"].password == "quite another one"
    assert "quite another one" not in plan.text + things.stack.exported()


def test_a_password_changed_behind_our_back_is_a_difference(things: ThingWorld) -> None:
    things.stack.up(things.program())
    things.system.things["bell"].password = "theirs"
    things.stack.refresh()
    assert "password_secret: changed" in things.stack.preview(things.program()).text
    assert "theirs" not in things.stack.exported()


def test_a_secret_without_a_value_is_refused_at_preview_with_how_to_set_it(things: ThingWorld) -> None:
    run = things.stack.preview(things.program(password_secret="nowhere"))
    assert "pulumi config set --secret nowhere" in run.refused[0][1]


# users' data


@pytest.mark.parametrize(("asked", "kept"), [(False, {"bell": ["a line"]}), (True, {})])
def test_data_go_only_when_asked(things: ThingWorld, asked: bool, kept: dict[str, Any]) -> None:
    things.stack.up(things.program(delete_data=asked))
    things.system.data["bell"].append("a line")
    assert not things.stack.destroy().failed
    assert things.system.data == kept


# the process


def test_several_resources_of_one_endpoint_share_a_login(switches: SwitchWorld) -> None:
    both = {
        "switch": Declared(SwitchProvider, switches.arguments),
        "thing": Declared(ThingProvider, {"name": "gong"}),
    }
    assert not switches.stack.up(both).failed
    assert switches.system.logins == 1 and switches.system.open == set()


def test_a_wrong_password_is_sent_once_and_not_shown(things: ThingWorld) -> None:
    things.stack.config["drydock:fake_password"] = "wrong-password"
    run = things.stack.up(things.many(4))
    assert things.system.logins == 1 and len(run.errors) == 4
    assert "wrong-password" not in run.text and "Set `fake_password`." in run.errors[0]


def test_a_session_that_the_server_ends_in_the_middle_costs_nothing_but_a_login(things: ThingWorld) -> None:
    things.system.expires_at = 4
    assert not things.stack.up(things.program()).failed
    assert things.system.logins == 2 and things.look() == things.wanted(things.arguments)


def test_arguments_of_an_earlier_version_of_ours_stand_in_no_ones_way(things: ThingWorld) -> None:
    things.stack.up(things.program())
    things.stack.state["it"].outputs[MEMORY]["applied"]["since_removed"] = 1
    assert not things.stack.refresh().failed
    assert things.stack.preview(things.program()).clean
    assert not things.stack.destroy().failed
