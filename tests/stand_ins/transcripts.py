"""What the real vic-machine printed, and the stand-in's own output, made comparable: times, ids and ports masked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parents[1] / "vic_machine" / "transcripts"
LIMIT_S = 120.0

# They come from the simulator that the real ones were run on, not from vic-machine: what it lacked, it was warned of.
GAPS = (
    "log collection (ServerFaultCode: DiagnosticManager:DiagMgr does not implement: BrowseDiagnosticLog)",
    "no vmomi type defined for 'DisableMethods'",
    "no vmomi type defined for 'EnableMethods'",
    # And these from the new Go that the real ones were built with.
    "context.(*cancelCtx).propagateCancel: ",
    "context.Cause: ",
)

_WORDS = re.compile(r"--public-network VM Network|--client-network VM Network|--management-network VM Network")
_MASKS = (
    (re.compile(r'^time="[^"]*" '), ""),
    (re.compile(r"^[A-Z][a-z]{2} +\d+ \d{4} \d\d:\d\d:\d\d\.\d{3}Z "), ""),
    (re.compile(r"\b([0-9A-F]{2}:){19}[0-9A-F]{2}\b"), "THUMBPRINT"),
    (re.compile(r"127\.0\.0\.1:(?!23\d\d\b)\d{4,5}\b"), "TARGET"),
    (re.compile(r"\bvm-\d+ *"), "vm-N "),
    (re.compile(r"\bresgroup-v?\d+\b"), "resgroup-N"),
    (re.compile(r"time limit of \S+ "), "time limit of LIMIT "),
    (re.compile(r"Set vCenter settings OK"), "vCenter settings check OK"),
    (re.compile(r"DOCKER_CERT_PATH=\S*/"), "DOCKER_CERT_PATH=./"),
    (re.compile(r"--ops-user=\S+"), "--ops-user=USER"),
    (re.compile(r"ESX or vCenter password \(default: [^)]*\)"), "ESX or vCenter password (default: PASSWORD)"),
    (re.compile(r"ID +PATH"), "ID PATH"),
)
# Go goes through its maps in another order each time; and ISOs go up side by side.
_ANY_ORDER = (
    re.compile(r"Network role "),
    re.compile(r"Creating directory |Datastore path is "),
    re.compile(r"Uploading \S+ as |\t\\?\"[^\"]*\.iso"),
)
_SHARES = re.compile(r"(Network role \\?\")\w+(\\?\" is sharing NIC with \\?\")\w+")
_ISO_FOLDER = re.compile(r"(\t\\?\")[^\"\\]*/(\w+\.iso)")


@dataclass(frozen=True)
class Transcript:
    """One run of the real one.

    Args:
        arguments: what it was given.
        output: its lines, comparable.
        code: how it ended.
    """

    name: str
    arguments: tuple[str, ...]
    output: tuple[str, ...]
    code: int

    @property
    def build(self) -> str:
        """Of which build it was: those that nobody released have the number 0."""
        version = self.name.partition("-")[0]
        own = f"{version}-0-" in "\n".join(self.output) or "app.iso" in self.arguments or self.name in UNRELEASED
        return f"{version}-0-" if own else version


UNRELEASED = {"1.5.6-delete-without-force", "1.5.6-inspect", "1.5.6-debug", "1.5.6-ls"}


def names() -> list[str]:
    """All transcripts."""
    return sorted(file.stem for file in FOLDER.glob("*.txt") if not file.stem.endswith(".files"))


def transcript(name: str) -> Transcript:
    """One of them."""
    header, *lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    code = re.fullmatch(r"\[exit (\d+)\]", lines.pop())
    assert code is not None
    whole = "\n".join(lines) + "\n" if lines else ""
    return Transcript(name, tuple(_split(header.partition(" ")[2])), tuple(comparable(whole)), int(code[1]))


def comparable(output: str) -> list[str]:
    """A run's output, line by line, without what differs from run to run."""
    lines = [_masked(line) for line in output.split("\n") if not any(gap in line for gap in GAPS)]
    return list(_ordered(lines))


@dataclass(frozen=True)
class Run:
    """One run of the stand-in."""

    output: str
    errors: str
    code: int

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(comparable(self.output))


def run(
    build: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, beside: str = "."
) -> Run:
    """Runs the stand-in in a folder, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.stand_ins.vic_machine", "--version-is", build, "--beside", beside, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Run(done.stdout, done.stderr, done.returncode)


def _split(line: str) -> list[str]:
    """The header isn't quoted; the only words with a space are names of networks."""
    joined = _WORDS.sub(lambda found: found[0].replace("VM Network", "VM\0Network"), line)
    return [word.replace("\0", " ") for word in joined.split()[1:]]


def _masked(line: str) -> str:
    for pattern, instead in _MASKS:
        line = pattern.sub(instead, line)
    line = _SHARES.sub(r"\1ROLE\2ROLE", line)
    return _ISO_FOLDER.sub(r"\1./\2", line)


def _ordered(lines: Sequence[str]) -> Iterator[str]:
    held: list[str] = []
    kind: re.Pattern[str] | None = None
    for line in lines:
        now = next((pattern for pattern in _ANY_ORDER if pattern.search(line)), None)
        if now is not kind:
            yield from sorted(held)
            held, kind = [], now
        if now is None:
            yield line
        else:
            held.append(line)
    yield from sorted(held)
