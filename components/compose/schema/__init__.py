"""What a compose file may hold, by the Compose Specification's own schema (see SOURCE.md)."""

from __future__ import annotations

import difflib
import json
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from components.compose.located import ComposeError, Map, Place, Seq, dotted, place_at
from components.compose.plain import text_of

_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_LONGEST_VALUE_SHOWN = 80


def validate(data: Map, file: FilePath) -> None:
    """Refuses what the specification doesn't know.

    Args:
        data: a model in any syntax.
        file: where it is from, for what has no place of its own.

    Raises:
        ComposeError: the first thing that is wrong, as people read the file.
    """
    problems = [_place_and_reason(data, _closest(error), Place(file, 1, 1)) for error in _validator().iter_errors(data)]
    if problems:
        place, reason = min(problems, key=lambda problem: (problem[0].file != file, problem[0].line, problem[0].column))
        raise ComposeError(place, reason)


@cache
def _validator() -> Draft7Validator:
    return Draft7Validator(json.loads(FilePath(__file__).with_name("compose-spec.json").read_text(encoding="utf-8")))


def _closest(error: ValidationError) -> ValidationError:
    """Of several syntaxes the error in the one that was meant: that of the value's kind, else the most inward one."""
    if not error.context:
        return error
    inner = [_closest(one) for one in error.context]
    depth = max(map(_depth, inner))
    if depth == len(error.absolute_path) and all(one.validator == "type" for one in inner):
        return error
    return next(one for one in inner if _depth(one) == depth)


def _depth(error: ValidationError) -> int:
    return len(error.absolute_path) + (error.validator != "type")


def _place_and_reason(data: Map, error: ValidationError, start: Place) -> tuple[Place, str]:
    path: list[str | int] = list(error.absolute_path)
    if error.validator == "additionalProperties":
        path.append(_strangers(error)[0])
    where = f"{dotted(path)}: " if path else ""
    return place_at(data, path, start), where + _reason(error)


def _reason(error: ValidationError) -> str:
    value: Any = error.instance
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties":
        return _stranger(error)
    if error.validator in ("oneOf", "anyOf", "type"):
        return f"must be {_kinds(error)} (got {_said(value)})"
    if error.validator == "required":
        missing = next(name for name in wanted if name not in value)
        return f"needs the key '{missing}'"
    if error.validator == "enum":
        return f"must be one of {', '.join(map(str, wanted))} (got {_said(value)}){_near(text_of(value), wanted)}"
    if error.validator == "uniqueItems":
        twice = next(item for number, item in enumerate(value) if item in value[:number])
        return f"{_said(twice)} is in the list twice"
    if error.validator in ("minimum", "maximum"):
        return f"must be at {'least' if error.validator == 'minimum' else 'most'} {wanted} (got {_said(value)})"
    if error.validator == "pattern":
        return f"{_said(value)} doesn't match {wanted}"
    return error.message


def _kinds(error: ValidationError) -> str:
    branches = error.context or [error]
    wanted = [kind for one in branches for kind in _as_list(one.validator_value)]
    names = list(dict.fromkeys(_NAMES.get(str(kind), str(kind)) for kind in wanted))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _strangers(error: ValidationError) -> list[str]:
    known = set(_known(error))
    given: Any = error.instance
    mismatched = [key for key in given if key not in known and not key.startswith("x-")]
    return mismatched or list(given)


def _known(error: ValidationError) -> list[str]:
    return list(error.schema.get("properties", {})) if isinstance(error.schema, dict) else []


def _stranger(error: ValidationError) -> str:
    name, known = _strangers(error)[0], _known(error)
    if not known:
        return f"'{name}' is no name: letters, digits, '.', '_' and '-' are allowed"
    return "is not a known key" + (_near(name, known) or "; known: " + ", ".join(sorted(known)))


def _near(name: str, known: list[Any]) -> str:
    found = difflib.get_close_matches(name, [str(one) for one in known], n=3, cutoff=0.6)
    return "; did you mean " + " or ".join(f"'{one}'" for one in found) + "?" if found else ""


def _said(value: Any) -> str:
    if isinstance(value, (Map, dict)):
        return "a mapping"
    if isinstance(value, (Seq, list)):
        return "a list"
    text = "nothing" if value is None else f"'{text_of(value)}'" if isinstance(value, str) else text_of(value)
    return text if len(text) <= _LONGEST_VALUE_SHOWN else text[:_LONGEST_VALUE_SHOWN] + "…"
