"""The exit codes of our commands: Pulumi's own table, declared stable since its 3.227, so that one table serves all."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    GENERIC = 1
    CONFIGURATION = 2
    AUTHENTICATION = 3
    RESOURCE = 4
    POLICY = 5
    NO_SUCH_STACK = 6
    CHANGES_FOUND = 7
    CANCELLED = 8
    TIMEOUT = 9
    INTERNAL = 255
