"""The default policy of ESXi's firewall, host by host, and whether a change of it would lock us out."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim

from providers.esxi.firewall import Firewalls, Ruleset
from providers.esxi.inventory import Host
from providers.esxi.networks import ALL
from providers.esxi.vsphere import VSphere
from providers.kit.errors import Permanent

KEY = "default policy"
# What a vCenter and every client of the host's API come in by (tcp 443 and 902), and the host's heartbeat to its
# vCenter (udp 902); VMware's list of incoming and outgoing firewall ports for ESXi hosts.
MANAGEMENT = "vSphereClient"
HEARTBEAT = "vpxHeartbeats"

_POLICY = "firewallInfo.defaultPolicy"


@dataclass(frozen=True)
class Policy:
    """The default policy of one host: what no ruleset speaks of.

    Args:
        incoming_blocked: whether connections to the host are refused.
        outgoing_blocked: whether connections from the host are refused.
        incoming_lockout: why blocking what comes in would lock us out; empty where it would not.
        outgoing_lockout: the same of what goes out.
    """

    incoming_blocked: bool
    outgoing_blocked: bool
    incoming_lockout: str = field(default="", compare=False)
    outgoing_lockout: str = field(default="", compare=False)
    key: str = KEY


class FirewallPolicies:
    """The default policies of many hosts (vSphere API: HostFirewallSystem)."""

    system = "firewallSystem"

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere
        self._rulesets = Firewalls(vsphere)

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> dict[str, dict[str, Policy]]:
        """Host name → key → policy, in two calls for all hosts; empty where a host doesn't show it."""
        by_system = {host.system: host for host in hosts if host.system is not None}
        policies = self._vsphere.collect({vim.host.FirewallSystem: [_POLICY]}, by_system)
        ways = self._rulesets.read(hosts, [MANAGEMENT, HEARTBEAT])
        found: dict[str, dict[str, Policy]] = {host.name: {} for host in hosts}
        for system, known in policies:
            if _POLICY in known:
                host = by_system[system]
                found[host.name][KEY] = self._policy(host, known[_POLICY], ways[host.name])
        return found

    def keys(self, host: Host) -> list[str]:
        """There is only one."""
        return [KEY]

    def apply(self, host: Host, wanted: Policy, there: Policy) -> None:
        """Sets what differs.

        Raises:
            Permanent: it would lock us out; `wanted` has no lockout where that is accepted.
        """
        for blocks, why in (
            (wanted.incoming_blocked and not there.incoming_blocked, wanted.incoming_lockout),
            (wanted.outgoing_blocked and not there.outgoing_blocked, wanted.outgoing_lockout),
        ):
            if blocks and why:
                raise Permanent(why, on=f"host {host.name}", remedy="Open it first, or set `allow_lockout=True`.")
        if wanted != there:
            policy = vim.host.FirewallInfo.DefaultPolicy(
                incomingBlocked=wanted.incoming_blocked, outgoingBlocked=wanted.outgoing_blocked
            )
            with self._vsphere.speaking(f"host {host.name}"):
                host.system.UpdateDefaultPolicy(defaultPolicy=policy)

    def _policy(self, host: Host, policy: Any, ways: Mapping[str, Ruleset]) -> Policy:
        """A host without a vCenter has no heartbeat to lose."""
        return Policy(
            bool(policy.incomingBlocked),
            bool(policy.outgoingBlocked),
            self._lockout(ways.get(MANAGEMENT), MANAGEMENT, host),
            self._lockout(ways.get(HEARTBEAT), HEARTBEAT, host) if host.managed_by else "",
        )

    def _lockout(self, way: Ruleset | None, key: str, host: Host) -> str:
        """Why a host could not be managed any more if only its rulesets let us through."""
        what = f"it would lock us out: the ruleset '{key}'"
        if way is None or not way.enabled:
            return f"{what} is closed"
        manager = host.managed_by or self._vsphere.own_address
        if way.allowed_hosts != ALL and not _contains(way.allowed_hosts, manager):
            return f"{what} is not open for {manager}"
        return ""


def _contains(allowed: str | Sequence[str], address: str) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in allowed)
