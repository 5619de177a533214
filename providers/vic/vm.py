"""The VM of a VCH as vSphere has it: its public settings, devices, pool, power and what it reports; never a secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID
from pyVmomi import vim, vmodl

from providers.esxi.vsphere import inventory_path
from providers.kit.errors import Permanent
from providers.vic.settings import TlsMode

PREFIX = "guestinfo.vice."
UPDATE_IN_PROGRESS = "UpdateInProgress"
ROLES = ("client", "public", "management")
BRIDGE = "bridge"
COMPONENTS = ("vicadmin", "docker-personality", "port-layer")
# Written by the appliance once it has booted (facts/vic-machine.md).
STARTED_KEYS = tuple(f"{PREFIX}.init.sessions|{component}.started" for component in COMPONENTS)
MOST_READS = 5

# The keys by which a VM is known for a VCH, and for a VCH's container.
_VCH_KEY = f"{PREFIX}/init/version/Version"
_CONTAINER_KEY = f"{PREFIX}/common/id"
# Public settings that stand outside the prefix.
_OTHER_KEYS = frozenset({UPDATE_IN_PROGRESS, "init/common/name", "common/name"})
_NIL = "<nil>"
_SECRET = "@secret"
_EXTRA = "config.extraConfig"
_LIGHT = ("name", "resourcePool", "parent", "runtime.powerState")
_WHOLE = (
    *_LIGHT,
    _EXTRA,
    "config.hardware.device",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.files.vmPathName",
    "snapshot",
)
_POOL = ("name", "parent", "config.memoryAllocation", "config.cpuAllocation")
_ISO = re.compile(r"v(\d+\.\d+\.\d+)-([^-/]*)-([^-/]*)-appliance\.iso$")


class Session(Protocol):
    """What is needed of a session with a vCenter; `content` is its ServiceContent."""

    content: Any

    def collect(
        self, kinds: Mapping[Any, Sequence[str]], roots: Iterable[Any] | None = None
    ) -> list[tuple[Any, dict[str, Any]]]: ...

    def speaking(self, on: str | None = None) -> AbstractContextManager[None]: ...


class Extra:
    """Public extraConfig values, decoded (facts/vic-machine.md). Secrets aren't even kept."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = MappingProxyType({key: str(one) for key, one in values.items() if _is_public(key)})

    def text(self, key: str) -> str | None:
        """A value; `None` where there is none or it is nil. `key` is without the prefix, or a whole one."""
        found = self.values.get(key, self.values.get(f"{PREFIX}{key}"))
        return None if found in (None, _NIL, "") else found

    def number(self, key: str) -> int | None:
        found = self.text(key)
        return int(found) if found is not None and re.fullmatch(r"-?\d+", found) else None

    def flag(self, key: str) -> bool:
        return (self.text(key) or "").lower() == "true"

    def items(self, key: str) -> list[str]:
        """A list of plain values: they stand together under ``KEY~``."""
        found = self.text(f"{key}~")
        return [] if found is None else found.split("|")

    def names(self, key: str) -> list[str]:
        """The keys of a map."""
        found = self.text(key)
        return [] if found is None else found.split("|")

    def indices(self, key: str) -> range:
        """The places of a list of structures: its own value is the highest one."""
        highest = self.number(key)
        return range(0 if highest is None else highest + 1)

    def raw(self, key: str) -> bytes | None:
        found = self.text(key)
        if found is None:
            return None
        try:
            return base64.b64decode(found, validate=True)
        except (binascii.Error, ValueError):
            return None

    def address(self, key: str) -> str | None:
        """An address of 4 or 16 bytes; IPv4 where it is one; `None` for the unspecified one."""
        raw = self.raw(key)
        if raw is None or len(raw) not in (4, 16):
            return None
        found = ipaddress.ip_address(raw)
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return None if found.is_unspecified else str(found)

    def prefix_length(self, key: str) -> int | None:
        """Of a mask."""
        raw = self.raw(key)
        return None if raw is None else sum(bin(one).count("1") for one in raw)

    def pem(self, key: str) -> str | None:
        raw = self.raw(key)
        return None if raw is None else raw.decode(errors="replace")


@dataclass(frozen=True)
class Vch:
    """One VCH.

    Args:
        id: the VM's managed object id, as vic-machine's `--id` takes it.
        name: the VCH's.
        version, build, commit: of the vic-machine that made or upgraded it.
        power: ``poweredOn``, ``poweredOff`` or ``suspended``.
        pool, pool_path: its resource pool or vApp: id and inventory path.
        folder, folder_path: the VM's folder: id and inventory path.
        cpu, memory_mb: the VM's size.
        iso: datastore path of the CD-ROM's image; empty where there is none.
        vm_path: datastore path of its .vmx.
        networks: the device networks' managed object ids.
        cards: the network cards' PCI slots, by which the appliance knows them → their networks, as in `networks`.
        snapshots: names, oldest first.
        extra: its public settings.
        hash: changes with any of its settings, devices, pool or power.
    """

    id: str
    name: str
    version: str
    build: str
    commit: str
    power: str
    pool: str
    pool_path: str
    folder: str
    folder_path: str
    cpu: int
    memory_mb: int
    iso: str
    vm_path: str
    networks: tuple[str, ...]
    cards: Mapping[int, str]
    snapshots: tuple[str, ...]
    extra: Extra = field(repr=False, compare=False)
    hash: str

    @property
    def home(self) -> str:
        """The pool or vApp that it was made in, wherever it is now: a managed object id."""
        return self.extra.text("/container/ComputeResources|0/Value") or self.pool

    @property
    def role_networks(self) -> dict[str, str]:
        """Network role → the network that it was given, as ``Network:network-6``."""
        found = {role: self.extra.text(f"/init/networks|{role}/network/Common/id") for role in (BRIDGE, *ROLES)}
        return {role: network for role, network in found.items() if network}

    @property
    def role_slots(self) -> dict[str, int]:
        """Network role → its card's PCI slot; roles of one network share a card."""
        found = {role: self.extra.number(f"/init/networks|{role}/Common/id") for role in (BRIDGE, *ROLES)}
        return {role: slot for role, slot in found.items() if slot is not None}

    @property
    def update_in_progress(self) -> bool:
        return self.extra.flag(UPDATE_IN_PROGRESS)

    @property
    def iso_version(self) -> str | None:
        """Which version's appliance it boots; `None` for an image of another name."""
        found = _ISO.search(self.iso)
        return found[1] if found else None

    @property
    def addresses(self) -> dict[str, str]:
        """Network role → the address that the appliance reports."""
        found = {role: self.extra.address(f".init.networks|{role}.assigned.IP") for role in ROLES}
        return {role: address for role, address in found.items() if address}

    @property
    def started(self) -> dict[str, str]:
        """Component → ``true``, the error that it reports, or nothing yet."""
        return {one: self.extra.text(f".init.sessions|{one}.started") or "" for one in COMPONENTS}

    @property
    def target(self) -> str:
        """The vCenter that it talks to: name or address, ``:port`` may follow."""
        return (self.extra.text("/connect/target") or "").removeprefix("https://").rstrip("/")

    @property
    def target_thumbprint(self) -> str:
        """Of the certificate that it knows its vCenter by; another one there, and the VCH stops working."""
        return self.extra.text("/connect/target_thumbprint") or ""

    @property
    def user(self) -> str:
        """The account that it uses."""
        return self.extra.text("/connect/username") or ""

    @property
    def tls_mode(self) -> TlsMode:
        if self.extra.text("/cert/CertificateAuthorities"):
            return TlsMode.MUTUAL
        return TlsMode.SERVER if self.extra.text("/cert/HostCertificate/Cert") else TlsMode.NONE

    @property
    def server_certificate(self) -> str | None:
        return self.extra.pem("/cert/HostCertificate/Cert")

    @property
    def authorities(self) -> str | None:
        """PEM text of whose client certificates it lets in."""
        return self.extra.pem("/cert/CertificateAuthorities")

    @property
    def volume_stores(self) -> dict[str, str]:
        """Label → place, as in the settings."""
        key = "/storage/VolumeLocations"
        return {label: _place(self.extra, f"{key}|{label}") for label in self.extra.names(key)}

    @property
    def image_store(self) -> str | None:
        """The whole path, of which `inspect config` leaves the last part out."""
        key = "/storage/image_stores"
        return next((_place(self.extra, f"{key}|{place}") for place in self.extra.indices(key)), None)

    @property
    def create_options(self) -> list[str]:
        """What create was told, where the version keeps it."""
        return self.extra.items("/vic_machine_create_options")

    def told(self) -> dict[str, Any]:
        """What `inspect config` doesn't tell or tells in part, in the words of the settings and as plain values."""
        return {
            "name": self.name,
            "version": self.version,
            "image_store": self.image_store,
            "volume_stores": self.volume_stores,
            "endpoint_cpu": self.cpu,
            "endpoint_memory": self.memory_mb,
            "tls": {"mode": self.tls_mode.value, **self._server_certificate_told()},
        }

    def _server_certificate_told(self) -> dict[str, Any]:
        """What of the TLS settings the server's certificate shows; its organisation isn't as it was set."""
        if self.server_certificate is None:
            return {}
        try:
            certificate = x509.load_pem_x509_certificates(self.server_certificate.encode())[0]
        except ValueError:
            return {}
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        bits = getattr(certificate.public_key(), "key_size", None)
        return {"cname": str(names[0].value) if names else "", "key_size": bits}


@dataclass(frozen=True)
class ContainerVm:
    """A VM that is a container of some VCH.

    Args:
        id: its managed object id.
        name: the VM's.
        container: the container's id.
        power: as `Vch.power`.
        pool, folder: where it is: managed object ids.
        iso: datastore path of its image, which lies in its VCH's own folder on the datastore; only read where its pool
            doesn't tell whose it is.
    """

    id: str
    name: str
    container: str
    power: str
    pool: str
    folder: str
    iso: str

    def belongs_to(self, vch: Vch) -> bool:
        """By its image."""
        own = _datastore_folder(vch.vm_path)
        return bool(own) and _datastore_folder(self.iso) == own

    def misplaced(self, vch: Vch) -> tuple[str, ...]:
        """Which of its VCH's places it is not in: ``pool``, ``folder``; none of a place that isn't the VCH's own."""
        own = {"pool": vch.home, "folder": vch.folder if vch.folder_path.rpartition("/")[2] == vch.name else ""}
        return tuple(name for name, place in own.items() if place and getattr(self, name) != place)


@dataclass(frozen=True)
class Site:
    """All VCHs of a vCenter, with their containers, as they were at one moment."""

    vchs: tuple[Vch, ...]
    containers: tuple[ContainerVm, ...]

    def named(self, name: str) -> list[Vch]:
        """Names are unique in a pool only."""
        return [one for one in self.vchs if one.name == name]

    def by_id(self, id_: str) -> Vch | None:
        return next((one for one in self.vchs if one.id == id_), None)

    def containers_of(self, vch: Vch) -> list[ContainerVm]:
        """Its container VMs, wherever they are: by a pool that it has for itself, else by their image."""
        owner = _owners(self.vchs)
        return [
            one
            for one in self.containers
            if (owner[one.pool].id == vch.id if one.pool in owner else one.belongs_to(vch))
        ]

    def stranded(self) -> list[ContainerVm]:
        """Container VMs whose VCH is gone, as a broken delete leaves them."""
        having = {one.id for vch in self.vchs for one in self.containers_of(vch)}
        return [one for one in self.containers if one.id not in having]


def read(session: Session) -> Site:
    """Everything about all VCHs of a vCenter, in a handful of calls whatever their number."""
    for _ in range(MOST_READS - 1):
        try:
            return _read(session)
        except Permanent as error:
            # Any VM that is deleted between two calls fails the second one, and other VCHs are deleted beside ours.
            if not isinstance(error.__cause__, vmodl.fault.ManagedObjectNotFound):
                raise
    return _read(session)


def public(options: Iterable[Any] | None) -> Extra:
    """The extraConfig of a VM, without secrets."""
    return Extra({str(one.key): str(one.value) for one in options or ()})


def _read(session: Session) -> Site:
    light = _identified(session)
    vchs = [one for one, known in light.items() if known[_VCH_KEY]]
    containers = [one for one, known in light.items() if known[_CONTAINER_KEY] and not known[_VCH_KEY]]
    if not vchs and not containers:
        return Site((), ())
    tree = _tree(session)
    whole = session.collect({vim.VirtualMachine: _WHOLE}, vchs) if vchs else []
    found = [_vch(one, known, tree) for one, known in whole if known.get(_EXTRA)]
    owner = _owners(found)
    unclear = [one for one in containers if _id(light[one].get("resourcePool")) not in owner]
    devices = dict(session.collect({vim.VirtualMachine: ("config.hardware.device",)}, unclear)) if unclear else {}
    theirs = [_container(one, {**light[one], **devices.get(one, {})}) for one in containers]
    return Site(
        tuple(sorted(found, key=lambda one: (one.name, one.id))), tuple(sorted(theirs, key=lambda one: one.name))
    )


def _is_public(key: str) -> bool:
    if key.endswith(_SECRET) or f"{_SECRET}~" in key:
        return False
    return key.startswith(PREFIX) or key in _OTHER_KEYS


def _identified(session: Session) -> dict[Any, dict[str, Any]]:
    """All VMs with the two keys that tell what they are, by keys in the path where the server takes them."""
    paths = {key: f'{_EXTRA}["{key}"]' for key in (_VCH_KEY, _CONTAINER_KEY)}
    try:
        found = session.collect({vim.VirtualMachine: (*_LIGHT, *paths.values())})
    except Permanent as error:
        if not isinstance(error.__cause__, vmodl.query.InvalidProperty):
            raise
        found = session.collect({vim.VirtualMachine: (*_LIGHT, _EXTRA)})
    return {one: _with_keys(known, paths) for one, known in found}


def _with_keys(known: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    whole = {str(one.key): one.value for one in known.get(_EXTRA) or ()}
    keys = {key: _value(known.get(path)) or whole.get(key) for key, path in paths.items()}
    return {**{name: value for name, value in known.items() if name != _EXTRA}, **keys}


def _value(option: Any) -> Any:
    return getattr(option, "value", option)


def _tree(session: Session) -> dict[Any, dict[str, Any]]:
    """Names and parents of everything on the way to a VM, and what pools allow."""
    kinds: dict[Any, Sequence[str]] = dict.fromkeys((vim.Folder, vim.Datacenter), ("name", "parent"))
    kinds[vim.ComputeResource] = ("name", "parent")
    kinds[vim.ResourcePool] = _POOL
    return dict(session.collect(kinds))


def _vch(moref: Any, known: Mapping[str, Any], tree: Mapping[Any, Mapping[str, Any]]) -> Vch:
    extra = public(known.get(_EXTRA))
    devices = known.get("config.hardware.device") or []
    pool, folder = known.get("resourcePool"), known.get("parent")
    return Vch(
        id=_id(moref),
        name=extra.text("init/common/name") or str(known.get("name", "")),
        version=(extra.text("/init/version/Version") or "").removeprefix("v"),
        build=extra.text("/init/version/BuildNumber") or "",
        commit=extra.text("/init/version/GitCommit") or "",
        power=str(known.get("runtime.powerState", "")),
        pool=_id(pool),
        pool_path=inventory_path(pool, tree),
        folder=_id(folder),
        folder_path=inventory_path(folder, tree),
        cpu=int(known.get("config.hardware.numCPU") or 0),
        memory_mb=int(known.get("config.hardware.memoryMB") or 0),
        iso=_iso(devices),
        vm_path=str(known.get("config.files.vmPathName") or ""),
        networks=tuple(_networks(devices)),
        cards=MappingProxyType(_cards(devices)),
        snapshots=tuple(_snapshots(known.get("snapshot"))),
        extra=extra,
        hash=_hash(known, tree.get(pool, {})),
    )


def _container(moref: Any, known: Mapping[str, Any]) -> ContainerVm:
    return ContainerVm(
        id=_id(moref),
        name=str(known.get("name", "")),
        container=str(known[_CONTAINER_KEY]),
        power=str(known.get("runtime.powerState", "")),
        pool=_id(known.get("resourcePool")),
        folder=_id(known.get("parent")),
        iso=_iso(known.get("config.hardware.device") or []),
    )


def _id(moref: Any) -> str:
    return "" if moref is None else str(moref._moId)


def _iso(devices: Iterable[Any]) -> str:
    drives = [one for one in devices if isinstance(one, vim.vm.device.VirtualCdrom)]
    names = [getattr(one.backing, "fileName", None) for one in drives]
    return next((str(one) for one in names if one), "")


def _networks(devices: Iterable[Any]) -> list[str]:
    cards = [one for one in devices if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    return [_backing(one) for one in cards]


def _cards(devices: Iterable[Any]) -> dict[int, str]:
    cards = [one for one in devices if isinstance(one, vim.vm.device.VirtualEthernetCard)]
    slots = [getattr(one.slotInfo, "pciSlotNumber", None) for one in cards]
    return {int(slot): _backing(one) for slot, one in zip(slots, cards, strict=True) if slot is not None}


def _backing(device: Any) -> str:
    """What a device stands on: a network, a file, a port group."""
    backing = getattr(device, "backing", None)
    port = getattr(backing, "port", None)
    if port is not None:
        return str(port.portgroupKey)
    network = getattr(backing, "network", None)
    if network is not None:
        return _id(network)
    return str(getattr(backing, "fileName", None) or getattr(backing, "deviceName", None) or "")


def _snapshots(told: Any) -> list[str]:
    def within(trees: Iterable[Any]) -> Iterable[str]:
        for one in trees:
            yield str(one.name)
            yield from within(one.childSnapshotList or [])

    return [] if told is None else list(within(told.rootSnapshotList or []))


def _hash(known: Mapping[str, Any], pool: Mapping[str, Any]) -> str:
    """Secrets count as well, as what they are encrypted: they change with every configure."""
    keys = {
        str(one.key): str(one.value)
        for one in known.get(_EXTRA) or ()
        if str(one.key).startswith(PREFIX) or str(one.key) in _OTHER_KEYS
    }
    devices = sorted(
        [int(one.key), type(one).__name__, _backing(one)] for one in known.get("config.hardware.device") or ()
    )
    told = {
        "keys": keys,
        "devices": devices,
        "size": [known.get("config.hardware.numCPU"), known.get("config.hardware.memoryMB")],
        "pool": [_id(known.get("resourcePool")), *map(_allocation, _POOL[2:], [pool] * 2)],
        "folder": _id(known.get("parent")),
        "power": str(known.get("runtime.powerState", "")),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _allocation(name: str, pool: Mapping[str, Any]) -> list[Any]:
    told = pool.get(name)
    shares = getattr(told, "shares", None)
    level = str(getattr(shares, "level", ""))
    # The number of shares follows the VM's size where a level is set.
    number = getattr(shares, "shares", None) if level == "custom" else None
    return [getattr(told, "limit", None), getattr(told, "reservation", None), level, number]


def _place(extra: Extra, key: str) -> str:
    """A store's URL as the settings write it: DATASTORE/PATH, or nfs://HOST/PATH."""
    scheme, host = extra.text(f"{key}/Scheme") or "ds", extra.text(f"{key}/Host") or ""
    path = extra.text(f"{key}/Path") or ""
    bracketed = re.fullmatch(r"\[([^\]]+)\] ?(.*)", path)
    if bracketed:
        host, path = bracketed[1], bracketed[2]
    if scheme == "ds":
        return "/".join(one for one in (host, path.strip("/")) if one)
    query = extra.text(f"{key}/RawQuery")
    return f"{scheme}://{host}/{path.lstrip('/')}" + (f"?{query}" if query else "")


def _datastore_folder(path: str) -> str:
    """``[DS] folder/file`` → ``[DS] folder``; empty where there is no folder."""
    return path.rpartition("/")[0]


def _owners(vchs: Iterable[Vch]) -> dict[str, Vch]:
    """Pool → the VCH that has it for itself."""
    by_pool: dict[str, list[Vch]] = {}
    for one in vchs:
        by_pool.setdefault(one.pool, []).append(one)
    alone = {pool: having[0] for pool, having in by_pool.items() if len(having) == 1}
    # A VCH that was moved stands in somebody else's pool; its own has its name.
    return {pool: one for pool, one in alone.items() if one.pool_path.rpartition("/")[2] == one.name}
