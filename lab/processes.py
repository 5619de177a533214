"""Detached processes that are found again: started with a marker in their environment, looked up by it, stopped by id.

For the lab's parts. A part outlives the command that started it, so nothing here trusts a file with a process id: the
marker is read from the running process itself, and the start time tells a process from a later one with the same id.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.toolchain import ps, started_at

MARKER = "DRYDOCK_LAB_PART"
MADE_OF = "DRYDOCK_LAB_MADE_OF"
KILL_LIMIT_S = 10.0
LONGEST_LOG_BYTES = 8 * 1024 * 1024

_POLL_S = 0.02
_APPEAR_LIMIT_S = 5.0
_TRIES_DURING_EXEC = 5
# The children that this very process started: they are reaped here, so that none stays behind as a zombie.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Process:
    """A process of a lab's.

    Attributes:
        pid: its id.
        started: when it began, as the system says it; with the id this names one process for good.
        program: the last part of the path that it was started by.
        made_of: the digest of what it was started with (command, settings, certificates).
    """

    pid: int
    started: str
    program: str
    made_of: str


def start(
    argv: Sequence[str],
    *,
    state: Path,
    part: str,
    made_of: str,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
) -> int:
    """Starts a process of its own session that outlives us.

    Args:
        argv: the command; never with a secret in it.
        state: the lab's state folder, one half of the marker.
        part: the part's name, the other half.
        made_of: the digest that `Process.made_of` will show.
        environment: the process's whole environment, beside the marker.
        log: the file to which its output is added.
        folder: where it runs.

    Returns:
        Its id.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, MARKER: _marker(state, part), MADE_OF: made_of},
            cwd=folder,
            start_new_session=True,
        )
    _children[child.pid] = child
    # The kernel shows a new program's environment a moment after it has begun; until then nobody would find it.
    deadline = time.monotonic() + _APPEAR_LIMIT_S
    while child.poll() is None and part not in running(state) and time.monotonic() < deadline:
        time.sleep(_POLL_S / 10)
    return child.pid


def running(state: Path) -> dict[str, list[Process]]:
    """Part → its processes, oldest first, for every part of a lab that has one. Whatever they started counts too."""
    prefix = _marker(state, "")
    found: dict[str, list[Process]] = {}
    for pid, environment in _environments(prefix):
        marker = environment.get(MARKER, "")
        started = started_at(pid)
        if not marker.startswith(prefix) or not started:
            continue
        process = Process(pid, started, _program(pid), environment.get(MADE_OF, ""))
        found.setdefault(marker[len(prefix) :], []).append(process)
    for processes in found.values():
        processes.sort(key=lambda process: (len(process.started), process.started, process.pid))
    return found


def lives(process: Process) -> bool:
    """Whether that very process still runs (one that has ended and waits for its parent doesn't)."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        del _children[process.pid]
    return started_at(process.pid) == process.started


def stop(processes: Iterable[Process], *, grace_s: float) -> None:
    """Ends processes: asks, waits at most `grace_s` seconds, then kills. Those that are gone already are fine.

    Raises:
        TimeoutError: one is still there 10 s after it was killed.
    """
    left = _signalled(processes, signal.SIGTERM, grace_s)
    left = _signalled(left, signal.SIGKILL, KILL_LIMIT_S)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise TimeoutError(f"process {pids} is still there {KILL_LIMIT_S:.0f} s after it was killed")


def kill_all(pids: Iterable[int]) -> None:
    """Kills processes that are known to be ours by another sign than the marker, such as their control group."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _signalled(processes: Iterable[Process], number: signal.Signals, limit_s: float) -> list[Process]:
    left = [process for process in processes if lives(process)]
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
            os.kill(process.pid, signal.SIGCONT)  # one that was halted hears nothing else
    deadline = time.monotonic() + limit_s
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        left = [process for process in left if lives(process)]
    return left


def _marker(state: Path, part: str) -> str:
    return f"{state}:{part}"


def _environments(wanted: str) -> Iterable[tuple[int, dict[str, str]]]:
    """Id and environment of the processes whose environment contains that text, and that we may look into."""
    if not sys.platform.startswith("linux"):
        yield from _environments_fromps(wanted)
        return
    needle = os.fsencode(wanted)
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        content = _environment_of(entry.path)
        if needle in content:
            pairs = (line.partition("=") for line in os.fsdecode(content).split("\0"))
            yield int(entry.name), {name: value for name, _, value in pairs}


def _environment_of(process: str) -> bytes:
    """The environment of the process with that folder in /proc; empty if it ended or is another user's."""
    try:
        for _ in range(_TRIES_DURING_EXEC):
            content = Path(process, "environ").read_bytes()
            if content:
                return content
            # Empty: a kernel's thread or a zombie, which have no program; else it is just changing its program.
            os.readlink(os.path.join(process, "exe"))
            time.sleep(_POLL_S / 10)
    except OSError:
        pass
    return b""


def _environments_fromps(wanted: str) -> Iterable[tuple[int, dict[str, str]]]:
    for line in ps("-axeww", "-o", "pid=,command=").splitlines():
        pid, _, text = line.strip().partition(" ")
        if wanted in text:
            # ps separates variables by spaces, which a folder's name may hold too: each reaches to the next of ours.
            values = {}
            for name, following in ((MARKER, f" {MADE_OF}="), (MADE_OF, " ")):
                values[name] = text.partition(f"{name}=")[2].partition(following)[0]
            yield int(pid), values


def _program(pid: int) -> str:
    if not sys.platform.startswith("linux"):
        return Path(ps("-p", str(pid), "-o", "comm=").strip()).name
    try:
        first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return ""
    return Path(os.fsdecode(first)).name
