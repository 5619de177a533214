"""The services of ESXi hosts (ssh, ntp, and the like): reading many at once and changing one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from providers.esxi.elements import HostElements
from providers.esxi.inventory import Host
from providers.esxi.vsphere import VSphere

SERVICES = "serviceInfo.service"


@dataclass(frozen=True)
class Service:
    """One service of one host.

    Args:
        key: its key, for example ``TSM-SSH``.
        running: whether it runs.
        policy: ``on`` (with the host), ``off`` (by hand) or ``automatic`` (while a port of its is open).
        required: whether ESXi refuses to stop it, and to change its policy.
    """

    key: str
    running: bool
    policy: str
    required: bool = False


class Services:
    """The services of many hosts (vSphere API: HostServiceSystem)."""

    system = "serviceSystem"

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere
        self._services = HostElements(vsphere, vim.host.ServiceSystem, SERVICES)

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> dict[str, dict[str, Service]]:
        """Host name → key → service, in one call for all hosts; what a host doesn't show is left out."""
        found = self._services.read(hosts, keys)
        return {host: {key: _service(one) for key, one in known.items()} for host, known in found.items()}

    def keys(self, host: Host) -> list[str]:
        """Every service that a host has, by key."""
        return self._services.keys(host)

    def apply(self, host: Host, wanted: Service, there: Service) -> None:
        """Makes one service as wanted, with only the calls that are missing; its policy first."""
        with self._vsphere.speaking(f"host {host.name}"):
            if wanted.policy != there.policy:
                host.system.UpdateServicePolicy(id=wanted.key, policy=wanted.policy)
            if wanted.running and not there.running:
                host.system.StartService(id=wanted.key)
            if there.running and not wanted.running:
                host.system.StopService(id=wanted.key)


def _service(one: Any) -> Service:
    return Service(one.key, bool(one.running), str(one.policy), bool(one.required))
