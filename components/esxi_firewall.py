"""EsxiFirewallRule: the ruleset that lets ESXi hosts reach a VCH, on some hosts or on every host of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from components.base import Component, ComponentSettings
from providers.esxi.resources import FirewallRuleset


class EsxiFirewallRuleSettings(ComponentSettings):
    """Which hosts, and what the ruleset shall be there."""

    cluster: str | None = Field(None, description="Name or inventory path of a cluster; all its hosts are meant.")
    host: str | None = Field(None, description="Name or inventory path of one host, instead of a cluster.")
    hosts: list[str] | None = Field(None, min_length=1, description="Several hosts, instead of a cluster.")
    ruleset: str = Field("vic", min_length=1, description="Key of the ruleset; 'vic' is vic-engine, else vSPC.")
    enabled: bool = Field(True, description="Whether the ruleset is open.")
    allowed_hosts: Literal["all"] | list[str] | dict[str, Any] = Field(
        "all", description="'all', or addresses and networks, or Ansible's all_ip, ip_address and ip_network."
    )
    allow_empty: bool = Field(False, description="Whether the cluster may have no hosts.")
    on_delete: Literal["restore", "keep"] = Field("restore", description="What destroy does: put back, or leave.")
    at_once: int = Field(16, ge=1, le=256, description="Hosts that are changed at the same time.")

    @model_validator(mode="after")
    def _one_target(self) -> EsxiFirewallRuleSettings:
        if sum(one is not None for one in (self.cluster, self.host, self.hosts)) != 1:
            raise ValueError("give one of 'cluster', 'host' and 'hosts'")
        return self


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
