"""``update firewall``: lets the containers' serial ports out of the hosts of a cluster, or no longer."""

from __future__ import annotations

from typing import Any

from lab.stand_ins.vic_machine import target
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.inventory import Inventory, NotFound
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.vsphere import Fault, Session, reference, told

RULESET, OLD_RULESET = "vic-engine", "vSPC"


def run(command: Command) -> None:
    """Enables or disables the ruleset, host after host; the first that fails ends it.

    Raises:
        Refused: nothing or both were asked for, or it failed.
    """
    allow, deny = command.options.yes("allow"), command.options.yes("deny")
    login = target.read(command.log, command.options)
    command.no_rest()
    if allow and deny:
        raise Refused("Only one of --allow and --deny can be set")
    if not allow and not deny:
        raise Refused("No command selected")
    command.log.info("### Updating Firewall ####")
    command.limit()
    inventory = command.connected(login, "Update", "update firewall failed")
    try:
        _update(command, inventory, enable=allow)
    finally:
        inventory.session.close()


def _update(command: Command, inventory: Inventory, *, enable: bool) -> None:
    log, first = command.log, command.build.is_first
    log.info("Validating target")
    log.info("Validating compute resource")
    try:
        place = command.place(inventory)
    except NotFound as error:
        log.error("--------------------")
        log.error(str(error))
        why = "compute resource validation failed: validation of configuration failed"
        log.error(f"Update cannot continue - {why}")
        raise Refused("update firewall failed") from error
    log.info("")
    for line in _warning(first=first, enable=enable):
        log.warning(line)
    log.info("")
    hosts = inventory.hosts(place.compute, place.path)
    if not hosts:
        log.info("No hosts to modify")
    ruleset = OLD_RULESET if first else RULESET
    for path, host in hosts:
        try:
            _switch(inventory.session, host, ruleset, enable=enable, first=first)
        except Fault as error:
            what = "enable" if enable else "disable"
            log.error(f"Failed to {what} ruleset {quoted(ruleset)} on host {quoted(path.rpartition('/')[2])}: {error}")
            log.error(str(error))
            raise Refused("update firewall failed") from error
        done = "enabled" if enable else "disabled"
        log.info(f"Ruleset {quoted(ruleset)} {done} on host {quoted(f'{reference(host)} @ {path}')}")
    log.info("")
    log.info("Firewall changes complete")
    log.info("Command completed successfully")


def _switch(session: Session, host: Any, ruleset: str, *, enable: bool, first: bool) -> None:
    """Switches a host's ruleset; where there is none yet, the older one, without a word about it."""
    system = session.get(host, "configManager.firewallSystem")
    names = [ruleset] if first else [ruleset, OLD_RULESET]
    for place, name in enumerate(names):
        try:
            with told():
                (system.EnableRuleset if enable else system.DisableRuleset)(id=name)
            return
        except Fault:
            if place == len(names) - 1:
                raise


def _warning(*, first: bool, enable: bool) -> list[str]:
    done, undo = ("enabled", "--deny") if enable else ("disabled", "--allow")
    which = f'"{OLD_RULESET}"' if first else f'"{RULESET}" (vSphere 6.7+) or "{OLD_RULESET}" (vSphere 6.5)'
    lines = [
        "### WARNING ###",
        "\tThis command modifies the host firewall on the target machine or cluster",
        f"\tThe ruleset {which} will be {done}",
    ]
    if enable and first:
        lines.append("\tThis allows all outbound TCP traffic from the target")
    elif enable:
        narrow = f'outbound 2377/tcp ("{RULESET}")'
        lines.append(f'\tThis allows {narrow} or all outbound tcp ("{OLD_RULESET}") traffic from the target')
    else:
        lines.append("\tThis disables the ruleset that allows all outbound TCP traffic from the target")
        lines.append("\tVIC Engine will not function unless 2377/tcp outbound is allowed")
    return [*lines, f"\tTo undo this modification use {undo}"]
