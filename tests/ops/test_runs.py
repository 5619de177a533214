"""Who holds a lock, and what is done about it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ops import runs
from ops.exit_codes import Exit
from ops.runs import Process
from ops.stack import Stack, StackError
from tests.ops.conftest import until

Start = Callable[..., "subprocess.Popen[bytes]"]
Calls = Callable[[], list[list[str]]]


def interrupted(stack: Stack, *, pulumi: int, ops: int, mark: str = "m") -> runs.Run:
    """A record such as a killed command leaves."""
    with runs.recorded(stack, mark, pulumi):
        run = runs.last(stack)
    assert run is not None
    run = replace(run, ops=Process.of(ops))
    runs._write(runs._record(stack), run)
    return run


def test_a_stack_at_rest_costs_no_command(stack: Stack, calls: Calls) -> None:
    assert runs.settle(stack, print) is False
    assert calls() == []


def test_a_record_is_there_while_a_run_lasts_and_no_longer(stack: Stack) -> None:
    with runs.recorded(stack, "m", os.getpid()):
        during = runs.last(stack)

    assert during is not None and during.pulumi.lives and during.mark == "m"
    assert runs.last(stack) is None


def test_another_hosts_lock_is_never_removed(stack: Stack, lock: Callable[..., Path], calls: Calls) -> None:
    file = lock(4711, host="workshop")

    with pytest.raises(StackError, match=r"in use by ada@workshop, pid 4711, since .*pulumi cancel --stack lab"):
        runs.settle(stack, print)

    assert file.exists() and calls() == []


def test_a_lock_of_a_pulumi_that_lives_is_respected(
    stack: Stack, lock: Callable[..., Path], calls: Calls, process: Start
) -> None:
    other = process(name="pulumi")
    assert until(lambda: runs._program(other.pid) == "pulumi")
    file = lock(other.pid)

    with pytest.raises(StackError, match=f"in use by another run .ada@.*pid {other.pid}") as refused:
        runs.settle(stack, print)

    assert refused.value.code == Exit.GENERIC
    assert file.exists() and other.poll() is None and calls() == []


def test_a_dead_ones_lock_is_removed_by_pulumi(
    stack: Stack, lock: Callable[..., Path], calls: Calls, dead_pid: int
) -> None:
    lock(dead_pid)

    assert runs.settle(stack, print) is True

    assert calls() == [["cancel", "--yes", "--stack", "lab", "--non-interactive", "--color", "never"]]
    assert runs.locks(stack) == []


def test_an_id_that_another_program_has_now_holds_no_lock(
    stack: Stack, lock: Callable[..., Path], calls: Calls, process: Start
) -> None:
    other = process()
    lock(other.pid)

    assert runs.settle(stack, print) is True

    assert runs.locks(stack) == []
    assert other.poll() is None


def test_what_a_killed_run_left_at_work_is_ended_before_its_lock_is_removed(
    stack: Stack, lock: Callable[..., Path], calls: Calls, process: Start, dead_pid: int
) -> None:
    orphan, stranger = process(mark="m"), process(mark="another")
    lock(dead_pid)
    interrupted(stack, pulumi=dead_pid, ops=dead_pid, mark="m")
    assert until(lambda: bool(runs.family("m")))

    assert runs.settle(stack, print) is True

    assert orphan.wait(timeout=5) != 0
    assert stranger.poll() is None
    assert runs.last(stack) is None


def test_a_process_that_has_got_an_orphans_id_is_left_alone(process: Start) -> None:
    other = process()

    runs.end([Process(other.pid, "1")], grace_s=0)

    assert other.poll() is None


def test_an_orphan_that_takes_no_interrupt_is_ended_all_the_same(process: Start, tmp_path: Path) -> None:
    code = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; open('{}', 'w'); time.sleep(60)"
    ready = tmp_path / "ready"
    deaf = process(code.format(ready))
    assert until(ready.exists)

    runs.end([Process.of(deaf.pid)], grace_s=0.1)

    assert deaf.wait(timeout=5) == -9


def test_a_run_of_ours_without_its_command_is_waited_for(
    stack: Stack, calls: Calls, process: Start, dead_pid: int
) -> None:
    pulumi = process("import time; time.sleep(0.5)", mark="m")
    interrupted(stack, pulumi=pulumi.pid, ops=dead_pid)
    said: list[str] = []

    assert runs.settle(stack, said.append) is True

    assert pulumi.wait() == 0
    assert said == [
        f"Waits for an interrupted run to finish what it has begun (pid {pulumi.pid}, at most 60 s)",
    ]


def test_a_run_of_ours_that_never_ends_is_ended_after_a_bound(
    stack: Stack, process: Start, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_S", 0.1)
    pulumi = process(mark="m")
    interrupted(stack, pulumi=pulumi.pid, ops=dead_pid)

    assert runs.settle(stack, print) is True

    assert pulumi.wait(timeout=5) != 0


def test_a_run_of_ours_whose_command_lives_is_respected(stack: Stack, process: Start) -> None:
    pulumi, ops = process(mark="m"), process()
    interrupted(stack, pulumi=pulumi.pid, ops=ops.pid)

    with pytest.raises(StackError, match=f"in use by another run .pid {ops.pid}, since"):
        runs.settle(stack, print)

    assert pulumi.poll() is None and ops.poll() is None


def test_a_run_that_was_told_to_end_is_waited_for_though_its_command_lives(stack: Stack, process: Start) -> None:
    pulumi, ops = process("import time; time.sleep(0.3)", mark="m"), process()
    run = interrupted(stack, pulumi=pulumi.pid, ops=ops.pid)
    runs._write(runs._record(stack), replace(run, ending=True))

    assert runs.settle(stack, print) is True

    assert pulumi.wait() == 0 and ops.poll() is None


def test_a_record_that_was_cut_short_counts_as_none(stack: Stack) -> None:
    record = runs._record(stack)
    record.parent.mkdir(parents=True)
    record.write_text('{"mark": "m", "ops"')

    assert runs.last(stack) is None
