"""The two models that every provider fills in, what the kit remembers beside them, and how wrong inputs are told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from providers.kit.secrets import HIDDEN, new_key, redact

MEMORY = "remembered"
"""The output that holds it; no argument of any system is called so."""

_OLDER_MEMORY = "memory"  # as states of version 0.1.0 call it
_LONGEST_VALUE_SHOWN = 80


class Inputs(BaseModel):
    """What a user asks for. Unknown arguments are refused; what isn't set isn't compared.

    `secret_fields` names the top-level arguments whose values never appear in a message, nor in the clear in state.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_fields: ClassVar[frozenset[str]] = frozenset()


class State(BaseModel):
    """What is really there, in the words of the inputs, normalised. Outputs are made of nothing else."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Memory(BaseModel):
    """What no observation can tell; carried through every read and update, always encrypted in state.

    Args:
        applied: the inputs as they were applied last.
        before: what was there before our first change, for putting it back.
        failed: what the last run could not do: the user's line under ``message``.
        parts: the same by part, with the reason.
        key: makes the fingerprints of this resource's secrets.
        fingerprints: what each secret was when it was applied, by path.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    applied: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    failed: dict[str, str] = {}
    parts: dict[str, str] = {}
    key: str = ""
    fingerprints: dict[str, str] = {}

    @classmethod
    def new(cls) -> Memory:
        return cls(key=new_key())

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> Memory:
        """The memory in a resource's outputs; an empty one where the state has none."""
        older = outputs.get(_OLDER_MEMORY)
        kept = outputs.get(MEMORY) or (older if isinstance(older, Mapping) else None)
        return cls.model_validate(kept or {"key": new_key()})

    def having(self, **changes: Any) -> Memory:
        return self.model_copy(update=changes)


M = TypeVar("M", bound=BaseModel)


class BadInputs(Exception):
    """The inputs don't fit the model.

    Args:
        problems: pairs of property and reason.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in problems))


def parse(model: type[M], values: Mapping[str, Any], unknown: Any = None) -> M:
    """The values as a model; those that hold `unknown` (a preview's marker) are let through unchecked.

    Raises:
        BadInputs: names each property, its value and what is allowed.
    """
    known = {name: value for name, value in values.items() if unknown is None or not holds(value, unknown)}
    hidden = values.keys() - known.keys()
    try:
        return model.model_validate(known)
    except ValidationError as error:
        problems = explain(model, error, hidden)
    if problems:
        raise BadInputs(problems)
    return model.model_construct(_fields_set=set(known), **known)


def holds(value: Any, marker: Any) -> bool:
    """Whether the marker is the value or stands anywhere inside it."""
    if isinstance(value, Mapping):
        return any(holds(item, marker) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(holds(item, marker) for item in value)
    return value is marker or (isinstance(value, str) and isinstance(marker, str) and value == marker)


def explain(
    model: type[BaseModel], error: ValidationError, unchecked: frozenset[str] | set[str] = frozenset()
) -> list[tuple[str, str]]:
    """Each problem as (property, reason): the value, and what is allowed; a secret's value is hidden."""
    secret: frozenset[str] = getattr(model, "secret_fields", frozenset())
    problems = []
    for one in error.errors(include_url=False):
        path = [str(part) for part in one["loc"]]
        top = path[0] if path else ""
        if top in unchecked or (not path and unchecked):
            continue
        shown = HIDDEN if top in secret else _short(one.get("input"))
        problems.append((".".join(path), _reason(model, path, one["type"], one["msg"], shown)))
    return problems


def _reason(model: type[BaseModel], path: list[str], kind: str, message: str, shown: str) -> str:
    if kind == "missing":
        return "is required but was not given" + _meaning(model, path)
    if kind == "extra_forbidden":
        return "is not a known setting" + nearest(path[-1], _fields_at(model, path[:-1]))
    text = message.removeprefix("Value error, ")
    return text if not path else f"{text} (got {shown})"


def nearest(name: str, known: list[str]) -> str:
    """``; did you mean 'x'?``, else the list of what is known."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    return "; known: " + ", ".join(sorted(known)) if known else ""


def _meaning(model: type[BaseModel], path: list[str]) -> str:
    field = _field_at(model, path)
    return f": {field.description}" if field is not None and field.description else ""


def _field_at(model: type[BaseModel], path: list[str]) -> FieldInfo | None:
    fields = _model_at(model, path[:-1])
    return fields.get(path[-1]) if path else None


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    return list(_model_at(model, path))


def _model_at(model: type[BaseModel], path: list[str]) -> dict[str, FieldInfo]:
    fields = dict(model.model_fields)
    for part in path:
        found = fields.get(part)
        if found is None:
            continue
        inner = _inner_model(found.annotation)
        fields = dict(inner.model_fields) if inner else {}
    return fields


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_inner_model, getattr(annotation, "__args__", ()))), None)


def _short(value: Any) -> str:
    text = redact(repr(value))
    return text if len(text) <= _LONGEST_VALUE_SHOWN else text[: _LONGEST_VALUE_SHOWN - 1] + "…"
