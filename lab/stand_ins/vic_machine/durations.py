"""Durations as Go writes and reads them: ``3m0s``; for time limits in flags and messages."""

from __future__ import annotations

import re

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_WHOLE = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|m|s|us|µs|ns)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|m|s|us|µs|ns))*"
)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


def seconds(text: str) -> float:
    """How many seconds a duration has.

    Raises:
        ValueError: it is none; with Go's words.
    """
    if text in ("0", "+0", "-0"):
        return 0.0
    if not _WHOLE.fullmatch(text):
        word = "missing unit in duration" if re.fullmatch(r"[+-]?\d+(\.\d*)?", text) else "invalid duration"
        raise ValueError(f"time: {word} {text}")
    total = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    return -total if text.startswith("-") else total


def text_of(length_s: float) -> str:
    """The duration as Go prints it: ``40s``, ``3m0s``, ``1h0m0s``, ``500ms``."""
    if length_s < 0:
        return f"-{text_of(-length_s)}"
    if length_s < 1:
        return "0s" if length_s == 0 else f"{_short(length_s * 1000)}ms"
    minutes, rest = divmod(length_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    said = f"{_short(rest)}s"
    if hours:
        return f"{hours}h{minutes}m{said}"
    return f"{minutes}m{said}" if minutes else said


def _short(number: float) -> str:
    return f"{number:.9f}".rstrip("0").rstrip(".")
