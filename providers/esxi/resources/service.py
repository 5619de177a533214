"""esxi.HostService: a service of ESXi hosts, running or not, and when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pulumi
from pydantic import Field, model_validator
from typing_extensions import Unpack

from providers.esxi.resources.hosts import HostPart, HostsInputs, HostsProvider, HostsResource, HostsState, Where

if TYPE_CHECKING:
    from providers.esxi.fleet import Client
    from providers.esxi.services import Service
    from providers.esxi.vsphere import VSphere


class ServiceInputs(HostsInputs):
    """Arguments of `HostService`."""

    service: str = Field(min_length=1, description="Key of the service, for example TSM-SSH or ntpd.")
    running: bool | None = Field(None, description="Whether it runs.")
    policy: Literal["on", "off", "automatic"] | None = Field(None, description="When it starts by itself.")

    @model_validator(mode="after")
    def _something(self) -> ServiceInputs:
        if self.running is None and self.policy is None:
            raise ValueError("give 'running' or 'policy'")
        return self


class HostServiceState(HostPart):
    """One host's service; where the host doesn't show it, only its key and the reason."""

    service: str
    running: bool | None = None
    policy: str | None = None
    required: bool | None = None

    @property
    def which(self) -> str:
        return self.service

    @property
    def shown(self) -> bool:
        return self.running is not None


class ServiceState(HostsState):
    """Every host's service."""

    hosts: dict[str, HostServiceState]


class ServiceProvider(HostsProvider[ServiceInputs, ServiceState, HostServiceState, "Service"]):
    """Starts or stops one service, and sets its policy."""

    kind = "esxi.HostService"
    inputs = ServiceInputs
    state = ServiceState
    part = HostServiceState
    setting = "service"
    named_by = "service"
    replace_on = HostsProvider.replace_on | {"service"}

    def client(self, vsphere: VSphere) -> Client[Service]:
        from providers.esxi.services import Services

        return Services(vsphere)

    def show(self, desired: ServiceInputs, there: Service) -> Mapping[str, Any]:
        found: dict[str, Any] = {"service": there.key, "running": there.running, "policy": there.policy}
        return {**found, "required": True} if there.required else found

    def hide(self, key: str) -> Mapping[str, Any]:
        return {"service": key}

    def wanted(self, desired: ServiceInputs, there: Service) -> Service:
        return replace(there, **_given(desired))

    def restored(self, before: HostServiceState, there: Service) -> Service:
        return replace(there, running=bool(before.running), policy=before.policy or there.policy)

    def expected_on(self, desired: ServiceInputs, part: HostServiceState) -> Mapping[str, Any]:
        return _given(desired)

    def refusal(self, desired: ServiceInputs, part: HostServiceState) -> tuple[str, str] | None:
        if part.required and desired.running is False:
            return "running", f"the service '{part.service}' is required and can't be stopped"
        if part.required and desired.policy not in (None, part.policy):
            return "policy", f"the service '{part.service}' is required, its policy stays '{part.policy}'"
        return None

    def words(self, value: Service) -> str:
        return f"{value.key} {'runs' if value.running else 'is stopped'}, policy {value.policy}"


class HostService(HostsResource, module="esxi", name="HostService"):
    """A service of ESXi hosts (vSphere API: HostServiceSystem).

    Args:
        resource_name: Pulumi's name.
        cluster, host, hosts: which hosts, as for `FirewallRuleset`.
        service: its key, for example ``TSM-SSH`` (ssh), ``TSM`` (the shell), ``ntpd``.
        running: whether it runs; absent: left as it is.
        policy: ``on`` starts and stops it with the host, ``off`` leaves it to people, ``automatic`` runs it while a
            port of its is open in the firewall; absent: left as it is.
        allow_empty, on_delete, at_once: as for `FirewallRuleset`.

    Outputs:
        target: inventory path of the cluster or host.
        hosts: host name → path, service, running, policy, reason, error.

    Errors: as of `FirewallRuleset`; stopping a required service is refused in the preview.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        service: pulumi.Input[str],
        running: pulumi.Input[bool] | None = None,
        policy: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **where: Unpack[Where],
    ) -> None:
        arguments = {"service": service, "running": running, "policy": policy}
        super().__init__(ServiceProvider(), resource_name, {**arguments, **where}, opts)


def _given(desired: ServiceInputs) -> dict[str, Any]:
    asked = {"running": desired.running, "policy": desired.policy}
    return {name: value for name, value in asked.items() if value is not None}
