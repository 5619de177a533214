"""Every flag of every vic-machine version, and the argument of ours that stands for it; for this package's clients.

The table is `flags.json`, dumped from the real binaries (facts/vic-machine-flags.json).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

_TABLE = Path(__file__).with_name("flags.json")


class Command(str, Enum):
    """What vic-machine can be asked to do."""

    CREATE = "create"
    CONFIGURE = "configure"
    UPGRADE = "upgrade"
    DELETE = "delete"
    INSPECT = "inspect"
    INSPECT_CONFIG = "inspect config"
    LS = "ls"
    DEBUG = "debug"
    UPDATE_FIREWALL = "update firewall"
    VERSION = "version"


class Place(str, Enum):
    """Where the value of a flag comes from.

    SETTINGS is what a VCH is to be, LOGIN how vSphere is reached, OPTION what one run is told, PROMPT a secret that is
    typed at a terminal, NEVER what we don't use, for the reason that is given.
    """

    SETTINGS = "settings"
    LOGIN = "login"
    OPTION = "option"
    PROMPT = "prompt"
    NEVER = "never"


@dataclass(frozen=True)
class Flag:
    """One flag of one command of one version, as the binary describes it."""

    name: str
    aliases: tuple[str, ...]
    takes_value: bool
    repeatable: bool
    default: str | None
    env: str | None
    required: bool


@dataclass(frozen=True)
class Argument:
    """What stands for a flag on our side.

    Args:
        name: in the field's words and in snake_case; the same in all versions.
        place: where its value comes from.
        path: the field in `settings.Settings`, `command_line.Login` or `command_line.Options`; empty for none.
        kind: ``text``, ``number``, ``flag``, ``list``, ``map``, ``file``, ``files`` or ``seconds``.
        why: for what is never used, the reason.
    """

    name: str
    place: Place
    path: str
    kind: str
    why: str = ""


@dataclass(frozen=True, order=True)
class Version:
    """A version of vic-machine: ``1.5.6``; also as the binary says it, ``v1.5.6-21029-2be3feb``."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str) -> Version:
        """Raises: ValueError, where it is none or none that we know a table for."""
        found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:-.*)?", text.strip())
        if not found:
            raise ValueError(f"'{text}' is not a version such as 1.5.6")
        version = cls(*(int(one) for one in found.groups()))
        if version < _OLDEST or (version.major, version.minor) > (1, 5):
            raise ValueError(f"version {version} is not one of 1.1.1 to 1.5.x")
        return version

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


_OLDEST = Version(1, 1, 1)

FORCE = "it goes on past failed checks, and with delete it deletes the users' volumes (facts/vic-machine.md)"
_HELP = "only for people at a terminal"
_SECRET = "its value would stand in the command line; only keys are set with debug"

# The 1.1.1 words for what got other names in 1.2.
RENAMED: Mapping[str, str] = MappingProxyType(
    {"key": "tls-server-key", "cert": "tls-server-cert", "cert-path": "tls-cert-path"}
)


def _settings(path: str, kind: str = "text") -> tuple[Place, str, str, str]:
    return (Place.SETTINGS, path, kind, "")


def _option(path: str, kind: str = "text") -> tuple[Place, str, str, str]:
    return (Place.OPTION, path, kind, "")


def _never(why: str, kind: str = "flag") -> tuple[Place, str, str, str]:
    return (Place.NEVER, "", kind, why)


# Flag → where its value comes from, which field, of which kind. The argument's name is the flag's.
_ARGUMENTS: Mapping[str, tuple[Place, str, str, str]] = {
    "target": (Place.LOGIN, "target", "text", ""),
    "user": (Place.LOGIN, "user", "text", ""),
    "password": (Place.LOGIN, "password", "text", ""),
    "thumbprint": (Place.LOGIN, "thumbprint", "text", ""),
    "name": _settings("name"),
    "compute-resource": _settings("compute_resource"),
    "ops-user": _settings("ops_user"),
    "ops-password": (Place.PROMPT, "ops_password", "text", ""),
    "ops-grant-perms": _settings("ops_grant_perms", "flag"),
    "image-store": _settings("image_store"),
    "base-image-size": _settings("base_image_size"),
    "container-store": _settings("container_store"),
    "affinity-vm-group": _settings("affinity_vm_group", "flag"),
    "container-name-convention": _settings("container_name_convention"),
    "volume-store": _settings("volume_stores", "map"),
    "dns-server": _settings("dns_servers", "list"),
    "bridge-network": _settings("bridge_network"),
    "bridge-network-range": _settings("bridge_network_range"),
    "bridge-network-width": _settings("bridge_network_width", "number"),
    "client-network": _settings("client_network.name"),
    "client-network-gateway": _settings("client_network.gateway"),
    "client-network-ip": _settings("client_network.ip"),
    "public-network": _settings("public_network.name"),
    "public-network-gateway": _settings("public_network.gateway"),
    "public-network-ip": _settings("public_network.ip"),
    "management-network": _settings("management_network.name"),
    "management-network-gateway": _settings("management_network.gateway"),
    "management-network-ip": _settings("management_network.ip"),
    "container-network": _settings("container_networks", "map"),
    "container-network-gateway": _settings("container_networks.*.gateway", "map"),
    "container-network-ip-range": _settings("container_networks.*.ip_ranges", "map"),
    "container-network-dns": _settings("container_networks.*.dns", "map"),
    "container-network-firewall": _settings("container_networks.*.firewall", "map"),
    "memory": _settings("memory", "number"),
    "memory-reservation": _settings("memory_reservation", "number"),
    "memory-shares": _settings("memory_shares"),
    "endpoint-memory": _settings("endpoint_memory", "number"),
    "cpu": _settings("cpu", "number"),
    "cpu-reservation": _settings("cpu_reservation", "number"),
    "cpu-shares": _settings("cpu_shares"),
    "endpoint-cpu": _settings("endpoint_cpu", "number"),
    "storage-quota": _settings("storage_quota", "number"),
    "containers": _settings("containers", "number"),
    "tls-server-key": _settings("certificates.server_key", "file"),
    "tls-server-cert": _settings("certificates.server_cert", "file"),
    "tls-ca": _settings("certificates.ca", "files"),
    "tls-cname": _settings("tls.cname"),
    "tls-cert-path": _option("certificate_folder"),
    "no-tlsverify": _settings("tls.mode", "flag"),
    "no-tls": _settings("tls.mode", "flag"),
    "organization": _settings("tls.organization", "list"),
    "certificate-key-size": _settings("tls.key_size", "number"),
    "registry-ca": _settings("registry_cas", "files"),
    "insecure-registry": _settings("insecure_registries", "list"),
    "whitelist-registry": _settings("whitelist_registries", "list"),
    "https-proxy": _settings("https_proxy"),
    "http-proxy": _settings("http_proxy"),
    "no-proxy": _settings("no_proxy"),
    "syslog-address": _settings("syslog_address"),
    "use-rp": _settings("use_rp", "flag"),
    "asymmetric-routes": _settings("asymmetric_routes", "flag"),
    "debug": _settings("debug", "number"),
    "timeout": _settings("timeout_s", "seconds"),
    "appliance-iso": _option("appliance_iso"),
    "bootstrap-iso": _option("bootstrap_iso"),
    "id": _option("id"),
    "rollback": _option("rollback", "flag"),
    "reset-progress": _option("reset_progress", "flag"),
    "format": _option("format"),
    "allow": _option("allow", "flag"),
    "deny": _option("deny", "flag"),
    "enable-ssh": _option("enable_ssh", "flag"),
    "authorized-key": _option("authorized_key", "file"),
    "rootpw": _never(_SECRET, "text"),
    "force": _never(FORCE),
    "help": _never(_HELP),
    "extended-help": _never(_HELP),
}


@dataclass(frozen=True)
class Row:
    """One line of the table for people: an argument, and which commands of which versions take it."""

    argument: Argument
    flag: str
    commands: Mapping[str, tuple[str, ...]]


def argument_of(flag: str) -> Argument:
    """The argument for a flag of any version; 1.1.1's words lead to the later ones.

    Raises:
        KeyError: a flag that no version has.
    """
    name = RENAMED.get(flag, flag)
    place, path, kind, why = _ARGUMENTS[name]
    return Argument(name.replace("-", "_"), place, path, kind, why)


def versions() -> tuple[str, ...]:
    """Those that there is a table for, oldest first."""
    return tuple(_tables())


def flags(version: str, command: Command) -> Mapping[str, Flag]:
    """The flags of a command, by name; empty where the version lacks the command.

    A version without a table of its own has that of the last one before it.
    """
    return _tables()[_table_of(version)].get(command, MappingProxyType({}))


def spelled(version: str, command: Command, name: str) -> str | None:
    """How a version calls a flag that is given by its later name; `None` where the command lacks it."""
    known = flags(version, command)
    earlier = [old for old, new in RENAMED.items() if new == name]
    return next((one for one in [name, *earlier] if one in known), None)


def has_command(version: str, command: Command) -> bool:
    """Whether the version has it; 1.1.1's ``inspect config`` runs a plain inspect, so it doesn't count."""
    if command is Command.VERSION:
        return True
    return bool(flags(version, command)) and not (command is Command.INSPECT_CONFIG and not _has_format(version))


def where(name: str, command: Command) -> tuple[str, ...]:
    """The versions with a table in which the command takes a flag, by its later name."""
    return tuple(one for one in versions() if spelled(one, command, name))


def lacking(version: str, command: Command, name: str) -> str | None:
    """Why a command can't take a flag: the version that brings it, or the last one that had it; `None`: it can."""
    if spelled(version, command, name):
        return None
    having = where(name, command)
    if not having:
        return f"vic-machine's {command.value} doesn't take it in any version"
    mine = Version.of(version)
    later = [one for one in having if Version.of(one) > mine]
    if later:
        return f"vic-machine {version} has no --{name} for {command.value}; {later[0]} brings it"
    return f"vic-machine {version} has no --{name} for {command.value} any more; {having[-1]} was the last with it"


@lru_cache(maxsize=1)
def table() -> Sequence[Row]:
    """All arguments of all versions, for the documentation."""
    rows = []
    for name in _ARGUMENTS:
        commands = {one.value: where(name, one) for one in Command}
        rows.append(Row(argument_of(name), name, {one: having for one, having in commands.items() if having}))
    return tuple(rows)


def _has_format(version: str) -> bool:
    return "format" in flags(version, Command.INSPECT_CONFIG)


@lru_cache(maxsize=64)
def _table_of(version: str) -> str:
    wanted = Version.of(version)
    return max((one for one in versions() if Version.of(one) <= wanted), key=Version.of)


@lru_cache(maxsize=1)
def _tables() -> Mapping[str, Mapping[Command, Mapping[str, Flag]]]:
    told = json.loads(_TABLE.read_text(encoding="utf-8"))
    ordered = sorted(told, key=Version.of)
    return MappingProxyType({one: {Command(name): _flags(rows) for name, rows in told[one].items()} for one in ordered})


def _flags(rows: Sequence[Mapping[str, object]]) -> Mapping[str, Flag]:
    return MappingProxyType({str(one["name"]): _flag(one) for one in rows})


def _flag(told: Mapping[str, object]) -> Flag:
    aliases = told["aliases"]
    assert isinstance(aliases, list)
    default, env = told.get("default"), told.get("env")
    return Flag(
        name=str(told["name"]),
        aliases=tuple(str(one) for one in aliases),
        takes_value=bool(told["takes_value"]),
        repeatable=bool(told.get("repeatable", False)),
        default=None if default is None else str(default),
        env=None if env is None else str(env),
        required=bool(told.get("required", False)),
    )
