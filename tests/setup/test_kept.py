"""What is made once and kept: whole or not at all, whoever is killed and however many ask."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.toolchain import SetupError, kept, run_logged

SOON_S = 20.0

SLOW_STEP = """
import sys, time
from pathlib import Path
from ops.toolchain import kept

def make(unfinished):
    unfinished.mkdir()
    (unfinished / "half").write_text("half")
    with Path(sys.argv[2]).open("a") as calls:
        calls.write("made\\n")
    time.sleep(float(sys.argv[3]))
    (unfinished / "whole").write_text("whole")

kept(Path(sys.argv[1]), make, what="Makes it", usually="a moment")
"""


def start_slow_step(checkout: Path, target: Path, calls: Path, takes_s: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW_STEP, target, calls, str(takes_s)], cwd=checkout)


def wait_for(file: Path) -> None:
    end_s = time.monotonic() + SOON_S
    while not file.exists():
        assert time.monotonic() < end_s, f"{file} did not appear"
        time.sleep(0.02)


def test_a_step_that_was_killed_in_the_middle_is_done_again(checkout: Path, tmp_path: Path) -> None:
    target, calls = tmp_path / "tool", tmp_path / "calls"
    killed = start_slow_step(checkout, target, calls, takes_s=60)
    wait_for(calls)
    killed.kill()
    killed.wait()
    assert not target.exists()

    start_slow_step(checkout, target, calls, takes_s=0).wait()

    assert (target / "whole").exists()
    assert calls.read_text() == "made\nmade\n"


def test_what_a_killed_step_left_is_removed(checkout: Path, tmp_path: Path) -> None:
    target, calls = tmp_path / "tool", tmp_path / "calls"
    killed = start_slow_step(checkout, target, calls, takes_s=60)
    wait_for(calls)
    killed.kill()
    killed.wait()

    start_slow_step(checkout, target, calls, takes_s=0).wait()

    assert {file.name for file in tmp_path.iterdir()} == {"tool", "calls", ".tool.lock"}


def test_two_at_once_make_it_once(checkout: Path, tmp_path: Path) -> None:
    target, calls = tmp_path / "tool", tmp_path / "calls"

    both = [start_slow_step(checkout, target, calls, takes_s=0.5) for _ in range(2)]

    assert [one.wait() for one in both] == [0, 0]
    assert calls.read_text() == "made\n"


def test_what_is_there_is_believed_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "tool"
    target.write_text("kept")

    def make(unfinished: Path) -> None:
        raise AssertionError("made again")

    assert kept(target, make, what="Makes it", usually="a moment") == target
    assert capsys.readouterr().err == ""


def test_a_step_says_what_it_does_and_how_long_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(tmp_path / "tool", lambda path: path.touch(), what="Makes a tool", usually="a moment")

    assert capsys.readouterr().err == "Makes a tool (usually a moment)\n"


def test_a_step_that_failed_leaves_nothing(tmp_path: Path) -> None:
    def make(unfinished: Path) -> None:
        unfinished.write_text("half")
        raise SetupError("no")

    with pytest.raises(SetupError):
        kept(tmp_path / "tool", make, what="Makes it", usually="a moment")

    assert [file.name for file in tmp_path.iterdir()] == [".tool.lock"]


def test_a_target_whose_name_is_a_pattern_removes_only_its_own_left_overs(tmp_path: Path) -> None:
    neighbour = tmp_path / ".tool.unfinished-of-another-run"
    neighbour.mkdir()

    kept(tmp_path / "t*l", lambda path: path.touch(), what="Makes it", usually="a moment")

    assert neighbour.exists()


def test_a_command_ends_when_the_process_that_started_it_is_killed(checkout: Path, tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from ops.toolchain import run_logged\n"
    script += "run_logged(['sh', '-c', 'echo $$ > pid.part; mv pid.part pid; exec sleep 60'], what='it',"
    script += " log=Path('log'), cwd=Path('.'))"
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": checkout})
    wait_for(tmp_path / "pid")
    child = int((tmp_path / "pid").read_text())

    parent.kill()
    parent.wait()

    end_s = time.monotonic() + SOON_S
    while is_running(child):
        assert time.monotonic() < end_s, "the command lives on"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_command_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    with pytest.raises(SetupError, match=r"^the download took longer than 1 s and was stopped: see "):
        run_logged(
            ["sh", "-c", "sleep 60 & echo $! > child; wait"], what="the download", log=log, cwd=tmp_path, limit_s=1.0
        )

    child = int((tmp_path / "child").read_text())
    end_s = time.monotonic() + SOON_S
    while is_running(child):
        assert time.monotonic() < end_s, "its child lives on"
        time.sleep(0.02)
