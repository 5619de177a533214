"""Finds clusters and hosts by inventory path or by name, in one look, and names near ones when there is none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyVmomi import vim

from providers.esxi.vsphere import VSphere
from providers.kit.errors import Permanent


@dataclass(frozen=True)
class Host:
    """An ESXi host.

    Args:
        moref: the managed object.
        name: its name, unique in a vCenter.
        path: its inventory path.
        version: ESXi's version.
        connected: whether the vCenter can change it now.
        firewall: its HostFirewallSystem.
    """

    moref: Any
    name: str
    path: str
    version: str
    connected: bool
    firewall: Any


class Inventory:
    """Everything that the lookups need, read in one call."""

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere

    def hosts_of_cluster(self, cluster: str) -> list[Host]:
        """The hosts of a cluster, by name; none of them is left out, connected or not."""
        found = self._find("cluster", cluster, vim.ClusterComputeResource)
        return sorted((self._hosts[one._moId] for one in self._objects[found]["host"]), key=lambda host: host.name)

    def host(self, name: str) -> Host:
        """One host, of a cluster or alone."""
        found = self._find("host", name, vim.HostSystem, also=self._standalone)
        return self._hosts[found._moId]

    def path_of_cluster(self, cluster: str) -> str:
        return self._path(self._find("cluster", cluster, vim.ClusterComputeResource))

    @cached_property
    def _objects(self) -> dict[Any, dict[str, Any]]:
        tree = ["name", "parent"]
        host = [*tree, "configManager.firewallSystem", "runtime.connectionState", "config.product.version"]
        kinds = {
            vim.Folder: tree,
            vim.Datacenter: tree,
            vim.ComputeResource: [*tree, "host"],
            vim.HostSystem: host,
        }
        return dict(self._vsphere.collect(kinds))

    @cached_property
    def _hosts(self) -> dict[str, Host]:
        return {
            moref._moId: Host(
                moref=moref,
                name=known["name"],
                path=self._path(moref),
                version=known.get("config.product.version", ""),
                connected=known.get("runtime.connectionState") == "connected",
                firewall=known.get("configManager.firewallSystem"),
            )
            for moref, known in self._objects.items()
            if isinstance(moref, vim.HostSystem)
        }

    @cached_property
    def _standalone(self) -> Mapping[str, Any]:
        """A standalone host's compute resource has the host's name; its path is what people copy from a client."""
        alone = [one for one in self._objects if type(one) is vim.ComputeResource]
        return {self._path(one): self._objects[one]["host"][0] for one in alone if self._objects[one]["host"]}

    def _path(self, moref: Any) -> str:
        parts: list[str] = []
        while moref in self._objects:
            parts.insert(0, self._objects[moref]["name"])
            moref = self._objects[moref].get("parent")
        return "/" + "/".join(parts)

    def _find(self, what: str, name: str, kind: type, also: Mapping[str, Any] | None = None) -> Any:
        paths = {self._path(one): one for one in self._objects if isinstance(one, kind)}
        if name in paths:
            return paths[name]
        if also and name in also:
            return also[name]
        same = [path for path in paths if path.rpartition("/")[2] == name]
        if len(same) == 1:
            return paths[same[0]]
        if same:
            raise Permanent(
                f"{what} '{name}' stands for {len(same)}: {', '.join(sorted(same))}",
                on=self._vsphere.endpoint.label,
                remedy="Give the inventory path of the one that you mean.",
            )
        raise self._unknown(what, name, list(paths))

    def _unknown(self, what: str, name: str, paths: list[str]) -> Permanent:
        names = {path.rpartition("/")[2]: path for path in paths}
        near = difflib.get_close_matches(name.rpartition("/")[2], names, n=3, cutoff=0.5)
        known = near or sorted(names)[:10]
        remedy = (
            f"{'Near names' if near else 'There are'}: {', '.join(known)}." if known else f"It has no {what} at all."
        )
        return Permanent(f"there is no {what} '{name}'", on=self._vsphere.endpoint.label, remedy=remedy)
