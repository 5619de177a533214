"""Processes are found by their marker alone, and stopped with all that they started."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes

SLEEPS = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]).wait()"
APPEAR_LIMIT_S = 20.0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for found in processes.running(tmp_path).values():
        processes.stop(found, grace_s=0.1)


def begin(state: Path, script: str, part: str = "one") -> int:
    return processes.start(
        [sys.executable, "-c", script],
        state=state,
        part=part,
        made_of="digest",
        environment={"PATH": os.environ["PATH"]},
        log=state / "log",
        folder=state,
    )


def until_there_are(state: Path, count: int) -> list[processes.Process]:
    end = time.monotonic() + APPEAR_LIMIT_S
    while len(found := processes.running(state).get("one", [])) != count and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_a_started_process_is_found_at_once(state: Path) -> None:
    pid = begin(state, SLEEPS)

    found = processes.running(state)["one"]

    assert [(process.pid, process.made_of) for process in found] == [(pid, "digest")]
    assert found[0].program == Path(sys.executable).name


def test_what_a_part_started_is_found_too_and_comes_after_it(state: Path) -> None:
    pid = begin(state, PARENT)

    found = until_there_are(state, 2)

    assert [process.pid == pid for process in found] == [True, False]


def test_another_labs_processes_are_not_found(state: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    begin(state, SLEEPS)

    assert processes.running(state.with_name(state.name[:-1])) == {}
    assert processes.running(tmp_path_factory.mktemp("other")) == {}


def test_a_killed_process_is_not_found(state: Path) -> None:
    pid = begin(state, SLEEPS)

    os.kill(pid, signal.SIGKILL)

    assert until_there_are(state, 0) == []


def test_stopping_ends_a_process_that_does_not_listen(state: Path) -> None:
    begin(state, STUBBORN)
    end = time.monotonic() + APPEAR_LIMIT_S
    while "deaf" not in (state / "log").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    found = processes.running(state)["one"]

    processes.stop(found, grace_s=0.2)

    assert processes.running(state) == {}


def test_a_later_process_with_the_same_id_is_not_taken_for_ours(state: Path) -> None:
    begin(state, SLEEPS)
    (found,) = processes.running(state)["one"]
    earlier = processes.Process(found.pid, str(int(found.started) - 1), found.program, found.made_of)

    processes.stop([earlier], grace_s=0.1)

    assert processes.lives(found)


def test_ps_finds_the_same_as_the_kernels_files(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(state, SLEEPS)
    known = processes.running(state)["one"]
    monkeypatch.setattr(sys, "platform", "darwin")

    found = processes.running(state)["one"]

    assert [(process.pid, process.made_of) for process in found] == [(one.pid, one.made_of) for one in known]
    assert processes.lives(found[0])
