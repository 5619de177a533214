"""Each lab has addresses of its own, and keeps them."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.addresses import NUMBERS, Addresses, claimed_addresses, containers, free_port
from lab.certificates import Certificates
from lab.parts.part import Server
from lab.premises import Premises
from lab.supervisor import build


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Addresses]]:
    """Claims addresses for the lab in a folder of that name, with a cache of the test's own."""
    monkeypatch.setenv("DRYDOCK_CACHE", str(tmp_path / "cache"))
    claimed: list[Addresses] = []

    def make(name: str) -> Addresses:
        state = tmp_path / name
        state.mkdir(exist_ok=True)
        claimed.append(claimed_addresses(state))
        return claimed[-1]

    yield make
    for addresses in claimed:
        addresses.leave_short_folder()


def test_two_labs_share_no_network(claim: Callable[[str], Addresses]) -> None:
    one, other = claim("one"), claim("other")

    assert one.host(2) != other.host(2)
    assert not one.containers.overlaps(other.containers)


def test_addresses_are_the_same_at_the_next_start(claim: Callable[[str], Addresses]) -> None:
    before = claim("one")
    port = before.port("registry", before.host(4), 0)

    after = claim("one")

    assert (after.host(4), after.port("registry", after.host(4), 0)) == (before.host(4), port)


def test_addresses_stay_when_the_folder_for_sockets_is_gone(claim: Callable[[str], Addresses]) -> None:
    before = claim("one")
    before.leave_short_folder()

    assert claim("one").number == before.number


def test_a_lab_of_another_cache_is_not_disturbed(
    claim: Callable[[str], Addresses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = claim("one")
    (theirs.claim_in_short_folder).write_text(f"{tmp_path / 'one'}\n")
    monkeypatch.setenv("DRYDOCK_CACHE", str(tmp_path / "second cache"))
    monkeypatch.setattr("lab.addresses.NUMBERS", range(theirs.number, theirs.number + 2))

    assert claim("other").number != theirs.number


def test_the_number_of_a_lab_that_is_gone_is_taken_over(
    claim: Callable[[str], Addresses], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = claim("gone")
    shutil.rmtree(tmp_path / "gone")
    monkeypatch.setattr("lab.addresses.NUMBERS", range(gone.number, gone.number + 1))

    assert claim("next").number == gone.number


def test_a_port_in_use_is_not_taken() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]

        assert free_port("127.0.0.1", taken) != taken


def test_containers_ranges_lie_in_the_one_range_and_apart() -> None:
    ranges = [containers(number) for number in NUMBERS]

    assert len(set(ranges)) == len(NUMBERS)
    assert str(ranges[0]) == "10.192.16.0/20"
    assert str(ranges[-1]) == "10.207.224.0/20"


def test_no_two_parts_have_the_same_address(tmp_path: Path) -> None:
    premises = Premises(tmp_path, Addresses(tmp_path, 1, {}), {}, Certificates(tmp_path))
    members = [part.member for part in build(premises).values() if isinstance(part, Server)]

    assert len(members) == len(set(members))
