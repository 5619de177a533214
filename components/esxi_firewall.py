"""EsxiFirewallRule: the ruleset that lets ESXi hosts reach a VCH, on one host or on every host of a cluster."""

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
    ruleset: str = Field("vic", min_length=1, description="Key of the ruleset; 'vic' is vic-engine, else vSPC.")
    enabled: bool = Field(True, description="Whether the ruleset is open.")
    allowed_hosts: Literal["all"] | list[str] = Field("all", description="'all', or addresses and networks.")
    on_delete: Literal["restore", "keep"] = Field("restore", description="What destroy does: put back, or leave.")

    @model_validator(mode="after")
    def _one_target(self) -> EsxiFirewallRuleSettings:
        if (self.cluster is None) == (self.host is None):
            raise ValueError("give either 'cluster' or 'host'")
        return self


class EsxiFirewallRule(Component[EsxiFirewallRuleSettings]):
    """The ESXi firewall rule for vSphere Integrated Containers.

    Makes: one ``esxi.FirewallRuleset``.

    Outputs:
        firewall: host -> ruleset, enabled.
    """

    def build(self, settings: EsxiFirewallRuleSettings) -> Mapping[str, Any]:
        given = {"ruleset": settings.ruleset, **settings.model_dump(exclude_unset=True)}
        rule = FirewallRuleset(self.name, **given, opts=self.child())
        return {"firewall": rule.hosts.apply(_by_host)}


def _by_host(hosts: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    return {name: {key: one.get(key) for key in ("ruleset", "enabled")} for name, one in (hosts or {}).items()}
