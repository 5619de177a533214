"""esxi.FirewallDefaults: what ESXi's firewall does with traffic that no ruleset speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pulumi
from pydantic import Field, model_validator
from typing_extensions import Unpack

from providers.esxi.resources.hosts import HostPart, HostsInputs, HostsProvider, HostsResource, HostsState, Where

if TYPE_CHECKING:
    from providers.esxi.firewall_policy import Policy
    from providers.esxi.fleet import Client
    from providers.esxi.vsphere import VSphere


class DefaultsInputs(HostsInputs):
    """Arguments of `FirewallDefaults`."""

    incoming_blocked: bool | None = Field(None, description="Whether connections to the host are refused.")
    outgoing_blocked: bool | None = Field(None, description="Whether connections from the host are refused.")
    allow_lockout: bool = Field(False, description="Whether it may cut us off from the host.")

    @model_validator(mode="after")
    def _something(self) -> DefaultsInputs:
        if self.incoming_blocked is None and self.outgoing_blocked is None:
            raise ValueError("give 'incoming_blocked' or 'outgoing_blocked'")
        return self


class HostPolicy(HostPart):
    """One host's default policy, and why a stricter one would lock us out; absent where it would not."""

    incoming_blocked: bool | None = None
    outgoing_blocked: bool | None = None
    incoming_lockout: str | None = None
    outgoing_lockout: str | None = None

    @property
    def which(self) -> str:
        return "default policy"

    @property
    def shown(self) -> bool:
        return self.incoming_blocked is not None


class DefaultsState(HostsState):
    """Every host's default policy."""

    hosts: dict[str, HostPolicy]


class DefaultsProvider(HostsProvider[DefaultsInputs, DefaultsState, HostPolicy, "Policy"]):
    """Sets the default policy."""

    kind = "esxi.FirewallDefaults"
    inputs = DefaultsInputs
    state = DefaultsState
    part = HostPolicy
    setting = "firewall"
    without_calls = HostsProvider.without_calls | {"allow_lockout"}

    def client(self, vsphere: VSphere) -> Client[Policy]:
        from providers.esxi.firewall_policy import FirewallPolicies

        return FirewallPolicies(vsphere)

    def keys(self, desired: DefaultsInputs) -> list[str]:
        return ["default policy"]

    def show(self, desired: DefaultsInputs, there: Policy) -> Mapping[str, Any]:
        return {
            "incoming_blocked": there.incoming_blocked,
            "outgoing_blocked": there.outgoing_blocked,
            "incoming_lockout": there.incoming_lockout or None,
            "outgoing_lockout": there.outgoing_lockout or None,
        }

    def hide(self, key: str) -> Mapping[str, Any]:
        return {}

    def wanted(self, desired: DefaultsInputs, there: Policy) -> Policy:
        incoming, outgoing = desired.incoming_blocked, desired.outgoing_blocked
        return replace(
            there,
            incoming_blocked=there.incoming_blocked if incoming is None else incoming,
            outgoing_blocked=there.outgoing_blocked if outgoing is None else outgoing,
            incoming_lockout="" if desired.allow_lockout else there.incoming_lockout,
            outgoing_lockout="" if desired.allow_lockout else there.outgoing_lockout,
        )

    def restored(self, before: HostPolicy, there: Policy) -> Policy:
        return replace(
            there,
            incoming_blocked=bool(before.incoming_blocked),
            outgoing_blocked=bool(before.outgoing_blocked),
        )

    def expected_on(self, desired: DefaultsInputs, part: HostPolicy) -> Mapping[str, Any]:
        return _given(desired)

    def refusal(self, desired: DefaultsInputs, part: HostPolicy) -> tuple[str, str] | None:
        if desired.allow_lockout:
            return None
        if desired.incoming_blocked and not part.incoming_blocked and part.incoming_lockout:
            return "incoming_blocked", f"{part.incoming_lockout}; open it first, or set `allow_lockout=True`"
        if desired.outgoing_blocked and not part.outgoing_blocked and part.outgoing_lockout:
            return "outgoing_blocked", f"{part.outgoing_lockout}; open it first, or set `allow_lockout=True`"
        return None

    def words(self, value: Policy) -> str:
        ways = [("incoming", value.incoming_blocked), ("outgoing", value.outgoing_blocked)]
        return ", ".join(f"{way} is {'blocked' if blocked else 'let through'} by default" for way, blocked in ways)


class FirewallDefaults(HostsResource, module="esxi", name="FirewallDefaults"):
    """What ESXi's firewall does, by default, with traffic that no ruleset speaks of (vSphere API: DefaultPolicy).

    Args:
        resource_name: Pulumi's name.
        cluster, host, hosts: which hosts, as for `FirewallRuleset`.
        incoming_blocked: whether connections to the host are refused; absent: left as it is.
        outgoing_blocked: whether connections from the host are refused; absent: left as it is.
        allow_lockout: whether it may cut us off; default False: blocking what comes in is refused on a host whose
            ruleset vSphereClient is not open for us (the vCenter, or on a standalone host this machine), and blocking
            what goes out where vpxHeartbeats is not open for the vCenter.
        allow_empty, on_delete, at_once: as for `FirewallRuleset`.

    Outputs:
        target: inventory path of the cluster or host.
        hosts: host name → path, incoming_blocked, outgoing_blocked, incoming_lockout and outgoing_lockout (why a
            block would lock us out), reason, error.

    Errors: as of `FirewallRuleset`; what would lock us out is refused in the preview.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        incoming_blocked: pulumi.Input[bool] | None = None,
        outgoing_blocked: pulumi.Input[bool] | None = None,
        allow_lockout: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **where: Unpack[Where],
    ) -> None:
        arguments = {
            "incoming_blocked": incoming_blocked,
            "outgoing_blocked": outgoing_blocked,
            "allow_lockout": allow_lockout,
        }
        super().__init__(DefaultsProvider(), resource_name, {**arguments, **where}, opts)


def _given(desired: DefaultsInputs) -> dict[str, bool]:
    ways = {"incoming_blocked": desired.incoming_blocked, "outgoing_blocked": desired.outgoing_blocked}
    return {name: value for name, value in ways.items() if value is not None}
