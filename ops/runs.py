"""Runs of Pulumi: who holds a stack's lock, and what a run that was killed has left behind.

After a `kill -9` of pulumi its lock stays, and its children (language host, plugins) live on for minutes. Every run of
ours is written down beside, and its whole family carries a mark, so that the next run can tell ours from others'.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.toolchain import cache_dir, ps, started_at

MARK = "DRYDOCK_RUN"
PATIENCE_S = 60.0
ORPHAN_GRACE_S = 20.0
KILL_LIMIT_S = 10.0

_POLL_S = 0.05
_SIGN_OF_LIFE_S = 10.0


@dataclass(frozen=True)
class Process:
    """One process for good: an id is used again, an id with its start time isn't.

    Args:
        pid: its id.
        started: when it began, as the system says it; empty: it had ended already.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, started_at(pid))

    @property
    def lives(self) -> bool:
        return self.started != "" and started_at(self.pid) == self.started


@dataclass(frozen=True)
class Run:
    """What is written down of a run while it lasts.

    Args:
        mark: what its whole family carries in `DRYDOCK_RUN`.
        ops: the process of our command.
        pulumi: the process that it drives.
        since: when it began, UTC, as ISO 8601 has it.
        ending: whether it has been told to end.
    """

    mark: str
    ops: Process
    pulumi: Process
    since: str
    ending: bool = False


@dataclass(frozen=True)
class Lock:
    """A lock file of Pulumi's backends (`lockContent` in pkg/backend/diy/lock.go)."""

    file: Path
    pid: int
    user: str
    host: str
    since: datetime

    @property
    def holder(self) -> str:
        return f"{self.user}@{self.host}, pid {self.pid}, since {self.since.astimezone().strftime('%Y-%m-%d %H:%M:%S')}"


def new_mark() -> str:
    """A mark that no other run has."""
    return uuid.uuid4().hex


@contextmanager
def recorded(stack: Stack, mark: str, pulumi: int) -> Iterator[Callable[[], None]]:
    """Writes a run down while it lasts; what it yields notes that the run was told to end.

    The record goes away when the block is left normally; after an exception, as after a kill, it stays.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    run = Run(mark, Process.of(os.getpid()), Process.of(pulumi), now)
    file = _record(stack)
    _write(file, run)
    yield lambda: _write(file, replace(run, ending=True))
    file.unlink(missing_ok=True)


def last(stack: Stack) -> Run | None:
    """The run of ours that is going on, or that did not come to its end."""
    try:
        told = json.loads(_record(stack).read_text())
        return Run(
            **{**told, "ops": Process(**told["ops"]), "pulumi": Process(**told["pulumi"])},
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def locks(stack: Stack) -> list[Lock]:
    """The locks on a stack; none where the backend isn't a folder (Pulumi tells of those itself)."""
    folder = stack.locks_folder
    return [lock for file in sorted(folder.glob("*.json")) if (lock := _read(file))] if folder else []


def settle(stack: Stack, say: Callable[[str], None]) -> bool:
    """Makes the way free after a run that was killed, so that the next one can begin.

    Waits for a run of ours that is on its way out, ends what a dead one has left running, and removes its lock.

    Args:
        stack: the stack that the next run is for.
        say: shows one line.

    Returns:
        Whether a run had been interrupted.

    Raises:
        StackError: somebody else is at work, here or on another machine.
    """
    run, held = last(stack), locks(stack)
    if run is None and not held:
        return False
    for lock in held:
        _refuse_if_at_work(stack, lock, run)
    if run is not None:
        _end(stack, run, say)
    if locks(stack):
        say("Removes the lock of a run that was killed")
        stack.ask("cancel", "--yes")
    _record(stack).unlink(missing_ok=True)
    return True


def family(mark: str) -> list[Process]:
    """The processes that carry a run's mark (on Linux; elsewhere Pulumi's children are left to end by themselves)."""
    if not sys.platform.startswith("linux"):
        return []
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):  # it ended meanwhile, or it is another user's
            process = Process.of(int(entry.name))
            if process.started and needle in Path(entry.path, "environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


def end(processes: Sequence[Process], *, grace_s: float) -> None:
    """Ends processes: interrupts, so that sessions are closed; asks; at last kills. Those that are gone are fine.

    Args:
        processes: each is looked at again before it gets a signal.
        grace_s: how long they have after the interrupt, in seconds.
    """
    left = list(processes)
    for number, limit_s in ((signal.SIGINT, grace_s), (signal.SIGTERM, 1.0), (signal.SIGKILL, KILL_LIMIT_S)):
        left = [one for one in left if one.lives]
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one.pid, number)
        left = _wait(left, limit_s)


def _end(stack: Stack, run: Run, say: Callable[[str], None]) -> None:
    if run.pulumi.lives:
        if run.ops.lives and not run.ending:
            raise _busy(stack, f"pid {run.ops.pid}, since {run.since}")
        _wait_for_its_end(run, say)
    orphans = family(run.mark)
    if orphans:
        say(f"Ends what a killed run left at work ({len(orphans)} processes; usually a few seconds)")
        end(orphans, grace_s=ORPHAN_GRACE_S)


def _wait_for_its_end(run: Run, say: Callable[[str], None]) -> None:
    say(f"Waits for an interrupted run to finish what it has begun (pid {run.pulumi.pid}, at most {PATIENCE_S:.0f} s)")
    begin = time.monotonic()
    while run.pulumi.lives and (left_s := begin + PATIENCE_S - time.monotonic()) > 0:
        if _wait([run.pulumi], min(_SIGN_OF_LIFE_S, left_s)):
            say(f"  still at it after {time.monotonic() - begin:.0f} s")
    end([run.pulumi], grace_s=KILL_LIMIT_S)


def _refuse_if_at_work(stack: Stack, lock: Lock, run: Run | None) -> None:
    if lock.host != socket.gethostname():
        raise StackError(
            f"stack '{stack.name}' is in use by {lock.holder}: wait for it, or, if that run is over, "
            f"`pulumi cancel --stack {stack.name}`",
            Exit.GENERIC,
        )
    ours = run is not None and run.pulumi.pid == lock.pid
    if not ours and _held_by_a_living_one(lock):
        raise _busy(stack, lock.holder)


def _busy(stack: Stack, who: str) -> StackError:
    return StackError(
        f"stack '{stack.name}' is in use by another run ({who}): wait until it has ended, then try again", Exit.GENERIC
    )


def _held_by_a_living_one(lock: Lock) -> bool:
    """Whether the lock's id is still a Pulumi's; any other program has only got its number later.

    Start times aren't compared with the lock's: a clock that was set meanwhile would cost a living run its lock.
    """
    return bool(started_at(lock.pid)) and _program(lock.pid).startswith("pulumi")


def _read(file: Path) -> Lock | None:
    try:
        told = json.loads(file.read_text())
        # Go writes nanoseconds; Python 3.10 reads at most six digits of them.
        since = datetime.fromisoformat(told["timestamp"][:19]).replace(tzinfo=timezone.utc)
        return Lock(file, int(told["pid"]), str(told["username"]), str(told["hostname"]), since)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _record(stack: Stack) -> Path:
    key = hashlib.sha256(f"{stack.backend}\0{stack.label}".encode()).hexdigest()[:24]
    return cache_dir() / "runs" / f"{key}.json"


def _write(file: Path, run: Run) -> None:
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(asdict(run)))
    unfinished.replace(file)


def _wait(processes: Sequence[Process], limit_s: float) -> list[Process]:
    left, deadline = [one for one in processes if one.lives], time.monotonic() + limit_s
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [one for one in left if one.lives]
    return left


def _program(pid: int) -> str:
    if not sys.platform.startswith("linux"):
        return Path(ps("-p", str(pid), "-o", "comm=").strip()).name
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
