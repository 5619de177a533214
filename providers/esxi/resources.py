"""What Pulumi needs to know about ESXi's firewall, and no more."""

from __future__ import annotations

import itertools
from collections.abc import Container, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pulumi
from pydantic import Field, field_validator, model_validator

from providers.esxi.networks import ALL, normalised
from providers.kit.errors import DrydockError, Permanent, SessionLost
from providers.kit.model import Inputs, State
from providers.kit.provider import Call, Provider
from providers.kit.resource import KitResource
from providers.kit.retry import RetryPolicy, with_retries
from providers.kit.secrets import Settings

if TYPE_CHECKING:  # pyVmomi is slow to import, and the program that only declares resources doesn't need it
    from providers.esxi.firewall import Ruleset
    from providers.esxi.inventory import Host
    from providers.esxi.vsphere import VSphere

DEFAULT_AT_ONCE = 16
# One host that is busy or slow must not hold up the others for long.
HOST_RETRIES = RetryPolicy(attempts=3, total_s=60.0)
_KIT_RETRIES = RetryPolicy(attempts=1)

_NOT_CONNECTED = "not connected"
_CAME_BACK = "it came back while the others were changed"
_MEND_HOST = "Reconnect or mend the host, then run it again."
# facts/firewall.md, what vic-machine 1.1 to 1.4 opens everywhere.
_ALL_TCP = "the host has no vic-engine (ESXi 6.7 and later); vSPC opens all outgoing tcp, not only 2377"


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
    """One host's ruleset, and why it is that one; where the host doesn't show it, only the reason."""

    ruleset: str
    enabled: bool | None = None
    allowed_hosts: Literal["all"] | list[str] | None = None
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
        from providers.esxi.inventory import NotThere

        site = _Site(call.client, desired)
        try:
            hosts = site.hosts
        except NotThere:
            if call.before is None:
                raise
            return None  # it was there once: the cluster or host is gone, and its firewall with it
        seen = {host.name: _observed(host, desired, site.rulesets[host.name]) for host in hosts}
        return RulesetState(target=site.target, hosts=seen)

    def expected(self, desired: RulesetInputs, there: RulesetState) -> Mapping[str, Any]:
        rule: dict[str, Any] = {"enabled": desired.enabled}
        if desired.allowed_hosts is not None:
            rule["allowed_hosts"] = desired.allowed_hosts
        return {"hosts": dict.fromkeys(there.hosts, rule)}

    def apply(
        self, call: Call[VSphere, RulesetState], desired: RulesetInputs, there: RulesetState | None
    ) -> Mapping[str, str]:
        site = _Site(call.client, desired)
        site.refuse_unknown()
        # What `there` doesn't show isn't touched: nobody could put it back later.
        shown = {name for name, rule in there.hosts.items() if rule.enabled is not None} if there else set()
        hidden = {host.name: site.why_hidden(host, shown) for host in site.hosts}
        wanted = {
            host.name: _wanted(host, desired, site.rulesets[host.name]) for host in site.hosts if not hidden[host.name]
        }
        return site.change(call, wanted, desired.at_once, hidden)

    def remove(
        self, call: Call[VSphere, RulesetState], desired: RulesetInputs, there: RulesetState
    ) -> Mapping[str, str]:
        if desired.on_delete == "keep" or call.before is None:
            return {}
        site = _Site(call.client, desired)
        hidden: dict[str, str] = {}
        back: dict[str, Ruleset] = {}
        for host in site.hosts:
            rule = call.before.hosts.get(host.name)
            known = site.rulesets[host.name]
            if rule is None or rule.enabled is None:
                continue  # never changed by us
            if rule.ruleset in known:
                back[host.name] = _restored(rule, known)
            else:
                hidden[host.name] = site.why_hidden(host)
        return site.change(call, back, desired.at_once, hidden)

    def remember(self, kept: RulesetState | None, seen: RulesetState | None) -> RulesetState | None:
        """A host that joined later is remembered as it came; one that left is forgotten."""
        if kept is None or seen is None:
            return kept or seen
        known = {name: rule for name, rule in kept.hosts.items() if rule.enabled is not None}
        return seen.model_copy(update={"hosts": {name: known.get(name, rule) for name, rule in seen.hosts.items()}})

    def incomplete(self, desired: RulesetInputs, failed: Mapping[str, str]) -> DrydockError:
        return Permanent(
            f"{len(failed)} host{'s were' if len(failed) > 1 else ' was'} not changed",
            on=self.describe(desired),
            remedy="The others are done. Mend these, then run the same command again: it changes only them.",
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
        hosts: host name → ruleset, enabled, allowed_hosts, reason. A host that doesn't show the ruleset (it is not
            connected, or doesn't have it) has only the reason.

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
            self._rulesets = self._firewalls.rulesets(self.hosts)
        return self._rulesets

    def refuse_unknown(self) -> None:
        """Where no host that shows its firewall has the ruleset, its name is wrong."""
        from providers.esxi.firewall import key_on, unknown_ruleset

        shown = [(host, self.rulesets[host.name]) for host in self.hosts if self.rulesets[host.name]]
        if shown and not any(key_on(self._desired.ruleset, known) in known for _, known in shown):
            host, known = shown[0]
            raise unknown_ruleset(host, key_on(self._desired.ruleset, known), known)

    def why_hidden(self, host: Host, shown: Container[str] | None = None) -> str:
        """Why a host doesn't show the ruleset, or didn't when the change began; empty where it does."""
        why = _why_hidden(host, self._desired, self.rulesets[host.name])
        return why or ("" if shown is None or host.name in shown else _CAME_BACK)

    def change(
        self,
        call: Call[VSphere, RulesetState],
        wanted: Mapping[str, Ruleset],
        at_once: int,
        hidden: Mapping[str, str],
    ) -> dict[str, str]:
        """Changes the hosts that differ, several at once; returns those that could not be, with the reason.

        Args:
            wanted: host name → ruleset.
            at_once: hosts changed at the same time.
            hidden: host name → why it can't be changed; an empty reason is none.
        """
        todo = [host for host in self.hosts if host.name in wanted and self._differs(host, wanted[host.name])]
        failed = {name: why for name, why in hidden.items() if why}
        done = itertools.count(1)

        def one(host: Host) -> None:
            rule = wanted[host.name]
            try:
                self._persist(host, rule)
                call.say(f"host {host.name}: {rule.key} is {_words(rule)} ({next(done)} of {len(todo)})")
            except SessionLost:
                raise  # the kit logs in again, and goes on where this ended
            except DrydockError as error:
                if len(self.hosts) == 1:
                    raise
                failed[host.name] = error.what

        if failed and len(self.hosts) == 1:
            host = self.hosts[0]
            raise Permanent(failed[host.name], on=f"host {host.name}", remedy=_MEND_HOST)
        if todo:
            with ThreadPoolExecutor(max_workers=min(at_once, len(todo))) as pool:
                for change in [pool.submit(one, host) for host in todo]:
                    change.result()
        return dict(sorted(failed.items()))

    def _persist(self, host: Host, wanted: Ruleset) -> None:
        """Tries one host's change again where its error may pass; a lost session is not a host's matter."""
        lost: list[SessionLost] = []

        def attempt() -> None:
            try:
                self._change(host, wanted)
            except SessionLost as error:
                lost.append(error)

        policy = HOST_RETRIES if len(self.hosts) > 1 else _KIT_RETRIES
        with_retries(attempt, policy)
        if lost:
            raise lost[0]

    def _change(self, host: Host, wanted: Ruleset) -> None:
        if not host.connected:
            raise Permanent(_NOT_CONNECTED, on=f"host {host.name}", remedy=_MEND_HOST)
        self._firewalls.apply(host, wanted, self.rulesets[host.name][wanted.key])

    def _differs(self, host: Host, wanted: Ruleset) -> bool:
        there = self.rulesets[host.name][wanted.key]
        return (there.enabled, there.allowed_hosts) != (wanted.enabled, wanted.allowed_hosts)

    def _find(self) -> list[Host]:
        if self._desired.host:
            return [self._inventory.host(self._desired.host)]
        return self._inventory.hosts_of_cluster(self._desired.cluster or "")


def _observed(host: Host, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> HostRule:
    from providers.esxi.firewall import VIC, VSPC, key_on

    hidden = _why_hidden(host, desired, known)
    if hidden:
        return HostRule(ruleset=key_on(desired.ruleset, known) if known else desired.ruleset, reason=hidden)
    rule = known[key_on(desired.ruleset, known)]
    allowed = rule.allowed_hosts if isinstance(rule.allowed_hosts, str) else list(rule.allowed_hosts)
    found = {"ruleset": rule.key, "enabled": rule.enabled, "allowed_hosts": allowed}
    if desired.ruleset == VIC and rule.key == VSPC:
        found["reason"] = _ALL_TCP
    return HostRule.model_validate(found)


def _why_hidden(host: Host, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> str:
    """Empty where the host shows the ruleset."""
    from providers.esxi.firewall import key_on, unknown_ruleset

    if not known:
        return "it shows no firewall" if host.connected else _NOT_CONNECTED
    key = key_on(desired.ruleset, known)
    return "" if key in known else unknown_ruleset(host, key, known).what


def _wanted(host: Host, desired: RulesetInputs, known: Mapping[str, Ruleset]) -> Ruleset:
    from providers.esxi.firewall import key_on

    rule = known[key_on(desired.ruleset, known)]
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
    allowed = ALL if before.allowed_hosts is None else before.allowed_hosts
    return replace(known[before.ruleset], enabled=bool(before.enabled), allowed_hosts=_as_tuple(allowed))


def _words(rule: Ruleset) -> str:
    return "open" if rule.enabled else "closed"


def _as_tuple(allowed: str | Sequence[str]) -> str | tuple[str, ...]:
    return allowed if isinstance(allowed, str) else tuple(allowed)
