"""ESXi's firewall rulesets, host by host: reading many at once and changing one; knows nothing of Pulumi."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from providers.esxi.inventory import Host
from providers.esxi.names import near
from providers.esxi.networks import ALL, normalised
from providers.esxi.vsphere import VSphere
from providers.kit.errors import DrydockError, Permanent

VIC = "vic"
VIC_ENGINE = "vic-engine"
VSPC = "vSPC"


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
    """The firewalls of many hosts (vSphere API: HostFirewallSystem)."""

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere

    def rulesets(self, hosts: Sequence[Host]) -> dict[str, dict[str, Ruleset]]:
        """Host name → ruleset key → ruleset, in one call for all hosts; a host that shows none has an empty entry."""
        by_system = {host.firewall: host.name for host in hosts if host.firewall is not None}
        kinds = {vim.host.FirewallSystem: ["firewallInfo"]}
        found: dict[str, dict[str, Ruleset]] = {host.name: {} for host in hosts}
        for system, known in self._vsphere.collect(kinds, by_system):
            # A host that was never connected since the vCenter started has no firewallInfo.
            rules = known["firewallInfo"].ruleset if known.get("firewallInfo") else []
            found[by_system[system]] = {rule.key: _ruleset(rule) for rule in rules}
        return found

    def apply(self, host: Host, wanted: Ruleset, there: Ruleset) -> None:
        """Makes one host's ruleset as wanted, with only the calls that are missing.

        The allowed hosts are narrowed before it opens and widened after it closes.
        """
        narrows = wanted.allowed_hosts != there.allowed_hosts
        with self._vsphere.speaking(f"host {host.name}"):
            if narrows and wanted.enabled:
                host.firewall.UpdateRuleset(id=wanted.key, spec=_spec(wanted.allowed_hosts))
            if wanted.enabled and not there.enabled:
                host.firewall.EnableRuleset(id=wanted.key)
            if there.enabled and not wanted.enabled:
                host.firewall.DisableRuleset(id=wanted.key)
            if narrows and not wanted.enabled:
                host.firewall.UpdateRuleset(id=wanted.key, spec=_spec(wanted.allowed_hosts))


def key_on(ruleset: str, known: Mapping[str, Any]) -> str:
    """The key that a name means on a host: ``vic`` is vic-engine where the host has it (6.7 and later), else vSPC.

    Source: facts/firewall.md, what vic-machine 1.5 enables.
    """
    if ruleset != VIC:
        return ruleset
    return VIC_ENGINE if VIC_ENGINE in known else VSPC


def unknown_ruleset(host: Host, key: str, known: Iterable[str]) -> DrydockError:
    """The error for a ruleset that a host doesn't have, with near names."""
    known = sorted(known)
    alike = near(key, known)
    remedy = f"Near names: {', '.join(alike)}." if alike else f"It has {', '.join(known)}."
    return Permanent(f"there is no ruleset '{key}'", on=f"host {host.name}", remedy=remedy)


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
