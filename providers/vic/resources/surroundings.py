"""What the arguments name and the vCenter doesn't have, and names that are taken: told before anything is changed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from providers.kit.errors import Permanent
from providers.vic.resources.inputs import VchInputs

if TYPE_CHECKING:
    from providers.vic.resources.session import Names
    from providers.vic.vm import Vch

_MOST_NAMES = 8


def missing(desired: VchInputs, there: Names) -> list[tuple[str, str]]:
    """Each argument that names what isn't there, with what is."""
    kinds = {
        "compute resource": there.computes,
        "datastore": there.datastores,
        "network": there.networks,
    }
    return [
        (argument, f"there is no {kind} '{name}'; there {_listed(name, kinds[kind])}")
        for argument, kind, name in _named(desired)
        if not {name, _last(name)} & kinds[kind]
    ]


def refuse_taken(desired: VchInputs, on: str, vch: Vch | None, there: Names) -> None:
    """The name may be somebody else's already."""
    if vch is not None:
        raise Permanent(
            f"exists already and was not made by this stack (VM {vch.id} in {vch.pool_path})",
            on=on,
            remedy="Choose another name, or set `adopt=True` to take it over.",
            argument="name",
        )
    if desired.name in there.beside:
        raise Permanent(
            "a VM or folder of this name that is no VCH exists already where it would get its own folder",
            on=on,
            remedy="Choose another name, or rename that one.",
            argument="name",
        )


def _named(desired: VchInputs) -> Iterator[tuple[str, str, str]]:
    """Argument, kind and name, which may be an inventory path."""
    if desired.compute_resource:
        yield "compute_resource", "compute resource", desired.compute_resource
    stores = {"image_store": desired.image_store, "container_store": desired.container_store}
    stores |= {f"volume_stores.{label}": place for label, place in desired.volume_stores.items()}
    for argument, place in stores.items():
        if place and not place.startswith("nfs://"):
            yield argument, "datastore", place.partition("/")[0]
    if desired.bridge_network:
        yield "bridge_network", "network", desired.bridge_network
    for role in ("public_network", "client_network", "management_network"):
        network = getattr(desired, role)
        if network is not None and network.name:
            yield f"{role}.name", "network", network.name
    for alias, joined in desired.container_networks.items():
        yield f"container_networks.{alias}.port_group", "network", joined.port_group


def _last(path: str) -> str:
    """In a name vSphere writes a slash as %2f."""
    return unquote(path.rstrip("/").rpartition("/")[2])


def _listed(name: str, known: frozenset[str]) -> str:
    """The names that there are, what is most like the wanted one first."""
    near = difflib.get_close_matches(name, known, n=_MOST_NAMES, cutoff=0.0)
    rest = sorted(known - set(near))
    shown = (near + rest)[:_MOST_NAMES]
    if not shown:
        return "is none at all"
    more = len(known) - len(shown)
    return f"{'is' if len(known) == 1 else 'are'} {', '.join(shown)}{f' and {more} more' if more else ''}"
