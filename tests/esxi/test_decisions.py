"""What is sent: desired + what the hosts have → the exact calls; where nothing is to do, the case says why."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from providers.kit.provider import Failed
from tests.esxi.conftest import FakeHost

CLOSED, OPEN = (False, []), (True, [])

CASES = [
    (
        "an old and a new host are both opened, each with what it has",
        {"ruleset": "vic"},
        [FakeHost("old", {"vSPC": CLOSED}, version="6.5.0"), FakeHost("new", {"vSPC": CLOSED, "vic-engine": CLOSED})],
        ["new: enable vic-engine", "old: enable vSPC"],
    ),
    (
        "nothing is to do: the ruleset is open on every host",
        {"ruleset": "vSPC"},
        [FakeHost("a", {"vSPC": OPEN}), FakeHost("b", {"vSPC": OPEN})],
        [],
    ),
    (
        "only the host that differs is changed",
        {"ruleset": "vSPC"},
        [FakeHost("a", {"vSPC": OPEN}), FakeHost("b", {"vSPC": CLOSED})],
        ["b: enable vSPC"],
    ),
    (
        "it is narrowed before it is opened",
        {"ruleset": "vSPC", "allowed_hosts": ["10.0.0.1"]},
        [FakeHost("a", {"vSPC": CLOSED})],
        ["a: allow 10.0.0.1 vSPC", "a: enable vSPC"],
    ),
    (
        "it is closed before it is widened",
        {"ruleset": "vSPC", "enabled": False, "allowed_hosts": "all"},
        [FakeHost("a", {"vSPC": (True, ["10.0.0.1"])})],
        ["a: disable vSPC", "a: allow all vSPC"],
    ),
    (
        "nothing is to do: the same network in another spelling",
        {"ruleset": "vSPC", "allowed_hosts": ["10.0.0.1/32"]},
        [FakeHost("a", {"vSPC": (True, ["10.0.0.1"])})],
        [],
    ),
    (
        "nothing is to do: allowed hosts that the user didn't set are not ours to change",
        {"ruleset": "vSPC"},
        [FakeHost("a", {"vSPC": (True, ["10.9.9.9"])})],
        [],
    ),
]


@pytest.mark.parametrize(("why", "wanted", "hosts", "calls"), CASES, ids=[case[0] for case in CASES])
def test_the_calls(bench: Any, why: str, wanted: dict[str, Any], hosts: list[FakeHost], calls: list[str]) -> None:
    site = bench(*hosts)

    site.create(**wanted)

    assert sorted(site.site.calls) == sorted(calls)
    if len(hosts) == 1:
        assert site.site.calls == calls


def test_reading_takes_the_same_number_of_calls_for_one_host_and_for_a_hundred(bench: Any) -> None:
    counts = []
    for number in (1, 100):
        site = bench(*(FakeHost(f"h{one}", {"vSPC": OPEN}) for one in range(number)))
        site.create(ruleset="vSPC")
        counts.append(site.site.collections)

    assert counts[0] == counts[1]


def test_hosts_that_fail_are_named_and_the_others_are_done(bench: Any) -> None:
    refused = vim.fault.NoPermission(privilegeId="Host.Config.NetService")
    hosts = [
        FakeHost("a", {"vSPC": CLOSED}),
        FakeHost("b", {"vSPC": CLOSED}, connected=False),
        FakeHost("c", {"vSPC": CLOSED}, refuses=refused),
    ]
    site = bench(*hosts)

    state = site.create(ruleset="vSPC")

    message = state["memory"]["failed"]["message"]
    assert "2 hosts were not changed" in message
    assert "\n  b: not connected" in message
    assert "\n  c: NoPermission, the user lacks Host.Config.NetService" in message
    assert state["hosts"]["a"]["enabled"] is True


def test_the_next_up_changes_only_those_that_failed(bench: Any) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED}, connected=False)]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC")
    hosts[1].connected = True
    site.site.calls.clear()

    assert site.provider.diff("id", state, {"cluster": "C0", "ruleset": "vSPC"}).changes
    state = site.update(state, ruleset="vSPC")

    assert site.site.calls == ["b: enable vSPC"]
    assert state["memory"]["failed"] == {}


def test_destroy_puts_back_a_mixed_beginning_host_by_host(bench: Any) -> None:
    hosts = [
        FakeHost("a", {"vSPC": CLOSED}),
        FakeHost("b", {"vSPC": OPEN}),
        FakeHost("c", {"vSPC": (False, ["10.0.0.1"])}),
    ]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC", allowed_hosts="all")

    site.provider.delete("id", state)

    assert [host.rules["vSPC"] for host in hosts] == [CLOSED, OPEN, (False, ["10.0.0.1"])]


def test_a_host_that_joined_later_is_put_back_as_it_came_and_one_that_left_is_forgotten(bench: Any) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED})]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC")
    joined = FakeHost("new", {"vSPC": (False, ["10.0.0.9"])})
    site.site.hosts[:] = [hosts[0], joined]
    state = site.update(state, ruleset="vSPC")

    site.provider.delete("id", state)

    assert joined.rules["vSPC"] == (False, ["10.0.0.9"])
    assert sorted(state["memory"]["before"]["hosts"]) == ["a", "new"]


def test_keep_leaves_everything_as_it_is(bench: Any) -> None:
    host = FakeHost("a", {"vSPC": CLOSED})
    site = bench(host)
    state = site.create(ruleset="vSPC", on_delete="keep")

    site.provider.delete("id", state)

    assert host.rules["vSPC"] == OPEN


@pytest.mark.parametrize(
    ("hosts", "wanted", "words"),
    [
        ([FakeHost("a", {"vSPC": CLOSED})], {"ruleset": "vSPCC"}, "there is no ruleset 'vSPCC'. It has vSPC."),
        (
            [FakeHost("a", {"vSPC": OPEN}, required=frozenset({"vSPC"}))],
            {"ruleset": "vSPC", "enabled": False},
            "is required and can't be disabled",
        ),
        ([], {"ruleset": "vSPC"}, "the cluster has no hosts"),
        ([FakeHost("a", {"vSPC": CLOSED})], {"ruleset": "vSPC", "cluster": "C1"}, "Near names: C0."),
        ([FakeHost("a", {"vSPC": CLOSED}, refuses=vmodl.fault.HostNotConnected())], {"ruleset": "vSPC"}, "Reconnect"),
    ],
)
def test_what_is_refused_is_said_in_one_line(
    bench: Any, capsys: pytest.CaptureFixture[str], hosts: list[FakeHost], wanted: dict[str, Any], words: str
) -> None:
    site = bench(*hosts)

    with pytest.raises(Failed):
        site.create(**wanted)

    assert words in capsys.readouterr().err
    assert site.site.calls == []
