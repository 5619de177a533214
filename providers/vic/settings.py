"""What a Virtual Container Host is to be, in one model that knows the field's rules; for the resource and clients."""

from __future__ import annotations

import ipaddress
import re
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from providers.kit.model import Inputs
from providers.vic import flags
from providers.vic.flags import Command

LONGEST_NAME = 31
DEFAULT_TIMEOUT_S = 180
DEFAULT_BRIDGE_RANGE = "172.16.0.0/12"
DEFAULT_BRIDGE_WIDTH = 16
DEFAULT_KEY_BITS = 2048

# vic-machine takes none of these in a name (facts/vic-machine.md).
_NOT_IN_NAMES = "%&*$#@!\\/:?\"<>;'|"
_NOT_IN_STORES = "%&*$#@!\\?\"<>;'|"


class TlsMode(str, Enum):
    """How the Docker API is reached.

    MUTUAL: encrypted, clients show a certificate. SERVER: encrypted, anyone may connect. NONE: in the clear.
    """

    MUTUAL = "mutual"
    SERVER = "server"
    NONE = "none"


class Firewall(str, Enum):
    """What a container network lets through (facts/vic-machine-flags.json, `container-network-firewall`)."""

    CLOSED = "closed"
    OUTBOUND = "outbound"
    PEERS = "peers"
    PUBLISHED = "published"
    OPEN = "open"


def _plain_name(what: str, text: str) -> str:
    wrong = sorted({one for one in text if one in _NOT_IN_NAMES or not one.isprintable()})
    if wrong:
        raise ValueError(f"{what} can't hold {' '.join(wrong)}; letters, digits, space and - _ . ( ) are allowed")
    if not text.strip(". ") or text != text.strip():
        raise ValueError(f"{what} must hold more than dots and spaces, and none at its ends")
    return text


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise ValueError(f"the name has {len(text)} characters; {LONGEST_NAME} at most are allowed")
    return _plain_name("a name", text)


def _label(text: str) -> str:
    return _plain_name("a label", text)


def _one_line(text: str) -> str:
    if not text.strip() or any(not one.isprintable() for one in text):
        raise ValueError("one line of text is allowed, and not an empty one")
    return text


def _datastore_path(text: str) -> str:
    bare = text.removeprefix("ds://")
    wrong = sorted({one for one in bare if one in _NOT_IN_STORES + ":" or not one.isprintable()})
    if wrong:
        raise ValueError(
            f"a datastore path can't hold {' '.join(wrong)}; DATASTORE/PATH is allowed, or ds://DATASTORE/PATH"
        )
    parts = bare.strip("/").split("/")
    if any(not one.strip() or one in (".", "..") for one in parts):
        raise ValueError("DATASTORE/PATH is allowed, or ds://DATASTORE/PATH, without empty parts")
    return "/".join(parts)


def _volume_place(text: str) -> str:
    if not text.startswith("nfs://"):
        if "://" in text and not text.startswith("ds://"):
            raise ValueError("DATASTORE/PATH, ds://DATASTORE/PATH or nfs://HOST/PATH is allowed")
        return _datastore_path(text)
    parts = urlsplit(text)
    if parts.username or parts.password or not parts.hostname or not parts.path.strip("/") or parts.fragment:
        raise ValueError("nfs://HOST/PATH is allowed, mount options may follow as ?uid=1000&gid=1000")
    return _one_line(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise ValueError("an IPv4 address such as 10.0.0.2 is allowed") from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise ValueError(f"a network such as 10.0.0.0/16 is allowed: {error}") from None


def _interface(text: str) -> str:
    try:
        if "/" not in text:
            raise ValueError("the length of its mask is missing")
        return str(ipaddress.IPv4Interface(text))
    except ValueError as error:
        raise ValueError(f"an address with its mask such as 10.0.0.9/24 is allowed: {error}") from None


def _range(text: str) -> str:
    first, dash, last = text.partition("-")
    if not dash:
        return _network(text)
    try:
        low, high = ipaddress.IPv4Address(first), ipaddress.IPv4Address(last)
    except ValueError:
        raise ValueError("a network such as 10.0.0.0/24 or a range such as 10.0.0.10-10.0.0.20 is allowed") from None
    if high < low:
        raise ValueError("the range ends before it begins")
    return f"{low}-{high}"


def _proxy(text: str) -> str:
    if not text:
        return text  # none, said explicitly
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("a proxy with credentials is refused: they would stand in the command line and in the VCH")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("http://HOST:PORT or https://HOST:PORT is allowed")
    return _one_line(text)


def _registry(text: str) -> str:
    if re.search(r"[\s@,]", text) or not text or ("://" in text and not re.match(r"https?://[^/]", text)):
        raise ValueError("HOST, HOST:PORT, a network or *.DOMAIN is allowed")
    return text


def _no_proxy(text: str) -> str:
    if not text or re.search(r"[\s,@]", text):
        raise ValueError("one HOST, DOMAIN or network a time is allowed")
    return text


def _syslog(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("tcp", "udp") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise ValueError("tcp://HOST:PORT or udp://HOST:PORT is allowed")
    return _one_line(text)


def _convention(text: str) -> str:
    if "{id}" not in text and "{name}" not in text:
        raise ValueError("the convention must hold {id} or {name}")
    return _one_line(text)


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(?:KB|MB|GB|TB)", text):
        raise ValueError("a size such as 8GB or 8000MB is allowed")
    return text


def _certificates(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise ValueError("only certificates are allowed, and this holds a private key")
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValueError("the text of certificates in PEM form is allowed (-----BEGIN CERTIFICATE-----)") from None
    return text.strip() + "\n"


def _shares(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("high, normal, low or a number of shares is allowed")
    if isinstance(value, int):
        if value < 1:
            raise ValueError("high, normal, low or a number of shares above 0 is allowed")
        return str(value)
    if value not in ("high", "normal", "low") and not re.fullmatch(r"[1-9]\d*", value):
        raise ValueError("high, normal, low or a number of shares is allowed")
    return value


Name = Annotated[str, AfterValidator(_name)]
Label = Annotated[str, AfterValidator(_label)]
Line = Annotated[str, AfterValidator(_one_line)]
DatastorePath = Annotated[str, AfterValidator(_datastore_path)]
VolumePlace = Annotated[str, AfterValidator(_volume_place)]
Address = Annotated[str, AfterValidator(_address)]
NetworkText = Annotated[str, AfterValidator(_network)]
Interface = Annotated[str, AfterValidator(_interface)]
RangeText = Annotated[str, AfterValidator(_range)]
Proxy = Annotated[str, AfterValidator(_proxy)]
Registry = Annotated[str, AfterValidator(_registry)]
NoProxy = Annotated[str, AfterValidator(_no_proxy)]
Syslog = Annotated[str, AfterValidator(_syslog)]
Convention = Annotated[str, AfterValidator(_convention)]
Size = Annotated[str, AfterValidator(_size)]
CertificateText = Annotated[str, AfterValidator(_certificates)]
Shares = Annotated[str, BeforeValidator(_shares)]
Megabytes = Annotated[int, Field(strict=True, ge=0)]
Megahertz = Annotated[int, Field(strict=True, ge=0)]


class RoleNetwork(Inputs):
    """One of the VCH's own networks: public, client or management; DHCP where no `ip` is given.

    Args:
        name: the port group.
        ip: a fixed address with its mask, for example ``10.0.0.9/24``.
        gateway: the gateway's address, in the same network.
        routes: what is reached through the gateway; for client and management networks.
    """

    name: Line | None = Field(None, description="The port group.")
    ip: Interface | None = Field(None, description="A fixed address with its mask, for example 10.0.0.9/24.")
    gateway: Address | None = Field(None, description="The gateway's address, in the same network.")
    routes: list[NetworkText] = Field([], description="What is reached through the gateway (not for public_network).")

    @model_validator(mode="after")
    def _fits(self) -> RoleNetwork:
        if self.gateway and not self.ip:
            raise ValueError(f"gateway {self.gateway} needs a fixed ip beside it")
        if self.routes and not self.gateway:
            raise ValueError("routes need a gateway")
        if self.ip and self.gateway:
            reached = ipaddress.IPv4Interface(self.ip).network
            if ipaddress.IPv4Address(self.gateway) not in reached:
                raise ValueError(f"gateway {self.gateway} is not in the network of ip {self.ip}")
        return self


class ContainerNetwork(Inputs):
    """A vSphere network that containers can join directly, under the name that is its key.

    Args:
        port_group: the port group.
        gateway: the gateway with the mask of its network, for example ``10.1.0.1/16``.
        ip_ranges: which addresses are given out.
        dns: DNS servers.
        firewall: what is let through; `published` where nothing is said.
    """

    port_group: Line = Field(description="The port group.")
    gateway: Interface | None = Field(None, description="The gateway with its network's mask, for example 10.1.0.1/16.")
    ip_ranges: list[RangeText] = Field([], description="Addresses that are given out: networks, or FIRST-LAST.")
    dns: list[Address] = Field([], description="DNS servers.")
    firewall: Firewall | None = Field(None, description="closed, outbound, peers, published (the default) or open.")

    @model_validator(mode="after")
    def _fits(self) -> ContainerNetwork:
        if ":" in self.port_group:
            raise ValueError(f"port_group '{self.port_group}' can't hold a colon: vic-machine splits there")
        if self.ip_ranges and not self.gateway:
            raise ValueError("ip_ranges need a gateway beside them")
        return self


class Tls(Inputs):
    """How the Docker API is secured; certificates that aren't given are made by vic-machine.

    Args:
        mode: `mutual` (the default), `server` or `none`.
        cname: common name of the server's certificate: a name, an address or ``*.DOMAIN``.
        organization: what made certificates hold as organisation.
        key_size: bits of keys that are made.
    """

    mode: TlsMode = Field(TlsMode.MUTUAL, description="mutual, server or none.")
    cname: Line | None = Field(None, description="The server certificate's common name: a name, address or *.DOMAIN.")
    organization: list[Line] = Field([], description="What certificates that are made hold as organisation.")
    key_size: Literal[2048, 3072, 4096] | None = Field(None, description="Bits of keys that are made; 2048.")

    @model_validator(mode="after")
    def _fits(self) -> Tls:
        beside = [name for name in ("cname", "organization", "key_size") if getattr(self, name)]
        if self.mode is TlsMode.NONE and beside:
            raise ValueError(f"mode none has no certificate, so {', '.join(beside)} can't be set")
        return self


class Certificates(Inputs):
    """Certificates of your own, as PEM texts, instead of made ones.

    Args:
        server_cert, server_key: the server's.
        ca: whose client certificates are let in; needed with mode `mutual`.
        client_cert, client_key: a client's, for our own look at the VCH and for the outputs.
    """

    server_cert: CertificateText = Field(description="The server's certificate, with what it is signed by.")
    server_key: str = Field(repr=False, description="Its key, not encrypted.")
    ca: CertificateText | None = Field(None, description="Whose client certificates are let in.")
    client_cert: CertificateText | None = Field(None, description="A client's certificate.")
    client_key: str | None = Field(None, repr=False, description="Its key, not encrypted.")

    @model_validator(mode="after")
    def _fits(self) -> Certificates:
        for name in ("server_key", "client_key"):
            key = getattr(self, name)
            if key is not None and ("PRIVATE KEY-----" not in key or "ENCRYPTED" in key):
                raise ValueError(f"{name} must be a private key in PEM form that isn't encrypted")
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key belong together")
        return self


class Settings(Inputs):
    """A Virtual Container Host, in vic-machine's words. What isn't set is vic-machine's to choose, and isn't compared.

    Units: memory in MB, CPU in MHz, `storage_quota` in GB, `timeout_s` in seconds.
    """

    secret_fields: ClassVar[frozenset[str]] = frozenset({"certificates"})

    name: Name = Field(description="The VCH's name: its VM, folder and pool; at most 31 characters.")
    datacenter: Line | None = Field(None, description="The datacenter, where the vCenter has several.")
    compute_resource: Line | None = Field(None, description="Cluster, host or pool: its name or inventory path.")
    image_store: DatastorePath | None = Field(None, description="Where images lie: DATASTORE/PATH, a path of its own.")
    volume_stores: dict[Label, VolumePlace] = Field(
        {}, description="Label → DATASTORE/PATH or nfs://HOST/PATH; volumes without a store go to `default`."
    )
    bridge_network: Line | None = Field(None, description="Port group of the containers' bridge; needed on a vCenter.")
    bridge_network_range: NetworkText | None = Field(None, description="Range of bridge networks; 172.16.0.0/12.")
    bridge_network_width: int | None = Field(None, strict=True, ge=1, le=30, description="Mask length of each; 16.")
    public_network: RoleNetwork | None = Field(None, description="Published ports and the way out; `VM Network`.")
    client_network: RoleNetwork | None = Field(None, description="Where the Docker API is; as public.")
    management_network: RoleNetwork | None = Field(None, description="The way to vSphere; as client.")
    container_networks: dict[Label, ContainerNetwork] = Field({}, description="Networks that containers join directly.")
    dns_servers: list[Address] = Field([], description="DNS servers of the VCH.")
    http_proxy: Proxy | None = Field(None, description="For pulling images: http://HOST:PORT, without credentials.")
    https_proxy: Proxy | None = Field(None, description="The same for HTTPS.")
    no_proxy: list[NoProxy] = Field([], description="What is reached without a proxy.")
    memory: Megabytes | None = Field(None, description="The pool's memory limit in MB; 0 is no limit.")
    memory_reservation: Megabytes | None = Field(None, description="The pool's reserved memory in MB.")
    memory_shares: Shares | None = Field(None, description="high, normal, low or a number.")
    cpu: Megahertz | None = Field(None, description="The pool's CPU limit in MHz; 0 is no limit.")
    cpu_reservation: Megahertz | None = Field(None, description="The pool's reserved CPU in MHz.")
    cpu_shares: Shares | None = Field(None, description="high, normal, low or a number.")
    endpoint_memory: int | None = Field(None, strict=True, ge=1, description="The VCH VM's memory in MB; 2048.")
    endpoint_cpu: int | None = Field(None, strict=True, ge=1, description="The VCH VM's virtual CPUs; 1.")
    storage_quota: int | None = Field(
        None, strict=True, ge=0, description="Most that images and containers take, in GB."
    )
    containers: int | None = Field(None, strict=True, ge=0, description="Most containers; 0 is no limit.")
    base_image_size: Size | None = Field(None, description="Size of a container's disk, for example 8GB.")
    container_store: Line | None = Field(None, description="Datastore of containers; 1.1 and 1.2 only.")
    container_name_convention: Convention | None = Field(None, description="VM names, with {id} or {name}.")
    affinity_vm_group: bool | None = Field(None, strict=True, description="Containers are kept in a DRS VM group.")
    tls: Tls = Field(Tls(), description="How the Docker API is secured.")
    certificates: Certificates | None = Field(None, repr=False, description="Certificates of your own; secret.")
    registry_cas: list[CertificateText] = Field([], description="PEM texts of CAs that registries are trusted by.")
    insecure_registries: list[Registry] = Field([], description="Registries without a trusted certificate.")
    whitelist_registries: list[Registry] = Field([], description="Only these are allowed, where any is named.")
    ops_user: Line | None = Field(None, description="The account that the VCH uses after it was created.")
    ops_password: str | None = Field(None, description="Name of the secret that holds that account's password.")
    ops_grant_perms: bool | None = Field(
        None, strict=True, description="vic-machine grants that account what it needs."
    )
    syslog_address: Syslog | None = Field(None, description="Where logs are sent: tcp://HOST:PORT or udp://HOST:PORT.")
    asymmetric_routes: bool | None = Field(None, strict=True, description="Answers may take another way back.")
    use_rp: bool | None = Field(None, strict=True, description="A resource pool instead of a vApp; 1.1 and 1.2 only.")
    debug: int | None = Field(None, strict=True, ge=0, description="The VCH's verbosity; 0 to 3.")
    timeout_s: int = Field(DEFAULT_TIMEOUT_S, strict=True, ge=1, description="vic-machine's own limit in seconds.")

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, values: Any) -> Any:
        """Pulumi's protocol knows floating numbers only."""
        return _as_whole(values)

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        for check in (_stores_of_their_own, _networks_fit, _bridge_fits, _aliases, _ops_fit, _tls_fits):
            check(self)
        return self

    def set_fields(self) -> frozenset[str]:
        """The top-level fields that the user set."""
        return frozenset(self.model_fields_set)


def _as_whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_whole(inner) for name, inner in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def refused_by(settings: Settings, version: str, *, on_vcenter: bool = True) -> list[tuple[str, str]]:
    """What a version can't make of the settings, as (property, reason): for the preview.

    Args:
        settings: already valid by themselves.
        version: vic-machine's.
        on_vcenter: whether the target is a vCenter; a plain ESXi host needs no bridge network.
    """
    problems = []
    for row in flags.table():
        path = row.argument.path
        if row.argument.place is flags.Place.SETTINGS and _is_set(settings, path, row.flag):
            lacking = flags.lacking(version, Command.CREATE, row.flag)
            if lacking:
                problems.append((path.replace(".*", ""), lacking))
    if settings.image_store is None:
        problems.append(("image_store", "a VCH needs a path of its own for images: DATASTORE/PATH is allowed"))
    if on_vcenter and settings.bridge_network is None:
        problems.append(("bridge_network", "a vCenter needs a port group for the bridge"))
    return problems


def common_name(certificate: str) -> str:
    """The common name of the first certificate in a PEM text; empty where it has none."""
    subject = x509.load_pem_x509_certificates(certificate.encode())[0].subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def fields_at(model: type[BaseModel], path: str) -> bool:
    """Whether a model has a field at a path such as ``public_network.ip`` or ``container_networks.*.dns``."""
    here: Any = model
    for part in path.split("."):
        if part == "*":
            continue
        inner = here if isinstance(here, type) and issubclass(here, BaseModel) else _model_within(here)
        if inner is None or part not in inner.model_fields:
            return False
        here = inner.model_fields[part].annotation
    return True


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_within, getattr(annotation, "__args__", ()))), None)


def _is_set(settings: Settings, path: str, flag: str) -> bool:
    if flag in ("no-tls", "no-tlsverify"):
        return settings.tls.mode is {"no-tls": TlsMode.NONE, "no-tlsverify": TlsMode.SERVER}[flag]
    values: list[Any] = [settings]
    for part in path.split("."):
        values = [inner for one in values for inner in _inside(one, part)]
    return any(one not in (None, [], {}) for one in values)


def _inside(value: Any, part: str) -> list[Any]:
    if value is None:
        return []
    if part == "*":
        return list(value.values())
    return [getattr(value, part)] if part in getattr(value, "model_fields_set", ()) else []


def _stores_of_their_own(settings: Settings) -> None:
    """A failed configure deletes `DS/NAME`, and an image store without a path lies in it (facts/vic-machine.md)."""
    image = settings.image_store
    if image is not None and "/" not in image:
        raise ValueError(
            f"image_store '{image}' needs a path of its own: without one images lie in {image}/{settings.name}, "
            "which a failed configure deletes; DATASTORE/PATH is allowed"
        )
    places = {"image_store": image, **{f"volume_stores.{one}": at for one, at in settings.volume_stores.items()}}
    for property_, place in places.items():
        if place and not place.startswith("nfs://") and _is_own_folder(place, settings.name):
            raise ValueError(
                f"{property_} '{place}' lies in the VCH's own folder, which a failed configure deletes; "
                "another path is allowed"
            )


def _is_own_folder(place: str, name: str) -> bool:
    parts = place.split("/")
    return len(parts) > 1 and parts[1].casefold() == name.casefold()


def _networks_fit(settings: Settings) -> None:
    public = settings.public_network
    if public and public.routes:
        raise ValueError("public_network.routes: the public network is the way to everything else; leave it out")
    if public and public.ip and not public.gateway:
        raise ValueError(f"public_network.ip {public.ip} needs a gateway beside it")


def _bridge_fits(settings: Settings) -> None:
    bridge = settings.bridge_network
    roles = {role: getattr(settings, role) for role in ("public_network", "client_network", "management_network")}
    for role, network in roles.items():
        if bridge and network is not None and network.name == bridge:
            raise ValueError(f"bridge_network '{bridge}' is {role} as well; the bridge must be a network of its own")
    whole = ipaddress.IPv4Network(settings.bridge_network_range or DEFAULT_BRIDGE_RANGE)
    width = settings.bridge_network_width or DEFAULT_BRIDGE_WIDTH
    if whole.prefixlen > width:
        raise ValueError(f"bridge_network_range {whole} is smaller than one bridge network, which is a /{width}")


def _aliases(settings: Settings) -> None:
    groups: dict[str, str] = {}
    for alias, network in settings.container_networks.items():
        if " " in alias:
            raise ValueError(f"container_networks.{alias}: the name can't hold a space")
        if alias == "bridge":
            raise ValueError("container_networks.bridge: that is the name of the bridge network; another is allowed")
        if network.port_group in groups:
            raise ValueError(
                f"container_networks.{alias}: its port group is that of '{groups[network.port_group]}' already"
            )
        groups[network.port_group] = alias


def _ops_fit(settings: Settings) -> None:
    if settings.ops_user is None and (settings.ops_password is not None or settings.ops_grant_perms):
        raise ValueError("ops_password and ops_grant_perms need an ops_user")
    if settings.ops_user is not None and settings.ops_password is None:
        raise ValueError(f"ops_user '{settings.ops_user}' needs ops_password, the name of the secret with its password")


def _tls_fits(settings: Settings) -> None:
    tls, given = settings.tls, settings.certificates
    if tls.mode is TlsMode.NONE and given is not None:
        raise ValueError("certificates can't be given with tls.mode none")
    if given is not None and (tls.organization or tls.key_size):
        raise ValueError("tls.organization and tls.key_size are for certificates that are made, not for given ones")
    if given is not None and tls.cname and tls.cname != common_name(given.server_cert):
        raise ValueError(
            f"tls.cname is '{tls.cname}', but certificates.server_cert is for '{common_name(given.server_cert)}'; "
            "vic-machine wants them equal"
        )
    if tls.mode is TlsMode.MUTUAL and given is not None and given.ca is None:
        raise ValueError("certificates.ca is needed with tls.mode mutual")
    if tls.mode is TlsMode.MUTUAL and given is None and not tls.cname and not fixed_address(settings):
        raise ValueError(
            "tls.cname is needed with tls.mode mutual where no client, public or management address is fixed; "
            "a name, an address or *.DOMAIN is allowed"
        )


def fixed_address(settings: Settings) -> str | None:
    """The address that a server certificate is made for where no cname is given, in vic-machine's order."""
    client, public, management = (
        one or RoleNetwork() for one in (settings.client_network, settings.public_network, settings.management_network)
    )
    if client.ip:
        found: str | None = client.ip
    elif public.ip and client.name in (None, public.name):
        found = public.ip
    elif management.name == (client.name or public.name):
        found = management.ip
    else:
        found = None
    return found.partition("/")[0] if found else None
