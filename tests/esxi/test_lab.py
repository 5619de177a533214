"""The provider against the lab's vCenter and a standalone ESXi host; what it did is looked up by another client."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from providers.esxi.firewall import Firewalls
from providers.esxi.inventory import Inventory
from providers.esxi.resources import RulesetProvider
from providers.esxi.vsphere import Endpoint, VSphere
from providers.kit.provider import Failed
from providers.kit.secrets import Settings
from providers.kit.sessions import SESSIONS
from tests.esxi.simulator import Simulator

pytestmark = pytest.mark.lab

CLUSTER = "/DC0/host/DC0_C0"
OLD, NEW, NEWEST = "DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2"
CLOSED: tuple[bool, list[str]] = (False, [])
OPEN: tuple[bool, list[str]] = (True, [])


class Stack:
    """What Pulumi asks of the provider for one resource, from a fresh provider each time as in a run of its own."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.outputs: dict[str, Any] = {}

    def up(self, **changed: Any) -> dict[str, Any]:
        self.arguments.update(changed)
        if not self.outputs:
            self.outputs = RulesetProvider().create(self.arguments).outs or {}
        elif RulesetProvider().diff("id", self.outputs, self.arguments).changes:
            self.outputs = RulesetProvider().update("id", self.outputs, self.arguments).outs or {}
        return self.outputs

    def refresh(self) -> list[str]:
        """Reads, and says which fields drifted."""
        self.outputs = RulesetProvider().read("id", self.outputs).outs or {}
        return [change.path for change in RulesetProvider().changes(self.outputs, self.arguments)]

    def destroy(self) -> None:
        RulesetProvider().delete("id", self.outputs)


@pytest.fixture
def as_user(vcenter: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of somebody who works with the vCenter."""
    for name, value in vcenter.environment.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    SESSIONS.close_all()


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
        told = stack.up()["memory"]["failed"]["message"]
    finally:
        vcenter.reconnect(NEW)
    half = vcenter.rulesets("vSPC")
    rest = stack.up()["memory"]["failed"]

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
        ({"cluster": "DC0_C0", "ruleset": "vspc"}, "there is no ruleset 'vspc'. Near names: vSPC"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_session(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(Failed):
        Stack(**arguments).up()
    open_now = len(vcenter.sessions())
    SESSIONS.close_all()

    assert words in capsys.readouterr().err
    assert open_now == 1
    assert vcenter.sessions() == []


@pytest.mark.usefixtures("as_user")
def test_success_leaves_no_session(vcenter: Simulator) -> None:
    stack = Stack(cluster="DC0_C0", ruleset="vSPC")
    stack.up()
    stack.destroy()
    open_now = len(vcenter.sessions())
    SESSIONS.close_all()

    assert open_now == 1
    assert vcenter.sessions() == []


def test_a_wrong_password_is_one_line_and_no_session(
    vcenter: Simulator, as_user: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_user.setenv("VSPHERE_USER", "bob@vsphere.local")
    as_user.setenv("VSPHERE_PASSWORD", "wrong-one-7")

    with pytest.raises(Failed):
        Stack(cluster="DC0_C0", ruleset="vSPC").up()

    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the login of 'bob@vsphere.local' was refused" in said
    assert "wrong-one-7" not in said
    assert vcenter.sessions() == []


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
def test_all_hosts_are_read_in_a_constant_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(VSphere(Endpoint.of(Settings()))) as session:
        calls: list[str] = []
        invoke = session._stub.InvokeMethod

        def counted(mo: Any, info: Any, *rest: Any) -> Any:
            calls.append(info.name)
            return invoke(mo, info, *rest)

        monkeypatch.setattr(session._stub, "InvokeMethod", counted)
        read = Firewalls(session).read(Inventory(session).hosts_of_cluster("DC0_C0"), ["vSPC"])

    assert len(read) == 3
    assert calls == ["RetrievePropertiesEx", "RetrievePropertiesEx", "Logout"]


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
