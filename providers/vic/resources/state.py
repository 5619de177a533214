"""What there is of a VCH, in the words of its arguments: the outputs of `VirtualContainerHost`; and how it is read."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from providers.kit.model import State
from providers.kit.secrets import Secret
from providers.vic.flags import Version
from providers.vic.settings import Settings, TlsMode

if TYPE_CHECKING:
    from providers.vic.certificates import Material
    from providers.vic.docker_api import Entrance, View
    from providers.vic.inspected import Configuration
    from providers.vic.vm import ContainerVm, Site, Vch

OFF, ON = "off", "on"
RUNNING = "RUNNING"
UNKNOWN = "unknown: no client certificate of it is known here"
KNOWN, LOST, NONE = "known", "lost", "none"
CONNECTED, NOT_CONNECTED, NO_CARD = "connected", "not connected", "no network card"
ITS_OWN = "its own"
_POWER = {"poweredOn": ON, "poweredOff": OFF, "suspended": "suspended"}
_PORTAL_PORT = 2378


class VchState(State):
    """A VCH. What can't be known is absent."""

    vm_id: str
    name: str
    version: str
    build: str
    commit: str = ""
    bundle_sha256: str = ""
    power: str
    pool: str
    pool_path: str
    iso: str
    networks: dict[str, str] = Field({})
    addresses: dict[str, str] = Field({})

    docker_host: str = ""
    server_name: str = ""
    docker_api: str
    api_version: str = ""
    portal: str = ""
    volume_stores_online: dict[str, bool] = Field({})
    volumes: dict[str, str] | None = None
    running: list[str] = Field([])
    stranded: list[str] = Field([])

    vcenter_thumbprint: str
    vcenter_shows: str
    ca: str | None = Field(None, repr=False)
    client_cert: str | None = Field(None, repr=False)
    client_key: str | None = Field(None, repr=False)
    client_certificate: str = NONE
    certificate: str = ""
    known_certificate: str = ""
    not_after: str | None = None

    update_in_progress: bool
    half_made: bool = False
    made_here: bool = False
    inspected: dict[str, list[str]] = Field({})
    seen: str

    compute_resource: str | None = None
    image_store: str | None = None
    volume_stores: dict[str, str] = Field({})
    bridge_network: str | None = None
    bridge_network_range: str | None = None
    bridge_network_width: int | None = None
    public_network: dict[str, Any] | None = None
    client_network: dict[str, Any] | None = None
    management_network: dict[str, Any] | None = None
    container_networks: dict[str, Any] | None = None
    dns_servers: list[str] | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: list[str] | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_shares: str | None = None
    cpu: int | None = None
    cpu_reservation: int | None = None
    cpu_shares: str | None = None
    endpoint_memory: int | None = None
    endpoint_cpu: int | None = None
    storage_quota: int | None = None
    containers: int | None = None
    container_name_convention: str | None = None
    affinity_vm_group: bool | None = None
    tls: dict[str, Any]
    insecure_registries: list[str] | None = None
    whitelist_registries: list[str] | None = None
    ops_user: str | None = None
    syslog_address: str | None = None
    asymmetric_routes: bool | None = None
    debug: int | None = None

    @property
    def ends(self) -> datetime.datetime | None:
        """When the first of its certificates ends."""
        return None if self.not_after is None else datetime.datetime.fromisoformat(self.not_after)


SHOWN_SETTINGS = frozenset(Settings.model_fields) & frozenset(VchState.model_fields)


def settings_there(
    vch: Vch, told: Configuration | None, wanted: Settings, known_before: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings that a VCH has, in the words of `wanted`.

    A version without `inspect config` tells only some; of the others we only know what it was told last.
    """
    if told is not None:
        from providers.vic.inspected import observed

        found = observed(told, wanted)
    else:
        assumed = known_before or wanted.model_dump(mode="json", exclude_unset=True)
        found = {name: value for name, value in assumed.items() if name in SHOWN_SETTINGS}
    known = {**found, **vch.told(), "tls": _tls(vch, wanted)}
    for name in ("insecure_registries", "whitelist_registries", "no_proxy"):
        mine = getattr(wanted, name)
        if sorted(mine) == sorted(known.get(name) or []):  # their order means nothing
            known[name] = list(mine)
    return known


def client_material(desired: Settings, learned: Material | None, last: VchState | None) -> Material:
    """The client's certificate and key and the CA, from whoever knows them best."""
    from providers.vic.certificates import Material

    given = desired.certificates
    if given is not None:
        key = None if given.client_key is None else Secret(given.client_key)
        return Material(ca=given.ca, client_cert=given.client_cert, client_key=key)
    if learned is not None:
        return learned
    if last is not None:
        key = None if last.client_key is None else Secret(last.client_key)
        return Material(ca=last.ca, client_cert=last.client_cert, client_key=key)
    return Material()


def fitting(material: Material, vch: Vch) -> Material:
    """The material as far as the VCH takes it: another CA in the VM, and the client's certificate is of no use."""
    if vch.tls_mode is TlsMode.NONE:
        return replace(material, ca=None, client_cert=None, client_key=None)
    if vch.tls_mode is TlsMode.SERVER:
        return replace(material, ca=material.ca or vch.server_certificate, client_cert=None, client_key=None)
    if material.ca and vch.authorities and not _same_certificates(material.ca, vch.authorities):
        return replace(material, ca=vch.authorities, client_cert=None, client_key=None)
    return replace(material, ca=material.ca or vch.authorities)


def entrance_of(vch: Vch, material: Material) -> Entrance | None:
    """Where its Docker API is; `None` where it reports no address, or we have nothing to show there."""
    from providers.vic.docker_api import Entrance

    address = vch.addresses.get("client")
    if not address:
        return None
    return Entrance(address, vch.server_certificate, material.client_cert, material.client_key)


def certificates_there(vch: Vch, material: Material, last: VchState | None, *, made: bool) -> dict[str, Any]:
    """The fields that tell of its certificates."""
    from providers.vic.certificates import shown

    text = vch.server_certificate
    seen = "" if text is None else shown(text).fingerprint
    # What our own run has just made, or what we see for the first time, is what it shall be.
    known = seen if made or last is None or not last.known_certificate else last.known_certificate
    client = NONE
    if vch.tls_mode is TlsMode.MUTUAL:
        client = KNOWN if material.client_cert and material.client_key else LOST
    texts = [one for one in (text, material.ca, material.client_cert) if one]
    ends = min((shown(one).not_after for one in texts), default=None)
    return {
        "ca": material.ca,
        "client_cert": material.client_cert,
        "client_key": None if material.client_key is None else material.client_key.reveal(),
        "client_certificate": client,
        "certificate": seen,
        "known_certificate": known,
        "not_after": None if ends is None else ends.isoformat(),
    }


def api_there(vch: Vch, view: View | None, last: VchState | None) -> dict[str, Any]:
    """The fields that its Docker API tells of."""
    stores = sorted(vch.volume_stores)
    if view is None:
        status = "no address of it is reported" if not vch.addresses.get("client") else UNKNOWN
        return {"docker_api": status, "volumes": None if last is None else last.volumes}
    online = {label: label in view.stores for label in stores} if view.status == RUNNING else {}
    volumes = dict(view.volumes) if view.volumes is not None else (last.volumes if last else None)
    return {
        "docker_api": view.status,
        "api_version": view.api_version or (last.api_version if last else ""),
        "volume_stores_online": online,
        "volumes": volumes,
    }


def machine_there(vch: Vch, site: Site, view: View | None) -> dict[str, Any]:
    """The fields that vSphere tells of."""
    own_iso = f"/v{vch.version}-{vch.build}-{vch.commit}-appliance.iso"
    containers = site.containers_of(vch)
    names = view.names if view else {}
    return {
        "vm_id": vch.id,
        "version": vch.version,
        "build": vch.build,
        "commit": vch.commit,
        "power": _POWER.get(vch.power, vch.power),
        "pool": ITS_OWN if vch.home == vch.pool else vch.pool_path,
        "pool_path": vch.pool_path,
        "iso": ITS_OWN if not vch.iso or vch.iso.endswith(own_iso) else vch.iso,
        "networks": _networks(vch),
        "addresses": vch.addresses,
        "running": sorted(names.get(one.container, one.name) for one in containers if one.power == "poweredOn"),
        "stranded": sorted(one.name for one in astray(vch, site)),
        "vcenter_thumbprint": vch.target_thumbprint,
        "update_in_progress": vch.update_in_progress,
        "seen": vch.hash,
    }


def astray(vch: Vch, site: Site) -> dict[ContainerVm, frozenset[str]]:
    """Its container VMs that are outside of its pool or folder, and which of the two."""
    has_folder = Version.of(vch.version) >= Version(1, 2, 0)  # before, containers lie in the pool alone
    places = {"pool", "folder"} if has_folder else {"pool"}
    found = {one: frozenset(places.intersection(one.misplaced(vch))) for one in site.containers_of(vch)}
    return {one: where for one, where in found.items() if where}


def cards_astray(vch: Vch) -> dict[int, str]:
    """PCI slots of its network cards that somebody put on another network → the network that they belong to."""
    slots = vch.role_slots
    return {
        slots[role]: network
        for role, network in vch.role_networks.items()
        if role in slots and _connection(vch, role, network) == NOT_CONNECTED
    }


def doors(vch: Vch, last: VchState | None, certificate: str) -> dict[str, str]:
    """How clients reach it, by a name of its certificate where one leads there."""
    address = vch.addresses.get("client")
    if not address:
        return {}
    if last and last.docker_host and last.addresses == vch.addresses and last.certificate == certificate:
        return {"docker_host": last.docker_host, "portal": last.portal, "server_name": last.server_name}
    host = _called(vch.server_certificate, address)
    port = 2375 if vch.server_certificate is None else 2376
    names = [] if vch.server_certificate is None else _names(vch.server_certificate)
    return {
        "docker_host": f"tcp://{host}:{port}",
        "portal": f"https://{host}:{_PORTAL_PORT}",
        "server_name": next((name for name in names if "*" not in name), "") if host not in names else "",
    }


def _names(certificate: str) -> tuple[str, ...]:
    from providers.vic.certificates import shown

    return tuple(shown(certificate).names)


def _called(certificate: str | None, address: str) -> str:
    if certificate is None:
        return address
    from providers.vic.certificates import shown

    names = shown(certificate).names
    if address in names:
        return address
    for name in names:
        with suppress(OSError, UnicodeError):
            if not name.startswith("*") and address in {str(one[4][0]) for one in socket.getaddrinfo(name, None)}:
                return name
    return address


def _networks(vch: Vch) -> dict[str, str]:
    return {role: _connection(vch, role, network) for role, network in sorted(vch.role_networks.items())}


def _connection(vch: Vch, role: str, network: str) -> str:
    wanted = network.rpartition(":")[2]
    there = vch.cards.get(vch.role_slots.get(role, -1))
    if there is None:
        # A card that was taken out and put in again has another slot; what counts is that there is one.
        found = wanted in vch.networks
        return CONNECTED if found else (NO_CARD if vch.cards else NOT_CONNECTED)
    return CONNECTED if there == wanted else NOT_CONNECTED


def _tls(vch: Vch, wanted: Settings) -> dict[str, Any]:
    """As far as a server's certificate tells; what vic-machine adds to the organisation isn't ours."""
    found: dict[str, Any] = {"mode": vch.tls_mode.value}
    text = vch.server_certificate
    if text is None:
        return found
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    one = x509.load_pem_x509_certificates(text.encode())[0]
    called = [str(name.value) for name in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    units = [str(name.value) for name in one.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    key = one.public_key()
    mine = wanted.tls.organization
    found["cname"] = called[0] if called else ""
    found["organization"] = list(mine) if set(mine) <= set(units) else units
    if isinstance(key, rsa.RSAPublicKey):
        found["key_size"] = key.key_size
    return found


def _same_certificates(one: str, other: str) -> bool:
    from providers.vic.certificates import fingerprints

    return bool(set(fingerprints([one])) & set(fingerprints([other])))


def configuration_of(inspected: Mapping[str, list[str]]) -> Configuration:
    """What `inspect config` said once."""
    from types import MappingProxyType

    from providers.vic.inspected import Configuration

    return Configuration(MappingProxyType({name: tuple(values) for name, values in inspected.items()}))
