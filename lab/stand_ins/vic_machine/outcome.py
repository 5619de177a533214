"""How a command ends that doesn't end well; for all commands."""

from __future__ import annotations


class Refused(Exception):
    """The command failed: its text follows ``… failed:``."""


class TimedOut(Exception):
    """The time that ``--timeout`` gives is up."""


class Crashed(Exception):
    """The real one falls over here: it says where its log is, and ends with 0."""
