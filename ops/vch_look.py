"""What a vCenter's VCHs are like, read through vSphere alone, for `vch list` and `vch inspect`; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops.vch_stack import unknown
from providers.kit.errors import Permanent
from providers.vic import docker_api
from providers.vic.certificates import Material, shown
from providers.vic.resources.state import api_there, doors, entrance_of, fitting, machine_there
from providers.vic.settings import TlsMode
from providers.vic.vm import Site, Vch, read

if TYPE_CHECKING:
    from providers.esxi.vsphere import VSphere

STARTED = "true"
NOTHING_YET = "not reported"

_TITLES = ("NAME", "ID", "VERSION", "POWER", "ADDRESS", "DOCKER", "COMPONENTS", "UPDATE", "STRANDED")
_GAP = "  "
_NONE = "-"


def site(session: VSphere) -> Site:
    """All VCHs and their containers."""
    return read(session)


def one(found: Site, name: str, where: str) -> Vch:
    """The VCH of that name, or of that VM's id.

    Raises:
        Permanent: there is none, with near names; or several, with their ids.
    """
    by_id = found.by_id(name)
    named = [by_id] if by_id is not None else found.named(name)
    if not named:
        line = unknown(name, [each.name for each in found.vchs], where)
        raise Permanent(line.partition(": ")[2].removesuffix("."), on=where, remedy="")
    if len(named) > 1:
        places = ", ".join(f"{each.id} in {each.pool_path}" for each in named)
        raise Permanent(
            f"there are several VCHs '{name}': {places}", on=where, remedy="Give the id in place of the name."
        )
    return named[0]


def summary(vch: Vch, found: Site) -> dict[str, Any]:
    """What `list` tells of one VCH, as plain values."""
    machine, ways = machine_there(vch, found, None), doors(vch, None, "")
    return {
        "name": vch.name,
        "id": vch.id,
        "version": vch.version,
        "power": machine["power"],
        "address": vch.addresses.get("client"),
        "docker_host": ways.get("docker_host"),
        "components": {name: state or NOTHING_YET for name, state in vch.started.items()},
        "update_in_progress": vch.update_in_progress,
        "stranded": machine["stranded"],
    }


def whole(vch: Vch, found: Site, material: Material | None = None, now: datetime | None = None) -> dict[str, Any]:
    """What `inspect` tells, as plain values.

    Args:
        vch: the VCH.
        found: where it is.
        material: what a client shows to its Docker API; without it only an API that lets everybody in is looked at.
        now: for the days left.
    """
    machine, ways = machine_there(vch, found, None), doors(vch, None, "")
    return {
        **summary(vch, found),
        "build": vch.build,
        "commit": vch.commit,
        "portal": ways.get("portal"),
        "docker_api": _api(vch, material or Material()),
        "addresses": vch.addresses,
        "pool": vch.pool_path,
        "in_its_own_pool": machine["pool"] != vch.pool_path,
        "folder": vch.folder_path,
        "iso": vch.iso or None,
        "snapshots": list(vch.snapshots),
        "networks": machine["networks"],
        "image_store": vch.image_store,
        "volume_stores": vch.volume_stores,
        "resources": {"endpoint_cpu": vch.cpu, "endpoint_memory_mb": vch.memory_mb},
        "containers": {each.name: _power(each.power) for each in found.containers_of(vch)},
        "vcenter": vch.target,
        "vcenter_thumbprint": vch.target_thumbprint,
        "user": vch.user,
        "tls": vch.tls_mode.value,
        "certificate": _certificate(vch, now),
    }


def table(rows: Sequence[Mapping[str, Any]], orphans: Sequence[str], where: str) -> str:
    """The VCHs as lines for a person.

    Args:
        rows: summaries.
        orphans: names of container VMs whose VCH is gone.
        where: what was looked at.
    """
    left = f"Container VMs whose VCH is gone: {', '.join(orphans)}" if orphans else ""
    if not rows:
        return "\n\n".join(filter(None, [f"{where}: no VCH", left]))
    cells = [_TITLES, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_TITLES))]
    lines = [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    errors = [
        f"{row['name']}: {name}: {state}"
        for row in rows
        for name, state in row["components"].items()
        if state not in (STARTED, NOTHING_YET)
    ]
    count = f"{where}: {len(rows)} VCH{'s' if len(rows) > 1 else ''}"
    return "\n\n".join(filter(None, [count, "\n".join(lines), "\n".join(errors), left]))


def page(told: Mapping[str, Any]) -> str:
    """All of one VCH, one line a fact."""
    lines: list[tuple[str, str]] = []
    for name, value in told.items():
        if isinstance(value, Mapping) and value and name not in ("certificate", "resources"):
            first = True
            for key, item in value.items():
                lines.append((name if first else "", f"{key}: {_text(item)}"))
                first = False
        else:
            lines.append((name, _text(value)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.replace('_', ' '):<{width}}{_GAP}{text}".rstrip() for name, text in lines)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["name"],
        row["id"],
        row["version"],
        row["power"],
        row["address"] or _NONE,
        row["docker_host"] or _NONE,
        _components(row["components"]),
        "in progress" if row["update_in_progress"] else _NONE,
        str(len(row["stranded"])) if row["stranded"] else _NONE,
    )


def _components(states: Mapping[str, str]) -> str:
    """``all started``, or what is not, in short."""
    failed = [name for name, state in states.items() if state not in (STARTED, NOTHING_YET)]
    waiting = [name for name, state in states.items() if state == NOTHING_YET]
    if failed:
        return f"failed: {', '.join(failed)}"
    if len(waiting) == len(states):
        return NOTHING_YET
    return f"not yet: {', '.join(waiting)}" if waiting else "all started"


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_text(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _certificate(vch: Vch, now: datetime | None) -> dict[str, Any] | None:
    if vch.server_certificate is None:
        return None
    seen = shown(vch.server_certificate)
    return {
        "names": list(seen.names),
        "not_after": seen.not_after.isoformat(),
        "days_left": seen.days_left(now),
        "fingerprint": seen.fingerprint,
    }


def _api(vch: Vch, material: Material) -> dict[str, Any]:
    """How its Docker API is, as far as we may look in."""
    fits = fitting(material, vch)
    entrance = entrance_of(vch, fits)
    view = None
    if vch.power != "poweredOn":
        view = docker_api.View("it is powered off")
    elif entrance is not None and (vch.tls_mode is not TlsMode.MUTUAL or entrance.client_cert):
        view = docker_api.look(entrance)
    told = api_there(vch, view, None)
    return {
        "status": told["docker_api"],
        "api_version": told.get("api_version") or None,
        "volume_stores_online": sorted(label for label, on in told.get("volume_stores_online", {}).items() if on),
    }


def _power(state: str) -> str:
    return {"poweredOn": "on", "poweredOff": "off"}.get(state, state)
