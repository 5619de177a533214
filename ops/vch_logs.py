"""The kept logs of vic-machine, by the name of the VCH that they are about, for `vch logs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from providers.kit import journal

# As `providers.vic.runner` names them: THING--TIME-COMMAND.log, where the thing is `NAME in PLACE at SERVER`.
_FILE = re.compile(r"(?P<thing>.+)--(?P<time>\d{8}T\d{6}\.\d{6})Z-(?P<command>[a-z-]+)\.log")
_IN = "-in-"
_ENDING = re.compile(r"^(\[exit -?\d+\]|\(its end was not seen\))$", re.MULTILINE)


@dataclass(frozen=True)
class Log:
    """One kept log.

    Args:
        path: its file.
        thing: which VCH and where, as far as a file's name can say it.
        time: when it was kept.
        command: vic-machine's command.
    """

    path: Path
    thing: str
    time: datetime
    command: str

    def ending(self) -> str:
        """``[exit 0]``, or that its end was not seen."""
        found = _ENDING.search(self.path.read_text(encoding="utf-8", errors="replace"))
        return found[1].strip("[]()") if found else ""


def logs() -> list[Log]:
    """All that are kept, newest last."""
    found = []
    for path in (journal.folder() / "logs" / "vic").glob("*.log"):
        named = _FILE.fullmatch(path.name)
        if named:
            time = datetime.strptime(named["time"], "%Y%m%dT%H%M%S.%f").replace(tzinfo=timezone.utc)
            found.append(Log(path, named["thing"], time, named["command"].replace("-", " ")))
    return sorted(found, key=lambda one: (one.time, one.path.name))


def of(name: str) -> list[Log]:
    """Those of one VCH, newest last, on whichever vCenter."""
    return [one for one in logs() if one.thing.startswith(_beginning(name))]


def names() -> set[str]:
    """Of the VCHs that any log is kept of."""
    return {one.thing.partition(_IN)[0] for one in logs()}


def listed(found: list[Log]) -> Iterator[str]:
    """One line a log: when, what, how it ended, where."""
    for one in found:
        yield f"{one.time:%Y-%m-%d %H:%M:%S}Z  {one.command:<15}  {one.ending():<20}  {one.path}"


def _beginning(name: str) -> str:
    """With what the names of a VCH's files begin."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{name} in ").lstrip("-.")
