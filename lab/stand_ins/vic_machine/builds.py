"""Which builds of vic-machine there are to stand in for; for every command."""

from __future__ import annotations

import re
from dataclasses import dataclass

KNOWN = {"1.1.1": "1.1.1-10711-56a309f", "1.5.6": "1.5.6-21029-2be3feb", "1.5.7": "1.5.7-21700-0000000"}

_FORM = re.compile(r"v?(?P<version>\d+\.\d+\.\d+)-(?P<number>\d*)-(?P<commit>[0-9a-f]*)")
_RELEASES = {"1.1.1": ("1.1.1", 5), "1.5.6": ("1.5.6", 10), "1.5.7": ("1.5.6", 10)}


@dataclass(frozen=True)
class Build:
    """A build: its version, its number and the commit that it was made from.

    Args:
        version: such as ``1.5.6``.
        number: such as ``21029``; ``0`` for one that nobody released.
        commit: seven digits, or nothing.
    """

    version: str
    number: str
    commit: str

    @property
    def text(self) -> str:
        """As it prints itself: ``v1.5.6-21029-2be3feb``."""
        return f"v{self.version}-{self.number}-{self.commit}"

    @property
    def flags(self) -> str:
        """Of which version its flags are."""
        return _RELEASES[self.version][0]

    @property
    def plugin(self) -> int:
        """The version of the settings that it writes."""
        return _RELEASES[self.version][1]

    @property
    def is_first(self) -> bool:
        """Whether it is of the first line, 1.1, with its own format, words and order."""
        return self.flags == "1.1.1"

    @property
    def guest_name(self) -> str:
        """What vCenter shows as the operating system of a VCH."""
        return f"Photon - VCH v{self.version}, {self.number}, {self.commit}"

    def is_newer_than(self, other: Build) -> bool:
        """By version, then by number."""
        return _order(self) > _order(other)


def named(text: str) -> Build:
    """The build that a version or a whole build text names.

    Args:
        text: ``1.5.6``, or all of it: ``1.5.6-21029-2be3feb``; ``1.5.6-0-`` is one that nobody released.

    Raises:
        ValueError: it is of no version that is stood in for.
    """
    match = _FORM.fullmatch(KNOWN.get(text, text))
    if match is None or match["version"] not in _RELEASES:
        raise ValueError(f"no vic-machine {text!r} here; there are {', '.join(KNOWN)}")
    return Build(match["version"], match["number"], match["commit"])


def parsed(text: str) -> Build | None:
    """The build that a VCH or an ISO says it is of; none if it says something else."""
    match = _FORM.fullmatch(text)
    return Build(match["version"], match["number"], match["commit"]) if match else None


def _order(build: Build) -> tuple[tuple[int, ...], int]:
    return tuple(int(part) for part in build.version.split(".")), int(build.number or 0)
