"""References are taken apart as Docker does."""

from __future__ import annotations

import pytest

from providers.registry.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("busybox", ("docker.io", "library/busybox", "latest", "")),
        ("gogs/gogs:0.11", ("docker.io", "gogs/gogs", "0.11", "")),
        ("localhost/app", ("localhost", "app", "latest", "")),
        ("harbor.example.com/library/postgres:9.6", ("harbor.example.com", "library/postgres", "9.6", "")),
        ("127.64.3.4:5000/gogs/gogs", ("127.64.3.4:5000", "gogs/gogs", "latest", "")),
        (f"r.example.com/a/b@{DIGEST}", ("r.example.com", "a/b", "", DIGEST)),
        (f"r.example.com/a/b:1@{DIGEST}", ("r.example.com", "a/b", "1", DIGEST)),
    ],
)
def test_the_parts_of_a_reference(text: str, parts: tuple[str, str, str, str]) -> None:
    found = Reference.parse(text)

    assert (found.registry, found.repository, found.tag, found.digest) == parts


@pytest.mark.parametrize("text", ["", "UPPER/case", "a b", "a:b:c/d", "a@sha256:12", "r.example.com/", "a:-x"])
def test_what_is_no_reference_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        Reference.parse(text)


def test_a_reference_is_written_as_it_was() -> None:
    for text in ("r.example.com/a/b:1", f"r.example.com/a/b@{DIGEST}", f"r.example.com/a/b:1@{DIGEST}"):
        assert str(Reference.parse(text)) == text
