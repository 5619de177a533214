"""What a host's definition of an advanced setting allows, and a user's value in the host's type."""

from __future__ import annotations

from dataclasses import dataclass

Value = bool | int | float | str

_TRUE, _FALSE = ("true", "1", "on", "yes"), ("false", "0", "off", "no")
_WORDS = {"bool": "true or false", "int": "a whole number", "long": "a whole number", "float": "a number"}


@dataclass(frozen=True)
class Definition:
    """A host's own definition (vSphere API: OptionDef).

    Args:
        kind: ``bool``, ``int``, ``long``, ``float``, ``string`` or ``choice``.
        lowest, highest: bounds of a number, both included.
        choices: of a choice.
        read_only: whether it can't be changed.
    """

    kind: str
    lowest: int | float | None = None
    highest: int | float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    @property
    def allowed(self) -> str:
        """What it takes, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        bounds = "" if self.lowest is None or self.highest is None else f" from {self.lowest} to {self.highest}"
        return _WORDS.get(self.kind, "text") + bounds


def converted(value: Value, definition: Definition) -> Value:
    """A value in the type of the definition; text is read as a number or a truth value where one is defined.

    Raises:
        ValueError: says what is allowed.
    """
    found = _read(value, definition.kind)
    if found is None or not _within(found, definition):
        raise ValueError(f"'{value}' is not allowed, only {definition.allowed}")
    return found


def typed(value: Value, definition: Definition) -> Value:
    """A value that a host has, in the type of the definition, also where it is out of its bounds."""
    found = _read(value, definition.kind)
    return value if found is None else found


def _read(value: Value, kind: str) -> Value | None:
    if kind == "bool":
        return _truth(value)
    if kind in ("int", "long", "float"):
        return _number(value, whole=kind != "float")
    return value if isinstance(value, str) else _text(value)


def _truth(value: Value) -> bool | None:
    folded = str(value).lower()
    return True if folded in _TRUE else False if folded in _FALSE else None


def _number(value: Value, *, whole: bool) -> Value | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
        return (int(value) if number == int(number) else None) if whole else number
    except (ValueError, OverflowError):
        return None


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _within(value: Value, definition: Definition) -> bool:
    if definition.kind == "choice":
        return value in definition.choices
    if isinstance(value, (bool, str)):
        return True
    lowest, highest = definition.lowest, definition.highest
    return (lowest is None or value >= lowest) and (highest is None or value <= highest)
