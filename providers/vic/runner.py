"""Runs vic-machine: in a scratch directory of its own, its prompts answered, its lines handed over, its log kept.

`configure` and `upgrade` are never killed, neither by our time limit nor when we are stopped: half of a change would
stay and the VCH be marked as being changed (facts/vic-machine.md). Their output goes into a file and not to us, so that
they come to their end even where this process is killed; `leftovers` tells of them afterwards.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from providers.kit import journal
from providers.kit.errors import Authentication, DrydockError, Permanent
from providers.kit.secrets import Secret, redact
from providers.vic.command_line import CommandLine
from providers.vic.flags import Command
from providers.vic.output import Ending, Line, Reading, Verdict, with_log

KEPT_LOGS = 20
MOST_LOG_BYTES = 32 * 1024 * 1024
MOST_FILE_BYTES = 1024 * 1024
OLD_SCRATCH_S = 7 * 24 * 3600.0
UPLOAD_LIMIT_S = 3600.0
END_LIMIT_S = 5.0

OUTPUT = "output.txt"
OWN_LOG = "vic-machine.log"

_OWNER = "owner.json"
_RUNNER, _CHILD = "runner.lock", "child.pid"
_QUICK_LOOK_S, _SLOW_LOOK_S, _QUICK_FOR_S = 0.01, 0.05, 2.0
_ECHO_WAIT_S = 1.0
_PROMPT = re.compile(rb"password[^\n]{0,200}: *(?:\"|\n|$)", re.IGNORECASE)
_NEVER_KILLED = frozenset({Command.CONFIGURE, Command.UPGRADE})

# Beyond vic-machine's own limit. create and upgrade upload images, which has none of its own; upgrade waits twice.
_MARGIN_S: Mapping[Command, float] = {
    Command.CREATE: UPLOAD_LIMIT_S,
    Command.UPGRADE: UPLOAD_LIMIT_S,
    Command.CONFIGURE: 300.0,
    Command.DELETE: 120.0,
}
_OTHER_MARGIN_S = 60.0


@dataclass(frozen=True)
class Usage:
    """What the child took: seconds, and bytes at its highest."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Args:
        line: what was run.
        exit_code: negative for a signal.
        verdict: what it came to.
        lines: what it printed.
        log: where all of it is kept, scrubbed.
        usage: time and memory.
        made: name → content of the files in its certificate folder; keys are secrets.
        stopped: it was ended by us, since we were stopped or its time was up.
    """

    line: CommandLine
    exit_code: int
    verdict: Verdict
    lines: tuple[Line, ...]
    log: Path
    usage: Usage
    made: Mapping[str, str | Secret] = field(default_factory=dict)
    stopped: bool = False

    def failure(self, on: str) -> DrydockError:
        """The error for a run that has not succeeded, in one line."""
        what = f"vic-machine {self.line.command.value} failed: {self.verdict.told_cause}"
        if self.verdict.ending is Ending.TIMED_OUT and "time limit" not in what:
            what += f", and its {self.line.timeout_s:g} s were up"
        if self.stopped:
            what = f"vic-machine {self.line.command.value} was stopped by us before its end"
        remedy = f"{_REMEDIES.get(self.verdict.ending, _REMEDY)} Its whole log: {self.log}"
        kind = Authentication if self.verdict.ending is Ending.REFUSED_LOGIN else Permanent
        return kind(what, on=on, remedy=remedy)


@dataclass(frozen=True)
class Leftover:
    """A run whose end nobody of ours has seen.

    Args:
        command: what was run.
        at_work: whether it still is.
        pid: its process.
        verdict: what it came to, as far as its output tells; its exit code is lost.
        made: files in its certificate folder.
        folder: its scratch directory.
    """

    command: Command
    at_work: bool
    pid: int
    verdict: Verdict
    made: Mapping[str, str | Secret]
    folder: Path


class StillAtWork(Permanent):
    """It must not be killed and isn't done; the next run finds it."""


_REMEDY = "Correct the cause, then run it again."
_REMEDIES: Mapping[Ending, str] = {
    Ending.USAGE: "This is our mistake: please report it.",
    Ending.ANOTHER_AT_WORK: "See that nobody else is at work on this VCH, then run it again.",
    Ending.LEFT_IN_PROGRESS: "Half of the change may stay, and the VCH is marked as being changed: run it again.",
    Ending.ROLLED_BACK: "The VCH was put back as it was: see that its files are still on the datastore.",
    Ending.TIMED_OUT: "Give it more time (timeout_s), then run it again.",
    Ending.FULL: "Make room on it, then run it again.",
    Ending.REFUSED_LOGIN: "Correct the user and password; it is not tried again.",
    Ending.REFUSED_CERTIFICATE: "Pin the certificate: `python -m ops preflight --pin`.",
}


def run(
    binary: Path,
    line: CommandLine,
    *,
    thing: str,
    on_line: Callable[[Line], None] | None = None,
    stop: threading.Event | None = None,
    time_limit_s: float | None = None,
) -> Finished:
    """Runs it to its end.

    Args:
        binary: vic-machine, with its ISOs beside it.
        line: what to run.
        thing: which VCH on which vCenter: names logs and leftovers.
        on_line: gets each line as it comes, scrubbed.
        stop: set from elsewhere, it ends the run; configure and upgrade go on to their end all the same.
        time_limit_s: another limit than `limit_s`.

    Raises:
        StillAtWork: the limit of a run that must not be killed is up.
        Permanent: it can't be started.
    """
    for answer in line.answers:
        _refuse_unspeakable(answer, thing)
    sweep(thing)
    scratch = _scratch(line, thing)
    one = _Run(binary, line, thing, scratch, on_line, stop or threading.Event())
    with (scratch / _RUNNER).open("xb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            return one.to_its_end(limit_s(line) if time_limit_s is None else time_limit_s)
        finally:
            if not one.still_at_work:
                shutil.rmtree(scratch, ignore_errors=True)


def limit_s(line: CommandLine) -> float:
    """How long a run may take: always longer than vic-machine's own limit."""
    times = 2.0 if line.command is Command.UPGRADE else 1.0
    return times * line.timeout_s + _MARGIN_S.get(line.command, _OTHER_MARGIN_S)


def leftovers(thing: str) -> list[Leftover]:
    """Runs for this thing that an earlier process of ours has not seen the end of, oldest first."""
    found = []
    for folder, owner in _scratches():
        if owner.thing == thing and not _held(folder / _RUNNER):
            reading = Reading(owner.command, reset=owner.reset)
            for raw in _read(folder / OUTPUT).splitlines():
                reading.feed(redact(raw))
            made = _made(folder / owner.certificate_folder)
            at_work = _held(folder / OUTPUT)
            pid = int(_read(folder / _CHILD) or 0)
            found.append(Leftover(owner.command, at_work, pid, reading.verdict(0), made, folder))
    return found


def sweep(thing: str) -> None:
    """Removes what ended runs for this thing, and very old ones for others, have left; their output becomes a log."""
    for folder, owner in _scratches():
        ended = not _held(folder / _RUNNER) and not _held(folder / OUTPUT)
        if ended and (owner.thing == thing or time.time() - _changed_at(folder) > OLD_SCRATCH_S):
            with suppress(OSError):
                _keep_log(folder, owner.thing, owner.command.value, "(its end was not seen)")
            shutil.rmtree(folder, ignore_errors=True)


class _Run:
    """One child, from its start to its end."""

    def __init__(
        self,
        binary: Path,
        line: CommandLine,
        thing: str,
        scratch: Path,
        on_line: Callable[[Line], None] | None,
        stop: threading.Event,
    ) -> None:
        self._binary, self._line, self._thing, self._scratch = binary, line, thing, scratch
        self._on_line, self._stop = on_line, stop
        self._reading = Reading(line.command, reset=line.reset)
        self._answers = list(line.answers)
        self._memory_bytes = 0
        self._end: tuple[int, float] | None = None
        self.still_at_work = False

    def to_its_end(self, limit: float) -> Finished:
        terminal = _Terminal() if self._answers else None
        began = time.monotonic()
        try:
            with (self._scratch / OUTPUT).open("xb") as output:
                fcntl.flock(output, fcntl.LOCK_EX)  # the child inherits the lock and holds it to its end
                child = self._start(output.fileno(), terminal)
            with (self._scratch / OUTPUT).open("rb") as output:
                ended = self._attend(child, _Tail(output), terminal, began + limit)
        finally:
            if terminal is not None:
                terminal.close()
        code, cpu_s, stopped = ended
        usage = Usage(time.monotonic() - began, cpu_s, self._memory_bytes)
        log = _keep_log(self._scratch, self._thing, self._line.command.value, f"[exit {code}]", self._line)
        made = _made(self._scratch / self._line.certificate_folder) if self._line.certificate_folder else {}
        lines = tuple(self._reading.lines)
        verdict = with_log(self._reading.verdict(code), _read(self._scratch / OWN_LOG))
        return Finished(self._line, code, verdict, lines, log, usage, made, stopped)

    def _start(self, output: int, terminal: _Terminal | None) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._scratch), "LANG": "C.UTF-8"}
        for name, value in self._line.environment.items():
            environment[name] = value.reveal() if isinstance(value, Secret) else value
        try:
            child = subprocess.Popen(
                [str(self._binary), *self._line.arguments],
                stdin=subprocess.DEVNULL if terminal is None else terminal.theirs,
                stdout=output,
                stderr=output,
                cwd=self._scratch,
                env=environment,
                start_new_session=True,  # what is sent to our group is not for it
            )
        except OSError as error:
            raise Permanent(
                f"vic-machine can't be started ({error.strerror or error})",
                on=self._thing,
                remedy=f"See that {self._binary} can be run on this machine.",
            ) from error
        _write(self._scratch / _CHILD, str(child.pid), 0o600)
        return child

    def _attend(
        self, child: subprocess.Popen[bytes], tail: _Tail, terminal: _Terminal | None, end: float
    ) -> tuple[int, float, bool]:
        """Exit code, CPU seconds, and whether it was we who ended it."""
        interrupted: BaseException | None = None
        stopped = False
        quick_until = time.monotonic() + _QUICK_FOR_S
        ended = None
        try:
            while ended is None:
                try:
                    ended = self._look(child, tail, terminal)
                    if ended is None:
                        stopped = self._end_if_due(child, end) or stopped
                        time.sleep(_QUICK_LOOK_S if time.monotonic() < quick_until else _SLOW_LOOK_S)
                except KeyboardInterrupt as error:
                    interrupted = error
                    self._stop.set()
        except BaseException:
            self._leave(child)
            raise
        self._hand_over(tail, last=True)
        if interrupted is not None:
            raise interrupted
        return (*ended, stopped)

    def _look(
        self, child: subprocess.Popen[bytes], tail: _Tail, terminal: _Terminal | None
    ) -> tuple[int, float] | None:
        self._memory_bytes = max(self._memory_bytes, _highest_memory(child.pid))
        ended = self._ended(child)
        self._hand_over(tail)
        if terminal is not None and self._answers and ended is None and terminal.waits(tail.prompts):
            terminal.type(self._answers.pop(0))
        return ended

    def _hand_over(self, tail: _Tail, *, last: bool = False) -> None:
        for raw in tail.lines(last=last):
            line = self._reading.feed(redact(raw))
            if self._on_line is not None:
                self._on_line(line)

    def _end_if_due(self, child: subprocess.Popen[bytes], end: float) -> bool:
        late = time.monotonic() > end
        if self._line.command in _NEVER_KILLED:
            if late:
                raise StillAtWork(
                    f"vic-machine {self._line.command.value} (process {child.pid}) is not done yet",
                    on=self._thing,
                    remedy="It must not be killed: wait until it has ended, then run it again.",
                )
            return False
        if not late and not self._stop.is_set():
            return False
        self._kill(child)
        return True

    def _leave(self, child: subprocess.Popen[bytes]) -> None:
        """We can't attend any longer: what may be killed is, the rest goes on by itself."""
        if self._ended(child) is not None:
            return
        if self._line.command in _NEVER_KILLED:
            self.still_at_work = True
        else:
            self._kill(child)

    def _ended(self, child: subprocess.Popen[bytes]) -> tuple[int, float] | None:
        """Exit code and CPU seconds, where it has ended; it can be asked for once only, so they are kept."""
        if self._end is None:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid != 0:
                child.returncode = os.waitstatus_to_exitcode(status)
                self._end = child.returncode, used.ru_utime + used.ru_stime
        return self._end

    def _kill(self, child: subprocess.Popen[bytes]) -> None:
        """Asks first; its children go with it."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sent)
            end = time.monotonic() + END_LIMIT_S
            while time.monotonic() < end:
                if self._ended(child) is not None:
                    return
                time.sleep(_QUICK_LOOK_S)


class _Tail:
    """What is appended to a file, by lines."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest = b""
        self._prompts = 0

    @property
    def prompts(self) -> int:
        """How often a password was asked for; a prompt may be a line, or the beginning of one."""
        return self._prompts + bool(_PROMPT.search(self._rest))

    def lines(self, *, last: bool = False) -> Iterator[str]:
        whole, newline, self._rest = (self._rest + self._file.read()).rpartition(b"\n")
        if newline:
            for one in whole.split(b"\n"):
                self._prompts += bool(_PROMPT.search(one))
                yield one.decode(errors="replace")
        if last and self._rest:
            yield self._rest.decode(errors="replace")
            self._rest = b""


class _Terminal:
    """A terminal for the child's standard input: passwords are asked for only on one."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()
        os.set_blocking(self._ours, False)
        self._typed = 0
        self._asked_at: float | None = None

    def close(self) -> None:
        os.close(self._ours)
        os.close(self.theirs)

    def waits(self, prompts: int) -> bool:
        """Whether an answer is due: it asked, or echoes nothing, and has had the time to do the other as well."""
        with suppress(BlockingIOError, OSError):  # an echo that nobody reads would fill the terminal
            os.read(self._ours, 4096)
        silent = not termios.tcgetattr(self.theirs)[3] & termios.ECHO
        asked = prompts > self._typed
        if not (silent or asked):
            self._asked_at = None
            return False
        now = time.monotonic()
        self._asked_at = now if self._asked_at is None else self._asked_at
        return (silent and asked) or now - self._asked_at > _ECHO_WAIT_S

    def type(self, answer: Secret) -> None:
        os.write(self._ours, answer.reveal().encode() + b"\n")
        self._typed += 1
        self._asked_at = None


def _refuse_unspeakable(answer: Secret, thing: str) -> None:
    """A terminal takes control characters for commands."""
    if not answer.reveal() or not answer.reveal().isprintable():
        raise Permanent(
            "a password is empty or holds a control character, which can't be typed at vic-machine's prompt",
            on=thing,
            remedy="Choose another password.",
        )


@dataclass(frozen=True)
class _Owner:
    """What stands in a scratch directory about the run that it was made for."""

    thing: str
    command: Command
    reset: bool
    certificate_folder: str


def _scratch(line: CommandLine, thing: str) -> Path:
    parent = journal.folder() / "scratch"
    owner = {
        "thing": thing,
        "command": line.command.value,
        "reset": line.reset,
        "certificate_folder": line.certificate_folder,
    }
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix="vic-", dir=parent))  # mode 700
        for path, file in line.files.items():
            (folder / path).parent.mkdir(mode=0o700, exist_ok=True)
            _write(folder / path, file.content(), file.mode)
        _write(folder / _OWNER, json.dumps(owner), 0o600)
    except OSError as error:
        raise Permanent(
            f"no scratch directory can be made ({error.strerror or error})",
            on=str(parent),
            remedy=f"Make room there, or set {journal.FOLDER} to a folder of yours.",
        ) from error
    return folder


def _scratches() -> list[tuple[Path, _Owner]]:
    found = []
    for folder in (journal.folder() / "scratch").glob("vic-*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(_read(folder / _OWNER))
            command = Command(told["command"])
            found.append((folder, _Owner(told["thing"], command, told["reset"], told["certificate_folder"])))
    return sorted(found, key=lambda one: _changed_at(one[0]))


def _held(path: Path) -> bool:
    """Whether a process holds the lock on a file; the system takes it away from whoever ends."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _changed_at(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return file.read(MOST_LOG_BYTES).decode(errors="replace")
    return ""


def _made(folder: Path) -> dict[str, str | Secret]:
    """PEM files of a certificate folder; keys as secrets."""
    found: dict[str, str | Secret] = {}
    for path in sorted(folder.glob("*.pem")):
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_size <= MOST_FILE_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            found[path.name] = Secret(text) if "PRIVATE KEY" in text else text
    return found


def _keep_log(scratch: Path, thing: str, command: str, ending: str, line: CommandLine | None = None) -> Path:
    """The run's output and vic-machine's own log, scrubbed, in the user's folder for state."""
    folder = journal.folder() / "logs" / "vic"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(timezone.utc)
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", thing).strip("-.") or "vch"
    path = folder / f"{stem}--{now:%Y%m%dT%H%M%S.%f}Z-{command.replace(' ', '-')}.log"
    said = line.pasteable() if line is not None else command
    parts = [f"$ {said}", _read(scratch / OUTPUT).rstrip("\n"), ending]
    own = _read(scratch / OWN_LOG)
    if own:
        parts += ["", f"--- {OWN_LOG}", own.rstrip("\n")]
    _write(path, redact("\n".join(parts)) + "\n", 0o600)
    for old in sorted(folder.glob(f"{stem}--*.log"))[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return path


def _highest_memory(pid: int) -> int:
    """Bytes; the kernel's own count for a child (ru_maxrss) begins with what we had when it was started."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _read(Path(f"/proc/{pid}/status")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
