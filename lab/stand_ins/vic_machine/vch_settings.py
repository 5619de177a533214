"""Writes a VCH's settings as its appliance reads them, key by key; for create, and in parts for configure."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.certificates import Certificates
from lab.stand_ins.vic_machine.checks import Checked, identity
from lab.stand_ins.vic_machine.command_line import Options
from lab.stand_ins.vic_machine.extra_config import (
    NOTHING,
    Settings,
    address,
    mask,
    names,
    read_only,
    text,
    texts,
    truth,
    written,
)
from lab.stand_ins.vic_machine.vsphere import reference
from lab.stand_ins.vic_machine.wanted import ContainerNetwork, Network, Store, Wanted

COMPONENTS = ("docker-personality", "port-layer", "vicadmin")
PLAIN_PORT, TLS_PORT = 2375, 2376
TOKEN = "connect/token"
HOST_KEY = "cert/HostCertificate/Key"
GIB_BYTES = 1 << 30
USUAL_WIDTH = 16

_ROLES = ("bridge", "client", "management", "public")
_NOWHERE = ipaddress.IPv4Address(0)


@dataclass(frozen=True)
class Surroundings:
    """Where a VCH is made, as its settings name it.

    Args:
        target: vSphere's URL.
        thumbprint: of its certificate.
        user: the account that the VCH works with.
        password: its password.
        machine: the VM, as ``VirtualMachine:vm-76``; ``CreatingVCH`` while there is none.
        pool: its pool or vApp.
        datacenter: its name.
        compute_path: the cluster's path.
        pool_path: the path of the pool that its own is in.
        folder: the VM's folder on the datastore.
        bootstrap: the file's name there.
    """

    target: str
    thumbprint: str
    user: str
    password: str
    machine: str
    pool: Any
    datacenter: str
    compute_path: str
    pool_path: str
    folder: str
    bootstrap: str


def whole(
    build: Build,
    wanted: Wanted,
    checked: Checked,
    certificates: Certificates,
    around: Surroundings,
    slots: Mapping[str, int],
    *,
    components: bool = True,
) -> Settings:
    """All settings of a new VCH.

    Args:
        slots: role → the place of its NIC on the bus.
        components: whether what runs in it is said already; the real one doesn't before the VM is there.
    """
    settings = Settings({})
    values = settings.values
    values |= _basics(build, wanted, around)
    values |= _connection(around)
    settings.plain[TOKEN] = around.password.encode()
    tls_values, tls_secrets = tls(certificates)
    values |= tls_values
    settings.plain |= tls_secrets
    values |= _network(build, wanted, checked, slots)
    values |= container_networks(build, wanted, checked)
    values |= _storage(build, wanted, checked, around)
    values |= _container(build, wanted.options, checked, around)
    values |= registry(wanted)
    values |= syslog(wanted.options)
    if components:
        port = TLS_PORT if certificates.certificate else PLAIN_PORT
        values |= _components(build, wanted, checked, around, port)
    if not build.is_first:
        values |= texts(read_only("vic_machine_create_options"), create_options(wanted.options, wanted))
    return settings


def add_missing(settings: Settings) -> None:
    """Adds what 1.5 keeps and 1.1 didn't, with what stands for nothing given."""
    values = {
        read_only("container/UseVMGroup"): "false",
        read_only("container/VMGroupName"): NOTHING,
        read_only("container/container_count"): "0",
        read_only("grant_permissions"): NOTHING,
        read_only("init/asymrouting"): "false",
        read_only("init/domainname"): NOTHING,
        read_only("init/hostname"): NOTHING,
        read_only("network/bridge-net-width"): mask(USUAL_WIDTH),
        read_only("storage/storage_quota"): "0",
    }
    for role in settings.names("init/networks"):
        values[read_only(f"init/networks|{role}/internal")] = "false"
        values[read_only(f"init/networks|{role}/network/TrustLevel")] = "0"
    for name in settings.names("network/container_networks"):
        values[read_only(f"network/container_networks|{name}/TrustLevel")] = "0"
    for name in COMPONENTS:
        values[written(f"init/sessions|{name}/runblock")] = "false"
    settings.values = {**values, **settings.values}


def tls(certificates: Certificates) -> tuple[dict[str, str], dict[str, bytes]]:
    """Certificates: what is open, and what is to be sealed."""
    if not certificates.certificate:
        return {}, {}
    open_: dict[str, str] = {
        read_only("cert/HostCertificate/Cert"): base64.b64encode(certificates.certificate).decode()
    }
    if certificates.authorities:
        authorities = base64.b64encode(certificates.authorities).decode()
        open_[read_only("cert/CertificateAuthorities")] = authorities
    return open_, {HOST_KEY: base64.b64encode(certificates.key)}


def syslog(options: Options) -> dict[str, str]:
    """Where the VCH sends its logs."""
    protocol, separator, where = options.text("syslog-address").partition("://")
    if not separator:
        return {}
    return {
        read_only("init/diagnostics/syslog/Network"): protocol,
        read_only("init/diagnostics/syslog/RAddr"): where,
    }


def registry(wanted: Wanted) -> dict[str, str]:
    """Which registries it may use, and by which authorities it knows them."""
    values = texts(read_only("registry/insecure_registries"), wanted.options.every("insecure-registry"))
    values |= texts(read_only("registry/whitelist_registries"), wanted.options.every("whitelist-registry"))
    if wanted.registry_authorities:
        authorities = base64.b64encode(wanted.registry_authorities).decode()
        values[read_only("cert/RegistryCertificateAuthorities")] = authorities
    return values


def volume_stores(stores: Mapping[str, Store]) -> dict[str, str]:
    """Where volumes are kept, by label."""
    if not stores:
        return {}
    values = {read_only("storage/VolumeLocations"): names(stores)}
    for label, one in stores.items():
        path = f"[{one.host}] {one.path}" if one.scheme == "ds" else one.path
        values |= _url(f"storage/VolumeLocations|{label}", one, path)
    return values


def container_networks(build: Build, wanted: Wanted, checked: Checked) -> dict[str, str]:
    """The networks that containers may use: the bridge, and the ones that were given."""
    known = {name: one for name, one in wanted.container_networks.items() if name in checked.container_networks}
    values = {read_only("network/container_networks"): names(["bridge", *known])}
    if "bridge" in checked.networks:
        values |= _container_network(build, "bridge", identity(checked.networks["bridge"]), "bridge", None)
    for name, one in known.items():
        values |= _container_network(build, name, identity(checked.container_networks[name]), "external", one)
    return values


def name_servers(role: str, servers: Sequence[ipaddress.IPv4Address]) -> dict[str, str]:
    return _addresses(f"init/networks|{role}/network/dns", servers)


def create_options(options: Options, wanted: Wanted | None = None) -> list[str]:
    """What was given to create, for people who look later; without login and secrets."""
    said: list[str] = []
    for flag in options.flags:
        if flag.name in ("user", "password", "ops-password") or not options.has(flag.name):
            continue
        values = [_as_given(flag.name, one) for one in options.every(flag.name)]
        said += [f"--{flag.name}={one}" for one in values]
    return said


def _as_given(name: str, value: str) -> str:
    if name != "target":
        return value
    scheme, _, rest = value.rpartition("://")
    return f"{scheme or 'https'}://{rest.rpartition('@')[2]}"


def _basics(build: Build, wanted: Wanted, around: Surroundings) -> dict[str, str]:
    debug = str(wanted.options.number("debug") or 0)
    values = {
        written("init/createtime"): "0",
        written("init/diagnostics/resurrections"): "0",
        read_only("create_bridge_network"): "false",
        read_only("init/common/ExecutionEnvironment"): NOTHING,
        read_only("init/common/id"): around.machine,
        "init/common/name": wanted.name,
        "init/common/notes": NOTHING,
        read_only("init/diagnostics/debug"): debug,
        read_only("init/imageid"): NOTHING,
        read_only("init/layerid"): NOTHING,
        read_only("init/repo"): NOTHING,
        read_only("init/version/BuildDate"): NOTHING,
        read_only("init/version/BuildNumber"): build.number,
        read_only("init/version/GitCommit"): text(build.commit),
        read_only("init/version/PluginVersion"): str(build.plugin),
        read_only("init/version/State"): NOTHING,
        read_only("init/version/Version"): f"v{build.version}",
    }
    if not build.is_first:
        grant = wanted.options.yes("ops-grant-perms")
        values |= {
            read_only("grant_permissions"): "ADD" if grant else NOTHING,
            read_only("init/asymrouting"): truth(wanted.options.yes("asymmetric-routes")),
            read_only("init/domainname"): NOTHING,
            read_only("init/hostname"): NOTHING,
        }
    return values


def _connection(around: Surroundings) -> dict[str, str]:
    return {
        read_only("connect/keepalive"): "0",
        read_only("connect/target"): around.target,
        read_only("connect/target_thumbprint"): around.thumbprint,
        read_only("connect/username"): around.user,
    }


def _network(build: Build, wanted: Wanted, checked: Checked, slots: Mapping[str, int]) -> dict[str, str]:
    bridge = wanted.bridge_range
    values = {
        read_only("network/bridge-ip-range/IP"): base64.b64encode(bridge.network_address.packed).decode(),
        read_only("network/bridge-ip-range/Mask"): mask(bridge.prefixlen),
        read_only("network/bridge_network"): "bridge",
        read_only("init/networks"): names(_ROLES),
    }
    if not build.is_first:
        values[read_only("network/bridge-net-width")] = mask(wanted.bridge_width)
    for role in _ROLES:
        one = Network() if role == "bridge" else getattr(wanted, role)
        found = identity(checked.networks[role]) if role in checked.networks else ""
        values |= _endpoint(build, role, one, found, slots.get(role))
        if role != "bridge":
            values |= name_servers(role, wanted.dns)
    return values


def _endpoint(build: Build, role: str, network: Network, found: str, slot: int | None) -> dict[str, str]:
    at = f"init/networks|{role}"
    is_bridge = role == "bridge"
    values = {
        written(f"{at}/network/type"): "bridge" if is_bridge else NOTHING,
        f"{at}/Common/notes": NOTHING,
        f"{at}/network/Common/notes": NOTHING,
        read_only(f"{at}/Common/ExecutionEnvironment"): NOTHING,
        read_only(f"{at}/Common/id"): NOTHING if slot is None else str(slot),
        read_only(f"{at}/Common/name"): NOTHING if role == "management" else role,
        read_only(f"{at}/network/Common/ExecutionEnvironment"): NOTHING,
        read_only(f"{at}/network/Common/id"): text(found),
        read_only(f"{at}/network/Common/name"): role,
        read_only(f"{at}/network/default"): truth(role == "public"),
        read_only(f"{at}/static"): truth(is_bridge or network.ip is not None),
    }
    if not build.is_first:
        values[read_only(f"{at}/internal")] = "false"
        values[read_only(f"{at}/network/TrustLevel")] = "0"
    if is_bridge:
        values[read_only(f"{at}/ip/IP")] = address(_NOWHERE)
    elif network.ip is not None:
        prefix = network.ip.network.prefixlen
        values[read_only(f"{at}/ip/IP")] = address(network.ip.ip)
        values[read_only(f"{at}/ip/Mask")] = mask(prefix)
        if network.gateway is not None:
            values[read_only(f"{at}/network/gateway/IP")] = address(network.gateway)
            values[read_only(f"{at}/network/gateway/Mask")] = mask(prefix)
        values |= _networks(f"{at}/network/destinations", network.destinations)
    return values


def _container_network(build: Build, name: str, found: str, kind: str, one: ContainerNetwork | None) -> dict[str, str]:
    at = f"network/container_networks|{name}"
    values = {
        written(f"{at}/type"): kind,
        f"{at}/Common/notes": NOTHING,
        read_only(f"{at}/Common/ExecutionEnvironment"): NOTHING,
        read_only(f"{at}/Common/id"): found,
        read_only(f"{at}/Common/name"): name,
        read_only(f"{at}/default"): "false",
    }
    if not build.is_first:
        values[read_only(f"{at}/TrustLevel")] = str(one.firewall if one else 0)
    if one is None:
        return values
    if one.gateway is not None:
        values[read_only(f"{at}/gateway/IP")] = address(one.gateway.ip)
        values[read_only(f"{at}/gateway/Mask")] = mask(one.gateway.network.prefixlen)
    values |= _addresses(f"{at}/dns", one.dns)
    for index, pool in enumerate(one.pools):
        first, last = _ends(pool)
        values[read_only(f"{at}/pools|{index}/first")] = address(first)
        values[read_only(f"{at}/pools|{index}/last")] = address(last)
    if one.pools:
        values[read_only(f"{at}/pools")] = str(len(one.pools) - 1)
    return values


def _ends(pool: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    first, dash, last = pool.partition("-")
    if dash:
        return ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    network = ipaddress.IPv4Network(pool, strict=False)
    return network.network_address, network.broadcast_address


def _addresses(path: str, values: Sequence[ipaddress.IPv4Address]) -> dict[str, str]:
    if not values:
        return {}
    found = {read_only(f"{path}|{index}"): address(one) for index, one in enumerate(values)}
    return {read_only(path): str(len(values) - 1), **found}


def _networks(path: str, values: Sequence[ipaddress.IPv4Network]) -> dict[str, str]:
    if not values:
        return {}
    found: dict[str, str] = {read_only(path): str(len(values) - 1)}
    for index, one in enumerate(values):
        found[read_only(f"{path}|{index}/IP")] = base64.b64encode(one.network_address.packed).decode()
        found[read_only(f"{path}|{index}/Mask")] = mask(one.prefixlen)
    return found


def _storage(build: Build, wanted: Wanted, checked: Checked, around: Surroundings) -> dict[str, str]:
    images = checked.image_store
    values = volume_stores(checked.volume_stores)
    values |= _url("storage/image_stores|0", images, images.path or around.folder)
    values[read_only("storage/image_stores")] = "0"
    values[read_only("storage/scratch_size")] = str(wanted.scratch_kilobytes)
    if not build.is_first:
        values[read_only("storage/storage_quota")] = str((wanted.options.number("storage-quota") or 0) * GIB_BYTES)
    return values


def _url(path: str, one: Store, where: str) -> dict[str, str]:
    parts = {
        "ForceQuery": "false",
        "Fragment": "",
        "Host": one.host,
        "OmitHost": "false",
        "Opaque": "",
        "Path": where,
        "RawFragment": "",
        "RawPath": "",
        "RawQuery": one.query,
        "Scheme": one.scheme,
    }
    return {read_only(f"{path}/{name}"): text(value) for name, value in parts.items()}


def _container(build: Build, options: Options, checked: Checked, around: Surroundings) -> dict[str, str]:
    kind, _, value = reference(around.pool).partition(":")
    convention = options.text("container-name-convention")
    values = {
        read_only("container/ComputeResources"): "0",
        read_only("container/ComputeResources|0/Type"): kind,
        read_only("container/ComputeResources|0/Value"): value,
        read_only("container/ContainerNameConvention"): text(convention),
    }
    if around.folder:
        path = f"[{checked.image_store.host}] {around.folder}/{around.bootstrap}"
        values[read_only("container/bootstrap_image_path")] = path
    if not build.is_first:
        group = options.yes("affinity-vm-group")
        values[read_only("container/UseVMGroup")] = truth(group)
        values[read_only("container/VMGroupName")] = text(options.text("name") if group else "")
        values[read_only("container/container_count")] = str(options.number("containers") or 0)
    return values


def _components(build: Build, wanted: Wanted, checked: Checked, around: Surroundings, port: int) -> dict[str, str]:
    paths = ("PATH=/sbin", "GOTRACEBACK=all")
    values = {read_only("init/sessions"): names(COMPONENTS)}
    values |= _component(
        build,
        wanted,
        "docker-personality",
        ["/sbin/docker-engine-server", f"-port={port}", "-port-layer-port=2377"],
        [*paths, *_proxies(wanted.options, "")],
    )
    values |= _component(
        build,
        wanted,
        "port-layer",
        ["/sbin/port-layer-server", "--host=localhost", "--port=2377"],
        [
            f"VC_URL={around.target}",
            f"DC_PATH={around.datacenter}",
            f"CS_PATH={around.compute_path}",
            f"POOL_PATH={around.pool_path}",
            f"DS_PATH={checked.image_store.host}",
        ],
    )
    values |= _component(
        build,
        wanted,
        "vicadmin",
        [
            "/sbin/vicadmin",
            f"--dc={around.datacenter}",
            f"--pool={around.pool_path}",
            f"--cluster={around.compute_path}",
        ],
        ["PATH=/sbin:/bin", "GOTRACEBACK=all", *_proxies(wanted.options, "VICADMIN_")],
        account="vicadmin",
        folder="/home/vicadmin",
    )
    return values


def _proxies(options: Options, prefix: str) -> list[str]:
    named = (("HTTP_PROXY", "http-proxy"), ("HTTPS_PROXY", "https-proxy"), ("NO_PROXY", "no-proxy"))
    return [f"{prefix}{name}={options.text(flag)}" for name, flag in named if options.text(flag)]


def _component(
    build: Build,
    wanted: Wanted,
    name: str,
    arguments: Sequence[str],
    environment: Sequence[str],
    account: str = "",
    folder: str = "",
) -> dict[str, str]:
    at = f"init/sessions|{name}"
    debug = str(wanted.options.number("debug") or 0)
    values = {
        written(f"{at}/detail/createtime"): "0",
        written(f"{at}/detail/starttime"): "0",
        written(f"{at}/detail/stoptime"): "0",
        written(f"{at}/diagnostics/resurrections"): "0",
        written(f"{at}/started"): NOTHING,
        written(f"{at}/status"): "0",
        f"{at}/common/notes": NOTHING,
        read_only(f"{at}/Group"): text(account),
        read_only(f"{at}/User"): text(account),
        read_only(f"{at}/active"): "true",
        read_only(f"{at}/attach"): "false",
        read_only(f"{at}/cmd/Dir"): text(folder),
        read_only(f"{at}/cmd/Path"): arguments[0],
        read_only(f"{at}/common/ExecutionEnvironment"): NOTHING,
        read_only(f"{at}/common/id"): name,
        read_only(f"{at}/common/name"): name,
        read_only(f"{at}/diagnostics/debug"): debug,
        read_only(f"{at}/openstdin"): "false",
        read_only(f"{at}/restart"): "true",
        read_only(f"{at}/stopSignal"): NOTHING,
        read_only(f"{at}/tty"): "false",
    }
    values |= texts(read_only(f"{at}/cmd/Args"), arguments)
    values |= texts(read_only(f"{at}/cmd/Env"), environment)
    block = read_only(f"{at}/runblock") if build.is_first else written(f"{at}/runblock")
    values[block] = "false"
    return values
