"""What the differences of a VCH come to: which steps mend them, what that costs, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from providers.kit.difference import Change
from providers.kit.errors import Permanent
from providers.vic.flags import Command, Version, has_command
from providers.vic.inspected import COSTS, Way, way_of
from providers.vic.resources.inputs import VchInputs
from providers.vic.resources.state import NO_CARD, VchState
from providers.vic.settings import Settings


class Step(str, Enum):
    """What is done, in this order."""

    REPLACE = "replace"
    FINISH = "finish"
    RESET = "reset the in-progress flag"
    MOVE = "move back"
    GATHER = "move its containers back"
    CONNECT = "connect its network cards"
    MOUNT = "put the ISO back"
    RESIZE = "resize"
    POWER_ON = "power on"
    UPGRADE = "upgrade"
    CONFIGURE = "configure"
    RESTART = "restart"
    TELL = "tell"
    NOTHING = "nothing"


# Arguments that change nothing on the VCH by themselves.
UNTOUCHED = frozenset(
    {"adopt", "bundle", "force_destroy_volumes", "renew_before", "replace_protection", "thumbprint", "timeout_s"}
)

# Arguments that no version's configure changes.
REPLACED = frozenset(
    {
        "name",
        "datacenter",
        "compute_resource",
        "image_store",
        "bridge_network",
        "bridge_network_range",
        "bridge_network_width",
        "public_network",
        "client_network",
        "management_network",
        "insecure_registries",
        "whitelist_registries",
        "base_image_size",
        "container_store",
        "asymmetric_routes",
        "use_rp",
    }
)

_RESTARTS = "the VCH restarts: containers go on, but its Docker API and their published ports pause meanwhile"
_COSTS: Mapping[Step, str] = {
    Step.REPLACE: COSTS[Way.REPLACE],
    Step.FINISH: "what a killed create left is finished, or removed and made again",
    Step.RESET: "only after looking that nobody else is at work on it",
    Step.MOVE: "nothing pauses",
    Step.GATHER: "nothing pauses",
    Step.CONNECT: "nothing restarts",
    Step.MOUNT: _RESTARTS,
    Step.RESIZE: _RESTARTS,
    Step.POWER_ON: "its Docker API comes back",
    Step.UPGRADE: COSTS[Way.UPGRADE],
    Step.CONFIGURE: COSTS[Way.CONFIGURE],
    Step.RESTART: _RESTARTS,
    Step.TELL: "this needs somebody's hands",
}

# Fields that no argument has, and what mends them.
_OBSERVED: Mapping[str, Step] = {
    "half_made": Step.FINISH,
    "update_in_progress": Step.RESET,
    "pool": Step.MOVE,
    "iso": Step.MOUNT,
    "power": Step.POWER_ON,
    "docker_api": Step.RESTART,
    "vcenter_thumbprint": Step.CONFIGURE,
    "vsphere_password": Step.CONFIGURE,
    "certificate": Step.CONFIGURE,
    "client_certificate": Step.CONFIGURE,
    "not_after": Step.CONFIGURE,
    "networks": Step.CONNECT,
    "volume_stores_online": Step.TELL,
    "stranded": Step.GATHER,
    "unfinished": Step.NOTHING,
    **dict.fromkeys(UNTOUCHED, Step.NOTHING),
}
_TLS = frozenset({"certificate", "client_certificate", "not_after", "certificates", "tls"})
_SIZE = frozenset({"endpoint_cpu", "endpoint_memory"})


def step_of(change: Change, desired: VchInputs) -> tuple[Step, str]:
    """What mends a change, and why not less where that needs saying."""
    group = change.path.partition(".")[0]
    version = desired.bundle.version
    if group in _SIZE:
        return Step.RESIZE, ""
    if group in REPLACED:
        return Step.REPLACE, ""
    if group == "networks" and change.there == NO_CARD:
        return Step.TELL, ""  # what else the card was set to, nobody knows
    if group in _OBSERVED:
        step = _OBSERVED[group]
        if step is Step.CONFIGURE and not has_command(version, Command.CONFIGURE):
            return Step.REPLACE, f"vic-machine {version} has no configure"
        return step, ""
    if group == "registry_cas" and _dropped(change):
        return Step.REPLACE, "configure can't take the last registry CA away"
    way, why = way_of(change, desired, version)
    return _STEPS[way], why


_STEPS: Mapping[Way, Step] = {
    Way.NONE: Step.NOTHING,
    Way.CONFIGURE: Step.CONFIGURE,
    Way.UPGRADE: Step.UPGRADE,
    Way.REPLACE: Step.REPLACE,
}


def steps(changes: Iterable[Change], desired: VchInputs) -> list[Step]:
    """The steps that the changes take, each once and in their order."""
    found = {step_of(one, desired)[0] for one in changes} - {Step.NOTHING}
    if Step.REPLACE in found:
        return [Step.REPLACE]
    # What restarts it anyway needs no restart of its own.
    if found & {Step.POWER_ON, Step.MOUNT, Step.RESIZE, Step.UPGRADE, Step.CONFIGURE, Step.FINISH}:
        found.discard(Step.RESTART)
    return [one for one in Step if one in found]


def configured(changes: Iterable[Change], desired: VchInputs) -> frozenset[str]:
    """The settings that configure is told of."""
    found = set()
    for one in changes:
        group = one.path.partition(".")[0]
        if step_of(one, desired)[0] is Step.CONFIGURE:
            if group in _TLS:
                found |= {"certificates" if desired.certificates is not None else "tls"}
            elif group == "vsphere_password":
                found |= {"ops_user"}
            elif group in Settings.model_fields:
                found |= {group}
    return frozenset(found)


def foretold(changes: Sequence[Change], desired: VchInputs, there: VchState) -> str:
    """The preview's word: which steps it will be and what each costs.

    Raises:
        Permanent: what the changes ask for is refused.
    """
    refuse_downgrade(desired, there)
    planned = steps(changes, desired)
    if planned == [Step.REPLACE]:
        refuse_replacement(changes, desired, there)
    told = [f"{one.value} ({_COSTS[one]})" for one in planned]
    if Step.REPLACE in planned:
        whys = dict.fromkeys(why for one in changes for step, why in [step_of(one, desired)] if why and step in planned)
        told += list(whys)
    switched = next((one for one in changes if one.path == "force_destroy_volumes"), None)
    if Step.REPLACE in planned and (switched.there if switched else desired.force_destroy_volumes):
        told = [f"{Step.REPLACE.value} (its containers and images are lost)", *told[1:]]
        told.append(f"since force_destroy_volumes is set, this destroys {_stores_and_volumes(there)}")
    elif switched and desired.force_destroy_volumes:
        told.append(f"from now on delete destroys {_stores_and_volumes(there)}")
    return ", ".join(told)


def refuse_downgrade(desired: VchInputs, there: VchState) -> None:
    """vic-machine can't go back to an earlier version."""
    if Version.of(desired.bundle.version) < Version.of(there.version):
        raise Permanent(
            f"it is version {there.version}, and vic-machine can't take it back to {desired.bundle.version}",
            on=f"VCH {there.name}",
            remedy=f"Give the bundle of version {there.version} or later.",
            argument="bundle",
        )


def refuse_replacement(changes: Sequence[Change], desired: VchInputs, there: VchState) -> None:
    """Containers and images don't survive a replacement."""
    if not desired.replace_protection:
        return
    held = holding(there)
    if held:
        names = sorted({one.path for one in changes if step_of(one, desired)[0] is Step.REPLACE})
        raise Permanent(
            f"{', '.join(names)} can only be changed by a replacement, which is refused: {held}",
            on=f"VCH {there.name}",
            remedy="Put the argument back, move what is there, or set `replace_protection=False` "
            f"({_COSTS[Step.REPLACE]}).",
        )


def holding(there: VchState) -> str:
    """What of the users' is on it, in words; empty where there is nothing."""
    parts = []
    if there.volumes:
        parts.append(f"its stores hold the volumes {', '.join(sorted(there.volumes))}")
    elif there.volumes is None and there.volume_stores:
        parts.append("which volumes its stores hold can't be seen")
    if there.running:
        parts.append(f"the containers {', '.join(there.running)} run")
    return " and ".join(parts)


def refuse_delete(there: VchState) -> None:
    """vic-machine would stop at the first container that runs, with half of the others gone."""
    if there.running:
        raise Permanent(
            f"the containers {', '.join(there.running)} run",
            on=f"VCH {there.name}",
            remedy="Stop them, then run it again.",
        )


def kept(there: VchState) -> str:
    """Where the users' data stay."""
    places = [f"'{label}' at {place}" for label, place in sorted(there.volume_stores.items())]
    return f"the volume stores {', '.join(places)} stay, with their volumes" if places else "it had no volume stores"


def _stores_and_volumes(there: VchState) -> str:
    places = [f"'{label}' at {place}" for label, place in sorted(there.volume_stores.items())]
    stores = f"the volume stores {', '.join(places)}" if places else "no volume store"
    volumes = f" with the volumes {', '.join(sorted(there.volumes))}" if there.volumes else ""
    return f"{stores}{volumes}"


def _dropped(change: Change) -> bool:
    return bool(change.there) and not change.wanted
