"""Two resources on one thing are found, whichever comes first, and nothing else is taken for it."""

from __future__ import annotations

from providers.kit.claims import Claims


def test_a_thing_has_one_owner() -> None:
    claims = Claims()

    assert claims.take("first", ["a", "b"]) == {}
    assert claims.take("second", ["b", "c"]) == {"b": "first"}
    assert claims.take("third", ["c"]) == {"c": "second"}


def test_looking_again_is_no_second_claim() -> None:
    claims = Claims()
    claims.take("first", ["a"])

    assert claims.take("first", ["a", "b"]) == {}


def test_what_a_resource_manages_no_more_is_free() -> None:
    claims = Claims()
    claims.take("first", ["a", "b"])
    claims.take("first", ["b"])

    assert claims.take("second", ["a"]) == {}
