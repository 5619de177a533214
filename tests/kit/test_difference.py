"""The difference: only what is wanted counts, and a secret's value is never in it."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from providers.kit.difference import Change, compare, plain, summary
from providers.kit.secrets import HIDDEN


@pytest.mark.parametrize(
    ("wanted", "there", "paths"),
    [
        ({}, {"a": 1}, []),
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {}, ["a"]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 4}}, ["a.c"]),
        ({"a": {"b": 1}}, {"a": None}, ["a"]),
        ({"a": {"b": 1}}, {}, ["a"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a"]),
        ({"a": None}, {}, []),
        ({"a": False}, {"a": 0}, []),
    ],
)
def test_what_is_wanted_and_otherwise_there_is_told_by_path(
    wanted: dict[str, Any], there: dict[str, Any], paths: list[str]
) -> None:
    assert [change.path for change in compare(wanted, there)] == paths


class Mode(Enum):
    """A mode."""

    FAST = "fast"


class Model(BaseModel):
    """A model."""

    mode: Mode = Mode.FAST
    nothing: str | None = None


def test_everything_becomes_plain_json() -> None:
    assert plain({"m": Model(), "s": {"b", "a"}, "t": (1, [Mode.FAST]), 5: None}) == {
        "m": {"mode": "fast"},
        "s": ["a", "b"],
        "t": [1, ["fast"]],
        "5": None,
    }


def test_a_summary_says_from_what_to_what() -> None:
    changes = [Change("enabled", False, True), Change("name", None, "x"), Change("gone", "y", None)]
    assert summary(changes) == "enabled: False → True, name: nothing → x, gone: y → nothing"


def test_a_secrets_change_shows_no_value() -> None:
    assert str(Change("password", HIDDEN, HIDDEN)) == "password: changed"


def test_a_long_value_is_cut() -> None:
    assert len(str(Change("a", "x" * 500, "y" * 500))) < 140


def test_of_very_many_changes_the_line_tells_the_first_and_how_many_more() -> None:
    changes = [Change(f"hosts.h{number}.enabled", False, True) for number in range(1000)]

    line = summary(changes)

    assert line.startswith("hosts.h0.enabled: False → True, hosts.h1")
    assert line.endswith("hosts.h19.enabled: False → True, and 980 more")
