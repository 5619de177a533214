"""ESXi's worlds: each resource of ESXi's hosts over the fake site of `tests/esxi`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, ClassVar

from pyVmomi import vim

from providers.esxi.resources import DefaultsProvider, RulesetProvider, ServiceProvider, SettingProvider
from providers.esxi.vsphere import Endpoint
from tests.conformance.world import MARKER, World, register
from tests.esxi.conftest import FakeHost, FakeSite

CLOSED = (False, ["10.9.9.9"])
OPEN: tuple[bool, list[str]] = (True, [])


class HostsWorld(World):
    """A cluster of three hosts."""

    quiet: ClassVar = {"on_delete": "keep", "at_once": 2, "allow_empty": True}
    config: ClassVar = {
        "vsphere:vsphereServer": "vc",
        "vsphere:user": "user",
        "vsphere:password": MARKER,
    }

    def make(self) -> None:
        self.site = FakeSite([self.host(name) for name in "abc"])

        def connect(provider: Any, settings: Any, desired: Any) -> FakeSite:
            assert Endpoint.of(settings).password.reveal() == MARKER
            return self.site

        self.monkeypatch.setattr(self.provider, "connect", connect)

    def host(self, name: str) -> FakeHost:
        raise NotImplementedError

    def look(self) -> Any:
        return {host.name: deepcopy(self.has(host)) for host in self.site.hosts}

    def has(self, host: FakeHost) -> Any:
        """What the resource is about, on one host."""
        raise NotImplementedError

    @contextmanager
    def by_hand(self) -> Iterator[FakeHost]:
        """One of the hosts, for an administrator's change."""
        hosts = self.site.hosts
        yield hosts[len(hosts) // 2]


@register
class RulesetWorld(HostsWorld):
    """Two hosts are closed, one is open."""

    name = "esxi.FirewallRuleset"
    provider = RulesetProvider
    arguments: ClassVar = {
        "cluster": "C0",
        "ruleset": "vSPC",
        "enabled": True,
        "allowed_hosts": ["10.0.0.1", "10.1.0.0/16"],
    }
    changed: ClassVar = {"enabled": False, "allowed_hosts": "all"}
    replacing: ClassVar = {"ruleset": "sshClient"}
    optional = "enabled"
    wrong: ClassVar = {
        "enabled": "perhaps",
        "allowed_hosts": ["300.0.0.1"],
        "ruleset": "",
        "at_once": 0,
        "hosts": [],
        "rulset": "vSPC",
    }

    def host(self, name: str) -> FakeHost:
        return FakeHost(name, {"vSPC": (True, []) if name == "c" else CLOSED, "sshClient": CLOSED})

    def has(self, host: FakeHost) -> Any:
        return host.rules

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        enabled = arguments.get("enabled") is not False
        allowed = [] if arguments["allowed_hosts"] == "all" else sorted(arguments["allowed_hosts"])
        return {host.name: {**host.rules, arguments["ruleset"]: (enabled, allowed)} for host in self.site.hosts}

    def disturb(self) -> str:
        return self._set(False)

    def restore(self) -> None:
        self._set(True)

    def _set(self, enabled: bool) -> str:
        with self.by_hand() as host:
            host.rules["vSPC"] = (enabled, host.rules["vSPC"][1])
        return f"hosts.{host.name}.enabled"


@register
class DefaultsWorld(HostsWorld):
    """Hosts that let everything out."""

    name = "esxi.FirewallDefaults"
    provider = DefaultsProvider
    arguments: ClassVar = {"cluster": "C0", "incoming_blocked": False, "outgoing_blocked": True}
    changed: ClassVar = {"outgoing_blocked": False, "incoming_blocked": True}
    quiet: ClassVar = {**HostsWorld.quiet, "allow_lockout": True}
    wrong: ClassVar = {"incoming_blocked": "perhaps", "outgoing": True}

    def host(self, name: str) -> FakeHost:
        return FakeHost(name, {"vSphereClient": OPEN, "vpxHeartbeats": OPEN}, policy=(True, name == "c"))

    def has(self, host: FakeHost) -> Any:
        return host.policy

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return dict.fromkeys(
            (host.name for host in self.site.hosts), (arguments["incoming_blocked"], arguments["outgoing_blocked"])
        )

    def disturb(self) -> str:
        return self._set(False)

    def restore(self) -> None:
        self._set(True)

    def _set(self, blocked: bool) -> str:
        with self.by_hand() as host:
            host.policy = (False, blocked)
        return f"hosts.{host.name}.outgoing_blocked"


@register
class ServiceWorld(HostsWorld):
    """Hosts whose ssh is off, but for one."""

    name = "esxi.HostService"
    provider = ServiceProvider
    arguments: ClassVar = {"cluster": "C0", "service": "TSM-SSH", "running": True, "policy": "on"}
    changed: ClassVar = {"running": False, "policy": "automatic"}
    replacing: ClassVar = {"service": "ntpd"}
    wrong: ClassVar = {"running": "perhaps", "policy": "always", "service": "", "runing": True}

    def host(self, name: str) -> FakeHost:
        return FakeHost(name, services={"TSM-SSH": (name == "c", "off"), "ntpd": (False, "off")})

    def has(self, host: FakeHost) -> Any:
        return host.services

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        state = (arguments["running"], arguments["policy"])
        return {host.name: {**host.services, arguments["service"]: state} for host in self.site.hosts}

    def disturb(self) -> str:
        return self._set(False)

    def restore(self) -> None:
        self._set(True)

    def _set(self, running: bool) -> str:
        with self.by_hand() as host:
            host.services["TSM-SSH"] = (running, "on")
        return f"hosts.{host.name}.running"


@register
class SettingWorld(HostsWorld):
    """Hosts with two settings, one of them defined as a long on one host and as an int on the others."""

    name = "esxi.AdvancedSetting"
    provider = SettingProvider
    arguments: ClassVar = {"cluster": "C0", "key": "NFS.MaxVolumes", "value": 64}
    changed: ClassVar = {"value": 128}
    replacing: ClassVar = {"key": "NFS41.MaxVolumes"}
    wrong: ClassVar = {"key": "", "value": [1], "vlaue": 1}

    def host(self, name: str) -> FakeHost:
        kind = vim.option.LongOption if name == "a" else vim.option.IntOption
        rule = kind(min=8, max=256, defaultValue=8, valueIsReadonly=False)
        first = 32 if name == "c" else 8
        return FakeHost(name, options={"NFS.MaxVolumes": (first, rule), "NFS41.MaxVolumes": (8, rule)})

    def has(self, host: FakeHost) -> Any:
        return {key: int(value) for key, (value, _) in host.options.items()}

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return {host.name: {**self.has(host), arguments["key"]: arguments["value"]} for host in self.site.hosts}

    def disturb(self) -> str:
        return self._set(9)

    def restore(self) -> None:
        self._set(64)

    def _set(self, value: int) -> str:
        with self.by_hand() as host:
            host.options["NFS.MaxVolumes"] = (value, host.options["NFS.MaxVolumes"][1])
        return f"hosts.{host.name}.value"
