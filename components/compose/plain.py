"""Values as text, in the words that docker compose prints: Go's."""

from __future__ import annotations

import struct
from typing import Any


def text_of(value: Any) -> str:
    """A scalar as the text that it becomes where only texts are taken (Go's ``%v``)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    """The shortest text that gives the number back, with an exponent outside of 0.0001 to 999999."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[repr(value)]
    shortest = next(text for n in range(18) if float(text := f"{value:.{n}e}") == value)
    digits, _, exponent = shortest.partition("e")
    if not -4 <= int(exponent) < 6:
        return f"{digits}e{int(exponent):+03d}"
    decimals = len(digits.partition(".")[2]) - int(exponent)
    return f"{value:.{max(0, decimals)}f}"


def single_precision(value: float) -> float:
    """A number as it is after having been one of 32 bits, in its shortest decimal form."""
    packed = struct.pack("f", value)
    rounded = struct.unpack("f", packed)[0]
    return next(short for n in range(10) if struct.pack("f", short := float(f"{rounded:.{n}e}")) == packed)
