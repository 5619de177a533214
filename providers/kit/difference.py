"""The difference between what is wanted and what is there; only what the user set counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from providers.kit.secrets import HIDDEN

MOST_CHANGES_SHOWN = 20

_LONGEST_VALUE_SHOWN = 60


@dataclass(frozen=True)
class Change:
    """One field that differs: its path, what is there, what is wanted; a secret's values are never in it."""

    path: str
    there: Any
    wanted: Any

    def __str__(self) -> str:
        if self.there == HIDDEN:
            return f"{self.path}: changed"
        return f"{self.path}: {_shown(self.there)} → {_shown(self.wanted)}"


def compare(wanted: Any, there: Any, path: str = "") -> Iterator[Change]:
    """What `wanted` names and `there` has otherwise; whatever only `there` has is not ours to compare."""
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        for name, value in wanted.items():
            yield from compare(value, there.get(name), f"{path}.{name}" if path else str(name))
    elif wanted != there:
        yield Change(path, there, wanted)


def plain(value: Any) -> Any:
    """Models, sets and enumerations as the plain JSON values that state holds."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return getattr(value, "value", value)


def summary(changes: list[Change]) -> str:
    """One line for a preview: ``enabled: False → True, memory: 512 → 1024``; of very many, the first."""
    more = len(changes) - MOST_CHANGES_SHOWN
    shown = [str(change) for change in changes[:MOST_CHANGES_SHOWN]]
    return ", ".join([*shown, f"and {more} more"] if more > 0 else shown)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else text[: _LONGEST_VALUE_SHOWN - 1] + "…"
