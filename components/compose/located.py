"""Values of a YAML file that know where they stand: line and column go with them through merges and defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

Path = tuple[str | int, ...]
"""Keys and indices from the top of a file down to a value."""


@dataclass(frozen=True)
class Place:
    """Where something stands; lines and columns count from 1. A file below the working folder is told from there."""

    file: FilePath
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        here = FilePath.cwd()
        file = self.file.relative_to(here) if self.file.is_relative_to(here) else self.file
        return f"{file}:{self.line}:{self.column}" if self.line else str(file)


class ComposeError(Exception):
    """What is wrong in a compose file, and where.

    Args:
        place: ``file:line:column``; what no file says has none.
        reason: what is wrong and what is allowed.
    """

    def __init__(self, place: Place | str | None, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}" if place else reason)


def text_file(file: FilePath) -> str:
    """What a file says.

    Raises:
        ComposeError: it can't be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ComposeError(Place(file), "there is no such file") from None
    except OSError as error:
        raise ComposeError(Place(file), f"can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ComposeError(Place(file), "can't be read: it is no text in UTF-8") from None


class Wrong(ValueError):
    """What is wrong with a value whose place the raiser doesn't know; whoever does makes it a ComposeError.

    Args:
        reason: what is wrong and what is allowed.
        path: further keys down to the culprit, from the value that was given.
    """

    def __init__(self, reason: str, path: Path = ()) -> None:
        self.reason, self.path = reason, path
        super().__init__(reason)


class Map(dict[str, Any]):
    """A mapping with the place of each key.

    Attributes:
        place: where the mapping itself stands.
        places: where each key stands; a key that no file has written has none.
    """

    def __init__(self, place: Place | None = None) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}

    def put(self, key: str, value: Any, place: Place | None) -> None:
        """Sets a key and where it stands."""
        self[key] = value
        if place is not None:
            self.places[key] = place

    def place_of(self, key: str) -> Place | None:
        return self.places.get(key) or self.place


class Seq(list[Any]):
    """A sequence with the place of each item.

    Attributes:
        place: where the sequence itself stands.
        places: where each item stands, in the items' order.
    """

    def __init__(self, items: Iterable[tuple[Any, Place | None]] = (), place: Place | None = None) -> None:
        pairs = list(items)
        super().__init__(value for value, _ in pairs)
        self.place = place
        self.places = [where for _, where in pairs]

    def pairs(self) -> list[tuple[Any, Place | None]]:
        """Items with their places; our own steps may have added items that have none."""
        return [(value, self.place_of(index)) for index, value in enumerate(self)]

    def place_of(self, index: int) -> Place | None:
        return (self.places[index] if index < len(self.places) else None) or self.place


def located(value: Any, place: Place | None) -> Any:
    """A plain value as one with places, all of them the same."""
    if isinstance(value, dict):
        mapping = Map(place)
        for key, item in value.items():
            mapping.put(str(key), located(item, place), place)
        return mapping
    if isinstance(value, list):
        return Seq(((located(item, place), place) for item in value), place)
    return value


def pairs_of(value: Sequence[Any], place: Place | None = None) -> list[tuple[Any, Place | None]]:
    """A sequence's items with their places, whether it knows them or not."""
    return value.pairs() if isinstance(value, Seq) else [(item, place) for item in value]


def copied(value: Any) -> Any:
    """A deep copy, places and all."""
    if isinstance(value, Map):
        mapping = Map(value.place)
        for key, item in value.items():
            mapping.put(key, copied(item), value.places.get(key))
        return mapping
    if isinstance(value, Seq):
        return Seq(((copied(item), place) for item, place in value.pairs()), value.place)
    return value


def place_at(root: Any, path: Iterable[str | int], default: Place) -> Place:
    """Where a path stands; its nearest ancestor where it doesn't."""
    found, value = default, root
    for part in path:
        if isinstance(value, Map) and part in value:
            found = value.place_of(str(part)) or found
            value = value[str(part)]
        elif isinstance(value, Seq) and isinstance(part, int) and part < len(value):
            found = value.place_of(part) or found
            value = value[part]
        else:
            break
    return found


def dotted(path: Iterable[str | int]) -> str:
    """A path as people read it: ``services.web.ports[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def matches(path: Path, pattern: str) -> bool:
    """Whether a path is the pattern's: ``*`` stands for any key, ``[]`` for any index."""
    parts = pattern.split(".")
    return len(parts) == len(path) and all(
        want == "*" or (want == "[]" and isinstance(part, int)) or want == part
        for want, part in zip(parts, path, strict=True)
    )
