"""What Pulumi needs to know about ESXi's firewall, and no more."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pulumi
from pydantic import Field, field_validator, model_validator

from providers.esxi.networks import ALL, normalised
from providers.kit.errors import DrydockError, Permanent
from providers.kit.model import Inputs, State
from providers.kit.provider import Call, Provider
from providers.kit.resource import KitResource
from providers.kit.secrets import Settings

if TYPE_CHECKING:  # pyVmomi is slow to import, and the program that only declares resources doesn't need it
    from providers.esxi.firewall import Ruleset
    from providers.esxi.inventory import Host
    from providers.esxi.vsphere import VSphere

DEFAULT_AT_ONCE = 16


class RulesetInputs(Inputs):
    """Arguments of `FirewallRuleset`."""

    cluster: str | None = Field(None, description="Inventory path or name of a cluster; all its hosts are meant.")
    host: str | None = Field(None, description="Inventory path or name of one host, instead of a cluster.")
    ruleset: str = Field(min_length=1, description="Key of the ruleset, for example vSPC; vic for what VIC needs.")
    enabled: bool = Field(True, description="Whether it is open.")
    allowed_hosts: Literal["all"] | list[str] | None = Field(None, description="'all', or addresses and networks.")
    on_delete: Literal["restore", "keep"] = Field("restore", description="What destroy does.")
    at_once: int = Field(DEFAULT_AT_ONCE, ge=1, le=256, description="Hosts that are changed at the same time.")

    @field_validator("allowed_hosts")
    @classmethod
    def _networks(cls, value: Literal["all"] | list[str] | None) -> Literal["all"] | list[str] | None:
        if value is None or value == "all":
            return value
        found = normalised(value)
        return "all" if found == ALL else list(found)

    @model_validator(mode="after")
    def _one_target(self) -> RulesetInputs:
        if (self.cluster is None) == (self.host is None):
            raise ValueError("give either 'cluster' or 'host'")
        return self


class HostRule(State):
    """One host's ruleset, and why it is that one."""

    ruleset: str
    enabled: bool
    allowed_hosts: Literal["all"] | list[str] = "all"
    reason: str = ""


class RulesetState(State):
    """Every host's ruleset."""

    target: str
    hosts: dict[str, HostRule]


class RulesetProvider(Provider[RulesetInputs, RulesetState, "VSphere"]):
    """Opens or closes one ruleset on a host or on every host of a cluster; destroy puts back what was there."""

    kind = "esxi.FirewallRuleset"
    inputs = RulesetInputs
    state = RulesetState
    replace_on = frozenset({"cluster", "host", "ruleset"})
    without_calls = frozenset({"on_delete", "at_once"})
    always_there = True

    def endpoint(self, settings: Settings, desired: RulesetInputs) -> Hashable:
        from providers.esxi.vsphere import Endpoint

        one = Endpoint.of(settings)
        return one.server, one.user, one.thumbprint

    def connect(self, settings: Settings, desired: RulesetInputs) -> VSphere:
        from providers.esxi.vsphere import Endpoint, VSphere

        return VSphere(Endpoint.of(settings))

    def describe(self, desired: RulesetInputs) -> str:
        return f"{self.kind} '{desired.ruleset}' on {desired.cluster or desired.host}"

    def identify(self, desired: RulesetInputs, state: RulesetState) -> str:
        return f"{state.target}:{desired.ruleset}"

    def observe(self, call: Call[VSphere, RulesetState], desired: RulesetInputs) -> RulesetState | None:
        site = _Site(call.client, desired)
        try:
            hosts = site.hosts
        except Permanent:
            if call.before is None:
                raise
            return None  # it was there once: the cluster or host is gone, and its firewall with it
        rulesets = site.rulesets
        return RulesetState(
            target=site.target, hosts={host.name: _observed(host, desired, rulesets[host.name]) for host in hosts}
        )

    def expected(self, desired: RulesetInputs, there: RulesetState) -> Mapping[str, Any]:
        rule: dict[str, Any] = {"enabled": desired.enabled}
        if desired.allowed_hosts is not None:
            rule["allowed_hosts"] = desired.allowed_hosts
        return {"hosts": dict.fromkeys(there.hosts, rule)}

    def apply(
        self, call: Call[VSphere, RulesetState], desired: RulesetInputs, there: RulesetState | None
    ) -> Mapping[str, str]:
        site = _Site(call.client, desired)
        wanted = {host.name: _wanted(host, desired, site.rulesets[host.name]) for host in site.hosts}
        return site.change(call, wanted, desired.at_once)

    def remove(
        self, call: Call[VSphere, RulesetState], desired: RulesetInputs, there: RulesetState
    ) -> Mapping[str, str]:
        if desired.on_delete == "keep" or call.before is None:
            return {}
        site = _Site(call.client, desired)
        names = {host.name for host in site.hosts}
        back = {
            name: _restored(rule, site.rulesets[name])
            for name, rule in call.before.hosts.items()
            if name in names and rule.ruleset in site.rulesets[name]
        }
        return site.change(call, back, desired.at_once)

    def remember(self, kept: RulesetState | None, seen: RulesetState | None) -> RulesetState | None:
        """A host that joined later is remembered as it came; one that left is forgotten."""
        if kept is None or seen is None:
            return kept or seen
        return seen.model_copy(
            update={"hosts": {name: kept.hosts.get(name, rule) for name, rule in seen.hosts.items()}}
        )

    def incomplete(self, desired: RulesetInputs, failed: Mapping[str, str]) -> DrydockError:
        return Permanent(
            f"{len(failed)} host{'s were' if len(failed) > 1 else ' was'} not changed",
            on=self.describe(desired),
            remedy="The others are done. Mend these, then run `pulumi up` again: it changes only them.",
            items=failed,
        )


class FirewallRuleset(KitResource, module="esxi", name="FirewallRuleset"):
    """An ESXi firewall ruleset on a host, or on every host of a cluster at all times.

    Args:
        resource_name: Pulumi's name.
        cluster: inventory path or name of a cluster; all its hosts are meant, also those that join later.
        host: inventory path or name of one host, instead of a cluster.
        ruleset: key of the ruleset; ``vic`` is vic-engine where the host has it, else vSPC (facts/firewall.md).
        enabled: whether it is open; default True.
        allowed_hosts: ``all``, or addresses and networks (IPv4, IPv6); absent: left as they are.
        on_delete: ``restore`` puts back what was there before, host by host; ``keep`` leaves things as they are.
        at_once: hosts changed at the same time; default 16.

    Outputs:
        target: inventory path of the cluster or host.
        hosts: host name → ruleset, enabled, allowed_hosts, reason.

    Errors: hosts that could not be changed are named with the reason; the others stay changed, and the next `up`
    changes only these.
    """

    target: pulumi.Output[str]
    hosts: pulumi.Output[Mapping[str, Mapping[str, Any]]]

    def __init__(
        self,
        resource_name: str,
        *,
        ruleset: pulumi.Input[str],
        cluster: pulumi.Input[str] | None = None,
        host: pulumi.Input[str] | None = None,
        enabled: pulumi.Input[bool] | None = None,
        allowed_hosts: pulumi.Input[str | Sequence[str]] | None = None,
        on_delete: pulumi.Input[str] | None = None,
        at_once: pulumi.Input[int] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        arguments = {
            "cluster": cluster,
            "host": host,
            "ruleset": ruleset,
            "enabled": enabled,
            "allowed_hosts": allowed_hosts,
            "on_delete": on_delete,
            "at_once": at_once,
        }
        super().__init__(RulesetProvider(), resource_name, arguments, opts)


class _Site:
    """The hosts that a resource means, and their rulesets, each read once."""

    def __init__(self, vsphere: VSphere, desired: RulesetInputs) -> None:
        from providers.esxi.firewall import Firewalls
        from providers.esxi.inventory import Inventory

        self._desired = desired
        self._firewalls = Firewalls(vsphere)
        self._inventory = Inventory(vsphere)
        self._hosts: list[Host] | None = None
        self._rulesets: dict[str, dict[str, Ruleset]] | None = None

    @property
    def target(self) -> str:
        if self._desired.cluster:
            return self._inventory.path_of_cluster(self._desired.cluster)
        return self.hosts[0].path

    @property
    def hosts(self) -> list[Host]:
        if self._hosts is None:
            self._hosts = self._find()
        return self._hosts

    @property
    def rulesets(self) -> dict[str, dict[str, Ruleset]]:
        if self._rulesets is None:
            self._rulesets = {host.name: {} for host in self.hosts} | self._firewalls.rulesets(self.hosts)
        return self._rulesets

    def change(self, call: Call[VSphere, RulesetState], wanted: Mapping[str, Ruleset], at_once: int) -> dict[str, str]:
        """Changes the hosts that differ, several at once; returns those that could not be, with the reason."""
        todo = [host for host in self.hosts if host.name in wanted and self._differs(host, wanted[host.name])]
        if not todo:
            return {}
        failed: dict[str, str] = {}

        def one(host: Host) -> None:
            try:
                self._change(host, wanted[host.name])
                call.say(f"host {host.name}: {wanted[host.name].key} is done ({len(todo)} to do)")
            except DrydockError as error:
                if len(todo) == 1 and len(self.hosts) == 1:
                    raise
                failed[host.name] = error.what

        with ThreadPoolExecutor(max_workers=min(at_once, len(todo))) as pool:
            for done in [pool.submit(one, host) for host in todo]:
                done.result()
        return dict(sorted(failed.items()))

    def _change(self, host: Host, wanted: Ruleset) -> None:
        if not host.connected:
            raise Permanent("not connected", on=f"host {host.name}", remedy="Reconnect the host.")
        self._firewalls.apply(host, wanted, self.rulesets[host.name][wanted.key])

    def _differs(self, host: Host, wanted: Ruleset) -> bool:
        there = self.rulesets[host.name][wanted.key]
        return (there.enabled, there.allowed_hosts) != (wanted.enabled, wanted.allowed_hosts)

    def _find(self) -> list[Host]:
        if self._desired.host:
            return [self._inventory.host(self._desired.host)]
        hosts = self._inventory.hosts_of_cluster(self._desired.cluster or "")
        if not hosts:
            raise Permanent(
                "the cluster has no hosts", on=f"cluster {self._desired.cluster}", remedy="Add hosts to it first."
            )
        return hosts


def _observed(host: Host, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> HostRule:
    from providers.esxi.firewall import VIC, VIC_ENGINE, key_on, unknown_ruleset

    key = key_on(desired.ruleset, known)
    if key not in known:
        raise unknown_ruleset(host, key, known)
    reason = ""
    if desired.ruleset == VIC and key != VIC_ENGINE:
        reason = f"ESXi {host.version} has no {VIC_ENGINE}; {key} opens more than port 2377"
    rule = known[key]
    allowed = rule.allowed_hosts if isinstance(rule.allowed_hosts, str) else list(rule.allowed_hosts)
    return HostRule.model_validate(
        {"ruleset": key, "enabled": rule.enabled, "allowed_hosts": allowed, "reason": reason}
    )


def _wanted(host: Host, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> Ruleset:
    rule = known[_observed(host, desired, known).ruleset]
    if rule.required and not desired.enabled:
        raise Permanent(
            f"the ruleset '{rule.key}' is required and can't be disabled",
            on=f"host {host.name}",
            remedy="Leave it enabled; `allowed_hosts` can narrow it.",
        )
    if desired.allowed_hosts is None:
        return replace(rule, enabled=desired.enabled)
    return replace(rule, enabled=desired.enabled, allowed_hosts=_as_tuple(desired.allowed_hosts))


def _restored(before: HostRule, known: Mapping[str, Ruleset]) -> Ruleset:
    return replace(known[before.ruleset], enabled=before.enabled, allowed_hosts=_as_tuple(before.allowed_hosts))


def _as_tuple(allowed: str | Sequence[str]) -> str | tuple[str, ...]:
    return allowed if isinstance(allowed, str) else tuple(allowed)
