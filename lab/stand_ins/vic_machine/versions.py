"""Compares the version of a VCH with that of the program; for ls, inspect, delete, configure and upgrade."""

from __future__ import annotations

from lab.stand_ins.vic_machine.builds import Build, parsed
from lab.stand_ins.vic_machine.extra_config import Settings


def text_of(settings: Settings) -> str:
    """A VCH's version as it is shown: ``v1.5.6-21029-2be3feb``."""
    parts = (settings.text(f"init/version/{name}") for name in ("Version", "BuildNumber", "GitCommit"))
    return "-".join(parts)


def of_settings(settings: Settings) -> Build | None:
    """A VCH's build; none if it doesn't say."""
    return parsed(text_of(settings))


def is_same(mine: Build, theirs: Build | None) -> bool:
    return theirs is not None and (mine.version, mine.number) == (theirs.version, theirs.number)


def status(mine: Build, theirs: Build | None, *, in_progress: bool) -> list[str]:
    """What inspect says about an upgrade."""
    none = "No upgrade available with this installer version"
    if is_same(mine, theirs):
        return ["Installer has same version as VCH", none]
    if in_progress:
        return ["Upgrade/configure in progress"]
    if theirs is None or mine.is_newer_than(theirs):
        return ["Upgrade available"]
    return ["Installer has older version than VCH", none]


def short_status(mine: Build, theirs: Build | None, *, in_progress: bool) -> str:
    """What ls says about an upgrade."""
    if is_same(mine, theirs):
        return "Up to date"
    if in_progress:
        return "Upgrade/configure in progress"
    if theirs is not None and mine.is_newer_than(theirs):
        return f"Upgradeable to {mine.text}"
    return "VCH has newer version" if theirs is not None else "Upgrade status unknown"
