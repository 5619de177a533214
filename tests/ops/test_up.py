"""`up` from the first look to the last line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import page, preflight, up
from ops.exit_codes import Exit
from ops.preflight import Check, Found
from ops.stack import Stack, StackError

Calls = Callable[[], list[list[str]]]
Send = Callable[..., None]
VM = "urn:pulumi:lab::drydock::drydock:components:PhotonVm$vsphere:index/virtualMachine:VirtualMachine::photon"
METADATA = {"op": "create", "urn": VM, "type": "vsphere:index/virtualMachine:VirtualMachine"}
MADE = ({"resourcePreEvent": {"metadata": METADATA}}, {"resOutputsEvent": {"metadata": METADATA}})


@pytest.fixture(autouse=True)
def _looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "look", lambda stack: Found(()))
    monkeypatch.setattr(page, "answers", lambda url: "silent" not in url)


@pytest.fixture
def made(stack: Stack) -> None:
    """The stack was made before."""
    assert stack.backend_folder is not None
    file = stack.backend_folder / "stacks" / "drydock" / "lab.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"checkpoint": {"latest": {}}}')


def names(calls: list[list[str]]) -> list[str]:
    return [call[0] if call[0] == "up" else " ".join(call[:2]) for call in calls]


def test_a_first_up_makes_the_stack_and_ends_with_where_it_answers(
    stack: Stack, calls: Calls, events: Send, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events(*MADE, {"summaryEvent": {"durationSeconds": 2}})
    monkeypatch.setenv("STAND_IN_OUTPUTS", json.dumps({"app_url": "http://127.64.3.3:10080/"}))

    assert up.make(stack, "eval …") == Exit.OK

    shown = capsys.readouterr()
    assert names(calls()) == ["stack init", "up", "stack output"]
    assert shown.err.splitlines()[1:] == ["  made vsphere VirtualMachine photon", "1 made, in 2 s."]
    assert "Application   http://127.64.3.3:10080/" in shown.out and "Look          eval …" in shown.out


@pytest.mark.usefixtures("calls")
def test_a_page_that_does_not_answer_is_no_success(
    stack: Stack, events: Send, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events(*MADE, {"summaryEvent": {"durationSeconds": 2}})
    monkeypatch.setenv("STAND_IN_OUTPUTS", json.dumps({"app_url": "http://silent:13000/"}))

    assert up.make(stack) == Exit.TIMEOUT

    assert "the page does not answer" in capsys.readouterr().err


@pytest.mark.usefixtures("made")
def test_a_second_up_says_in_one_line_that_nothing_changed(
    stack: Stack, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up.make(stack) == Exit.OK

    assert names(calls()) == ["up", "stack output"]
    assert capsys.readouterr().out == "Nothing changed: everything is as the settings say.\n"


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("code", [1, 4, 9])
def test_a_failure_ends_with_pulumis_code_and_no_summary(
    stack: Stack, calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    monkeypatch.setenv("STAND_IN_CODE", str(code))

    assert up.make(stack) == code

    assert capsys.readouterr().out == ""


def test_what_preflight_finds_is_told_and_nothing_is_begun(
    stack: Stack, calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Check("vCenter", preflight.FAILED, "vCenter a: the login was refused.", Exit.AUTHENTICATION)
    closed = Check("Docker", preflight.FAILED, "Docker b: can't be reached.", Exit.RESOURCE)
    monkeypatch.setattr(preflight, "look", lambda stack: Found((closed, refused)))

    assert up.make(stack) == Exit.AUTHENTICATION

    assert capsys.readouterr().err == "Docker b: can't be reached.\nvCenter a: the login was refused.\n"
    assert calls() == []


def test_without_settings_nothing_is_begun(stack: Stack, calls: Calls) -> None:
    stack.file.unlink()

    with pytest.raises(StackError, match="copy Pulumi.dev.yaml"):
        up.make(stack)

    assert calls() == []


def test_a_killed_runs_lock_is_in_nobodys_way(
    stack: Stack, calls: Calls, lock: Callable[..., Path], dead_pid: int
) -> None:
    lock(dead_pid)

    assert up.make(stack) == Exit.OK

    assert names(calls()) == ["cancel --yes", "stack init", "up", "stack output"]
