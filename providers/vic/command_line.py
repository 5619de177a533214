"""Settings as a command line of vic-machine: arguments, environment, what goes to its prompt, files; for the runner."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from providers.kit.errors import Permanent
from providers.kit.secrets import Secret
from providers.kit.tls import colons, digits
from providers.vic import flags
from providers.vic.flags import Command, Flag, Place
from providers.vic.settings import (
    Certificates,
    ContainerNetwork,
    RoleNetwork,
    Settings,
    TlsMode,
    common_name,
    fixed_address,
)

PROGRAM = "vic-machine-linux"
PUBLIC_FILE = 0o644
SECRET_FILE = 0o600

# What every command that means one VCH is told.
_WHICH = ("name", "compute-resource", "timeout")


@dataclass(frozen=True)
class Login:
    """How vSphere is reached.

    Args:
        target: the vCenter's or ESXi host's name or address, ``:port`` may follow; without a datacenter.
        user: who logs in.
        password: their password.
        thumbprint: SHA-1 of the server's certificate, as the TLS handshake shows it.
        ops_password: the password of `Settings.ops_user`.
    """

    target: str
    user: str
    password: Secret
    thumbprint: str
    ops_password: Secret | None = None


@dataclass(frozen=True)
class Client:
    """What a client shows to a VCH and trusts: PEM texts."""

    ca: str
    cert: str
    key: Secret


@dataclass(frozen=True)
class Options:
    """What one run is told beside the settings.

    Args:
        id: the VM's managed object id, instead of name and compute resource.
        rollback: upgrade and configure go back to the snapshot.
        reset_progress: clears the VCH's in-progress flag and does nothing else.
        allow, deny: what `update firewall` does.
        enable_ssh, authorized_key: what `debug` does; the public key's text.
        appliance_iso, bootstrap_iso: paths, where the ISOs don't lie beside the binary.
        certificate_folder: where certificates are made, or looked for; absent: the VCH's name.
        format: of `inspect config`.
        client: with what vic-machine looks at a VCH's Docker API.
        force_destroy_volumes: delete takes the volume stores with it, and with them the users' data; the only use that
            is made of `--force`.
    """

    id: str | None = None
    rollback: bool = False
    reset_progress: bool = False
    allow: bool = False
    deny: bool = False
    enable_ssh: bool = False
    authorized_key: str | None = None
    appliance_iso: str | None = None
    bootstrap_iso: str | None = None
    certificate_folder: str | None = None
    format: str = "raw"
    client: Client | None = None
    force_destroy_volumes: bool = False


@dataclass(frozen=True)
class File:
    """A file in the scratch directory, before the run."""

    text: str | Secret
    mode: int = PUBLIC_FILE

    def content(self) -> str:
        return self.text.reveal() if isinstance(self.text, Secret) else self.text


@dataclass(frozen=True)
class CommandLine:
    """One run of vic-machine, ready but for the binary; none of its secrets is in `arguments`.

    Args:
        command: what is done.
        version: for which vic-machine.
        arguments: after the program's name.
        environment: its ``VIC_MACHINE_…`` variables.
        answers: what is typed at its prompts, in their order.
        files: path in the scratch directory → file.
        certificate_folder: where made certificates land, in the scratch directory.
        login_arguments: what stands in `environment` but isn't secret, for people.
        timeout_s: vic-machine's own limit.
        reset: it only resets the in-progress flag.
    """

    command: Command
    version: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    answers: tuple[Secret, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    certificate_folder: str = ""
    login_arguments: tuple[str, ...] = ()
    timeout_s: float = 0.0
    reset: bool = False

    def pasteable(self, program: str = f"./{PROGRAM}") -> str:
        """The line for people: without secrets (vic-machine asks for them), one argument a line."""
        words = len(self.command.value.split())
        shown = [*self.login_arguments, *self.arguments[words:]]
        return " \\\n    ".join([f"{program} {self.command.value}", *(shlex.quote(one) for one in shown)])


VERSION_LINE = CommandLine(Command.VERSION, "", ("version",))


def command_line(
    command: Command,
    version: str,
    login: Login,
    settings: Settings,
    options: Options | None = None,
    changed: Collection[str] = (),
) -> CommandLine:
    """One run of vic-machine.

    Args:
        command: what is to be done.
        version: of the vic-machine that will do it.
        login: how vSphere is reached.
        settings: what the VCH is to be; commands other than create and configure only take from it which one is meant.
        options: what this run is told beside.
        changed: for configure: the top-level fields that it has to change. Lists are given whole, since it replaces
            them whole.

    Raises:
        Permanent: the version lacks the command or an argument, or a password is missing.
    """
    options = options or Options()
    on = f"VCH {settings.name}"
    _refuse_missing_command(command, version, on)
    values, files = _all_values(command, version, settings, options, frozenset(changed))
    _refuse_lacking(command, version, values, on)
    typed, environment, shown, answers = _logged_in(command, version, login, settings)
    if "ops-user" in values:
        answers = (*answers, _ops_password(login, settings, on))
    known = flags.flags(version, command)
    arguments = [*command.value.split(), *typed, *_spelled(command, version, known, values)]
    return CommandLine(
        command=command,
        version=version,
        arguments=tuple(arguments),
        environment=MappingProxyType(environment),
        answers=answers,
        files=MappingProxyType(files),
        certificate_folder=options.certificate_folder or settings.name,
        login_arguments=tuple(shown),
        timeout_s=float(settings.timeout_s),
        reset=options.reset_progress,
    )


def colon_form(thumbprint: str) -> str:
    """A SHA-1 thumbprint as vic-machine wants it: upper case, colons.

    Raises:
        ValueError: it is no SHA-1.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", digits(thumbprint)):
        raise ValueError(f"'{thumbprint}' is no SHA-1 thumbprint of 40 digits")
    return colons(thumbprint)


def configurable(version: str, property_: str) -> bool:
    """Whether configure takes a top-level field of the settings at all."""
    names = [row.flag for row in flags.table() if row.argument.path.split(".")[0] == property_]
    if property_ in ("tls", "certificates"):
        names = ["tls-server-cert"]
    return any(flags.spelled(version, Command.CONFIGURE, one) for one in names)


Values = dict[str, list[str]]


def _refuse_missing_command(command: Command, version: str, on: str) -> None:
    if not flags.has_command(version, command):
        first = next(one for one in flags.versions() if flags.has_command(one, command))
        raise Permanent(
            f"vic-machine {version} has no {command.value}; {first} brings it", on=on, remedy="Upgrade the VCH first."
        )


def _refuse_lacking(command: Command, version: str, values: Values, on: str) -> None:
    for name in values:
        lacking = flags.lacking(version, command, name)
        if lacking:
            raise Permanent(lacking, on=on, remedy="Leave it out, or take another version.")


def _all_values(
    command: Command, version: str, settings: Settings, options: Options, changed: frozenset[str]
) -> tuple[Values, dict[str, File]]:
    if options.reset_progress or options.rollback:
        changed = frozenset()
    values, files = _of_options(command, options)
    if command is Command.CREATE or (command is Command.CONFIGURE and changed):
        wanted, more = _of_settings(settings, whole=command is Command.CREATE)
        if command is Command.CONFIGURE:
            wanted = {name: value for name, value in wanted.items() if _belongs(name, changed)}
            named = {part.partition("=")[0] for one in wanted.values() for part in one}
            more = {path: one for path, one in more.items() if path in named}
        values.update(wanted)
        files.update(more)
    if command is Command.UPGRADE and settings.debug is not None and flags.spelled(version, command, "debug"):
        values["debug"] = [str(settings.debug)]
    values.update(_which(command, settings, options))
    if options.client is not None:
        files.update(_client_files(options.client, options.certificate_folder or settings.name))
    return values, files


def _belongs(flag: str, changed: frozenset[str]) -> bool:
    group = flags.argument_of(flag).path.split(".")[0]
    if group in ("tls", "certificates"):
        return bool(changed & {"tls", "certificates"})
    if group in ("ops_user", "ops_password"):
        return bool(changed & {"ops_user", "ops_password"})
    return group in changed


def _which(command: Command, settings: Settings, options: Options) -> Values:
    found: Values = {"timeout": [f"{settings.timeout_s}s"]}
    place = {"compute-resource": [settings.compute_resource]} if settings.compute_resource else {}
    if command in (Command.LS, Command.UPDATE_FIREWALL):
        return {**place, **found}
    if options.id:
        return {"id": [options.id], **found}
    return {"name": [settings.name], **place, **found}


def _of_options(command: Command, options: Options) -> tuple[Values, dict[str, File]]:
    values: Values = {}
    files: dict[str, File] = {}
    texts = {"appliance-iso": options.appliance_iso, "bootstrap-iso": options.bootstrap_iso}
    values.update({name: [text] for name, text in texts.items() if text})
    switches = ("rollback", "reset_progress", "allow", "deny", "enable_ssh")
    values.update({one.replace("_", "-"): ["true"] for one in switches if getattr(options, one)})
    if command is Command.DELETE and options.force_destroy_volumes:
        values["force"] = ["true"]
    if command is Command.INSPECT_CONFIG:
        values["format"] = [options.format]
    if options.certificate_folder:
        values["tls-cert-path"] = [options.certificate_folder]
    if options.authorized_key is not None:
        files["authorized-key.pub"] = File(options.authorized_key)
        values["authorized-key"] = ["authorized-key.pub"]
    return values, files


def _of_settings(settings: Settings, *, whole: bool) -> tuple[Values, dict[str, File]]:
    """Every flag that the settings give a value to; `whole`: for create, where what is empty isn't said."""
    values: Values = {}
    for name, path in _PLAIN.items():
        found = getattr(settings, path)
        if path in settings.model_fields_set and found is not None:
            values[name] = _texts(found)
    for role in ("public", "client", "management"):
        values.update(_of_role(role, getattr(settings, f"{role}_network")))
    values["volume-store"] = [f"{place}:{label}" for label, place in settings.volume_stores.items()]
    values.update(_of_container_networks(settings.container_networks))
    secured, files = _of_tls(settings, in_folder=whole)
    values.update(secured)
    authorities = {f"registry-ca-{number}.pem": File(text) for number, text in enumerate(settings.registry_cas, 1)}
    values["registry-ca"] = list(authorities)
    if whole:
        values = {name: one for name, one in values.items() if one not in ([], [""], ["false"])}
    else:
        values = {name: one or [""] for name, one in values.items() if one or name in _CAN_BE_EMPTIED}
    return values, {**files, **authorities}


# Flags whose values are a field of the settings as it is.
_PLAIN: Mapping[str, str] = {
    row.flag: row.argument.path
    for row in flags.table()
    if row.argument.place is Place.SETTINGS
    and "." not in row.argument.path
    and row.argument.kind in ("text", "number", "flag", "list")
    and row.flag not in ("name", "compute-resource")
}

# configure takes an empty value as "none any more".
_CAN_BE_EMPTIED = frozenset({"dns-server", "http-proxy", "https-proxy", "no-proxy"})


def _texts(value: object) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, list):
        return [str(one) for one in value]
    return [str(value)]


def _of_role(role: str, network: RoleNetwork | None) -> Values:
    if network is None:
        return {}
    found: Values = {}
    if network.name:
        found[f"{role}-network"] = [network.name]
    if network.ip:
        found[f"{role}-network-ip"] = [network.ip]
    if network.gateway:
        reached = ",".join(network.routes)
        found[f"{role}-network-gateway"] = [f"{reached}:{network.gateway}" if reached else network.gateway]
    return found


def _of_container_networks(networks: Mapping[str, ContainerNetwork]) -> Values:
    found: Values = {}
    for alias, one in networks.items():
        group = one.port_group
        parts = {
            "container-network": [alias],
            "container-network-gateway": [one.gateway] if one.gateway else [],
            "container-network-ip-range": one.ip_ranges,
            "container-network-dns": one.dns,
            "container-network-firewall": [one.firewall.value] if one.firewall else [],
        }
        for name, values in parts.items():
            if values:
                found.setdefault(name, []).extend(f"{group}:{value}" for value in values)
    return found


def _of_tls(settings: Settings, *, in_folder: bool) -> tuple[Values, dict[str, File]]:
    tls = settings.tls
    values: Values = {}
    if tls.mode is TlsMode.NONE:
        return {"no-tls": ["true"]}, {}
    if tls.mode is TlsMode.SERVER:
        values["no-tlsverify"] = ["true"]
    if settings.certificates is not None:
        given, files = _of_certificates(settings.certificates, settings.name, tls.mode, in_folder=in_folder)
        return {**values, **given}, files
    # configure makes new certificates only where it is given a name for them.
    cname = tls.cname or (None if in_folder else fixed_address(settings))
    if cname:
        values["tls-cname"] = [cname]
    if tls.organization:
        values["organization"] = tls.organization
    if tls.key_size:
        values["certificate-key-size"] = [str(tls.key_size)]
    return values, {}


def _of_certificates(
    given: Certificates, name: str, mode: TlsMode, *, in_folder: bool
) -> tuple[Values, dict[str, File]]:
    """Given certificates. create finds them in its folder by their usual names, and then uses the client's as well;
    configure refuses a folder that exists."""
    cname = common_name(given.server_cert)
    values: Values = {"tls-cname": [cname]} if cname else {}
    folder = name if in_folder and given.client_cert is not None and mode is TlsMode.MUTUAL else "given"
    files = {
        f"{folder}/server-cert.pem": File(given.server_cert),
        f"{folder}/server-key.pem": File(Secret(given.server_key), SECRET_FILE),
    }
    if mode is TlsMode.MUTUAL and given.ca is not None:
        files[f"{folder}/ca.pem"] = File(given.ca)
    if folder == name and given.client_cert is not None and given.client_key is not None:
        files[f"{folder}/cert.pem"] = File(given.client_cert)
        files[f"{folder}/key.pem"] = File(Secret(given.client_key), SECRET_FILE)
        return {**values, "tls-cert-path": [folder]}, files
    values["tls-server-cert"] = [f"{folder}/server-cert.pem"]
    values["tls-server-key"] = [f"{folder}/server-key.pem"]
    if f"{folder}/ca.pem" in files:
        values["tls-ca"] = [f"{folder}/ca.pem"]
    return values, files


def _client_files(client: Client, folder: str) -> dict[str, File]:
    return {
        f"{folder}/ca.pem": File(client.ca),
        f"{folder}/cert.pem": File(client.cert),
        f"{folder}/key.pem": File(client.key, SECRET_FILE),
    }


def _logged_in(
    command: Command, version: str, login: Login, settings: Settings
) -> tuple[list[str], dict[str, str | Secret], list[str], tuple[Secret, ...]]:
    """The login as arguments, as environment, as what people may see of it, and as answers."""
    on = f"VCH {settings.name}"
    if "@" in login.target or "/" in login.target:
        raise Permanent(
            "the target must be HOST or HOST:PORT", on=on, remedy="Give user and datacenter by their own names."
        )
    try:
        thumbprint = colon_form(login.thumbprint)
    except ValueError as error:
        raise Permanent(str(error), on=on, remedy="Pin it: `python -m ops preflight --pin`.") from error
    target = f"{login.target}/{settings.datacenter}" if settings.datacenter else login.target
    values = {"target": target, "user": login.user, "thumbprint": thumbprint}
    known = flags.flags(version, command)
    shown = [f"--{name}={value}" for name, value in values.items()]
    if known["password"].env is None:
        return shown, {}, [], (login.password,)
    environment: dict[str, str | Secret] = {str(known[name].env): value for name, value in values.items()}
    environment[str(known["password"].env)] = login.password
    return [], environment, shown, ()


def _ops_password(login: Login, settings: Settings, on: str) -> Secret:
    if login.ops_password is None:
        raise Permanent(
            f"the password of ops_user '{settings.ops_user}' is not known",
            on=on,
            remedy="Set ops_password to the name of the secret that holds it.",
        )
    return login.ops_password


def _spelled(command: Command, version: str, known: Mapping[str, Flag], values: Values) -> Iterator[str]:
    """The arguments in the order of the version's own table, in its own words."""
    order = {name: place for place, name in enumerate(known)}
    spelled = {str(flags.spelled(version, command, name)): one for name, one in values.items()}
    for name in sorted(spelled, key=lambda one: order[one]):
        for value in _joined(name, spelled[name]):
            if known[name].takes_value:
                yield f"--{name}={value}"
            else:
                yield f"--{name}" if value == "true" else f"--{name}={value}"


def _joined(name: str, values: list[str]) -> list[str]:
    return [",".join(values)] if name == "no-proxy" else values
