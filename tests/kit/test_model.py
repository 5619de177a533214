"""How wrong inputs are told: the property, its value, what is allowed."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from providers.kit.model import MEMORY, BadInputs, Inputs, Memory, holds, nearest, parse
from providers.kit.secrets import Secret

LATER = "later-marker"


class Part(BaseModel):
    """A nested part."""

    model_config = ConfigDict(extra="forbid")

    width: int = Field(ge=1, description="In metres.")


class Wanted(Inputs):
    """Inputs of every sort."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"token"})

    name: str = Field(min_length=1, description="What it is called.")
    size: int = Field(1, ge=1, le=9)
    mode: Literal["fast", "slow"] = "fast"
    parts: list[Part] = Field([])
    named: dict[str, Part] = Field({})
    token: str = Field("", max_length=3)
    other: str | None = None

    @field_validator("other")
    @classmethod
    def _never_bad(cls, value: str | None) -> str | None:
        if value == "bad":
            raise ValueError("must be good")
        return value

    @model_validator(mode="after")
    def _together(self) -> Wanted:
        if self.size == 9 and self.mode == "slow":
            raise ValueError("9 can't be slow")
        return self


def problems(values: dict[str, Any], unknown: Any = None) -> dict[str, str]:
    try:
        parse(Wanted, values, unknown)
    except BadInputs as error:
        return dict(error.problems)
    return {}


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({}, "name", ["is required", "What it is called."]),
        ({"name": ""}, "name", ["at least 1 character", "got ''"]),
        ({"name": "a", "size": 10}, "size", ["less than or equal to 9", "got 10"]),
        ({"name": "a", "size": "many"}, "size", ["valid integer", "got 'many'"]),
        ({"name": "a", "mode": "warp"}, "mode", ["'fast' or 'slow'", "got 'warp'"]),
        ({"name": "a", "sise": 1}, "sise", ["not a known setting", "did you mean 'size'?"]),
        ({"name": "a", "zzzzzz": 1}, "zzzzzz", ["known: ", "mode", "name"]),
        ({"name": "a", "parts": [{"width": 0}]}, "parts.0.width", ["greater than or equal to 1", "got 0"]),
        ({"name": "a", "parts": [{}]}, "parts.0.width", ["is required", "In metres."]),
        ({"name": "a", "parts": [{"width": 1, "widht": 1}]}, "parts.0.widht", ["did you mean 'width'?"]),
        ({"name": "a", "named": {"x": {"widht": 1}}}, "named.x.widht", ["did you mean 'width'?"]),
        ({"name": "a", "other": "bad"}, "other", ["must be good", "got 'bad'"]),
        ({"name": "a", "size": 9, "mode": "slow"}, "", ["9 can't be slow"]),
    ],
)
def test_a_wrong_input_is_told_with_its_property_and_what_is_allowed(
    values: dict[str, Any], name: str, words: list[str]
) -> None:
    found = problems(values)
    assert name in found
    assert [word for word in words if word not in found[name]] == []


def test_every_problem_is_told_at_once() -> None:
    assert set(problems({"size": 0, "mode": "warp", "what": 1})) == {"name", "size", "mode", "what"}


def test_a_secret_arguments_value_is_not_shown() -> None:
    assert "abcdef" not in problems({"name": "a", "token": "abcdef"})["token"]


def test_a_known_secret_in_the_wrong_place_is_not_shown() -> None:
    value = Secret("misplaced-secret").reveal()
    assert value not in str(problems({"name": "a", "mode": value}))


def test_a_long_value_is_cut() -> None:
    assert len(problems({"name": "a", "mode": "x" * 5000})["mode"]) < 200


def test_an_unknown_value_is_let_through_and_the_others_are_checked() -> None:
    assert problems({"name": LATER, "size": LATER, "parts": [{"width": LATER}]}, LATER) == {}
    assert set(problems({"name": LATER, "size": 10}, LATER)) == {"size"}


def test_a_rule_over_several_arguments_waits_until_all_are_known() -> None:
    assert problems({"name": LATER, "size": 9, "mode": "slow"}, LATER) == {}
    assert set(problems({"name": "a", "size": 9, "mode": "slow"}, LATER)) == {""}


def test_what_fits_is_the_model_with_what_was_set() -> None:
    wanted = parse(Wanted, {"name": "a", "size": 2})
    assert (wanted.name, wanted.size, wanted.mode) == ("a", 2, "fast")
    assert wanted.model_fields_set == {"name", "size"}


def test_a_marker_is_found_anywhere_inside() -> None:
    assert holds({"a": [1, {"b": (LATER,)}]}, LATER)
    assert not holds({"a": [1, {"b": ("x",)}]}, LATER)


def test_near_names_come_before_the_list_of_all() -> None:
    assert nearest("sise", ["size", "name"]) == "; did you mean 'size'?"
    assert nearest("qqqq", ["size", "name"]) == "; known: name, size"
    assert nearest("qqqq", []) == ""


def test_memory_survives_the_state_and_starts_anew_where_there_is_none() -> None:
    memory = Memory.new().having(applied={"a": 1}, failed={"message": "no"})
    assert Memory.of({MEMORY: memory.model_dump(mode="json")}) == memory
    assert Memory.of({"memory": memory.model_dump(mode="json")}) == memory  # as version 0.1.0 called it
    assert Memory.of({"memory": 2048}).applied == {}  # a thing's own
    assert Memory.of({}).applied == {} and len(Memory.of({}).key) == 64
