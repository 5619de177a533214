"""What a resource of ESXi's hosts remembers, names and puts back, over a fake site; what is sent: `test_tables.py`."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from providers.kit.errors import Permanent
from providers.kit.provider import Failed
from tests.esxi.conftest import NOBODY, FakeHost

CLOSED: tuple[bool, list[str]] = (False, [])
OPEN: tuple[bool, list[str]] = (True, [])


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

    message = state["remembered"]["failed"]["message"]
    assert "esxi.FirewallRuleset 'vSPC' on C0: 2 of 3 hosts were not changed\n" in message
    assert "\n  b: not connected" in message
    assert "\n  c: NoPermission, the user lacks Host.Config.NetService" in message
    assert message.endswith(
        "\nThe other one is done. Reconnect the host, grant the privilege, then run the same command again: "
        "it changes only these."
    )
    assert state["hosts"]["a"]["enabled"] is True
    assert {name: rule.get("error") for name, rule in state["hosts"].items()} == {
        "a": None,
        "b": "not connected",
        "c": "NoPermission, the user lacks Host.Config.NetService",
    }


def test_a_host_that_lacks_the_ruleset_is_named(bench: Any) -> None:
    site = bench(FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vic-engine": CLOSED}))

    state = site.create(ruleset="vic-engine")

    assert "1 of 2 hosts was not changed" in state["remembered"]["failed"]["message"]
    assert "\n  a: there is no ruleset 'vic-engine'" in state["remembered"]["failed"]["message"]
    why = "there is no ruleset 'vic-engine'"
    assert state["hosts"]["a"] == {"path": "/DC/C0/a", "ruleset": "vic-engine", "reason": why, "error": why}


def test_the_output_says_which_ruleset_vic_became_and_what_it_opens(bench: Any) -> None:
    site = bench(FakeHost("new", {"vSPC": CLOSED, "vic-engine": CLOSED}), FakeHost("old", {"vSPC": CLOSED}))

    hosts = site.create(ruleset="vic")["hosts"]

    assert hosts["new"] == {
        "path": "/DC/C0/new",
        "ruleset": "vic-engine",
        "enabled": True,
        "allowed_hosts": "all",
    }
    assert hosts["old"]["ruleset"] == "vSPC" and "all outgoing tcp" in hosts["old"]["reason"]


def test_a_host_that_was_never_seen_is_drift_until_it_is_back_and_then_remembered_as_it_came(bench: Any) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": OPEN}, connected=False, shows=False)]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC", enabled=True, allowed_hosts=["10.0.0.1"])
    wanted = {"cluster": "C0", "ruleset": "vSPC", "enabled": True, "allowed_hosts": ["10.0.0.1"]}
    drift = [change.path for change in site.provider.changes(site.provider.read("id", state).outs, wanted)]
    hosts[1].connected = hosts[1].shows = True
    state = site.update(state, ruleset="vSPC", allowed_hosts=["10.0.0.1"])
    narrowed = dict(hosts[1].rules)

    site.provider.delete("id", state)

    assert "hosts.b.enabled" in drift
    assert narrowed == {"vSPC": (True, ["10.0.0.1"])}
    assert [host.rules["vSPC"] for host in hosts] == [CLOSED, OPEN]


def test_a_session_that_ends_in_the_middle_is_renewed_and_the_work_finished(bench: Any) -> None:
    hosts = [
        FakeHost("a", {"vSPC": CLOSED}),
        FakeHost("b", {"vSPC": CLOSED}, refuses=vim.fault.NotAuthenticated(), refusals=1),
    ]
    site = bench(*hosts)

    state = site.create(ruleset="vSPC", at_once=1)

    assert [host.rules["vSPC"] for host in hosts] == [OPEN, OPEN]
    assert state["remembered"]["failed"] == {}
    assert site.site.logins == 2
    assert {name: rule["enabled"] for name, rule in state["remembered"]["before"]["hosts"].items()} == {
        "a": False,
        "b": False,
    }


def test_a_host_that_comes_back_in_the_middle_is_left_for_the_next_run(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED}, shows=False)]
    site = bench(*hosts)
    first_look = site.site.collect

    def comes_back(kinds: Any, roots: Any) -> Any:
        shown = first_look(kinds, roots)
        hosts[1].shows = True
        return shown

    monkeypatch.setattr(site.site, "collect", comes_back)
    state = site.create(ruleset="vSPC")
    half = [host.rules["vSPC"] for host in hosts]
    state = site.update(state, ruleset="vSPC")

    assert half == [OPEN, CLOSED]
    assert hosts[1].rules["vSPC"] == OPEN
    assert state["remembered"]["before"]["hosts"]["b"]["enabled"] is False


@pytest.mark.parametrize("lost", [{"connected": False}, {"connected": False, "shows": False}])
def test_destroy_names_a_host_that_it_could_not_put_back_and_finishes_it_later(
    bench: Any, capsys: pytest.CaptureFixture[str], lost: dict[str, bool]
) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED})]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC")
    vars(hosts[1]).update(lost)

    with pytest.raises(Failed):
        site.provider.delete("id", state)
    said = capsys.readouterr().err
    half = [host.rules["vSPC"] for host in hosts]
    hosts[1].connected = hosts[1].shows = True
    site.provider.delete("id", state)

    assert "1 of 2 hosts was not changed" in said and "\n  b: not connected" in said
    assert half == [CLOSED, OPEN]
    assert [host.rules["vSPC"] for host in hosts] == [CLOSED, CLOSED]


def test_a_cluster_that_is_gone_is_gone_for_refresh_and_no_obstacle_for_destroy(bench: Any) -> None:
    site = bench(FakeHost("a", {"vSPC": CLOSED}))
    state = site.create(ruleset="vSPC")
    site.site.hosts.clear()

    assert site.provider.read("id", state).id is None
    site.provider.delete("id", state)


def test_what_only_could_not_be_read_is_not_forgotten(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = bench(FakeHost("a", {"vSPC": CLOSED}))
    state = site.create(ruleset="vSPC")
    monkeypatch.setattr(site.site, "collect", _refuse)

    with pytest.raises(Failed):
        site.provider.read("id", state)


def _refuse(*arguments: Any, **named: Any) -> None:
    raise Permanent("NoPermission, the user lacks System.View", on="vCenter vc", remedy="Grant it.")


def test_the_next_up_changes_only_those_that_failed(bench: Any) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED}, connected=False)]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC")
    hosts[1].connected = True
    site.site.calls.clear()

    assert site.provider.diff("id", state, {"cluster": "C0", "ruleset": "vSPC"}).changes
    state = site.update(state, ruleset="vSPC")

    assert site.site.calls == ["b: enable vSPC"]
    assert state["remembered"]["failed"] == {}


def test_destroy_puts_back_a_mixed_beginning_host_by_host(bench: Any) -> None:
    hosts = [
        FakeHost("a", {"vSPC": CLOSED}),
        FakeHost("b", {"vSPC": OPEN}),
        FakeHost("c", {"vSPC": (False, ["10.0.0.1"])}),
        FakeHost("d", {"vSPC": (True, [NOBODY])}),
    ]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC", allowed_hosts="all")

    opened = [host.rules["vSPC"] for host in hosts]
    site.provider.delete("id", state)

    assert opened == [OPEN] * 4
    assert [host.rules["vSPC"] for host in hosts] == [CLOSED, OPEN, (False, ["10.0.0.1"]), (True, [NOBODY])]


def test_a_host_that_joined_later_is_put_back_as_it_came_and_one_that_left_is_forgotten(bench: Any) -> None:
    hosts = [FakeHost("a", {"vSPC": CLOSED}), FakeHost("b", {"vSPC": CLOSED})]
    site = bench(*hosts)
    state = site.create(ruleset="vSPC")
    joined = FakeHost("new", {"vSPC": (False, ["10.0.0.9"])})
    site.site.hosts[:] = [hosts[0], joined]
    state = site.update(state, ruleset="vSPC")

    site.provider.delete("id", state)

    assert joined.rules["vSPC"] == (False, ["10.0.0.9"])
    assert sorted(state["remembered"]["before"]["hosts"]) == ["a", "new"]


def test_a_cluster_may_be_empty_when_asked_and_its_first_host_is_drift(bench: Any) -> None:
    site = bench()
    wanted = {"cluster": "C0", "ruleset": "vSPC", "allow_empty": True}
    state = site.create(**wanted)
    site.site.hosts.append(FakeHost("a", {"vSPC": CLOSED}))

    seen = site.provider.read("id", state).outs
    drift = [change.path for change in site.provider.changes(seen, wanted)]
    site.update(seen, **wanted)

    assert state["hosts"] == {}
    assert drift == ["hosts.a.enabled"]
    assert site.site.hosts[0].rules["vSPC"] == OPEN


def test_a_host_that_is_upgraded_gets_vic_engine_and_its_vspc_back(bench: Any) -> None:
    host = FakeHost("a", {"vSPC": (False, ["10.0.0.1"])}, version="6.5.0")
    site = bench(host)
    state = site.create(ruleset="vic", allowed_hosts="all")
    host.rules["vic-engine"] = CLOSED

    state = site.provider.read("id", state).outs
    wanted = {"cluster": "C0", "ruleset": "vic", "allowed_hosts": "all"}
    drift = [change.path for change in site.provider.changes(state, wanted)]
    state = site.update(state, ruleset="vic", allowed_hosts="all")
    upgraded = dict(host.rules)
    site.provider.delete("id", state)

    assert drift == ["hosts.a.enabled"]
    assert upgraded == {"vSPC": (False, ["10.0.0.1"]), "vic-engine": OPEN}
    assert host.rules == {"vSPC": (False, ["10.0.0.1"]), "vic-engine": CLOSED}


def test_the_same_cluster_by_name_and_by_path_is_no_change(bench: Any) -> None:
    site = bench(FakeHost("a", {"vSPC": CLOSED}))
    state = site.create(ruleset="vSPC")

    other = site.provider.diff("id", state, {"cluster": "/DC/C0", "ruleset": "vSPC"})
    another = site.provider.diff("id", state, {"cluster": "/DC/C1", "ruleset": "vSPC"})

    assert not other.changes
    assert another.changes and another.replaces == ["cluster"]


@pytest.mark.parametrize(
    ("now", "changes", "replaces"),
    [
        (["b", "a"], False, []),
        (["/DC/C0/a", "b"], False, []),
        (["a", "b", "c"], True, []),
        (["a"], True, ["hosts"]),
        (["a", "c"], True, ["hosts"]),
    ],
)
def test_one_more_host_in_the_list_is_a_change_and_one_less_is_put_back(
    bench: Any, now: list[str], changes: bool, replaces: list[str]
) -> None:
    site = bench(*(FakeHost(name, {"vSPC": CLOSED}) for name in "abc"))
    state = site.create(ruleset="vSPC", hosts=["a", "b"])

    found = site.provider.diff("id", state, {"hosts": now, "ruleset": "vSPC"})

    assert (found.changes, found.replaces) == (changes, replaces)


def test_two_resources_on_one_host_are_refused_in_words(bench: Any) -> None:
    site = bench(*(FakeHost(name, {"vSPC": CLOSED, "vic-engine": CLOSED}) for name in "abcde"))
    first = site.check("first", ruleset="vic-engine")

    second = site.check("second", ruleset="vic")
    other = site.check("other", ruleset="vSPC")

    assert first == other == []
    assert second == [
        (
            "",
            "esxi.FirewallRuleset: 'first' manages the ruleset of a, b, c and 2 more as well: leave one of the two out",
        )
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ruleset": "vSPC", "cluster": "C0", "host": "a"}, "give one of 'cluster', 'host' and 'hosts'"),
        ({"ruleset": "vSPC", "hosts": []}, "hosts"),
        ({"ruleset": "vSPC", "allowed_hosts": {"all_ip": True, "ip_address": ["10.0.0.1"]}}, "either all_ip or"),
        ({"ruleset": "vSPC", "allowed_hosts": {"ip": []}}, "'ip' is not one of all_ip, ip_address, ip_network"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused_without_a_call(
    bench: Any, arguments: dict[str, Any], words: str
) -> None:
    site = bench(FakeHost("a", {"vSPC": CLOSED}))

    problems = site.check(**arguments)

    assert len(problems) == 1 and words in " ".join(problems[0])
    assert site.site.collections == 0


def test_keep_leaves_everything_as_it_is(bench: Any) -> None:
    host = FakeHost("a", {"vSPC": CLOSED})
    site = bench(host)
    state = site.create(ruleset="vSPC", on_delete="keep")

    site.provider.delete("id", state)

    assert host.rules["vSPC"] == OPEN


@pytest.mark.parametrize(
    ("hosts", "wanted", "words"),
    [
        (
            [FakeHost("a", {"vSPC": CLOSED})],
            {"ruleset": "vSPCC"},
            "host a: there is no ruleset 'vSPCC'; near names: vSPC",
        ),
        (
            [FakeHost("a", {"vSPC": OPEN}, required=frozenset({"vSPC"}))],
            {"ruleset": "vSPC", "enabled": False},
            "is required and can't be disabled",
        ),
        ([], {"ruleset": "vSPC"}, "the cluster has no hosts"),
        ([FakeHost("a", {"vSPC": CLOSED})], {"ruleset": "vSPC", "cluster": "C1"}, "Near names: C0."),
        ([FakeHost("a", {"vSPC": CLOSED}, refuses=vmodl.fault.HostNotConnected())], {"ruleset": "vSPC"}, "Reconnect"),
        ([FakeHost("a", {}, connected=False, shows=False)], {"ruleset": "vSPC"}, "host a: not connected. Reconnect"),
        ([FakeHost("a", {"x": OPEN}), FakeHost("b", {"y": OPEN})], {"ruleset": "vic"}, "there is no ruleset 'vSPC'"),
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
