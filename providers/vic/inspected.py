"""What `inspect config` says of a VCH, in the words of the settings, and what a difference costs; for the resource.

vic-machine normalises in its own way (facts/vic-machine.md): what means the same is written here as the user wrote it,
so that only real differences are left.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from providers.kit.difference import Change, compare
from providers.kit.errors import Permanent
from providers.vic import flags
from providers.vic.command_line import configurable
from providers.vic.flags import Command, Version
from providers.vic.settings import DEFAULT_BRIDGE_RANGE, DEFAULT_BRIDGE_WIDTH, Firewall, Settings, TlsMode

DEFAULT_PUBLIC_NETWORK = "VM Network"


class Way(str, Enum):
    """How a difference can be mended.

    NONE: not at all, and nothing is lost by it.
    """

    NONE = "none"
    CONFIGURE = "configure"
    UPGRADE = "upgrade"
    REPLACE = "replace"


COSTS: Mapping[Way, str] = MappingProxyType(
    {
        Way.NONE: "nothing happens",
        Way.CONFIGURE: "the VCH restarts: containers go on, but its Docker API and their published ports "
        "pause meanwhile",
        Way.UPGRADE: "the VCH restarts with the new version: containers go on, but its Docker API and their published "
        "ports pause meanwhile",
        Way.REPLACE: "the VCH is deleted and made again: its containers and images are lost, its volume stores stay",
    }
)


@dataclass(frozen=True)
class Difference:
    """One property that differs, how it can be mended, and why not otherwise where that needs saying."""

    change: Change
    way: Way
    why: str = ""


@dataclass(frozen=True)
class Configuration:
    """The line of `inspect config --format raw`: flag → values."""

    values: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str | None:
        return self.values.get(name, (None,))[0]

    def many(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    @property
    def target(self) -> str:
        """Name or address of the vCenter that the VCH talks to, with its port where it has one."""
        return (self.one("target") or "").removeprefix("https://").rstrip("/")

    @property
    def thumbprint(self) -> str:
        """Of the certificate that the VCH knows its vCenter by."""
        return self.one("thumbprint") or ""


def configuration(lines: Iterable[str], on: str = "VCH") -> Configuration:
    """The configuration among what `inspect config --format raw` printed.

    Raises:
        Permanent: it isn't there.
    """
    found = next((one.strip() for one in lines if one.startswith("--target=")), None)
    if found is None:
        raise Permanent(
            "vic-machine inspect config printed no configuration",
            on=on,
            remedy="This is our mistake: please report it.",
        )
    values: dict[str, tuple[str, ...]] = {}
    # Values aren't quoted and may hold spaces, so only a flag's own name begins a new one.
    begins = [*_flag_names().finditer(found)]
    for place, one in enumerate(begins):
        end = begins[place + 1].start() if place + 1 < len(begins) else len(found)
        values[one[1]] = (*values.get(one[1], ()), found[one.end() : end].strip())
    return Configuration(MappingProxyType(values))


def observed(told: Configuration, wanted: Settings) -> dict[str, Any]:
    """What the configuration tells, in the words of `wanted` and as plain values.

    Only properties are in it that the configuration tells of: TLS, certificates, the appliance's size and registry CAs
    aren't (see `vm.py`).
    """
    found: dict[str, Any] = {name: read(told) for name, read in _SIMPLE.items()}
    found["name"] = told.one("name") or ""
    found["compute_resource"] = _same_place(wanted.compute_resource, told.one("compute-resource") or "")
    found["image_store"] = _same_image_store(wanted.image_store, told.one("image-store") or "")
    found["volume_stores"] = _volume_stores(told)
    found["container_networks"] = _container_networks(told, wanted)
    for role in ("public", "client", "management"):
        found[f"{role}_network"] = _role(told, role)
    if wanted.ops_user is not None:
        found["ops_user"] = told.one("ops-user")
    return found


def differences(wanted: Settings, there: Mapping[str, Any], version: str) -> list[Difference]:
    """What the user set and is otherwise; only what `there` tells of is compared.

    Args:
        wanted: the settings.
        there: of `observed`, with what else is known of the VCH in the same words.
        version: of the VCH, which decides what its configure can change.
    """
    told = wanted.model_dump(mode="json", exclude_unset=True)
    told = {
        name: _explicit(name, value, there[name])
        for name, value in told.items()
        if name in there and name not in _NOT_COMPARED
    }
    found = compare(told, {name: there[name] for name in told})
    return [Difference(one, *way_of(one, wanted, version)) for one in found]


def way_of(change: Change, wanted: Settings, version: str) -> tuple[Way, str]:
    """How a change can be made, and why not by configure where it can't."""
    group, _, rest = change.path.partition(".")
    if group == "version":
        return _way_of_version(change)
    if group == "volume_stores":
        return _way_of_volume_store(change, rest)
    if group == "tls" and rest == "mode":
        return _way_of_tls_mode(change)
    if not configurable(version, group):
        return Way.REPLACE, _why_not(version, group)
    if group == "container_networks" and not wanted.container_networks:
        return Way.REPLACE, "configure can't take the last container network away"
    if group == "registry_cas" and not wanted.registry_cas:
        return Way.REPLACE, "configure can't take the last registry CA away"
    return Way.CONFIGURE, ""


def keeping(wanted: Settings, applied: Settings | None, there: Mapping[str, Any]) -> Settings:
    """The settings for a configure, with what others have added by hand: its lists replace whole lists.

    Args:
        wanted: what the user sets now.
        applied: what was set last time; what only that names is ours to drop.
        there: of `observed`.
    """
    more: dict[str, Any] = {}
    for name in ("volume_stores", "container_networks"):
        ours = {*getattr(wanted, name), *(getattr(applied, name) if applied else ())}
        # A volume store can't be dropped, so it is said again even where it was ours.
        kept = {key: value for key, value in there.get(name, {}).items() if key not in ours or name == "volume_stores"}
        if kept:
            more[name] = {**kept, **wanted.model_dump(mode="json", exclude_unset=True).get(name, {})}
    if not more:
        return wanted
    return Settings.model_validate({**wanted.model_dump(mode="json", exclude_unset=True), **more})


# What configure is only told, or what isn't the VCH's.
_NOT_COMPARED = frozenset({"timeout_s", "ops_password", "datacenter"})


@lru_cache(maxsize=1)
def _flag_names() -> re.Pattern[str]:
    names = {name for version in flags.versions() for name in flags.flags(version, Command.CREATE)}
    return re.compile(rf"(?:^| )--({'|'.join(sorted(names, key=len, reverse=True))})=")


def _number(name: str, default: int = 0) -> Callable[[Configuration], int]:
    return lambda told: int(told.one(name) or default)


def _text(name: str, default: str | None = None) -> Callable[[Configuration], str | None]:
    return lambda told: told.one(name) or default


def _switch(name: str) -> Callable[[Configuration], bool]:
    return lambda told: told.one(name) == "true"


def _list(name: str) -> Callable[[Configuration], list[str]]:
    return lambda told: list(told.many(name))


def _registries(name: str) -> Callable[[Configuration], list[str]]:
    return lambda told: [re.sub(r"^(?:https?:)?//", "", one).rstrip("/") for one in told.many(name)]


def _shares(name: str) -> Callable[[Configuration], str]:
    return lambda told: (told.one(name) or "normal").lower()


# What is told as it is set; defaults are left out by vic-machine.
_SIMPLE: Mapping[str, Callable[[Configuration], Any]] = {
    "bridge_network": _text("bridge-network"),
    "bridge_network_range": _text("bridge-network-range", DEFAULT_BRIDGE_RANGE),
    "bridge_network_width": _number("bridge-network-width", DEFAULT_BRIDGE_WIDTH),
    "dns_servers": _list("dns-server"),
    "http_proxy": lambda told: told.one("http-proxy") or "",
    "https_proxy": lambda told: told.one("https-proxy") or "",
    "no_proxy": lambda told: [one.strip() for one in (told.one("no-proxy") or "").split(",") if one.strip()],
    "memory": _number("memory"),
    "memory_reservation": _number("memory-reservation"),
    "memory_shares": _shares("memory-shares"),
    "cpu": _number("cpu"),
    "cpu_reservation": _number("cpu-reservation"),
    "cpu_shares": _shares("cpu-shares"),
    "storage_quota": _number("storage-quota"),
    "containers": _number("containers"),
    "container_name_convention": _text("container-name-convention"),
    "affinity_vm_group": _switch("affinity-vm-group"),
    "insecure_registries": _registries("insecure-registry"),
    "whitelist_registries": _registries("whitelist-registry"),
    "syslog_address": _text("syslog-address"),
    "asymmetric_routes": _switch("asymmetric-routes"),
    "debug": _number("debug"),
}


def _explicit(name: str, value: Any, there: Any) -> Any:
    """A setting as it is compared: what the user set, and of nested ones what is told at all."""
    if name in ("public_network", "client_network", "management_network") and isinstance(value, Mapping):
        return {inner: one for inner, one in value.items() if one is not None}
    if name == "tls" and isinstance(value, Mapping):
        return {inner: one for inner, one in value.items() if inner in there and one is not None}
    return value


def _same_place(wanted: str | None, told: str) -> str:
    """The inventory path that is told, as the user wrote it where it means the same."""
    if wanted is None:
        return told
    mine, theirs = _steps(wanted), _steps(told)
    return wanted if mine and theirs[-len(mine) :] == mine else told


def _steps(path: str) -> list[str]:
    return [one for one in path.split("/") if one and one not in ("host", "Resources")]


def _same_image_store(wanted: str | None, told: str) -> str:
    """vic-machine leaves the last part of the path out."""
    shown = told.removeprefix("ds://").strip("/")
    if wanted is not None and shown == wanted.rpartition("/")[0]:
        return wanted
    return f"{shown}/…"


def _volume_stores(told: Configuration) -> dict[str, str]:
    found = {}
    for one in told.many("volume-store"):
        place, _, label = one.rpartition(":")
        found[label] = place if place.startswith("nfs://") else place.removeprefix("ds://").strip("/")
    return found


def _role(told: Configuration, role: str) -> dict[str, Any]:
    gateway = told.one(f"{role}-network-gateway") or ""
    reached, _, address = gateway.rpartition(":")
    return {
        "name": _network_name(told, role),
        "ip": told.one(f"{role}-network-ip"),
        "gateway": address.partition("/")[0] or None,
        "routes": reached.split(",") if reached else [],
    }


def _network_name(told: Configuration, role: str) -> str:
    """A network that isn't told is that of the role before it: management, client, public, `VM Network`."""
    before = {"management": "client", "client": "public"}
    shown = told.one(f"{role}-network")
    if shown:
        return shown
    return _network_name(told, before[role]) if role in before else DEFAULT_PUBLIC_NETWORK


def _container_networks(told: Configuration, wanted: Settings) -> dict[str, dict[str, Any]]:
    groups = {alias: group for group, alias in map(_split, told.many("container-network"))}
    gateways, firewalls = _by_network(told, "gateway"), _by_network(told, "firewall")
    ranges, servers = _by_network(told, "ip-range"), _by_network(told, "dns")
    found: dict[str, dict[str, Any]] = {}
    for alias, group in groups.items():
        mine = wanted.container_networks.get(alias)
        found[alias] = {"port_group": group}
        if group in gateways:
            found[alias]["gateway"] = gateways[group][0]
        if group in ranges or (mine and mine.ip_ranges):
            found[alias]["ip_ranges"] = _same_ranges(mine.ip_ranges if mine else [], ranges.get(group, []))
        if group in servers or (mine and mine.dns):
            found[alias]["dns"] = servers.get(group, [])
        # The firewall is told by alias or by port group, and as a number or in words.
        trust = (firewalls.get(group) or firewalls.get(alias) or ["0"])[0]
        if trust != "0" or (mine and mine.firewall):
            found[alias]["firewall"] = _TRUST.get(trust, trust.lower())
    return found


# vic-machine's own numbers for them (its source: cmd/vic-machine/common/cnetworks.go).
_TRUST: Mapping[str, str] = {
    "0": Firewall.PUBLISHED.value,
    "1": Firewall.OPEN.value,
    "2": Firewall.CLOSED.value,
    "3": Firewall.OUTBOUND.value,
    "4": Firewall.PEERS.value,
}


def _split(pair: str) -> tuple[str, str]:
    """PORT-GROUP:ALIAS; without an alias it is the port group's name."""
    group, colon, alias = pair.partition(":")
    return group, alias if colon else group


def _by_network(told: Configuration, what: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in told.many(f"container-network-{what}"):
        group, _, value = one.partition(":")
        found.setdefault(group, []).append(value)
    return found


def _same_ranges(wanted: Iterable[str], told: Iterable[str]) -> list[str]:
    """Ranges as the user wrote them, where they hold the same addresses."""
    mine = {_ends(one): one for one in wanted}
    shown = [mine.get(_ends(one), one) for one in told]
    return list(wanted) if sorted(shown) == sorted(wanted) else shown


def _ends(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        if dash:
            return int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last))
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return 0, 0
    return int(network[0]), int(network[-1])


def _way_of_volume_store(change: Change, label: str) -> tuple[Way, str]:
    if change.there is None:
        return Way.CONFIGURE, ""
    if change.wanted is None:
        return Way.NONE, f"volume store '{label}' stays: configure can add one, not drop it"
    return Way.REPLACE, f"volume store '{label}' can't be moved: configure can add one, not change it"


def _way_of_tls_mode(change: Change) -> tuple[Way, str]:
    if change.there == TlsMode.SERVER.value and change.wanted == TlsMode.MUTUAL.value:
        return Way.CONFIGURE, ""
    return Way.REPLACE, f"configure can't go from TLS mode {change.there} to {change.wanted}"


def _way_of_version(change: Change) -> tuple[Way, str]:
    if Version.of(str(change.wanted)) > Version.of(str(change.there)):
        return Way.UPGRADE, ""
    return Way.REPLACE, f"vic-machine can't go back from {change.there} to {change.wanted}"


def _why_not(version: str, group: str) -> str:
    names = [row.flag for row in flags.table() if row.argument.path.split(".")[0] == group]
    told = [flags.lacking(version, Command.CONFIGURE, one) for one in names]
    return next((one for one in told if one), "")
