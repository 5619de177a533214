"""What vic-machine prints, line by line in both formats, and what it means: for the runner and for whoever watches.

Exit codes alone can't be trusted (facts/vic-machine.md): a run has succeeded when its success line is there *and* it
ended with 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from providers.vic.flags import Command


class Kind(str, Enum):
    """What a line is: PLAIN has neither format (tables, the raw configuration, what goes on from the line before)."""

    PROGRESS = "progress"
    WARNING = "warning"
    ERROR = "error"
    PLAIN = "plain"


class Ending(str, Enum):
    """How a run ended, beside success."""

    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    LEFT_IN_PROGRESS = "left in progress"
    ANOTHER_AT_WORK = "another at work"
    REFUSED_LOGIN = "refused login"
    REFUSED_CERTIFICATE = "refused certificate"
    TIMED_OUT = "timed out"
    FULL = "datastore full"
    CRASHED = "crashed"
    USAGE = "wrong usage"


@dataclass(frozen=True)
class Line:
    """One line. `text` is without time, level and quotes; `goes_on` means that it belongs to the line before."""

    kind: Kind
    text: str
    goes_on: bool = False


@dataclass(frozen=True)
class Listed:
    """One VCH as `ls` shows it."""

    id: str
    path: str
    name: str
    version: str
    upgrade_status: str


@dataclass(frozen=True)
class Verdict:
    """What a run came to.

    Args:
        ending: success, or which kind of failure.
        cause: the first real cause of a failure; empty after success.
        outcome: vic-machine's own last word on a failure.
        warnings: what it warned of, each once.
        errors: what it called errors, each once; after success they tell of parts, such as a store that isn't online.
    """

    ending: Ending
    cause: str = ""
    outcome: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        return self.ending is Ending.SUCCESS

    @property
    def told_cause(self) -> str:
        """The cause for a user, who has no command line to give more time on."""
        return _EXITING.sub("", _THEIR_ADVICE.sub("", self.cause))


@dataclass(frozen=True)
class Told:
    """What a run told about a VCH; empty where it told nothing."""

    id: str = ""
    docker_host: str = ""
    portal: str = ""
    installer_version: str = ""
    vch_version: str = ""
    upgrade_status: str = ""
    kept_volume_stores: Mapping[str, str] = field(default_factory=dict)


RESET = "Reset UpdateInProgress flag successfully"

_COMPLETED = "Completed successfully"
_SUCCESS: Mapping[Command, str] = MappingProxyType(
    {
        Command.CREATE: r"Installer completed successfully",
        Command.CONFIGURE: _COMPLETED,
        Command.UPGRADE: _COMPLETED,
        Command.DELETE: _COMPLETED,
        Command.INSPECT: _COMPLETED,
        Command.DEBUG: _COMPLETED,
        Command.UPDATE_FIREWALL: r"Command completed successfully",
        Command.INSPECT_CONFIG: r"--target=\S.*",
        Command.LS: r"ID +PATH +NAME +VERSION +UPGRADE STATUS",
        Command.VERSION: r"\S*vic-machine\S* version v\S+",
    }
)

_LEVELS = {
    "DEBUG": Kind.PROGRESS,
    "INFO": Kind.PROGRESS,
    "WARN": Kind.WARNING,
    "WARNING": Kind.WARNING,
    "ERROR": Kind.ERROR,
    "FATAL": Kind.ERROR,
    "PANIC": Kind.ERROR,
}
_EARLY = re.compile(
    r"[A-Z][a-z]{2} [ \d]\d \d{4} \d\d:\d\d:\d\d\.\d+Z (DEBUG|INFO|WARN|ERROR|FATAL|PANIC) ?(.*)", re.DOTALL
)
_LOGRUS = re.compile(r'time="[^"]*" level=(\w+)(?: msg=(?:"((?:[^"\\]|\\.)*)"|(\S*)))?.*', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

_RULE = re.compile(r"-{5,}")
_USAGE = re.compile(r"Incorrect Usage: (.*)")
_CRASH = re.compile(r"(\S*vic-machine\S* failed), please check log file")
_COMMANDS = "|".join(one.value for one in Command)
_OUTCOME = re.compile(rf"\S*vic-machine\S* (?:{_COMMANDS}) +failed: (.*)", re.DOTALL)
# Go's traces of where a deadline struck: `package.(*Type).Method: NAME error: context deadline exceeded`, with stack.
_TRACE = re.compile(r"[\w./-]*\w\.\(?\*?\w+\)?\.?[\w.]*: .* error: context (?:deadline exceeded|canceled)", re.DOTALL)
_TRACE_CAUSE = re.compile(r"context\.Cause: ")
# What only says that something above or below failed.
_ECHO = re.compile(
    r"(?:Create|Configure|Configuring|Upgrade|Delete|Inspect|List|Debug|Update)\w* cannot continue\b"
    r"|Failed to get Virtual Container Host\b"
    r"|validation of configuration failed$"
    r"|cannot continue: "
)
_LATER = re.compile(r"context (?:deadline exceeded|canceled)\.?$")
_PREFIX = re.compile(r"(?:Failed to (?:configure|upgrade|create)|(?:Configure|Upgrade|Create|Delete) failed): ")
# Advice that we never follow, and nobody should for these reasons: it deletes volumes.
_TEMPTATION = re.compile(r",? *(?:or )?specify --force to force \w+\.?", re.IGNORECASE)

# Advice in words of a command line that the user doesn't have; ours comes with the error.
_THEIR_ADVICE = re.compile(r"[.:]? *(?:Please increase the timeout using|use) --timeout\b.*", re.DOTALL)
_EXITING = re.compile(r"\.+ *Exiting\.*$")
# Said to nobody but its own log, though it ends the run.
_NO_SNAPSHOT = re.compile(r"Failed to create (configure|upgrade) snapshot [^\n]*?\": ([^\n\"]+)")

_ROLLED_BACK = "Appliance is rolled back to previous version"
_ANOTHER = "another upgrade/configure operation is in progress"
_NOT_RESET = "Failed to reset UpdateInProgress"
_CERTIFICATE = re.compile(r"Failed to verify certificate for target=|thumbprint .*mismatch", re.IGNORECASE)
_LOGIN = re.compile(r"Failed to log in to |Login failure|incorrect user ?name or password|InvalidLogin", re.IGNORECASE)
_NO_SPACE = re.compile(r"Insufficient disk space on datastore|No space left on (?:the )?device", re.IGNORECASE)
_TIME_LIMIT = re.compile(r"exceeded time limit of|timed out: use --timeout")


def parse(raw: str) -> Line:
    """One line of either format; the format is found line by line."""
    raw = raw.rstrip("\r\n")
    early = _EARLY.fullmatch(raw)
    if early:
        return Line(_LEVELS[early[1]], early[2].removeprefix(" ") if early[1] in ("INFO", "WARN") else early[2])
    logrus = _LOGRUS.fullmatch(raw)
    if logrus:
        text = _unescaped(logrus[2]) if logrus[2] is not None else (logrus[3] or "")
        return Line(_LEVELS.get(logrus[1].upper(), Kind.PROGRESS), text)
    return Line(Kind.PLAIN, raw)


class Reading:
    """Takes a run's lines one after the other, and judges at its end.

    Args:
        command: what was run.
        reset: it was told to reset the in-progress flag only.
    """

    def __init__(self, command: Command, *, reset: bool = False) -> None:
        self._success = re.compile(RESET if reset else _SUCCESS[command])
        self._command = command
        self.lines: list[Line] = []

    def feed(self, raw: str) -> Line:
        """One more line, as it came."""
        line = parse(raw)
        if line.kind is Kind.PLAIN and self._goes_on(raw):
            line = Line(self.lines[-1].kind, line.text, goes_on=True)
        self.lines.append(line)
        return line

    def verdict(self, exit_code: int) -> Verdict:
        """What the run came to, with its exit code (negative: ended by that signal)."""
        entries = list(_entries(self.lines))
        warnings = _once(_joined(text for kind, text in entries if kind is Kind.WARNING))
        errors = _once(text for kind, text in entries if kind is Kind.ERROR and not _is_noise(text))
        if exit_code == 0 and self._succeeded(entries):
            return Verdict(Ending.SUCCESS, warnings=warnings, errors=errors)
        outcome = next((found[1].strip() for _, text in entries if (found := _OUTCOME.match(text))), "")
        cause = _cause(entries, exit_code)
        ending = _ending([text for _, text in entries], exit_code)
        return Verdict(ending, cause, outcome, warnings, errors)

    def _succeeded(self, entries: Sequence[tuple[Kind, str]]) -> bool:
        """The success line is there, and none that says the opposite."""
        good = any(kind is not Kind.ERROR and self._success.fullmatch(text.strip()) for kind, text in entries)
        return good and not any(_OUTCOME.match(text) or _CRASH.match(text) for _, text in entries)

    def _goes_on(self, raw: str) -> bool:
        """1.1.1 prints a message of several lines as it is, so only its first line has the format."""
        if not self.lines or self.lines[-1].kind is Kind.PLAIN:
            return False
        last = self.lines[-1]
        return raw.startswith("\t") or (not raw.strip() and (last.goes_on or last.kind is Kind.ERROR))


def with_log(verdict: Verdict, log: str) -> Verdict:
    """A verdict completed by vic-machine's own log, where only that has the cause."""
    found = None if verdict.succeeded else _NO_SNAPSHOT.search(log)
    if found is None:
        return verdict
    cause = _in_one_line(f"no snapshot can be made: {found[2]}")
    ending = Ending.FULL if _NO_SPACE.search(cause) else verdict.ending
    return replace(verdict, cause=cause, ending=ending)


def told(lines: Iterable[Line]) -> Told:
    """What create, inspect, upgrade and delete say about the VCH."""
    texts = [text for _, text in _entries(lines)]
    found: dict[str, str] = {}
    for place, text in enumerate(texts):
        for name, pattern in _TOLD.items():
            match = re.search(pattern, text)
            if match:
                found.setdefault(name, match[1])
        if text == "VCH Admin Portal:" and place + 1 < len(texts):
            found["portal"] = texts[place + 1].strip()
        if text == "VCH upgrade status:" and place + 1 < len(texts):
            found["upgrade_status"] = texts[place + 1].strip()
    kept = next((text for text in texts if "volume stores will not be removed" in text), "")
    stores = {label: place.strip() for label, place in re.findall(r"^\t([^:\n]+): (.*)$", kept, re.MULTILINE)}
    return Told(**found, kept_volume_stores=stores)


_TOLD: Mapping[str, str] = {
    "id": r"^VCH ID: (?:VirtualMachine:)?(\S+)",
    "docker_host": r"\bDOCKER_HOST=(\S+)",
    "installer_version": r"^Installer version: (\S+)",
    "vch_version": r"^VCH version: (\S+)",
}


def listed(lines: Iterable[Line]) -> list[Listed]:
    """The table of `ls`: columns are where its header has them, since paths and names may hold spaces."""
    rows = [one.text for one in lines if one.kind is Kind.PLAIN and one.text.strip()]
    header = next((place for place, text in enumerate(rows) if re.fullmatch(_SUCCESS[Command.LS], text.strip())), None)
    if header is None:
        return []
    starts = [rows[header].index(name) for name in ("ID", "PATH", "NAME", "VERSION", "UPGRADE STATUS")]
    ends = [*starts[1:], None]
    return [Listed(*(text[a:b].strip() for a, b in zip(starts, ends, strict=True))) for text in rows[header + 1 :]]


def version_told(lines: Iterable[Line]) -> tuple[str, str, str]:
    """Version, build and commit from `vic-machine version`; empty where they aren't told."""
    for one in lines:
        found = re.search(r"version v(\d+\.\d+\.\d+)(?:-([^-\s]*))?(?:-(\S*))?", one.text)
        if found:
            return found[1], found[2] or "", found[3] or ""
    return "", "", ""


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        digits = found[1] or found[2] or found[3]
        return chr(int(digits, 16)) if digits else _ESCAPED.get(found[4], found[4])

    return _ESCAPE.sub(one, text)


def _entries(lines: Iterable[Line]) -> Iterable[tuple[Kind, str]]:
    """Messages, each with the lines that go on from it."""
    kind: Kind | None = None
    parts: list[str] = []
    for line in lines:
        if line.goes_on:
            parts.append(line.text)
            continue
        if kind is not None:
            yield kind, "\n".join(parts).strip("\n ")
        kind, parts = line.kind, [line.text]
    if kind is not None:
        yield kind, "\n".join(parts).strip("\n ")


def _is_noise(text: str) -> bool:
    return not text.strip() or bool(_RULE.fullmatch(text) or _TRACE.match(text) or _TRACE_CAUSE.match(text))


def _cause(entries: Sequence[tuple[Kind, str]], exit_code: int) -> str:
    """The first error that isn't a trace, an echo of another, or a consequence of a time that was up."""
    wrong = next((found[1] for _, text in entries if (found := _USAGE.match(text))), None)
    if wrong:
        return wrong.strip()
    errors = [text for kind, text in entries if kind is Kind.ERROR and not _is_noise(text)]
    real = [text for text in errors if not _ECHO.match(text) and not _OUTCOME.match(text)]
    first = next((text for text in real if not _LATER.search(text)), None)
    if first is None:
        outcomes = [found[1].strip() for text in errors if (found := _OUTCOME.match(text))]
        first = next(iter([one for one in outcomes if one] + real + errors), None)
    if first is not None:
        return _in_one_line(_TEMPTATION.sub("", _PREFIX.sub("", first, count=1)))
    return _stopped(entries, exit_code)


def _stopped(entries: Sequence[tuple[Kind, str]], exit_code: int) -> str:
    """A run that ended without any error line: how far it came is all that is known."""
    last = next((_in_one_line(text) for _, text in reversed(entries) if text.strip()), "")
    how = f"it was ended by signal {-exit_code}" if exit_code < 0 else f"it ended with exit code {exit_code}"
    return f"{how} and without its success line, after '{last}'" if last else f"{how} and printed nothing"


def _ending(texts: Sequence[str], exit_code: int) -> Ending:
    """What of all that was printed decides what has to be done next."""

    def said(pattern: str | re.Pattern[str]) -> bool:
        return any(re.search(pattern, text) for text in texts)

    order = (
        (Ending.USAGE, _USAGE),
        (Ending.ANOTHER_AT_WORK, re.escape(_ANOTHER)),
        (Ending.REFUSED_CERTIFICATE, _CERTIFICATE),
        (Ending.REFUSED_LOGIN, _LOGIN),
        (Ending.LEFT_IN_PROGRESS, re.escape(_NOT_RESET)),
        (Ending.ROLLED_BACK, re.escape(_ROLLED_BACK)),
        (Ending.FULL, _NO_SPACE),
        (Ending.CRASHED, _CRASH),
        (Ending.TIMED_OUT, _TIME_LIMIT),
    )
    found = next((ending for ending, pattern in order if said(pattern)), Ending.FAILED)
    return Ending.CRASHED if exit_code < 0 and found is Ending.FAILED else found


def _in_one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(":. ")


def _joined(texts: Iterable[str]) -> Iterable[str]:
    """Warnings whose parts came as lines of their own, each after a tab."""
    parts: list[str] = []
    for text in texts:
        if not text.startswith("\t") and parts:
            yield " ".join(parts)
            parts = []
        parts.append(_in_one_line(text))
    if parts:
        yield " ".join(parts)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
