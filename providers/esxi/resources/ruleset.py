"""esxi.FirewallRuleset: one ruleset of ESXi's firewall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pulumi
from pydantic import Field, field_validator
from typing_extensions import Unpack

from providers.esxi.networks import ALL, from_ansible, normalised
from providers.esxi.resources.hosts import HostPart, HostsInputs, HostsProvider, HostsResource, HostsState, Where
from providers.kit.words import few

if TYPE_CHECKING:
    from providers.esxi.firewall import Ruleset
    from providers.esxi.fleet import Client
    from providers.esxi.vsphere import VSphere

Allowed = Literal["all"] | list[str]

# facts/firewall.md: what vic-machine 1.1 to 1.4 opens everywhere.
_NO_VIC_ENGINE = "the host has no vic-engine (ESXi 6.7 and later)"
_ALL_TCP = "vSPC opens all outgoing tcp, not only 2377"
_NARROWED = "vSPC is narrowed to the allowed hosts"
_NAMED = 5


class RulesetInputs(HostsInputs):
    """Arguments of `FirewallRuleset`."""

    ruleset: str = Field(min_length=1, description="Key of the ruleset, for example vSPC; vic for what VIC needs.")
    enabled: bool = Field(True, description="Whether it is open.")
    allowed_hosts: Allowed | None = Field(None, description="'all', or addresses and networks.")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _as_ansible_has_it(cls, value: Any) -> Any:
        return from_ansible(value) if isinstance(value, Mapping) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _networks(cls, value: Allowed | None) -> Allowed | None:
        if value is None or value == "all":
            return value
        found = normalised(value)
        return "all" if found == ALL else list(found)


class HostRule(HostPart):
    """One host's ruleset; where the host doesn't show it, only its key and the reason."""

    ruleset: str
    enabled: bool | None = None
    allowed_hosts: Allowed | None = None
    required: bool | None = None

    @property
    def which(self) -> str:
        return self.ruleset

    @property
    def shown(self) -> bool:
        return self.enabled is not None


class RulesetState(HostsState):
    """Every host's ruleset."""

    hosts: dict[str, HostRule]


class RulesetProvider(HostsProvider[RulesetInputs, RulesetState, HostRule, "Ruleset"]):
    """Opens or closes one ruleset."""

    kind = "esxi.FirewallRuleset"
    inputs = RulesetInputs
    state = RulesetState
    part = HostRule
    setting = "ruleset"
    named_by = "ruleset"
    replace_on = HostsProvider.replace_on | {"ruleset"}

    def client(self, vsphere: VSphere) -> Client[Ruleset]:
        from providers.esxi.firewall import Firewalls

        return Firewalls(vsphere)

    def keys(self, desired: RulesetInputs) -> list[str]:
        from providers.esxi.firewall import keys_of

        return keys_of(desired.ruleset)

    def key_on(self, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> str:
        from providers.esxi.firewall import key_on

        return key_on(desired.ruleset, known)

    def show(self, desired: RulesetInputs, there: Ruleset) -> Mapping[str, Any]:
        from providers.esxi.firewall import VIC, VSPC

        found: dict[str, Any] = {"ruleset": there.key, "enabled": there.enabled, "allowed_hosts": _plain(there)}
        if there.required:
            found["required"] = True
        if desired.ruleset == VIC and there.key == VSPC:
            found["reason"] = f"{_NO_VIC_ENGINE}; {_NARROWED if _narrows(desired) else _ALL_TCP}"
        return found

    def hide(self, key: str) -> Mapping[str, Any]:
        return {"ruleset": key}

    def wanted(self, desired: RulesetInputs, there: Ruleset) -> Ruleset:
        if desired.allowed_hosts is None:
            return replace(there, enabled=desired.enabled)
        return replace(there, enabled=desired.enabled, allowed_hosts=_as_tuple(desired.allowed_hosts))

    def restored(self, before: HostRule, there: Ruleset) -> Ruleset:
        allowed = ALL if before.allowed_hosts is None else before.allowed_hosts
        return replace(there, enabled=bool(before.enabled), allowed_hosts=_as_tuple(allowed))

    def expected_on(self, desired: RulesetInputs, part: HostRule) -> Mapping[str, Any]:
        rule: dict[str, Any] = {"enabled": desired.enabled}
        if desired.allowed_hosts is not None:
            rule["allowed_hosts"] = desired.allowed_hosts
        return rule

    def refusal(self, desired: RulesetInputs, part: HostRule) -> tuple[str, str] | None:
        if not part.required or desired.enabled:
            return None
        reason = f"the ruleset '{part.ruleset}' is required and can't be disabled; `allowed_hosts` can narrow it"
        return "enabled", reason

    def warnings(self, desired: RulesetInputs, parts: Mapping[str, HostRule]) -> list[str]:
        from providers.esxi.firewall import VIC, VSPC

        if desired.ruleset != VIC or not desired.enabled or _narrows(desired):
            return []
        opening = [name for name, part in sorted(parts.items()) if part.ruleset == VSPC and not part.enabled]
        if not opening:
            return []
        counted = f"{len(opening)} of {len(parts)} hosts ({few(opening, _NAMED)})"
        return [f"on {counted} {_ALL_TCP}: no vic-engine there. `allowed_hosts` narrows it to where the VCH answers."]

    def words(self, value: Ruleset) -> str:
        return f"{value.key} is {'open' if value.enabled else 'closed'}"


class FirewallRuleset(HostsResource, module="esxi", name="FirewallRuleset"):
    """An ESXi firewall ruleset on a host, on several, or on every host of a cluster at all times.

    Args:
        resource_name: Pulumi's name.
        cluster: inventory path or name of a cluster; all its hosts are meant, also those that join later.
        host: inventory path or name of one host, instead of a cluster.
        hosts: inventory paths or names of several hosts, instead of a cluster; one that is taken out is put back.
        ruleset: key of the ruleset; ``vic`` is vic-engine where the host has it, else vSPC (facts/firewall.md).
        enabled: whether it is open; default True.
        allowed_hosts: ``all``, or addresses and networks (IPv4, IPv6), or as Ansible's vmware_host_firewall_manager
            has it (``{"all_ip": False, "ip_address": [...], "ip_network": [...]}``); absent: left as they are.
        allow_empty: whether the cluster may have no hosts (yet); default False.
        on_delete: ``restore`` puts back what was there before, host by host; ``keep`` leaves things as they are.
        at_once: hosts changed at the same time; default 16.

    Outputs:
        target: inventory path of the cluster or host.
        hosts: host name → path, ruleset, enabled, allowed_hosts, reason (why it is that ruleset, or why the host
            doesn't show it), error (why the last run could not change it).

    Errors: hosts that could not be changed are named with the reason; the others stay changed, and the next `up`
    changes only these. A name that the vCenter or the hosts don't know, a required ruleset that would be closed, and
    a ruleset of a host that another resource of the program has, are refused in the preview.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        ruleset: pulumi.Input[str],
        enabled: pulumi.Input[bool] | None = None,
        allowed_hosts: pulumi.Input[str | Sequence[str] | Mapping[str, Any]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **where: Unpack[Where],
    ) -> None:
        arguments = {"ruleset": ruleset, "enabled": enabled, "allowed_hosts": allowed_hosts}
        super().__init__(RulesetProvider(), resource_name, {**arguments, **where}, opts)


def _narrows(desired: RulesetInputs) -> bool:
    return desired.allowed_hosts not in (None, ALL)


def _plain(rule: Ruleset) -> str | list[str]:
    return rule.allowed_hosts if isinstance(rule.allowed_hosts, str) else list(rule.allowed_hosts)


def _as_tuple(allowed: str | Sequence[str]) -> str | tuple[str, ...]:
    return allowed if isinstance(allowed, str) else tuple(allowed)
