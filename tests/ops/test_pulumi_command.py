"""How one long Pulumi command is run: what is shown, which code is passed on, how signals reach it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import pulumi_command, runs
from ops.exit_codes import Exit
from ops.progress import Progress
from ops.stack import CHECKOUT, Stack, StackError
from tests.ops.conftest import until

Calls = Callable[[], list[list[str]]]
Send = Callable[..., None]
VM = "urn:pulumi:lab::drydock::drydock:components:PhotonVm$vsphere:index/virtualMachine:VirtualMachine::photon"

DRIVER = """
import sys
from pathlib import Path
from ops import pulumi_command
from ops.progress import Progress
from ops.stack import Stack
sys.exit(pulumi_command.run(Stack("lab", Path(sys.argv[1])), "up", progress=Progress(sys.stderr)).code)
"""


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in says that it is ready and which signal it got."""
    monkeypatch.setenv("STAND_IN_WAIT", str(tmp_path))
    return tmp_path


def driver(stack: Stack) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    one = subprocess.Popen([sys.executable, "-c", DRIVER, str(stack.folder)], env=environment, stderr=subprocess.PIPE)
    assert until(Path(os.environ["STAND_IN_WAIT"], "ready").exists)
    return one


@pytest.mark.parametrize("code", [0, 1, 3, 4, 7, 9, 255])
def test_pulumis_exit_code_is_passed_on(stack: Stack, calls: Calls, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setenv("STAND_IN_CODE", str(code))

    assert pulumi_command.run(stack, "up", progress=Progress(io.StringIO())).code == code


def test_pulumi_is_asked_for_neither_questions_nor_colours(stack: Stack, calls: Calls) -> None:
    pulumi_command.run(stack, "up", progress=Progress(io.StringIO()))

    (call,) = calls()
    assert call[0] == "up"
    assert {"--yes", "--skip-preview", "--non-interactive", "never", "--suppress-outputs"} <= set(call)


def test_events_become_lines_and_counts(stack: Stack, calls: Calls, events: Send) -> None:
    metadata = {"op": "create", "urn": VM, "type": "vsphere:index/virtualMachine:VirtualMachine"}
    events(
        {"resourcePreEvent": {"metadata": metadata}},
        {"resOutputsEvent": {"metadata": metadata}},
        {"summaryEvent": {"durationSeconds": 2, "resourceChanges": {"create": 3}}},
    )
    out = io.StringIO()

    result = pulumi_command.run(stack, "up", progress=Progress(out))

    assert out.getvalue() == "  made vsphere VirtualMachine photon\n"
    assert (result.changes, result.changed, result.duration_s) == ({"create": 1}, 1, 2.0)


def test_what_pulumi_prints_is_shown_only_where_no_error_was(
    stack: Stack, calls: Calls, events: Send, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_SAYS", "error: the passphrase is wrong")
    monkeypatch.setenv("STAND_IN_CODE", "1")
    pulumi_command.run(stack, "up", progress=Progress(io.StringIO()))
    without = capsys.readouterr().err

    events({"diagnosticEvent": {"severity": "error", "message": "host esx1: not connected", "urn": VM}})
    pulumi_command.run(stack, "up", progress=Progress(io.StringIO()))

    assert without == "error: the passphrase is wrong\n"
    assert capsys.readouterr().err == ""


def test_debug_events_are_never_shown(stack: Stack, calls: Calls, events: Send) -> None:
    events({"diagnosticEvent": {"severity": "debug", "message": "props: password"}})
    out = io.StringIO()

    pulumi_command.run(stack, "up", progress=Progress(out))

    assert out.getvalue() == ""


def test_no_file_of_the_events_stays(
    stack: Stack, calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    pulumi_command.run(stack, "up", progress=Progress(io.StringIO()))

    (call,) = calls()
    assert not Path(call[call.index("--event-log") + 1]).is_file()
    assert list(tmp_path.glob("drydock-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_pulumi_as_an_interrupt_and_its_end_is_waited_for(
    stack: Stack, calls: Calls, waiting: Path, number: signal.Signals
) -> None:
    one = driver(stack)

    one.send_signal(number)

    _, said = one.communicate(timeout=20)
    assert one.returncode == Exit.CANCELLED
    assert (waiting / "received").read_text() == "SIGINT"
    assert said.decode() == (
        "Stops: finishes what has been begun and saves it (once more: stops at once)\n"
        "Stopped: what had been begun is finished and saved. The next run goes on from here.\n"
    )


def test_the_terminals_interrupt_does_not_reach_pulumi_twice(stack: Stack, calls: Calls, waiting: Path) -> None:
    one = driver(stack)

    pulumi = int((waiting / "ready").read_text())

    assert os.getsid(pulumi) == pulumi != os.getsid(one.pid)
    one.send_signal(signal.SIGINT)
    one.communicate(timeout=20)


def test_pulumi_is_interrupted_when_its_command_is_killed_and_the_run_is_remembered(
    stack: Stack, calls: Calls, waiting: Path
) -> None:
    one = driver(stack)

    one.kill()
    one.communicate(timeout=20)

    assert until((waiting / "received").exists)
    assert (waiting / "received").read_text() == "SIGINT"
    assert runs.last(stack) is not None


def test_a_killed_pulumi_is_told_and_remembered(stack: Stack, calls: Calls, waiting: Path) -> None:
    one = driver(stack)

    os.kill(int((waiting / "ready").read_text()), signal.SIGKILL)

    _, said = one.communicate(timeout=20)
    assert b"StackError: Pulumi was ended by SIGKILL: run it again" in said
    assert runs.last(stack) is not None


def test_a_missing_pulumi_is_one_line(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StackError, match="'pulumi' is not on PATH: run `python3 -m ops setup` first"):
        pulumi_command.run(stack, "up", progress=Progress(io.StringIO()))
