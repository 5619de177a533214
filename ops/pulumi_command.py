"""Runs one long Pulumi command for `up` and `down`: its events shown as calm lines, its signals, its record."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Any

from ops import runs
from ops.exit_codes import Exit
from ops.progress import Progress
from ops.stack import Stack, StackError

TICK_S = 0.1
LONGEST_TAIL_BYTES = 64 * 1024

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Result:
    """How a command ended.

    Args:
        code: its exit code, by Pulumi's table; a killed Pulumi's is 255.
        changes: operation → number of resources, ``{"create": 3, "same": 5}``.
        duration_s: how long the engine worked.
    """

    code: int
    changes: Mapping[str, int] = field(default_factory=dict)
    duration_s: float = 0.0

    @property
    def changed(self) -> int:
        """How many resources are not as they were."""
        return sum(number for operation, number in self.changes.items() if operation not in ("same", "read", "refresh"))


def run(stack: Stack, *arguments: str, progress: Progress) -> Result:
    """Runs a command to its end and shows how it goes.

    Pulumi gets a session of its own, so that the terminal's Ctrl-C reaches us only: the first one is handed on (what
    has been begun is finished and saved), the second ends Pulumi. When we are killed, Pulumi gets an interrupt.

    Args:
        stack: the stack.
        arguments: the command and its options, without `--yes` and the stack's name.
        progress: shows what happens.
    """
    mark = runs.new_mark()
    with _Memory() as events, _Memory() as printed:
        process = _start(stack, [*arguments, "--event-log", events.path], mark, events, printed)
        with runs.recorded(stack, mark, process.pid) as note_ending, _handed_on(process, progress, note_ending) as told:
            _follow(process, events, progress)
            code = process.wait()
            if code < 0:
                raise StackError(
                    f"Pulumi was ended by {signal.Signals(-code).name}: run it again, the next run finishes the job",
                    Exit.INTERNAL,
                )
        progress.end()
        if code and told:
            progress.say("Stopped: what had been begun is finished and saved. The next run goes on from here.")
            code = Exit.CANCELLED
        elif code and not progress.errors:
            sys.stderr.write(printed.rest()[-LONGEST_TAIL_BYTES:].decode(errors="replace"))
    return Result(code, progress.changes, progress.duration_s)


class _Memory:
    """A file that Pulumi writes and we read; it is gone with us, however we end.

    The engine's events hold more than a user should see, so it lies in memory, not on a disk (on Linux). Not a pipe:
    when its reader is killed, a pipe stops Pulumi before it could end gracefully.
    """

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self._file: IO[bytes] = os.fdopen(os.memfd_create("drydock"), "rb", buffering=0)
            self.path = f"/dev/fd/{self._file.fileno()}"
        else:
            self._file = tempfile.NamedTemporaryFile(prefix="drydock-", buffering=0)  # noqa: SIM115 - closed with us
            self.path = self._file.name
        self._read = 0

    def __enter__(self) -> _Memory:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        return self._file.fileno()

    def rest(self) -> bytes:
        """What was written since this was asked last."""
        chunk = os.pread(self.fileno(), os.fstat(self.fileno()).st_size - self._read, self._read)
        self._read += len(chunk)
        return chunk


def _start(
    stack: Stack, arguments: Sequence[str], mark: str, events: _Memory, printed: _Memory
) -> subprocess.Popen[bytes]:
    argv = ["pulumi", *arguments, "--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress"]
    argv += ["--stack", stack.name, "--non-interactive", "--color", "never"]
    try:
        return subprocess.Popen(
            argv,
            cwd=stack.folder,
            # The event log is one of Pulumi's options for tools; its own Automation API uses it in the same way.
            env={**os.environ, runs.MARK: mark, "PULUMI_DEBUG_COMMANDS": "true"},
            stdin=subprocess.DEVNULL,
            stdout=printed.fileno(),
            stderr=subprocess.STDOUT,
            pass_fds=[events.fileno()],
            start_new_session=True,
            preexec_fn=_interrupted_with_us(),
        )
    except FileNotFoundError:
        raise StackError("'pulumi' is not on PATH: run `python3 -m ops setup` first") from None


def _interrupted_with_us() -> Callable[[], None] | None:
    """A `preexec_fn` with which Pulumi gets SIGINT when we die (on Linux): it then ends gracefully."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_the_kernel() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # we died before it asked
            os._exit(1)

    return ask_the_kernel


@contextmanager
def _handed_on(
    process: subprocess.Popen[bytes], progress: Progress, note_ending: Callable[[], None]
) -> Iterator[list[int]]:
    """Hands the first signal on to Pulumi as an interrupt; the second ends it. Yields those that came."""
    received: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            note_ending()
            progress.say("Stops: finishes what has been begun and saves it (once more: stops at once)")
            process.send_signal(signal.SIGINT)
        elif len(received) == 2:
            process.send_signal(signal.SIGINT)  # Pulumi's own way to stop at once
        else:
            process.kill()

    before = {number: signal.signal(number, hand_on) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(process: subprocess.Popen[bytes], events: _Memory, progress: Progress) -> None:
    """Shows the events until Pulumi has ended."""
    rest, ended = b"", False
    while not ended:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=TICK_S)
        ended = process.returncode is not None
        *lines, rest = (rest + events.rest()).split(b"\n")
        for event in filter(None, map(_event, lines)):
            progress.take(event)
        progress.tick()


_DEBUG = re.compile(rb'"severity":\s*"debug"')


def _event(line: bytes) -> dict[str, Any] | None:
    # Most events are debug ones, and they may hold what is secret: they aren't even read.
    if _DEBUG.search(line):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
