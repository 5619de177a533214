"""Finds things in vSphere's inventory by the names and paths that people give; for all commands."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from lab.stand_ins.vic_machine import extra_config
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.vsphere import NotThere, Session, reference

CREATING = "CreatingVCH"
ROOT_POOL = "Resources"


class NotFound(Exception):
    """Nothing of that name; the text says of what kind, as Go's finder does."""


@dataclass(frozen=True)
class Place:
    """Where a VCH's pool is made.

    Args:
        compute: the cluster or host.
        path: its path in the inventory: ``/DC0/host/DC0_C0``.
        pool: its resource pool, or one below.
        pool_path: that one's path.
    """

    compute: Any
    path: str
    pool: Any
    pool_path: str


@dataclass(frozen=True)
class Found:
    """A VCH's VM, and where its pool is."""

    machine: Any
    name: str
    pool: Any
    pool_path: str


class Inventory:
    """One datacenter's things.

    Args:
        session: a login.
        datacenter: its name; nothing if there is only one.

    Raises:
        NotFound: there is no such datacenter, or more than one.
    """

    def __init__(self, session: Session, datacenter: str) -> None:
        self.session = session
        known = self._datacenters(session.content.rootFolder, "")
        if datacenter:
            known = [
                (path, one) for path, one in known if path.strip("/") == datacenter or path.endswith(f"/{datacenter}")
            ]
            if not known:
                raise NotFound(f'Datacenter "{datacenter}" in --target is not found')
        if len(known) != 1:
            many = (
                "Target should specify datacenter when there are multiple possibilities, e.g. https://addr/datacenter"
            )
            raise NotFound(many)
        self.path, self.datacenter = known[0]
        self.name = posixpath.basename(self.path)

    def computes(self) -> list[tuple[str, Any]]:
        """Clusters and hosts that stand alone: path below the host folder, and object."""
        return self._computes(self.session.get(self.datacenter, "hostFolder"), "")

    def place(self, given: str) -> Place:
        """Where a compute resource is: ``DC0_C0``, ``DC0_C0/pool``, or a whole path.

        Raises:
            NotFound: nowhere.
        """
        path = given
        if given.startswith(f"{self.path}/"):
            path = given[len(self.path) + 1 :].removeprefix("host/")
            path = path.replace(f"/{ROOT_POOL}", "", 1)
        path = path.strip("/")
        matching = [
            (name, one) for name, one in self.computes() if not path or path == name or path.startswith(f"{name}/")
        ]
        if not matching or (not path and len(matching) > 1):
            raise NotFound(f"compute resource '{given}' not found")
        name, compute = max(matching, key=lambda one: len(one[0]))
        pool = self.session.get(compute, "resourcePool")
        pool_path = f"{self.path}/host/{name}/{ROOT_POOL}"
        for part in path[len(name) :].strip("/").split("/"):
            if part:
                pool, pool_path = self.child_pool(pool, part), f"{pool_path}/{part}"
                if pool is None:
                    raise NotFound(f"compute resource '{given}' not found")
        return Place(compute, f"{self.path}/host/{name}", pool, pool_path)

    def child_pool(self, pool: Any, name: str) -> Any:
        """A pool or vApp in a pool; none if there is none."""
        below = list(self.session.get(pool, "resourcePool") or [])
        return next((one for known, one in self.session.names(below) if known == name), None)

    def machines_in(self, pool: Any) -> list[tuple[str, Any]]:
        """The VMs of a pool: name and object."""
        return self.session.names(list(self.session.get(pool, "vm") or []))

    def datastores(self) -> list[tuple[str, Any]]:
        return self.session.names(list(self.session.get(self.datacenter, "datastore") or []))

    def datastore(self, name: str) -> Any:
        """Raises NotFound where there is none of that name."""
        found = next((one for known, one in self.datastores() if known == name), None)
        if found is None:
            raise NotFound(f"datastore '{name}' not found")
        return found

    def networks(self) -> list[tuple[str, Any]]:
        return self.session.names(list(self.session.get(self.datacenter, "network") or []))

    def network(self, name: str) -> Any:
        """Raises NotFound where there is none of that name or path."""
        short = posixpath.basename(name)
        found = next((one for known, one in self.networks() if known == short), None)
        if found is None:
            raise NotFound(f"network '{name}' not found")
        return found

    def hosts(self, compute: Any, path: str) -> list[tuple[str, Any]]:
        """The hosts of a cluster: path in the inventory, and object."""
        hosts = self.session.names(list(self.session.get(compute, "host") or []))
        return [(f"{path}/{name}", host) for name, host in hosts]

    def hosts_with(self, datastore: Any, compute: Any, path: str) -> list[tuple[str, Any]]:
        """Those of them that have a datastore."""
        mounts = {str(mount.key._GetMoId()) for mount in self.session.get(datastore, "host") or []}
        hosts = self.hosts(compute, path)
        return [(name, host) for name, host in hosts if host._GetMoId() in mounts] if mounts else hosts

    def vchs(self, place: Place | None) -> list[Found]:
        """All VCHs below a place, or of the datacenter."""
        if place is not None:
            return self._vchs(place.pool, place.pool_path)
        found: list[Found] = []
        for name, compute in self.computes():
            pool = self.session.get(compute, "resourcePool")
            found += self._vchs(pool, f"{self.path}/host/{name}/{ROOT_POOL}")
        return found

    def is_vch(self, machine: Any) -> bool:
        """Whether a VM's settings say that it is a VCH: with its own id, or with none yet."""
        try:
            identity = Settings.of(self.session.extra_config(machine)).text("init/common/id")
        except NotThere:
            return False
        return identity.startswith(CREATING) or identity == reference(machine)

    def is_container(self, machine: Any) -> bool:
        """Whether a VM's settings say that it is a container of a VCH."""
        found = self.session.extra_config(machine)
        return any(key.startswith("guestinfo.vice./version/") for key in found) or any(
            key.startswith(extra_config.read_only("common/")) for key in found
        )

    def _vchs(self, pool: Any, path: str) -> list[Found]:
        found = [Found(machine, name, pool, path) for name, machine in self.machines_in(pool) if self.is_vch(machine)]
        for name, below in self.session.names(list(self.session.get(pool, "resourcePool") or [])):
            found += self._vchs(below, f"{path}/{name}")
        return found

    def _datacenters(self, folder: Any, path: str) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for name, one in self.session.names(list(self.session.get(folder, "childEntity") or [])):
            if isinstance(one, vim.Datacenter):
                found.append((f"{path}/{name}", one))
            elif isinstance(one, vim.Folder):
                found += self._datacenters(one, f"{path}/{name}")
        return found

    def _computes(self, folder: Any, path: str) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for name, one in self.session.names(list(self.session.get(folder, "childEntity") or [])):
            if isinstance(one, vim.ComputeResource):
                found.append((f"{path}{name}", one))
            elif isinstance(one, vim.Folder):
                found += self._computes(one, f"{path}{name}/")
        return found
