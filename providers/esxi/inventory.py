"""Finds clusters and hosts by inventory path or by name, in one look, and names near ones when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyVmomi import vim

from providers.esxi.names import near
from providers.esxi.vsphere import VSphere, inventory_path
from providers.kit.errors import Permanent

SHOWN_NAMES = 10

_MANAGED_BY = "summary.managementServerIp"


@dataclass(frozen=True)
class Host:
    """An ESXi host.

    Args:
        moref: the managed object.
        name: its name, unique in a vCenter.
        path: its inventory path.
        version: ESXi's version.
        connected: whether the vCenter can change it now.
        managed_by: address of the vCenter that manages it, as the host knows it; empty where none does.
        system: the part of its configuration that was asked for, for example its HostFirewallSystem.
    """

    moref: Any
    name: str
    path: str
    version: str
    connected: bool
    managed_by: str
    system: Any


class NotThere(Permanent):
    """No cluster or host has that name or path, or the cluster has no hosts."""


class Inventory:
    """Everything that the lookups need, read in one call.

    Args:
        vsphere: the session.
        system: which of a host's systems its `Host.system` is (vSphere API: HostConfigManager).
    """

    def __init__(self, vsphere: VSphere, system: str = "firewallSystem") -> None:
        self._vsphere = vsphere
        self._system = f"configManager.{system}"

    def all_hosts(self) -> list[Host]:
        """Every host that the user may see, by path."""
        return sorted(self._hosts.values(), key=lambda host: host.path)

    def hosts_of_cluster(self, cluster: str, *, allow_empty: bool = False) -> list[Host]:
        """The hosts of a cluster, by name; none of them is left out, connected or not.

        Args:
            cluster: its name or inventory path.
            allow_empty: whether it may have none.

        Raises:
            NotThere: there is no such cluster, or it has no hosts.
            Permanent: the name stands for several clusters, or the user may not see all hosts.
        """
        found = self._find("cluster", cluster, vim.ClusterComputeResource)
        members = self._objects[found].get("host") or []
        on = f"cluster {self._path(found)}"
        if not members and not allow_empty:
            raise NotThere(
                "the cluster has no hosts",
                on=on,
                remedy="Add hosts to it first, or set `allow_empty=True`.",
                argument="cluster",
            )
        unseen = [one._moId for one in members if one._moId not in self._hosts]
        if unseen:
            raise Permanent(
                f"the user can't see {len(unseen)} of its hosts ({', '.join(unseen)})",
                on=on,
                remedy="Grant System.View on them.",
            )
        return sorted((self._hosts[one._moId] for one in members), key=lambda host: host.name)

    def host(self, name: str) -> Host:
        """One host, of a cluster or alone.

        Raises:
            NotThere: there is no such host.
            Permanent: the name stands for several hosts.
        """
        found = self._find("host", name, vim.HostSystem, also=self._standalone)
        return self._hosts[found._moId]

    def path_of_cluster(self, cluster: str) -> str:
        return self._path(self._find("cluster", cluster, vim.ClusterComputeResource))

    @cached_property
    def _objects(self) -> dict[Any, dict[str, Any]]:
        tree = ["name", "parent"]
        host = [*tree, self._system, "runtime.connectionState", "summary.config.product.version", _MANAGED_BY]
        kinds = {
            vim.Folder: tree,
            vim.Datacenter: tree,
            vim.ComputeResource: [*tree, "host"],
            vim.HostSystem: host,
        }
        return dict(self._vsphere.host_tree(kinds))

    @cached_property
    def _hosts(self) -> dict[str, Host]:
        return {
            moref._moId: Host(
                moref=moref,
                name=known["name"],
                path=self._path(moref),
                version=known.get("summary.config.product.version", ""),
                connected=known.get("runtime.connectionState") == "connected",
                managed_by=known.get(_MANAGED_BY) or "",
                system=known.get(self._system),
            )
            for moref, known in self._objects.items()
            if isinstance(moref, vim.HostSystem)
        }

    @cached_property
    def _standalone(self) -> Mapping[str, Any]:
        """A standalone host's compute resource has the host's name; its path is what people copy from a client."""
        alone = [one for one in self._objects if type(one) is vim.ComputeResource]
        return {self._path(one): self._objects[one]["host"][0] for one in alone if self._objects[one].get("host")}

    def _path(self, moref: Any) -> str:
        return inventory_path(moref, self._objects)

    def _find(self, what: str, name: str, kind: type, also: Mapping[str, Any] | None = None) -> Any:
        paths = {self._path(one): one for one in self._objects if isinstance(one, kind)}
        path = "/" + name.strip("/")
        if path in paths:
            return paths[path]
        if also and path in also:
            return also[path]
        same = [one for one in paths if one.rpartition("/")[2] == name]
        if len(same) == 1:
            return paths[same[0]]
        if same:
            raise Permanent(
                f"{what} '{name}' stands for {len(same)}: {', '.join(sorted(same))}",
                on=self._vsphere.endpoint.label,
                remedy="Give the inventory path of the one that you mean.",
                argument=what,
            )
        raise self._unknown(what, name, list(paths))

    def _unknown(self, what: str, name: str, paths: list[str]) -> Permanent:
        """Names near ones: paths to who gave a path, else names."""
        offered = paths if "/" in name else [path.rpartition("/")[2] for path in paths]
        alike = near(name, offered)
        known = alike or sorted(set(offered))[:SHOWN_NAMES]
        remedy = (
            f"{'Near names' if alike else 'There are'}: {', '.join(known)}." if known else f"It has no {what} at all."
        )
        return NotThere(f"there is no {what} '{name}'", on=self._vsphere.endpoint.label, remedy=remedy, argument=what)
