"""Shapes: what becomes of a value in the answer, and what is left out of it. What is empty is, unless a shape says no.

Source: the output of docker compose v2.40.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.compose import casts, quantities, shell_words
from components.compose.located import Map, Seq, Wrong
from components.compose.plain import single_precision, text_of

Shape = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One key of a shape.

    Attributes:
        shape: what its value becomes.
        optional: whether only a key that isn't there is left out: 0 and `false` mean something.
        always: whether it is never left out.
        name: what it is called in the answer, where that differs.
    """

    shape: Shape
    optional: bool = False
    always: bool = False
    name: str = ""


def shaped(shape: Shape, value: Any, *path: str | int) -> Any:
    """A value in its shape; what is wrong with it is told with the path down to it."""
    try:
        return shape(value)
    except Wrong as error:
        raise Wrong(error.reason, (*path, *error.path)) from None


class struct:  # noqa: N801  it reads as the functions beside it
    """A mapping of known keys; others have no effect. One that is there but empty stays: that may mean something."""

    def __init__(self, **fields: Shape | Field) -> None:
        self._fields = {name: one if isinstance(one, Field) else Field(one) for name, one in fields.items()}

    def __call__(self, value: Any) -> dict[str, Any]:
        given = _mapping(value)
        answer = {}
        for name, field in self._fields.items():
            item = given.get(name)
            if item is None and not field.always:
                continue
            made = shaped(field.shape, item, name)
            if field.always or field.optional or not _is_empty(made, field.shape):
                answer[field.name or name] = made
        return answer


def _is_empty(made: Any, shape: Shape) -> bool:
    return made in (None, "", 0, [], {}) and not (made == {} and isinstance(shape, struct))


def listed(shape: Shape) -> Shape:
    def many(value: Any) -> Any:
        items = value if isinstance(value, (Seq, list)) else [value]
        return [shaped(shape, item, index) for index, item in enumerate(items)]

    return many


def mapped(shape: Shape) -> Shape:
    """A mapping whose keys are the user's."""
    return lambda value: {key: shaped(shape, item, key) for key, item in _mapping(value).items()}


def optional(shape: Shape) -> Shape:
    """A value that may be null."""
    return lambda value: None if value is None else shape(value)


def text(value: Any) -> str:
    if isinstance(value, (bool, float, Map, Seq)) or value is None:
        raise Wrong(f"must be a text (got {_said(value)}): put it in quotes")
    return str(value)


def anything_as_text(value: Any) -> str:
    return text_of(value)


def number(value: Any) -> int:
    if isinstance(value, str):
        return casts.integer(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise Wrong(f"must be a whole number (got {_said(value)})")
    return int(value)


def decimal(value: Any) -> float:
    """A number of 32 bits, whole ones as such."""
    given = casts.decimal(value) if isinstance(value, str) else value
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise Wrong(f"must be a number (got {_said(value)})")
    return single_precision(float(given))


def boolean(value: Any) -> bool:
    if isinstance(value, str):
        return casts.boolean(value)
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false (got {_said(value)})")
    return value


def size(value: Any) -> str:
    """An amount of memory as its bytes, in quotes."""
    count = quantities.size(value) if isinstance(value, str) else number(value)
    return str(count) if count else ""


def duration(value: Any) -> str:
    return quantities.duration_text(quantities.duration(text_of(value)))


def duration_unless_zero(value: Any) -> str:
    shown = duration(value)
    return "" if shown == "0s" else shown


def mode(value: Any) -> str:
    """A file's mode; a text is octal, a number is what YAML made of it."""
    try:
        return f"0{int(value, 8) if isinstance(value, str) else number(value):o}"
    except ValueError:
        raise Wrong(f"'{value}' is no octal mode such as \"0440\"") from None


def command(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return shell_words.split(value)
    return None if value is None else [text(item) for item in value]


def texts_by_name(value: Any) -> dict[str, str]:
    """A mapping, or a list of ``KEY=VALUE``; a key without a value has an empty one."""
    if isinstance(value, Map):
        return {key: text_of(item) for key, item in value.items()}
    return {key: rest for key, _, rest in (text_of(item).partition("=") for item in value)}


def environment(value: Any) -> dict[str, str | None]:
    """A mapping, or a list of ``KEY=VALUE``; a key without a value has none."""
    if isinstance(value, Map):
        return {key: None if item is None else text_of(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for index, item in enumerate(value):
        key, sign, rest = text_of(item).partition("=")
        if key != key.rstrip():
            raise Wrong(f"the name '{key}' ends with a space: write NAME=value", (index,))
        found[key] = rest if sign else None
    return found


def hosts(value: Any) -> list[str]:
    """Host names with their addresses, as ``NAME=ADDRESS``."""
    found: list[tuple[str, str]] = []
    if isinstance(value, Map):
        for name, item in value.items():
            found += [(name, text_of(one)) for one in (item if isinstance(item, Seq) else [item])]
    else:
        for index, item in enumerate(value):
            name, addresses = _host(text_of(item), index)
            found += [(name, one) for one in addresses.split(",")]
    for name, _ in found:
        if not name or ":" in name or "=" in name:
            raise Wrong(f"'{name}' is no host name")
    return sorted(f"{name}={_without_brackets(address)}" for name, address in found)


def _host(item: str, index: int) -> tuple[str, str]:
    for sign in ("=", ":"):
        name, found, addresses = item.partition(sign)
        if found:
            return name, addresses
    raise Wrong(f"'{item}' has no address: write NAME=ADDRESS", (index,))


def _without_brackets(address: str) -> str:
    return address[1:-1] if len(address) > 2 and address[0] == "[" and address[-1] == "]" else address


def health_test(value: Any) -> list[str]:
    return ["CMD-SHELL", value] if isinstance(value, str) else [text(item) for item in value]


def ulimit(value: Any) -> Any:
    if isinstance(value, Map):
        return struct(soft=number, hard=number)(value)
    return number(value) or {}


def device_count(value: Any) -> int:
    if isinstance(value, str) and value.lower() == "all":
        return -1
    return number(value)


def repeated_options(value: Any) -> dict[str, list[str]]:
    return {key: [text_of(one) for one in (item if isinstance(item, Seq) else [item])] for key, item in value.items()}


def ssh_keys(value: Any) -> list[str]:
    """A key's path has no place in compose's JSON; it is given as in its YAML."""
    return [f"{key}: {item}" if item else key for key, item in value.items()]


def _mapping(value: Any) -> Map | dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, (Map, dict)):
        raise Wrong(f"must be a mapping (got {_said(value)})")
    return value


def _said(value: Any) -> str:
    if isinstance(value, Map):
        return "a mapping"
    return "a list" if isinstance(value, Seq) else "nothing" if value is None else text_of(value)
