"""Allowed hosts are compared as networks, not as text."""

from __future__ import annotations

import pytest

from providers.esxi.networks import normalised


@pytest.mark.parametrize(
    ("given", "meaning"),
    [
        ("all", "all"),
        (["10.0.0.1"], ("10.0.0.1",)),
        (["10.0.0.1/32"], ("10.0.0.1",)),
        (["10.1.2.3/8"], ("10.0.0.0/8",)),
        (["10.0.0.2", "10.0.0.1", "10.0.0.2"], ("10.0.0.1", "10.0.0.2")),
        (["2001:DB8:0:0::1", "10.0.0.1"], ("10.0.0.1", "2001:db8::1")),
        (["2001:db8::/32"], ("2001:db8::/32",)),
        (["0.0.0.0/0", "::/0"], "all"),
        (["0.0.0.0/0"], ("0.0.0.0/0",)),
        (["10.0.0.0/255.255.255.0"], ("10.0.0.0/24",)),
        ([], ()),
    ],
)
def test_every_spelling_has_one_meaning(given: str | list[str], meaning: str | tuple[str, ...]) -> None:
    assert normalised(given) == meaning


@pytest.mark.parametrize("given", [["esx1.example.com"], ["10.0.0.0/33"], ["10.0.0"], "none"])
def test_what_is_no_network_is_refused(given: str | list[str]) -> None:
    with pytest.raises(ValueError, match="is not"):
        normalised(given)
