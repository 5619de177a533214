"""What a command line asks of a VCH, checked as far as that goes without vSphere; for create and configure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.command_line import Options
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.outcome import Refused

Kind = TypeVar("Kind")

NAME_LONGEST = 31
NAME_SERVERS_MOST = 3

_NOT_IN_NAMES = re.compile(r"""[%&*$#@!\\/:?"<>;'|]""")
_SIZE = re.compile(r"(\d+)\s*([kKmMgGtT]?)[iI]?[bB]?")
_KILOBYTES = {"": 1e-3, "k": 1, "m": 1000, "g": 1000**2, "t": 1000**3}
_FIREWALL = ("", "published", "open", "closed", "outbound", "peers")


@dataclass
class Network:
    """One of a VCH's roles: where its NIC is, and its address if that is a fixed one."""

    name: str = ""
    ip: ipaddress.IPv4Interface | None = None
    gateway: ipaddress.IPv4Address | None = None
    destinations: list[ipaddress.IPv4Network] = field(default_factory=list)


@dataclass
class ContainerNetwork:
    """A network that containers may use directly."""

    vsphere: str
    gateway: ipaddress.IPv4Interface | None = None
    pools: list[str] = field(default_factory=list)
    dns: list[ipaddress.IPv4Address] = field(default_factory=list)
    firewall: int = 0


@dataclass(frozen=True)
class Store:
    """Where volumes or images are kept."""

    scheme: str
    host: str
    path: str
    query: str = ""


@dataclass
class Wanted:
    """All of it."""

    name: str
    options: Options
    bridge: str = ""
    bridge_range: ipaddress.IPv4Network = field(default_factory=lambda: ipaddress.IPv4Network("172.16.0.0/12"))
    bridge_width: int = 16
    client: Network = field(default_factory=Network)
    public: Network = field(default_factory=Network)
    management: Network = field(default_factory=Network)
    container_networks: dict[str, ContainerNetwork] = field(default_factory=dict)
    dns: list[ipaddress.IPv4Address] = field(default_factory=list)
    volume_stores: dict[str, Store] = field(default_factory=dict)
    registry_authorities: bytes = b""
    scratch_kilobytes: int = 8_000_000


def check_name(build: Build, name: str) -> None:
    """Refuses a name that vSphere couldn't take."""
    if len(name) > NAME_LONGEST:
        longest = f"exceeds the permitted {NAME_LONGEST} characters limit. Please use a shorter -name parameter"
        raise Refused(f"Display name {name} {longest}")
    found = _NOT_IN_NAMES.search(name)
    if found and not build.is_first:
        wrong = f"unsupported character {quoted(found[0])} in {quoted(name)}"
        allowed = "Allowed characters are alphanumeric, space and symbols - _ ( )"
        raise Refused(f"--name contains unsupported characters: {wrong} {allowed}")


def networks(wanted: Wanted) -> None:
    """Reads bridge, client, public and management networks."""
    options = wanted.options
    wanted.bridge = options.text("bridge-network") or wanted.name
    try:
        wanted.bridge_range = ipaddress.IPv4Network(options.text("bridge-network-range"), strict=False)
    except ValueError as error:
        wrong = f"invalid CIDR address: {options.text('bridge-network-range')}"
        form = "Range must be in CIDR format, e.g., 172.16.0.0/12"
        raise Refused(f"Error parsing bridge network ip range: {wrong}. {form}") from error
    wanted.bridge_width = options.number("bridge-network-width") or 16
    wanted.client = _network(options, "client")
    wanted.public = _network(options, "public")
    wanted.management = _network(options, "management")


def name_servers(log: Log, wanted: Wanted) -> None:
    for one in filter(None, wanted.options.every("dns-server")):  # an empty one takes all away
        try:
            wanted.dns.append(ipaddress.IPv4Address(one))
        except ValueError as error:
            raise Refused(f"Invalid DNS server specified: {one}") from error
    if len(wanted.dns) > NAME_SERVERS_MOST:
        log.warning("Maximum of 3 DNS servers allowed. Additional servers specified will be ignored.")


def container_networks(log: Log, wanted: Wanted) -> None:
    """Reads the networks that containers may use; what is said of one that isn't there is an error."""
    gateways = _labelled(wanted.options.every("container-network-gateway"), ipaddress.IPv4Interface)
    servers = _labelled(wanted.options.every("container-network-dns"), ipaddress.IPv4Address)
    ranges = _labelled(wanted.options.every("container-network-ip-range"), str)
    levels = _labelled(wanted.options.every("container-network-firewall"), _trust)
    for one in wanted.options.every("container-network"):
        vsphere, _, alias = one.partition(":")
        gateway = gateways.pop(vsphere, [])
        wanted.container_networks[alias or vsphere] = ContainerNetwork(
            vsphere,
            gateway[0] if gateway else None,
            ranges.pop(vsphere, []),
            servers.pop(vsphere, []),
            levels.pop(vsphere, [0])[0],
        )
    left: tuple[tuple[str, str, Mapping[str, Sequence[object]]], ...] = (
        ("gateway", "--container-network-gateway", gateways),
        ("ip range", "--container-network-ip-range", ranges),
        ("dns", "--container-network-dns", servers),
        ("firewall", "--container-network-firewall", levels),
    )
    for what, flag, strays in left:
        if strays:
            missing = "is set, but CONTAINER-NETWORK cannot be found. Please check the --container-network and"
            log.error(f"The following container network {what} {missing} {flag} settings")
            for label, values in strays.items():
                said = ", ".join(str(value) for value in values)
                log.error(f"\t{label}:{said}, {quoted(label)} should be vSphere network name")
    if any(strays for _, _, strays in left):
        raise Refused("Inconsistent container network configuration.")


def volume_stores(build: Build, wanted: Wanted) -> None:
    for one in wanted.options.every("volume-store"):
        where, colon, label = one.rpartition(":")
        if not colon or (where.endswith(("ds", "nfs")) and label.startswith("//")):
            form = "Volume store input must be in format datastore/path:label"
            raise Refused(f"Error occurred while processing volume stores: {form}")
        wanted.volume_stores[label] = store(build, where)


def store(build: Build, where: str) -> Store:
    """A store, from ``datastore/path``, ``ds://datastore/path`` or ``nfs://host/path?options``."""
    scheme, separator, rest = where.partition("://")
    if not separator:
        scheme, rest = "ds", where
    if scheme not in ("ds", "nfs") or (scheme == "nfs" and build.is_first):
        raise Refused(f"bad scheme {quoted(scheme)} provided for datastore")
    if scheme == "nfs":
        found = urlsplit(where)
        return Store("nfs", found.netloc, found.path, found.query)
    host, _, path = rest.partition("/")
    return Store("ds", host, path)


def registries(log: Log, wanted: Wanted) -> None:
    for one in wanted.options.every("registry-ca"):
        try:
            wanted.registry_authorities += Path(one).read_bytes()
        except OSError as error:
            why = f"open {one}: {(error.strerror or '').lower()}"
            raise Refused(f"Failed to load authority from file {one}: {why}") from error
        log.info(f"Loaded registry CA from {one}")


def proxies(wanted: Wanted) -> None:
    for name, scheme in (("http-proxy", "http"), ("https-proxy", "https")):
        value = wanted.options.text(name)
        schemes = (scheme,) if scheme == "http" else ("http", "https")
        if value and (urlsplit(value).scheme not in schemes or not urlsplit(value).netloc):
            form = f"expected format {scheme}://fqnd_or_ip:port"
            raise Refused(f"Could not parse {scheme.upper()} proxy - {form}: {value}")


def scratch(wanted: Wanted) -> None:
    text = wanted.options.text("base-image-size")
    match = _SIZE.fullmatch(text)
    if match is None:
        raise Refused(f"Invalid default image size {text} provided; reason: invalid size: '{text}'")
    wanted.scratch_kilobytes = int(int(match[1]) * _KILOBYTES[match[2].lower()])


def _network(options: Options, role: str) -> Network:
    network = Network(options.text(f"{role}-network"))
    address, gateway = options.text(f"{role}-network-ip"), options.text(f"{role}-network-gateway")
    if not address and not gateway:
        return network
    if not address or (role == "public" and not gateway):
        raise Refused(f"{role} network IP and gateway must both be specified")
    try:
        if "/" not in address:
            raise ValueError(address)
        network.ip = ipaddress.IPv4Interface(address)
    except ValueError as error:
        wrong = f"invalid CIDR address: {address}"
        raise Refused(f"Failed to parse the provided {role} network IP address {address}: {wrong}") from error
    if gateway:
        _gateway(network, role, gateway)
    return network


def _gateway(network: Network, role: str, text: str) -> None:
    destinations, _, host = text.rpartition(":")
    try:
        network.gateway = ipaddress.IPv4Interface(host).ip
        network.destinations = [ipaddress.IPv4Network(one, strict=False) for one in destinations.split(",") if one]
    except ValueError as error:
        raise Refused(f"Invalid {role} network gateway: {error}") from error
    if network.ip is not None and network.gateway not in network.ip.network:
        raise Refused(f"{role} gateway with IP {network.gateway} is not reachable from {network.ip}")


def _labelled(values: Sequence[str], kind: Callable[[str], Kind]) -> dict[str, list[Kind]]:
    found: dict[str, list[Kind]] = {}
    for one in values:
        label, colon, value = one.partition(":")
        try:
            if not colon:
                raise ValueError(f"no label in {one}")
            found.setdefault(label, []).append(kind(value))
        except ValueError as error:
            raise Refused(f"Invalid container network setting {one}: {error}") from error
    return found


def _trust(text: str) -> int:
    if text.lower() not in _FIREWALL[1:]:
        raise ValueError(f"Unrecognized container trust level {text}.")
    return _FIREWALL.index(text.lower())


def trust_named(level: int) -> str:
    """The word for how much of a network containers are open to."""
    return _FIREWALL[level] if 0 <= level < len(_FIREWALL) else "published"
