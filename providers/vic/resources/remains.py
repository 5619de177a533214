"""What is left of a VCH whose VM isn't there: a killed create's work, or what somebody has not removed with it."""

from __future__ import annotations

from dataclasses import dataclass

POOL, FOLDER = "pool", "folder"


@dataclass(frozen=True)
class Remains:
    """A resource pool, vApp or VM folder with a VCH's name and without its VM.

    Args:
        id: managed object id.
        path: inventory path.
        machines: names of the VMs in it.
        kind: pool or folder.
    """

    id: str
    path: str
    machines: tuple[str, ...]
    kind: str = POOL
