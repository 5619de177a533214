"""``inspect config``: shows the flags that would make a VCH again, as far as they can be told from it."""

from __future__ import annotations

import posixpath
import sys
from typing import Any

from lab.stand_ins.vic_machine import inspect, vch_settings, wanted
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.command_line import flags_of
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.inventory import Found, Inventory
from lab.stand_ins.vic_machine.vsphere import NotThere, Session

_PROXIES = (("http-proxy", "HTTP_PROXY"), ("https-proxy", "HTTPS_PROXY"), ("no-proxy", "NO_PROXY"))


def run(command: Command) -> None:
    """Shows a VCH's flags: ``raw`` in one line on standard output, ``verbose`` in the log.

    Raises:
        Refused: it isn't there.
    """
    raw = command.options.text("format") == "raw"
    if not raw and command.options.text("format") != "verbose":
        shown = command.options.text("format")
        command.log.warning(f"Invalid configuration output format '{shown}'. Valid options are raw, verbose.")
        command.log.warning("Using verbose configuration format")
    inventory = inspect.connected(command)
    with command.in_time(inventory, "Inspect"):
        found, settings = inspect.chosen(command, inventory)
        said = lines(command, inventory, found, settings)
    if raw:
        sys.stdout.write(" ".join(said) + "\n")
        sys.stdout.flush()
        return
    command.log.info("")
    command.log.info("Target VCH created with the following options: \n\n\t{}\n".format("\n\t".join(said)))


def lines(command: Command, inventory: Inventory, found: Found, settings: Settings) -> list[str]:
    """Flag and value, in the order of create's flags; those with their default are left out."""
    values = _values(inventory, found, settings)
    said: list[str] = []
    for flag in flags_of(command.build, "create"):
        said += [f"--{flag.name}={one}" for one in values.get(flag.name, []) if one and one != flag.default]
    return said


def _values(inventory: Inventory, found: Found, settings: Settings) -> dict[str, list[str]]:
    session = inventory.session
    store = settings.text("storage/image_stores|0/Host")
    # What the VCH keeps is a path of its own; the real one takes that for added, and drops the last part.
    path = posixpath.dirname(settings.text("storage/image_stores|0/Path"))
    values = {
        "target": [settings.text("connect/target")],
        "thumbprint": [settings.text("connect/target_thumbprint")],
        "name": [settings.hidden("init/common/name")],
        "compute-resource": [posixpath.dirname(found.pool_path)],
        "ops-user": [settings.text("connect/username")],
        "image-store": [f"ds://{store}/{path}" if path else f"ds://{store}"],
        "volume-store": [_volume_store(settings, label) for label in settings.names("storage/VolumeLocations")],
        "container-name-convention": [settings.text("container/ContainerNameConvention")],
        "dns-server": _addresses(settings, "init/networks|client/network/dns"),
        "storage-quota": [_positive(settings.number("storage/storage_quota") // vch_settings.GIB_BYTES)],
        "containers": [_positive(settings.number("container/container_count"))],
        "debug": [_positive(settings.number("init/diagnostics/debug"))],
        "insecure-registry": settings.texts("registry/insecure_registries"),
        "whitelist-registry": settings.texts("registry/whitelist_registries"),
        "bridge-network-range": [_range(settings)],
        "bridge-network-width": [_positive(settings.prefix("network/bridge-net-width"))],
        "affinity-vm-group": ["true" if settings.text("container/UseVMGroup") == "true" else ""],
        "asymmetric-routes": ["true" if settings.text("init/asymrouting") == "true" else ""],
        "ops-grant-perms": ["true" if settings.text("grant_permissions") else ""],
    }
    syslog = settings.text("init/diagnostics/syslog/RAddr")
    values["syslog-address"] = [f"{settings.text('init/diagnostics/syslog/Network')}://{syslog}" if syslog else ""]
    for flag, name in _PROXIES:
        environment = settings.texts("init/sessions|docker-personality/cmd/Env")
        values[flag] = [one.partition("=")[2] for one in environment if one.startswith(f"{name}=")]
    values |= _networks(session, settings)
    values |= _container_networks(session, settings)
    values |= _machine(session, found)
    return values


def _networks(session: Session, settings: Settings) -> dict[str, list[str]]:
    names = {role: _network_name(session, settings, role) for role in ("bridge", "public", "client", "management")}
    values = {"bridge-network": [names["bridge"]], "public-network": [names["public"]]}
    values["client-network"] = [names["client"] if names["client"] != names["public"] else ""]
    values["management-network"] = [names["management"] if names["management"] != names["client"] else ""]
    for role in ("public", "client", "management"):
        ip = settings.address(f"init/networks|{role}/ip/IP")
        shared = role != "public" and names[role] == names["public"]
        if ip is None or shared:
            continue
        values[f"{role}-network-ip"] = [f"{ip}/{settings.prefix(f'init/networks|{role}/ip/Mask')}"]
        gateway = settings.address(f"init/networks|{role}/network/gateway/IP")
        if gateway is not None:
            behind = ",".join(_destinations(settings, role))
            values[f"{role}-network-gateway"] = [f"{behind}:{gateway}" if behind else str(gateway)]
    return values


def _destinations(settings: Settings, role: str) -> list[str]:
    at = f"init/networks|{role}/network/destinations"
    if not settings.text(at):
        return []
    found: list[str] = []
    for index in range(settings.number(at) + 1):
        network = settings.content(f"{at}|{index}/IP")
        found.append(f"{'.'.join(str(part) for part in network)}/{settings.prefix(f'{at}|{index}/Mask')}")
    return found


def _container_networks(session: Session, settings: Settings) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for alias in settings.names("network/container_networks"):
        if alias == "bridge":
            continue
        at = f"network/container_networks|{alias}"
        name = _name(session, settings.text(f"{at}/Common/id"))
        values.setdefault("container-network", []).append(f"{name}:{alias}" if name != alias else name)
        gateway = settings.address(f"{at}/gateway/IP")
        if gateway is not None:
            prefix = settings.prefix(f"{at}/gateway/Mask")
            values.setdefault("container-network-gateway", []).append(f"{name}:{gateway}/{prefix}")
        values.setdefault("container-network-dns", []).extend(
            f"{name}:{one}" for one in _addresses(settings, f"{at}/dns")
        )
        if settings.text(f"{at}/pools"):
            for index in range(settings.number(f"{at}/pools") + 1):
                first, last = (settings.address(f"{at}/pools|{index}/{end}") for end in ("first", "last"))
                values.setdefault("container-network-ip-range", []).append(f"{name}:{first}-{last}")
        trust = wanted.trust_named(settings.number(f"{at}/TrustLevel"))
        if trust:
            values.setdefault("container-network-firewall", []).append(f"{name}:{trust}")
    return values


def _machine(session: Session, found: Found) -> dict[str, list[str]]:
    row = session.table([found.machine], ["config.hardware.numCPU", "config.hardware.memoryMB"])[0]
    pool = session.get(found.pool, "config")
    values = {
        "endpoint-cpu": [str(row.get("config.hardware.numCPU", ""))],
        "endpoint-memory": [str(row.get("config.hardware.memoryMB", ""))],
    }
    if str(session.get(found.pool, "name")) == found.name:
        for what, allocation in (("cpu", pool.cpuAllocation), ("memory", pool.memoryAllocation)):
            values[what] = [_positive(allocation.limit)]
            values[f"{what}-reservation"] = [_positive(allocation.reservation)]
            values[f"{what}-shares"] = [_shares(allocation.shares)]
    return values


def _shares(shares: Any) -> str:
    level = str(shares.level) if shares is not None else "normal"
    return str(shares.shares) if level == "custom" else "" if level == "normal" else level


def _volume_store(settings: Settings, label: str) -> str:
    at = f"storage/VolumeLocations|{label}"
    host, path = settings.text(f"{at}/Host"), settings.text(f"{at}/Path")
    if settings.text(f"{at}/Scheme") == "ds":
        return f"ds://{host}/{path.partition('] ')[2]}:{label}"
    query = settings.text(f"{at}/RawQuery")
    return f"nfs://{host}{path}{f'?{query}' if query else ''}:{label}"


def _addresses(settings: Settings, path: str) -> list[str]:
    if not settings.text(path):
        return []
    return [str(settings.address(f"{path}|{index}")) for index in range(settings.number(path) + 1)]


def _network_name(session: Session, settings: Settings, role: str) -> str:
    return _name(session, settings.text(f"init/networks|{role}/network/Common/id"))


def _name(session: Session, reference: str) -> str:
    try:
        return str(session.get(session.object(reference), "name") or "")
    except NotThere:
        return ""


def _range(settings: Settings) -> str:
    start = ".".join(str(part) for part in settings.content("network/bridge-ip-range/IP"))
    return f"{start}/{settings.prefix('network/bridge-ip-range/Mask')}" if start else ""


def _positive(value: Any) -> str:
    return str(value) if value and int(value) > 0 else ""
