"""`down`: what goes, and what stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from ops import down
from ops.exit_codes import Exit
from ops.stack import Stack
from providers.kit.errors import Temporary

Calls = Callable[[], list[list[str]]]


class FakeVolumes:
    """Two volumes; remembers what was deleted."""

    host = "tcp://127.64.3.3:2376"
    stores: Mapping[str, str] | None = None

    def __init__(self) -> None:
        self.there = ["gogs_data", "gogs_db"]

    def __enter__(self) -> FakeVolumes:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def names(self) -> list[str]:
        return list(self.there)

    def delete(self, name: str) -> None:
        self.there.remove(name)


@pytest.fixture(autouse=True)
def volumes(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> FakeVolumes:
    stack.file.write_text("config:\n  drydock:app: {file: compose.yml}\n")
    fake = FakeVolumes()
    monkeypatch.setattr(down, "volumes_of", lambda stack: fake)
    return fake


@pytest.fixture
def state(stack: Stack) -> Callable[[list[int]], None]:
    """Writes the stack's state."""

    def write(resources: list[int]) -> None:
        assert stack.backend_folder is not None
        file = stack.backend_folder / "stacks" / "drydock" / "lab.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))

    return write


def test_data_stay_and_it_is_said_where(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes, capsys: pytest.CaptureFixture[str]
) -> None:
    state([1])

    assert down.take_down(stack, delete_data=False) == Exit.OK

    assert [call[0] for call in calls()] == ["destroy"]
    assert volumes.there == ["gogs_data", "gogs_db"]
    assert capsys.readouterr().out.startswith("The data stay, on tcp://127.64.3.3:2376: gogs_data, gogs_db.")


def test_data_are_deleted_when_that_is_asked_for_each_by_its_name(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes, capsys: pytest.CaptureFixture[str]
) -> None:
    state([1])

    assert down.take_down(stack, delete_data=True) == Exit.OK

    assert volumes.there == []
    assert capsys.readouterr().err.endswith("  deleted volume gogs_data\n  deleted volume gogs_db\n")


def test_data_stay_when_the_destroy_fails(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    state([1])
    monkeypatch.setenv("STAND_IN_CODE", "4")

    assert down.take_down(stack, delete_data=True) == Exit.RESOURCE

    assert volumes.there == ["gogs_data", "gogs_db"]


def test_a_stack_that_was_never_made_needs_no_taking_down(
    stack: Stack, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert down.take_down(stack, delete_data=False) == Exit.OK

    assert calls() == []
    assert "There is no stack 'lab': nothing to take down." in capsys.readouterr().err


def test_an_empty_stack_needs_no_taking_down_but_its_data_can_still_be_deleted(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes
) -> None:
    state([])

    assert down.take_down(stack, delete_data=True) == Exit.OK

    assert calls() == []
    assert volumes.there == []


def test_a_docker_host_that_is_gone_does_not_fail_a_stack_that_is_down(
    stack: Stack, calls: Calls, state: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(stack: Stack) -> FakeVolumes:
        raise Temporary("no connection", on="Docker host tcp://a", remedy="See that it is up.")

    state([1])
    monkeypatch.setattr(down, "volumes_of", gone)

    assert down.take_down(stack, delete_data=False) == Exit.OK


def test_without_settings_there_is_nothing_to_take_down(stack: Stack, calls: Calls) -> None:
    stack.file.unlink()

    assert down.take_down(stack, delete_data=True) == Exit.OK

    assert calls() == []


VCH = "config:\n  drydock:app: {file: compose.yml}\n  drydock:vch: {name: vch1}\n"


def test_with_a_vch_the_containers_go_first_then_the_data_then_the_rest(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.file.write_text(VCH)
    state([1])
    order: list[str] = []
    monkeypatch.setattr(FakeVolumes, "delete", lambda self, name: order.append(f"{name} after {len(calls())} command"))

    assert down.take_down(stack, delete_data=True) == Exit.OK

    first, rest = calls()
    assert first[first.index("--target") + 1] == "**docker:Container::**" and "--target" not in rest
    assert order == ["gogs_data after 1 command", "gogs_db after 1 command"]


def test_with_a_vch_it_is_said_in_which_stores_the_data_stay(
    stack: Stack,
    calls: Calls,
    state: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack.file.write_text(VCH)
    state([1])
    monkeypatch.setattr(FakeVolumes, "stores", {"default": "DS/volumes"})

    assert down.take_down(stack, delete_data=False) == Exit.OK

    assert capsys.readouterr().out == (
        "The data stay, in the VCH's volume stores 'default' at DS/volumes: gogs_data, gogs_db. The next `up` takes "
        "them over again; to delete them: `make up`, then `make down DATA=delete`.\n"
    )


def test_data_in_the_stores_of_a_vch_that_is_gone_are_deleted_by_the_next_one(
    stack: Stack, calls: Calls, state: Callable[..., None], volumes: FakeVolumes, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.file.write_text(VCH)
    state([])

    assert down.take_down(stack, delete_data=True) == Exit.OK

    assert volumes.there == ["gogs_data", "gogs_db"]
    assert "are deleted through it: `make up` first, then this again." in capsys.readouterr().err
