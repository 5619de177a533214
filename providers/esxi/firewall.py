"""ESXi's firewall rulesets, host by host: reading many at once and changing one; knows nothing of Pulumi."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from providers.esxi.elements import HostElements
from providers.esxi.inventory import Host
from providers.esxi.networks import ALL, normalised
from providers.esxi.vsphere import VSphere

VIC = "vic"
VIC_ENGINE = "vic-engine"
VSPC = "vSPC"
RULESETS = "firewallInfo.ruleset"


@dataclass(frozen=True)
class Ruleset:
    """One ruleset of one host.

    Args:
        key: its key, for example ``vSPC``.
        enabled: whether it is open.
        allowed_hosts: ``all``, or addresses and networks, normalised and sorted.
        required: whether ESXi refuses to disable it.
    """

    key: str
    enabled: bool
    allowed_hosts: str | tuple[str, ...] = ALL
    required: bool = False


class Firewalls:
    """The rulesets of many hosts (vSphere API: HostFirewallSystem)."""

    system = "firewallSystem"

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere
        self._rulesets = HostElements(vsphere, vim.host.FirewallSystem, RULESETS)

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> dict[str, dict[str, Ruleset]]:
        """Host name → ruleset key → ruleset, in one call for all hosts; what a host doesn't show is left out."""
        return _as_rulesets(self._rulesets.read(hosts, keys))

    def read_all(self, hosts: Sequence[Host]) -> dict[str, dict[str, Ruleset]]:
        """As `read`, with every ruleset; for people who look."""
        return _as_rulesets(self._rulesets.read_all(hosts))

    def keys(self, host: Host) -> list[str]:
        """Every ruleset that a host has, by key."""
        return self._rulesets.keys(host)

    def apply(self, host: Host, wanted: Ruleset, there: Ruleset) -> None:
        """Makes one host's ruleset as wanted, with only the calls that are missing.

        The allowed hosts are narrowed before it opens and widened after it closes.
        """
        narrows = wanted.allowed_hosts != there.allowed_hosts
        with self._vsphere.speaking(f"host {host.name}"):
            if narrows and wanted.enabled:
                host.system.UpdateRuleset(id=wanted.key, spec=_spec(wanted.allowed_hosts))
            if wanted.enabled and not there.enabled:
                host.system.EnableRuleset(id=wanted.key)
            if there.enabled and not wanted.enabled:
                host.system.DisableRuleset(id=wanted.key)
            if narrows and not wanted.enabled:
                host.system.UpdateRuleset(id=wanted.key, spec=_spec(wanted.allowed_hosts))


def key_on(ruleset: str, known: Mapping[str, Any]) -> str:
    """The key that a name means on a host: ``vic`` is vic-engine where the host has it (6.7 and later), else vSPC.

    Source: facts/firewall.md, what vic-machine 1.5 enables.
    """
    if ruleset != VIC:
        return ruleset
    return VIC_ENGINE if VIC_ENGINE in known else VSPC


def keys_of(ruleset: str) -> list[str]:
    """The keys that a name may mean."""
    return [VIC_ENGINE, VSPC] if ruleset == VIC else [ruleset]


def _as_rulesets(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Ruleset]]:
    return {host: {key: _ruleset(rule) for key, rule in rules.items()} for host, rules in found.items()}


def _ruleset(rule: Any) -> Ruleset:
    return Ruleset(rule.key, bool(rule.enabled), _allowed(rule.allowedHosts), bool(rule.required))


def _allowed(hosts: Any) -> str | tuple[str, ...]:
    if hosts is None or hosts.allIp:
        return ALL
    networks = [f"{one.network}/{one.prefixLength}" for one in hosts.ipNetwork or []]
    return normalised([*(hosts.ipAddress or []), *networks])


def _spec(allowed: str | tuple[str, ...]) -> Any:
    hosts = vim.host.Ruleset.IpList(allIp=allowed == ALL, ipAddress=[], ipNetwork=[])
    if allowed != ALL:
        hosts.ipAddress = [one for one in allowed if "/" not in one]
        hosts.ipNetwork = [_ip_network(one) for one in allowed if "/" in one]
    return vim.host.Ruleset.RulesetSpec(allowedHosts=hosts)


def _ip_network(text: str) -> Any:
    network = ipaddress.ip_network(text)
    return vim.host.Ruleset.IpNetwork(network=str(network.network_address), prefixLength=network.prefixlen)
