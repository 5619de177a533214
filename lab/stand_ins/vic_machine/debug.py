"""``debug``: switches SSH on in a VCH's appliance, by its guest tools."""

from __future__ import annotations

from pathlib import Path

from lab.stand_ins.vic_machine import docker_api, show, target, upgrade
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.inventory import Inventory
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.readiness import Trail, Waiting
from lab.stand_ins.vic_machine.vsphere import Fault, reference


def run(command: Command) -> None:
    """Switches SSH on, with a password or a key.

    Raises:
        Refused: the VCH isn't there, is off, or has no guest tools.
    """
    login = target.read(command.log, command.options)
    command.no_rest()
    command.log.info("### Configuring VCH for debug ####")
    command.limit()
    inventory = command.connected(login, "Debug", "Debug failed")
    with command.in_time(inventory, "Debug"):
        _debug(command, inventory)


def _debug(command: Command, inventory: Inventory) -> None:
    log, session = command.log, inventory.session
    log.info("Validating target")
    found = command.find_or_refuse(inventory, "debug")
    log.info("")
    log.info(f"VCH ID: {reference(found.machine)}")
    settings = upgrade.opened(command, inventory, found, "debug")
    file = command.options.text("authorized-key")
    try:
        key = Path(file).read_text(encoding="utf-8").strip() if file else ""
    except OSError as error:
        log.error(f"Unable to read public key from {file}: {(error.strerror or '').lower()}")
        raise Refused("unable to load public key") from error
    why = _why_not(inventory, found.machine)
    if why:
        log.error(why)
        log.error(f"Unable to enable ssh on the VCH appliance VM: {why}")
        log.error(why)
        raise Refused("debug failed")
    waiting = Waiting(log, session, found.machine, command.clock, Trail("debug", ()))
    try:
        waiting.run_in_guest("enable-ssh", key)
        if command.options.text("rootpw"):
            waiting.run_in_guest("passwd", command.options.text("rootpw"))
    except Fault as error:
        log.error(f"Unable to enable SSH in appliance VM: {error}")
        raise Refused("debug failed") from error
    address = settings.address("init/networks|client/assigned/IP", is_written=True)
    where = docker_api.endpoint(settings, str(address or ""))
    show.show(command.build, log, settings, show.Shown(found.machine._GetMoId(), where, "", with_ssh=True))
    log.info("Completed successfully")


def _why_not(inventory: Inventory, machine: object) -> str:
    power = inventory.session.power(machine)
    if power != "poweredOn":
        return f"VCH appliance is not powered on, state {power}"
    if str(inventory.session.get(machine, "guest.toolsRunningStatus")) != "guestToolsRunning":
        return "Tools is not running in the appliance, unable to continue"
    return ""
