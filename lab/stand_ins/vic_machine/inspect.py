"""``inspect``: shows a VCH's version, and how it is reached."""

from __future__ import annotations

import os
from pathlib import Path

from lab.stand_ins.vic_machine import docker_api, show, target, versions
from lab.stand_ins.vic_machine.certificates import AUTHORITY, CLIENT, CLIENT_KEY, is_issued_by, loaded
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.docker_api import Endpoint
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.inventory import Found, Inventory
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.vsphere import reference


def run(command: Command) -> None:
    """Inspects a VCH.

    Raises:
        Refused: it isn't there, is off, or has no address.
    """
    inventory = connected(command)
    with command.in_time(inventory, "Inspect"):
        found, settings = chosen(command, inventory)
        _say(command, inventory, found, settings)


def connected(command: Command) -> Inventory:
    """Logs in, with this command's words."""
    login = target.read(command.log, command.options)
    command.no_rest()
    command.log.info("### Inspecting VCH ####")
    command.limit()
    return command.connected(login, "Inspect", "inspect failed")


def chosen(command: Command, inventory: Inventory) -> tuple[Found, Settings]:
    """The VCH that is meant, and its settings."""
    command.log.info("Validating target")
    found = command.find_or_refuse(inventory, "inspect")
    return found, Settings.of(inventory.session.extra_config(found.machine))


def _say(command: Command, inventory: Inventory, found: Found, settings: Settings) -> None:
    log, first = command.log, command.build.is_first
    if first:
        log.info("")
        log.info(f"VCH ID: {reference(found.machine)}")
    log.info("")
    log.info(f"Installer version: {command.build.text}")
    log.info(f"VCH version: {versions.text_of(settings)}")
    log.info("")
    log.info("VCH upgrade status:")
    busy = command.in_progress(inventory.session, found.machine)
    for line in versions.status(command.build, versions.of_settings(settings), in_progress=busy):
        log.info(line)
    why = _why_not(inventory, found, settings)
    if why:
        log.error(why)
        log.error(why)
        raise Refused("inspect failed")
    address = str(settings.address("init/networks|client/assigned/IP", is_written=True))
    where = docker_api.endpoint(settings, address)
    _name(command, settings, where)
    folder = _certificates(command, settings, where)
    show.show(command.build, log, settings, show.Shown(found.machine._GetMoId(), where, folder))
    log.info("Completed successfully")


def _why_not(inventory: Inventory, found: Found, settings: Settings) -> str:
    power = inventory.session.power(found.machine)
    if power != "poweredOn":
        return f"VCH is not powered on, state {power}"
    for role in ("client", "public"):
        if settings.address(f"init/networks|{role}/assigned/IP", is_written=True) is None:
            return f"No {role} IP address assigned"
    return ""


def _name(command: Command, settings: Settings, where: Endpoint) -> None:
    """The name of its certificate counts more than its address, where it has one that fits."""
    certificate = docker_api.host_certificate(settings)
    if certificate is None:
        return
    name = docker_api.name_by_certificate(certificate, where.host)
    if not name:
        fallback = "using assigned client IP as host address."
        command.log.warning(f"Unable to identify address acceptable to host certificate, {fallback}")
    elif name != where.host:
        over = f"over assigned client IP {where.host}"
        command.log.info(f"Using address {name} from host certificate for host address {over}")
        where.host = name


def _certificates(command: Command, settings: Settings, where: Endpoint) -> str:
    """The folder with the client's certificates; nothing if there is none."""
    if not where.is_tls or not where.authorities:
        return ""
    name, given = command.options.text("name"), command.options.text("tls-cert-path")
    if command.options.has("id"):
        name = settings.hidden("init/common/name")
    if given:
        command.log.info(f"--tls-cert-path supplied - only checking for certs in {os.path.join(given, '')}")
        folders = [given]
    else:
        where_else = f"checking for certs in current directory, {name}/ and ~/.docker/"
        command.log.info(f"--tls-cert-path not supplied - {where_else}")
        folders = [".", name, os.path.expanduser("~/.docker")]
    return next((folder for folder in folders if _fits(folder, where.authorities)), "")


def _fits(folder: str, authorities: bytes) -> bool:
    files = [Path(folder, name) for name in (AUTHORITY, CLIENT, CLIENT_KEY)]
    if not all(file.is_file() for file in files):
        return False
    return any(is_issued_by(one, authorities) for one in loaded(files[1].read_bytes())[:1])
