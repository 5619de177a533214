"""EsxiFirewallRule: the ruleset that lets ESXi hosts reach a VCH, on some hosts or on every host of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from components.base import Component, ComponentSettings
from providers.esxi.resources import FirewallRuleset
from providers.esxi.resources.hosts import HostsInputs


class EsxiFirewallRuleSettings(HostsInputs, ComponentSettings):
    """Which hosts, and what the ruleset shall be there."""

    ruleset: str = Field("vic", min_length=1, description="Key of the ruleset; 'vic' is vic-engine, else vSPC.")
    enabled: bool = Field(True, description="Whether the ruleset is open.")
    allowed_hosts: Literal["all"] | list[str] | dict[str, Any] = Field(
        "all", description="'all', or addresses and networks, or Ansible's all_ip, ip_address and ip_network."
    )


class EsxiFirewallRule(Component[EsxiFirewallRuleSettings]):
    """The ESXi firewall rule for vSphere Integrated Containers.

    Makes: one ``esxi.FirewallRuleset``.

    Outputs:
        firewall: inventory path of a host -> ruleset, enabled, reason (why it is that ruleset, or why the host shows
            none), error (why the last run could not change it).
    """

    def build(self, settings: EsxiFirewallRuleSettings) -> Mapping[str, Any]:
        given = {"ruleset": settings.ruleset, **settings.model_dump(exclude_unset=True)}
        rule = FirewallRuleset(self.name, **given, opts=self.child())
        return {"firewall": rule.hosts.apply(by_path)}


def by_path(hosts: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    """The output `firewall` of the resource's output `hosts`."""
    return {part.get("path") or name: _shown(part) for name, part in (hosts or {}).items()}


def _shown(part: Mapping[str, Any]) -> dict[str, Any]:
    state = {key: part.get(key) for key in ("ruleset", "enabled")}
    return {**state, "reason": part.get("reason") or "", "error": part.get("error") or ""}
