"""The worlds of ESXi's hosts once more on the lab's vCenter and on a standalone ESXi host, looked at by pyVmomi."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import VmomiSupport, vim

from tests.conformance.esxi_world import DefaultsWorld, HostsWorld, RulesetWorld, ServiceWorld, SettingWorld
from tests.conformance.world import MARKER, register
from tests.esxi.conftest import FakeHost
from tests.esxi.simulator import USER, running

_open = ExitStack()
atexit.register(_open.close)


@cache
def site(*options: str) -> tuple[Any, list[Any], str]:
    """A vCenter or ESXi host for the whole run: its content, by a session that isn't ours, its hosts, its address."""
    folder = Path(_open.enter_context(tempfile.TemporaryDirectory(prefix="drydock-worlds-")))
    one = _open.enter_context(running(folder, *options, password=MARKER))
    host, _, port = one.address.partition(":")
    service = SmartConnect(host=host, port=int(port), user=USER, pwd=MARKER, disableSslCertValidation=True)
    _open.callback(Disconnect, service)
    content = service.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.HostSystem], True)
    return content, sorted(view.view, key=lambda found: found.name), one.address


class RealSite:
    """The hosts as they are now, in the shape of the fake ones, so that one world's words serve both."""

    def __init__(self, hosts: list[Any], pattern: list[FakeHost]) -> None:
        self._hosts = dict(zip(hosts, pattern, strict=True))
        for moref, first in self._hosts.items():
            write(
                moref,
                FakeHost(moref.name, first.rules, policy=first.policy, services=first.services, options=first.options),
            )

    @property
    def hosts(self) -> list[FakeHost]:
        return [read(moref, first) for moref, first in self._hosts.items()]

    def write(self, host: FakeHost) -> None:
        write(next(moref for moref in self._hosts if moref.name == host.name), host)


def read(moref: Any, pattern: FakeHost) -> FakeHost:
    """What a host has of the things that the pattern names."""
    manager = moref.configManager
    info = manager.firewallSystem.firewallInfo
    policy = info.defaultPolicy
    services = {one.key: one for one in manager.serviceSystem.serviceInfo.service}
    return FakeHost(
        moref.name,
        {rule.key: (rule.enabled, _addresses(rule.allowedHosts)) for rule in info.ruleset if rule.key in pattern.rules},
        policy=(bool(policy.incomingBlocked), bool(policy.outgoingBlocked)),
        services={key: (services[key].running, services[key].policy) for key in pattern.services},
        options={
            key: (manager.advancedOption.QueryOptions(key)[0].value, rule) for key, (_, rule) in pattern.options.items()
        },
    )


def write(moref: Any, host: FakeHost) -> None:
    """Makes a real host what a fake one is."""
    manager = moref.configManager
    for key, (enabled, allowed) in host.rules.items():
        (manager.firewallSystem.EnableRuleset if enabled else manager.firewallSystem.DisableRuleset)(id=key)
        manager.firewallSystem.UpdateRuleset(id=key, spec=vim.host.Ruleset.RulesetSpec(allowedHosts=_spec(allowed)))
    incoming, outgoing = host.policy
    manager.firewallSystem.UpdateDefaultPolicy(
        vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=incoming, outgoingBlocked=outgoing)
    )
    for key, (runs, policy) in host.services.items():
        manager.serviceSystem.UpdateServicePolicy(id=key, policy=policy)
        (manager.serviceSystem.StartService if runs else manager.serviceSystem.StopService)(id=key)
    for key, (value, _) in host.options.items():
        typed = VmomiSupport.vmodlTypes["long"](value)
        manager.advancedOption.UpdateOptions(changedValue=[vim.option.OptionValue(key=key, value=typed)])


def _addresses(allowed: Any) -> list[str]:
    if allowed.allIp:
        return []
    return sorted([*allowed.ipAddress, *(f"{one.network}/{one.prefixLength}" for one in allowed.ipNetwork)])


def _spec(allowed: list[str]) -> Any:
    networks = [one.partition("/") for one in allowed if "/" in one]
    return vim.host.Ruleset.IpList(
        allIp=not allowed,
        ipAddress=[one for one in allowed if "/" not in one],
        ipNetwork=[vim.host.Ruleset.IpNetwork(network=one, prefixLength=int(bits)) for one, _, bits in networks],
    )


class OnVCenter(HostsWorld):
    """The three hosts of a cluster, of three versions."""

    lab = True
    at_every_call = frozenset({("kill", "after")})
    options: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[str] = "abc"
    target: ClassVar[dict[str, str]] = {"cluster": "DC0_C0"}

    def make(self) -> None:
        _, hosts, address = site(*self.options)
        pattern = [self.host(name) for name in self.names]
        self.real = RealSite(hosts[: len(pattern)], pattern)
        self.site = self.real  # type: ignore[assignment]
        self.arguments = {**type(self).arguments, "cluster": None, **self.target}  # type: ignore[misc]
        self.config = {  # type: ignore[misc]
            "vsphere:vsphereServer": address,
            "vsphere:user": USER,
            "vsphere:password": MARKER,
            "vsphere:allowUnverifiedSsl": "true",
        }

    @contextmanager
    def by_hand(self) -> Iterator[FakeHost]:
        with super().by_hand() as host:
            yield host
        self.real.write(host)


class OnESXi(OnVCenter):
    """One host without a vCenter."""

    options = ("-esx",)
    names = "a"
    target: ClassVar = {"host": "localhost.localdomain"}


@register
class RulesetOnVCenter(OnVCenter, RulesetWorld):
    name = "esxi.FirewallRuleset on a vCenter"
    at_every_call = OnVCenter.at_every_call | {("outage", "before")}


@register
class RulesetOnESXi(OnESXi, RulesetWorld):
    name = "esxi.FirewallRuleset on a standalone ESXi host"


@register
class DefaultsOnVCenter(OnVCenter, DefaultsWorld):
    name = "esxi.FirewallDefaults on a vCenter"


@register
class DefaultsOnESXi(OnESXi, DefaultsWorld):
    name = "esxi.FirewallDefaults on a standalone ESXi host"


@register
class ServiceOnVCenter(OnVCenter, ServiceWorld):
    name = "esxi.HostService on a vCenter"


@register
class ServiceOnESXi(OnESXi, ServiceWorld):
    name = "esxi.HostService on a standalone ESXi host"


@register
class SettingOnVCenter(OnVCenter, SettingWorld):
    name = "esxi.AdvancedSetting on a vCenter"


@register
class SettingOnESXi(OnESXi, SettingWorld):
    name = "esxi.AdvancedSetting on a standalone ESXi host"
