"""Switches a VCH's VM off: by its guest tools where they run, else hard; for delete, configure and upgrade."""

from __future__ import annotations

import time
from typing import Any

from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.vsphere import Fault, NotThere, Session, told

SHUTDOWN_LIMIT_S = 25.0
LOOK_S = 0.2


def power_off(command: Command, session: Session, machine: Any) -> None:
    """Switches it off, if it is on.

    Raises:
        Fault: it can't be.
    """
    if session.power(machine) == "poweredOff":
        return
    if command.build.is_first or not _shut_down(command, session, machine):
        with told():
            task = machine.PowerOffVM_Task()
        session.run(task)


def power_on(session: Session, machine: Any) -> None:
    """Switches it on.

    Raises:
        Fault: it can't be, or it is on.
    """
    with told():
        task = machine.PowerOnVM_Task()
    session.run(task)


def _shut_down(command: Command, session: Session, machine: Any) -> bool:
    try:
        if str(session.get(machine, "guest.toolsRunningStatus")) != "guestToolsRunning":
            raise Fault("no tools")
        with told():
            machine.ShutdownGuest()
    except (Fault, NotThere):
        command.log.warning("Guest tools unavailable, resorting to power off - sessions will be left open")
        return False
    end = time.monotonic() + SHUTDOWN_LIMIT_S
    while time.monotonic() < end:
        if session.power(machine) == "poweredOff":
            return True
        session.clock.sleep(LOOK_S)
    command.log.warning("Guest shutdown timed out, resorting to power off - sessions will be left open")
    return False
