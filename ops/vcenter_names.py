"""Whether the names in a stack's settings stand for something in the vCenter, for preflight; near ones where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyVmomi import vim

from providers.esxi.inventory import Inventory
from providers.kit.errors import DrydockError
from providers.kit.model import nearest
from providers.vic.resources import surroundings
from providers.vic.resources.session import VicSession

if TYPE_CHECKING:
    from providers.esxi.vsphere import VSphere
    from settings import Settings


def missing(session: VSphere, settings: Settings) -> list[str]:
    """One line for each name that stands for nothing."""
    inventory = Inventory(session)
    problems = []
    if settings.firewall:
        problems += _place(inventory, "firewall", settings.firewall)
    if settings.vm:
        problems += _place(inventory, "vm", settings.vm)
        problems += _named(session, settings.vm)
    if settings.vch:
        # The provider's own look, which a preview takes as well.
        told = surroundings.missing(settings.vch, VicSession(session).names())
        problems += [f"setting vch.{name}: {session.endpoint.label}: {reason}" for name, reason in told]
    return problems


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


def _named(session: VSphere, vm: Any) -> list[str]:
    wanted = {
        vim.Datacenter: ("datacenter", vm.datacenter),
        vim.Datastore: ("datastore", vm.datastore),
        vim.Network: ("network", vm.network),
    }
    names: dict[type, set[str]] = {kind: set() for kind in wanted}
    for one, properties in session.collect({kind: ["name"] for kind in wanted}):
        for kind, known in names.items():
            if isinstance(one, kind):
                known.add(properties["name"])
    return [
        f"setting vm.{setting}: {session.endpoint.label} has no {setting} '{name}'{nearest(name, sorted(names[kind]))}"
        for kind, (setting, name) in wanted.items()
        if name.rpartition("/")[2] not in names[kind]
    ]
