"""The provider against the lab's vCenter and a standalone ESXi host; what it did is looked up by another client."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from providers.esxi import vsphere
from providers.esxi.resources import DefaultsProvider, RulesetProvider, ServiceProvider, SettingProvider
from providers.kit.provider import Failed, Provider
from providers.kit.retry import RetryPolicy
from providers.kit.sessions import SESSIONS
from tests.esxi.simulator import PASSWORD, READER, USER, Simulator

pytestmark = pytest.mark.lab

CLUSTER = "/DC0/host/DC0_C0"
OLD, NEW, NEWEST = "DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2"
CLOSED: tuple[bool, list[str]] = (False, [])
OPEN: tuple[bool, list[str]] = (True, [])


class Stack:
    """What Pulumi asks of the provider for one resource, from a fresh provider each time as in a run of its own."""

    def __init__(self, provider: type[Provider[Any, Any, Any]] = RulesetProvider, **arguments: Any) -> None:
        self.provider = provider
        self.arguments = arguments
        self.outputs: dict[str, Any] = {}

    def up(self, **changed: Any) -> dict[str, Any]:
        self.arguments.update(changed)
        if not self.outputs:
            self.outputs = self.provider().create(self.arguments).outs or {}
        elif self.provider().diff("id", self.outputs, self.arguments).changes:
            self.outputs = self.provider().update("id", self.outputs, self.arguments).outs or {}
        return self.outputs

    def preview(self) -> list[str]:
        """What a first preview refuses."""
        return [one.reason for one in self.provider().check({}, self.arguments).failures]

    def refresh(self) -> list[str]:
        """Reads, and says which fields drifted."""
        self.outputs = self.provider().read("id", self.outputs).outs or {}
        return [change.path for change in self.provider().changes(self.outputs, self.arguments)]

    def destroy(self) -> None:
        self.provider().delete("id", self.outputs)

    @property
    def failed(self) -> str:
        """The line with which the last run ended."""
        return str(self.outputs["remembered"]["failed"].get("message", ""))


@pytest.fixture
def as_user(vcenter: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of somebody who works with the vCenter."""
    for name, value in vcenter.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)
    vcenter.reset()
    yield monkeypatch
    SESSIONS.close_all()
    SESSIONS._refused.clear()
    left = vcenter.counts().open_sessions
    vcenter.reset()
    vcenter.close_everywhere("vSPC")
    assert left == 0


@pytest.mark.usefixtures("as_user")
def test_every_host_of_a_cluster_is_opened_with_what_it_has_and_put_back(vcenter: Simulator) -> None:
    vcenter.set_ruleset(NEWEST, "vic-engine", enabled=True)
    stack = Stack(cluster=CLUSTER, ruleset="vic")

    hosts = stack.up()["hosts"]
    opened = vcenter.rulesets("vic-engine"), vcenter.rulesets("vSPC")
    drift = stack.refresh()
    stack.destroy()

    assert {name: rule["ruleset"] for name, rule in hosts.items()} == {
        OLD: "vSPC",
        NEW: "vic-engine",
        NEWEST: "vic-engine",
    }
    assert {name: opened[0][name] for name in (NEW, NEWEST)} == {NEW: OPEN, NEWEST: OPEN}
    assert {name: opened[1][name] for name in (OLD, NEW, NEWEST)} == {OLD: OPEN, NEW: CLOSED, NEWEST: CLOSED}
    assert opened[1]["DC0_H0"] == CLOSED
    assert drift == []
    assert vcenter.rulesets("vSPC")[OLD] == CLOSED
    assert {name: vcenter.rulesets("vic-engine")[name] for name in (NEW, NEWEST)} == {NEW: CLOSED, NEWEST: OPEN}


@pytest.mark.usefixtures("as_user")
def test_allowed_hosts_are_written_read_back_and_put_back(vcenter: Simulator) -> None:
    stack = Stack(host="DC0_H0", ruleset="vSPC", allowed_hosts=["2001:DB8::/32", "10.0.0.7", "10.1.2.3/8"])

    stack.up()
    narrowed = vcenter.rulesets("vSPC")["DC0_H0"]
    drift = stack.refresh()
    stack.destroy()

    assert narrowed == (True, ["10.0.0.7", "10.0.0.0/8", "2001:db8::/32"])
    assert drift == []
    assert vcenter.rulesets("vSPC")["DC0_H0"] == CLOSED


@pytest.mark.usefixtures("as_user")
def test_a_ruleset_closed_by_hand_is_drift_on_that_host_and_up_heals_it(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    stack.up()
    vcenter.set_ruleset(NEW, "vSPC", enabled=False)

    drift = stack.refresh()
    stack.up()

    assert drift == [f"hosts.{NEW}.enabled"]
    assert vcenter.rulesets("vSPC")[NEW] == OPEN
    stack.destroy()


@pytest.mark.usefixtures("as_user")
def test_a_disconnected_host_is_named_and_done_when_it_is_back(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    vcenter.disconnect(NEW)
    try:
        told = stack.up()["remembered"]["failed"]["message"]
    finally:
        vcenter.reconnect(NEW)
    half = vcenter.rulesets("vSPC")
    rest = stack.up()["remembered"]["failed"]

    assert f"\n  {NEW}: not connected" in told
    assert {name: half[name] for name in (OLD, NEW, NEWEST)} == {OLD: OPEN, NEW: CLOSED, NEWEST: OPEN}
    assert rest == {}
    assert vcenter.rulesets("vSPC")[NEW] == OPEN
    stack.destroy()


@pytest.mark.usefixtures("as_user")
def test_a_session_that_was_ended_on_the_server_is_renewed(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    stack.up()
    ended = vcenter.end_sessions()

    assert ended == 1
    assert stack.refresh() == []
    stack.destroy()


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cluster": "DC0_CO", "ruleset": "vic"}, "there is no cluster 'DC0_CO'. Near names: DC0_C0."),
        ({"host": "DC0_H9", "ruleset": "vic"}, "there is no host 'DC0_H9'. Near names: DC0_H0"),
        ({"cluster": "DC0_C0", "ruleset": "vspc"}, "there is no ruleset 'vspc'; near names: vSPC"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_session(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(Failed):
        Stack(**arguments).up()
    open_now = vcenter.counts().open_sessions

    assert words in capsys.readouterr().err
    assert open_now == 1


def test_a_wrong_password_is_one_line_one_failed_login_and_no_session(
    vcenter: Simulator, as_user: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_user.setenv("VSPHERE_PASSWORD", "wrong-one-7")
    stacks = [Stack(cluster="DC0_C0", ruleset=key) for key in ("vSPC", "sshClient", "ntpClient")]

    for stack in stacks:
        with pytest.raises(Failed):
            stack.up()

    said = capsys.readouterr().err
    assert said.count("\n") == 3 and said.count(f"the login of '{USER}' was refused") == 3
    assert "wrong-one-7" not in said
    assert vcenter.counts().failed_logins == 1
    assert vcenter.counts().open_sessions == 0


@pytest.mark.parametrize("right", [True, False])
def test_the_pin_is_compared_and_nobody_else_s_opinion_counts(
    vcenter: Simulator, as_user: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], right: bool
) -> None:
    host, _, port = vcenter.address.partition(":")
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))).hexdigest()
    as_user.setenv("VSPHERE_THUMBPRINT", shown if right else "ab" * 32)
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")

    if right:
        stack.up()
        stack.destroy()
    else:
        with pytest.raises(Failed):
            stack.up()
        assert "not the pinned" in capsys.readouterr().err
        assert vcenter.sessions() == []


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("provider", "arguments", "reading"),
    [
        (RulesetProvider, {"ruleset": "vic"}, 2),
        (DefaultsProvider, {"outgoing_blocked": False}, 3),
        (ServiceProvider, {"service": "ntpd", "running": True}, 2),
        (SettingProvider, {"key": "NFS.MaxVolumes", "value": 64}, 3),
    ],
)
def test_a_refresh_reads_all_hosts_in_a_constant_number_of_calls(
    vcenter: Simulator, provider: type[Provider[Any, Any, Any]], arguments: dict[str, Any], reading: int
) -> None:
    stack = Stack(provider, cluster="DC0_C0", **arguments)
    stack.up()
    SESSIONS.close_all()
    vcenter.reset()

    drift = stack.refresh()
    SESSIONS.close_all()
    counted = vcenter.counts().ours()
    stack.destroy()

    assert drift == []
    assert counted == {"RetrieveServiceContent": 1, "Login": 1, "RetrievePropertiesEx": reading, "Logout": 1}


@pytest.mark.usefixtures("as_user")
def test_a_host_that_joins_is_drift_is_opened_and_put_back_as_it_came(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    stack.up()
    vcenter.add_host("DC0_C0", "esx-new")
    vcenter.reset()

    drift = stack.refresh()
    stack.up()
    changed, opened = vcenter.counts().changes, vcenter.rulesets("vSPC")["esx-new"]
    stack.destroy()

    put_back = vcenter.rulesets("vSPC")["esx-new"]
    vcenter.remove_host("esx-new")
    assert drift == ["hosts.esx-new.enabled"]
    assert changed == {"EnableRuleset": 1}
    assert (opened, put_back) == (OPEN, CLOSED)


@pytest.mark.usefixtures("as_user")
def test_a_host_that_leaves_is_forgotten(vcenter: Simulator) -> None:
    vcenter.add_host("DC0_C0", "esx-new")
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    stack.up()
    vcenter.remove_host("esx-new")

    drift = stack.refresh()
    stack.up()
    stack.destroy()

    assert drift == []
    assert "esx-new" not in stack.outputs["hosts"]
    assert vcenter.rulesets("vSPC") == dict.fromkeys(vcenter.rulesets("vSPC"), CLOSED)


@pytest.mark.usefixtures("as_user")
def test_a_host_in_maintenance_mode_is_changed(vcenter: Simulator) -> None:
    vcenter.maintain(NEW)
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    try:
        stack.up()
        opened = vcenter.rulesets("vSPC")[NEW]
        stack.destroy()
    finally:
        vcenter.maintain(NEW, on=False)

    assert stack.failed == ""
    assert opened == OPEN


@pytest.mark.usefixtures("as_user")
def test_a_mixed_beginning_is_put_back_exactly(vcenter: Simulator) -> None:
    vcenter.set_ruleset(NEW, "vSPC", enabled=True)
    vcenter.set_allowed(NEWEST, "vSPC", ["10.9.9.9"])
    before = vcenter.rulesets("vSPC")
    stack = Stack(cluster="DC0_C0", ruleset="vSPC", allowed_hosts=["10.0.0.0/8"])

    stack.up()
    between = vcenter.rulesets("vSPC")
    stack.destroy()
    after = vcenter.rulesets("vSPC")
    vcenter.set_ruleset(NEW, "vSPC", enabled=False)
    vcenter.set_allowed(NEWEST, "vSPC", [])

    assert [between[name] for name in (OLD, NEW, NEWEST)] == [(True, ["10.0.0.0/8"])] * 3
    assert [before[name] for name in (OLD, NEW, NEWEST)] == [CLOSED, OPEN, (False, ["10.9.9.9"])]
    assert after == before


@pytest.mark.usefixtures("as_user")
def test_hosts_that_fail_are_named_with_the_reason_and_the_next_up_changes_only_them(vcenter: Simulator) -> None:
    vcenter.switch(
        failures=[
            {"method": "EnableRuleset", "host": NEW, "nth": 1, "times": -1, "fault": "TaskInProgress"},
            {
                "method": "EnableRuleset",
                "host": NEWEST,
                "nth": 1,
                "times": -1,
                "fault": "NoPermission",
                "privilege": "Host.Config.NetService",
            },
        ]
    )
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")

    stack.up()
    told, half = stack.failed, vcenter.rulesets("vSPC")
    vcenter.reset()
    stack.up()

    assert told.startswith("esxi.FirewallRuleset 'vSPC' on DC0_C0: 2 of 3 hosts were not changed\n")
    assert f"\n  {NEW}: TaskInProgress" in told
    assert f"\n  {NEWEST}: NoPermission, the user lacks Host.Config.NetService" in told
    assert [half[name] for name in (OLD, NEW, NEWEST)] == [OPEN, CLOSED, CLOSED]
    assert vcenter.counts().changes == {"EnableRuleset": 2}
    assert stack.failed == ""
    stack.destroy()


def test_a_user_who_may_only_look_is_told_the_privilege(
    vcenter: Simulator, as_user: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in vcenter.environment_of(READER, PASSWORD).items():
        as_user.setenv(name, value)
    stack = Stack(host="DC0_H0", ruleset="vSPC")

    refused_in_preview = stack.preview()
    with pytest.raises(Failed):
        stack.up()

    assert refused_in_preview == []
    assert "the user lacks Host.Config.NetService" in capsys.readouterr().err
    assert vcenter.rulesets("vSPC")["DC0_H0"] == CLOSED


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_connection_that_breaks_at_a_change_loses_nothing(vcenter: Simulator, nth: int, after: bool) -> None:
    vcenter.switch(failures=[{"method": "EnableRuleset", "nth": nth, "times": 1, "fault": "drop", "after": after}])
    stack = Stack(cluster="DC0_C0", ruleset="vSPC", at_once=1)

    stack.up()
    opened = vcenter.rulesets("vSPC")
    stack.destroy()

    assert stack.failed == ""
    assert [opened[name] for name in (OLD, NEW, NEWEST)] == [OPEN] * 3
    assert vcenter.rulesets("vSPC") == dict.fromkeys(opened, CLOSED)


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_session_that_expires_in_the_middle_is_renewed(vcenter: Simulator, nth: int) -> None:
    vcenter.switch(failures=[{"method": "EnableRuleset", "nth": nth, "times": 1, "fault": "NotAuthenticated"}])
    stack = Stack(cluster="DC0_C0", ruleset="vSPC", at_once=1)

    stack.up()
    logins = vcenter.counts().ours()["Login"]
    stack.destroy()

    assert stack.failed == ""
    assert logins == 2
    assert {rule["enabled"] for rule in stack.outputs["remembered"]["before"]["hosts"].values()} == {False}
    assert vcenter.rulesets("vSPC")[OLD] == CLOSED


@pytest.mark.usefixtures("as_user")
def test_a_host_that_never_answers_is_named_and_doesnt_stop_the_others(
    vcenter: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vsphere, "CALL_TIMEOUT_S", 1.0)
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    vcenter.switch(silent=[NEW])

    stack.up()
    told, half = stack.failed, vcenter.rulesets_of("vSPC", OLD, NEWEST)
    vcenter.reset()
    stack.up()

    assert f"\n  {NEW}: no answer in time" in told and "1 of 3 hosts was not changed" in told
    assert half == {OLD: OPEN, NEWEST: OPEN}
    assert stack.failed == ""
    stack.destroy()


@pytest.mark.usefixtures("as_user")
def test_a_required_ruleset_is_refused_in_the_preview_and_left(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSphereClient", enabled=False)

    [refused] = stack.preview()

    assert "enabled: " in refused and "is required and can't be disabled" in refused
    assert vcenter.rulesets("vSphereClient")[OLD][0] is True


@pytest.mark.usefixtures("as_user")
def test_default_policies_are_set_read_back_and_put_back(vcenter: Simulator) -> None:
    before = vcenter.policies()
    stack = Stack(DefaultsProvider, cluster="DC0_C0", outgoing_blocked=False)

    stack.up()
    between, drift = vcenter.policies(), stack.refresh()
    stack.destroy()

    assert {between[name] for name in (OLD, NEW, NEWEST)} == {(before[OLD][0], False)}
    assert between["DC0_H0"] == before["DC0_H0"]
    assert drift == []
    assert vcenter.policies() == before


@pytest.mark.usefixtures("as_user")
def test_a_block_that_would_lock_us_out_is_refused_in_the_preview(vcenter: Simulator) -> None:
    stack = Stack(DefaultsProvider, host="DC0_H0", incoming_blocked=False)
    stack.up()
    vcenter.set_allowed("DC0_H0", "vSphereClient", ["10.9.9.9"])
    strict = Stack(DefaultsProvider, host="DC0_H0", incoming_blocked=True)

    refused = strict.preview()
    with pytest.raises(Failed):
        stack.destroy()
    still_open = vcenter.policies()["DC0_H0"]
    vcenter.set_allowed("DC0_H0", "vSphereClient", [])
    allowed = strict.preview()
    stack.destroy()

    assert len(refused) == 1 and "the ruleset 'vSphereClient' is not open for 127.0.0.1" in refused[0]
    assert still_open[0] is False
    assert allowed == []
    assert vcenter.policies()["DC0_H0"][0] is True


@pytest.mark.usefixtures("as_user")
def test_services_are_started_read_back_and_put_back(vcenter: Simulator) -> None:
    before = vcenter.services("TSM-SSH")
    stack = Stack(ServiceProvider, cluster="DC0_C0", service="TSM-SSH", running=True, policy="on")

    stack.up()
    between, drift = vcenter.services("TSM-SSH"), stack.refresh()
    stack.destroy()

    assert {between[name] for name in (OLD, NEW, NEWEST)} == {(True, "on")}
    assert between["DC0_H0"] == before["DC0_H0"] == (False, "off")
    assert drift == []
    assert vcenter.services("TSM-SSH") == before


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize(
    ("key", "value", "really"),
    [
        ("UserVars.SuppressShellWarning", 1, 1),
        ("UserVars.SuppressShellWarning", "1", 1),
        ("Security.AccountLockFailures", 7, 7),
        ("Syslog.global.logHost", "udp://192.0.2.9:514", "udp://192.0.2.9:514"),
        ("Config.HostAgent.log.level", "verbose", "verbose"),
        ("Config.HostAgent.plugins.solo.enableMob", "true", True),
    ],
)
def test_advanced_settings_are_written_in_the_hosts_type_read_back_and_put_back(
    vcenter: Simulator, key: str, value: Any, really: Any
) -> None:
    before = vcenter.options(key)
    stack = Stack(SettingProvider, cluster="DC0_C0", key=key, value=value)

    refused = stack.preview()
    stack.up()
    between, drift = vcenter.options(key), stack.refresh()
    stack.destroy()

    assert refused == [] and drift == []
    assert [between[name] for name in (OLD, NEW, NEWEST)] == [really] * 3
    assert between["DC0_H0"] == before["DC0_H0"] != really
    assert vcenter.options(key) == before


def test_a_standalone_esxi_host_is_opened_and_put_back(esxi_host: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in esxi_host.environment.items():
        monkeypatch.setenv(name, value)
    name = next(iter(esxi_host.rulesets("vSPC")))
    stack = Stack(host=name, ruleset="vSPC", allowed_hosts=["10.0.0.0/8"])

    hosts = stack.up()["hosts"]
    opened = esxi_host.rulesets("vSPC")
    drift = stack.refresh()
    stack.destroy()
    SESSIONS.close_all()

    assert hosts[name]["enabled"] is True
    assert opened == {name: (True, ["10.0.0.0/8"])}
    assert drift == []
    assert esxi_host.rulesets("vSPC") == {name: CLOSED}
    assert esxi_host.sessions() == []
