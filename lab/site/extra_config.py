"""A VCH's settings as its VM's extraConfig holds them, read and written as the appliance does; for the appliance.

Keys and encodings: facts `vic-machine.md` and `vic-machine-extraconfig/`, the values of real ones at power on.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.site.secretbox import BoxError, opened

PREFIX = "guestinfo.vice./"
# What the appliance may write begins with this, and has dots where what it only reads has slashes.
WRITABLE = "guestinfo.vice.."
KEY_OF_SECRETS = "guestinfo.ovfEnv"
NIL = "<nil>"
NETWORKS = ("client", "public", "management")
SESSIONS = ("port-layer", "docker-personality", "vicadmin")

_V4_IN_V6 = bytes(10) + b"\xff\xff"


class SettingsError(Exception):
    """Settings that the appliance can't work with; its text is what a VCH reports."""


@dataclass(frozen=True)
class VolumeStore:
    """A place for volumes.

    Attributes:
        label: by which a volume's `VolumeStore` names it.
        scheme: `ds` or `nfs`.
        datastore: the datastore's name (`ds`), or the server's (`nfs`).
        folder: its folder on that, without slashes at its ends; may be empty.
    """

    label: str
    scheme: str
    datastore: str
    folder: str


@dataclass(frozen=True)
class Login:
    """How the appliance reaches its vCenter.

    Attributes:
        address: `host:port`.
        thumbprint: SHA-1 of the certificate that it trusts; empty: any.
        user: the account.
        password: its password.
    """

    address: str
    thumbprint: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(address={self.address!r}, user={self.user!r}, password='***')"


@dataclass(frozen=True)
class ApplianceSettings:
    """What the appliance needs of a VCH's settings.

    Attributes:
        name: the VCH's name.
        version: with its `v`, like `v1.5.6`.
        build: its build number.
        commit: its commit.
        login: how it reaches its vCenter.
        certificate: PEM of its server certificate; empty: no TLS.
        key: its key, PEM.
        authorities: PEM of what it verifies clients by; empty: it doesn't.
        volume_stores: label → place.
        image_datastore: the name of the datastore for images and containers' VMs.
        image_folder: the folder on it.
        bridge_network: the default bridge's name.
        bridge_range: the range from which bridges come.
        bridge_width: each bridge's prefix length.
        container_networks: names of the networks that containers may use, the bridge among them.
        pool: kind and reference of the resource pool or vApp for containers' VMs.
        name_convention: how containers' VMs are called; empty: by name and id.
        insecure_registries: registries that may go without TLS.
        registry_authorities: PEM of what registries are verified by; empty: the system's.
        allowed_registries: registries that may be used; empty: all.
        static_addresses: network → the fixed address it was given.
        debug: 0 … 3.
        storage_quota: bytes; 0: none.
        bootstrap: datastore path of the containers' ISO.
    """

    name: str
    version: str
    build: str
    commit: str
    login: Login
    certificate: str
    key: str
    authorities: str
    volume_stores: Mapping[str, VolumeStore]
    image_datastore: str
    image_folder: str
    bridge_network: str
    bridge_range: ipaddress.IPv4Network
    bridge_width: int
    container_networks: Sequence[str]
    pool: tuple[str, str]
    name_convention: str
    insecure_registries: Sequence[str]
    registry_authorities: str
    allowed_registries: Sequence[str]
    static_addresses: Mapping[str, str]
    debug: int
    storage_quota: int
    bootstrap: str

    def __repr__(self) -> str:
        return f"ApplianceSettings(name={self.name!r}, version={self.version!r})"


def is_vch(values: Mapping[str, str], iso: str) -> bool:
    """Whether a VM is a VCH, by its settings and the path of the ISO in its CD-ROM drive."""
    return iso.endswith("appliance.iso") and f"{PREFIX}init/version/Version" in values


def container_of(values: Mapping[str, str]) -> str:
    """The id of the container that a VM is; empty if it is none."""
    return _text(values, "common/id")


def read(values: Mapping[str, str], key_of_secrets: str) -> ApplianceSettings:
    """Understands a VCH's settings.

    Args:
        values: its VM's extraConfig.
        key_of_secrets: base64 of the key of its secrets, as in its `.vmx`.

    Raises:
        SettingsError: something that the appliance needs is missing or can't be read.
    """
    secrets = _Secrets(values, key_of_secrets)
    certificate = _pem(_text(values, "cert/HostCertificate/Cert"))
    kind, reference = (
        _text(values, "container/ComputeResources|0/Type"),
        _text(values, "container/ComputeResources|0/Value"),
    )
    image_folder = _text(values, "storage/image_stores|0/Path")
    return ApplianceSettings(
        name=values.get("init/common/name", "") or _text(values, "init/common/name"),
        version=_text(values, "init/version/Version"),
        build=_text(values, "init/version/BuildNumber"),
        commit=_text(values, "init/version/GitCommit"),
        login=Login(
            address=_host_and_port(_text(values, "connect/target")),
            thumbprint=_text(values, "connect/target_thumbprint"),
            user=_text(values, "connect/username"),
            password=secrets.open("connect/token").decode(),
        ),
        certificate=certificate,
        key=_pem(secrets.open("cert/HostCertificate/Key").decode()) if certificate else "",
        authorities=_pem(_text(values, "cert/CertificateAuthorities")),
        volume_stores={label: _volume_store(values, label) for label in _map(values, "storage/VolumeLocations")},
        image_datastore=_text(values, "storage/image_stores|0/Host"),
        image_folder=_folder(image_folder),
        bridge_network=_text(values, "network/bridge_network") or "bridge",
        bridge_range=_range(values),
        bridge_width=_width(values),
        container_networks=_map(values, "network/container_networks"),
        pool=(kind, reference),
        name_convention=_text(values, "container/ContainerNameConvention"),
        insecure_registries=_list(values, "registry/insecure_registries"),
        registry_authorities=_pem(_text(values, "cert/RegistryCertificateAuthorities")),
        allowed_registries=_list(values, "registry/whitelist_registries"),
        static_addresses=_static_addresses(values),
        debug=int(_text(values, "init/diagnostics/debug") or 0),
        storage_quota=int(_text(values, "storage/storage_quota") or 0),
        bootstrap=_text(values, "container/bootstrap_image_path"),
    )


def has_reported(values: Mapping[str, str]) -> bool:
    """Whether an appliance has reported since the keys were emptied."""
    return all(values.get(_started(session), NIL) not in ("", NIL) for session in SESSIONS)


def report(values: Mapping[str, str], *, address: str, prefix: int, problem: str = "") -> dict[str, str]:
    """What a booted VCH writes into its VM.

    Args:
        values: its VM's extraConfig, which says what networks it has.
        address: its address.
        prefix: the prefix length of the network that it is in.
        problem: what is wrong; empty: nothing.
    """
    mask = ipaddress.IPv4Network((0, prefix)).netmask.packed
    written = {}
    networks = _map(values, "init/networks")
    for network in (network for network in NETWORKS if network in networks):
        place = f"{WRITABLE}init.networks|{network}.assigned"
        written[f"{place}.IP"] = _base64(_V4_IN_V6 + ipaddress.IPv4Address(address).packed)
        written[f"{place}.Mask"] = _base64(mask)
    for session in SESSIONS:
        # Whoever waits takes anything but `true` as that component's error text.
        written[_started(session)] = problem if problem and session == "port-layer" else "true"
    return written


def _started(session: str) -> str:
    return f"{WRITABLE}init.sessions|{session}.started"


class _Secrets:
    def __init__(self, values: Mapping[str, str], key: str) -> None:
        self._values = values
        self._key = key

    def open(self, name: str) -> bytes:
        box = self._values.get(f"{PREFIX}{name}@secret", "")
        if box in ("", NIL):
            return b""
        try:
            return opened(base64.b64decode(box, validate=True), base64.b64decode(self._key, validate=True))
        except (BoxError, binascii.Error) as error:
            raise SettingsError(f"Failed to decode {name}: {error}") from error


def _text(values: Mapping[str, str], name: str) -> str:
    found = values.get(PREFIX + name, "")
    return "" if found == NIL else found


def _list(values: Mapping[str, str], name: str) -> list[str]:
    """A list: the highest index under its name, and `NAME~` with bars between the items."""
    if not _text(values, name):
        return []
    return _text(values, f"{name}~").split("|")


def _map(values: Mapping[str, str], name: str) -> list[str]:
    """A map's keys: bars between them."""
    return [key for key in _text(values, name).split("|") if key]


def _bytes(values: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(_text(values, name), validate=True)
    except binascii.Error as error:
        raise SettingsError(f"{name} isn't base64") from error


def _pem(encoded: str) -> str:
    """Bytes are base64 in settings."""
    if not encoded:
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SettingsError("a certificate or key isn't base64 of PEM") from error


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _host_and_port(target: str) -> str:
    """`https://HOST[:PORT][/…]` as `HOST:PORT`."""
    address = target.partition("://")[2] or target
    address = address.partition("/")[0]
    return address if ":" in address else f"{address}:443"


def _volume_store(values: Mapping[str, str], label: str) -> VolumeStore:
    place = f"storage/VolumeLocations|{label}"
    path = _text(values, f"{place}/Path")
    return VolumeStore(label, _text(values, f"{place}/Scheme") or "ds", _text(values, f"{place}/Host"), _folder(path))


def _folder(path: str) -> str:
    """The folder in `[DATASTORE] folder` or `folder`."""
    return path.rpartition("]")[2].strip().strip("/")


def _range(values: Mapping[str, str]) -> ipaddress.IPv4Network:
    address, mask = _bytes(values, "network/bridge-ip-range/IP"), _bytes(values, "network/bridge-ip-range/Mask")
    if not address:
        return ipaddress.IPv4Network("172.16.0.0/12")
    return ipaddress.IPv4Network((address[-4:], _length(mask)), strict=False)


def _width(values: Mapping[str, str]) -> int:
    """Older versions don't have the key; their bridges are /16."""
    mask = _bytes(values, "network/bridge-net-width")
    return _length(mask) if mask else 16


def _length(mask: bytes) -> int:
    return bin(int.from_bytes(mask[-4:], "big")).count("1")


def _static_addresses(values: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for network in NETWORKS:
        place = f"init/networks|{network}"
        address = _bytes(values, f"{place}/ip/IP")
        if _text(values, f"{place}/static") == "true" and any(address[-4:]):
            found[network] = str(ipaddress.IPv4Address(address[-4:]))
    return found
