"""Amounts of memory and spans of time, as texts and as numbers.

Source: Compose specification, "Specifying byte values" and "Specifying durations".
"""

from __future__ import annotations

import re
from decimal import Decimal

from components.compose.located import Wrong

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?(?:([kmgtp]?)(?:i?b)?)", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}

_DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+)")
_STEP = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)")
_SECOND = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
    "d": 24 * 3600 * _SECOND,
    "w": 7 * 24 * 3600 * _SECOND,
}


def size(text: str) -> int:
    """Bytes of a text such as ``64m`` or ``1.5gb``; a unit is a power of 1024."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise Wrong(f"'{text}' is no amount of memory such as 512m, 1.5gb or 1048576")
    return int(Decimal(found[1]) * 1024 ** _POWERS[found[2].lower()])


def duration(text: str) -> int:
    """Nanoseconds of a text such as ``1m30s``."""
    if _DURATION.fullmatch(text) is None:
        raise Wrong(f"'{text}' is no duration such as 30s, 1m30s or 100ms")
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _STEP.findall(text))
    return -total if text.startswith("-") else total


def duration_text(nanoseconds: int) -> str:
    """A span of time in hours, minutes and seconds, below a second in its largest unit."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < _SECOND:
        unit = next(unit for unit in ("ms", "µs", "ns") if left >= _UNITS[unit])
        return f"{sign}{_trimmed(left, _UNITS[unit])}{unit}"
    minutes, rest = divmod(left, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{shown}{_trimmed(rest, _SECOND)}s"


def _trimmed(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    decimals = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{decimals}" if decimals else str(whole)
