"""An array that one of a host's systems has, as its rulesets or services: read for many hosts at once, by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.esxi.inventory import Host
from providers.esxi.vsphere import VSphere


class HostElements:
    """The array of many hosts.

    Args:
        vsphere: the session.
        kind: managed object type of the hosts' `Host.system`.
        array: path of an array whose elements have a ``key``.
    """

    def __init__(self, vsphere: VSphere, kind: Any, array: str) -> None:
        self._vsphere = vsphere
        self._kind = kind
        self._array = array

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Host name → key → element, in one call for all hosts; what a host doesn't show is left out."""
        systems = _systems(hosts)
        found = self._vsphere.elements(self._kind, self._array, keys, systems)
        return {host.name: {} for host in hosts} | {systems[one]: known for one, known in found.items()}

    def read_all(self, hosts: Sequence[Host]) -> dict[str, dict[str, Any]]:
        """As `read`, with every element."""
        systems = _systems(hosts)
        found = self._vsphere.collect({self._kind: [self._array]}, systems)
        shown = {systems[one]: {each.key: each for each in known.get(self._array, [])} for one, known in found}
        return {host.name: {} for host in hosts} | shown

    def keys(self, host: Host) -> list[str]:
        """Every key that a host has."""
        return sorted(self.read_all([host])[host.name])


def _systems(hosts: Sequence[Host]) -> dict[Any, str]:
    return {host.system: host.name for host in hosts if host.system is not None}
