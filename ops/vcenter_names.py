"""Whether the names in a stack's settings stand for something in the vCenter, for preflight; near ones where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from providers.esxi.inventory import Inventory
from providers.kit.errors import DrydockError
from providers.kit.model import nearest

if TYPE_CHECKING:
    from providers.esxi.vsphere import VSphere
    from settings import Settings


_ROLES = ("public_network", "client_network", "management_network")
_COMPUTE = (vim.ComputeResource, vim.ResourcePool, vim.HostSystem)


@dataclass(frozen=True)
class _Wanted:
    """A name that must stand for something: in which setting, and what it names."""

    setting: str
    what: str
    kind: Any
    name: str


def missing(session: VSphere, settings: Settings) -> list[str]:
    """One line for each name that stands for nothing."""
    inventory = Inventory(session)
    problems = []
    if settings.firewall:
        problems += _place(inventory, "firewall", settings.firewall)
    if settings.vm:
        problems += _place(inventory, "vm", settings.vm)
    wanted = (_of_vm(settings.vm) if settings.vm else []) + (_of_vch(settings.vch) if settings.vch else [])
    return problems + (_named(session, wanted) if wanted else [])


def _place(inventory: Inventory, part: str, where: Any) -> list[str]:
    """The cluster, host or hosts of a component."""
    problems = []
    for setting in ("cluster", "host", "hosts"):
        given = getattr(where, setting, None) or []
        for name in [given] if isinstance(given, str) else given:
            try:
                (inventory.path_of_cluster if setting == "cluster" else inventory.host)(name)
            except DrydockError as error:
                problems.append(f"setting {part}.{setting}: {error}")
    return problems


def _of_vm(vm: Any) -> list[_Wanted]:
    return [
        _Wanted("vm.datacenter", "datacenter", vim.Datacenter, vm.datacenter),
        _Wanted("vm.datastore", "datastore", vim.Datastore, vm.datastore),
        _Wanted("vm.network", "network", vim.Network, vm.network),
    ]


def _of_vch(vch: Any) -> list[_Wanted]:
    """NFS volume stores aren't the vCenter's; what isn't set is vic-machine's to choose."""
    stores = {"image_store": vch.image_store} | {f"volume_stores.{one}": at for one, at in vch.volume_stores.items()}
    wanted = [
        _Wanted(f"vch.{setting}", "datastore", vim.Datastore, place.removeprefix("ds://").partition("/")[0])
        for setting, place in stores.items()
        if place and not place.startswith("nfs://")
    ]
    networks = {"bridge_network": vch.bridge_network} | {
        role: one.name for role in _ROLES if (one := getattr(vch, role)) is not None
    }
    wanted += [_Wanted(f"vch.{setting}", "network", vim.Network, name) for setting, name in networks.items() if name]
    places = {"datacenter": (vim.Datacenter, vch.datacenter), "compute_resource": (_COMPUTE, vch.compute_resource)}
    return wanted + [
        _Wanted(f"vch.{setting}", setting.replace("_", " "), kind, name)
        for setting, (kind, name) in places.items()
        if name
    ]


def _named(session: VSphere, wanted: Sequence[_Wanted]) -> list[str]:
    kinds = {kind for one in wanted for kind in (one.kind if isinstance(one.kind, tuple) else (one.kind,))}
    there = [(one, str(known["name"])) for one, known in session.collect({kind: ["name"] for kind in kinds})]
    problems = []
    for one in wanted:
        names = {name for found, name in there if isinstance(found, one.kind)}
        if one.name.rstrip("/").rpartition("/")[2] not in names:
            near = nearest(one.name, sorted(names))
            problems.append(f"setting {one.setting}: {session.endpoint.label} has no {one.what} '{one.name}'{near}")
    return problems
