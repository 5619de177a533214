"""``ls``: shows the VCHs below a compute resource, or in a datacenter."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Sequence

from lab.stand_ins.vic_machine import target, versions
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.inventory import Inventory, NotFound
from lab.stand_ins.vic_machine.outcome import Refused

HEADINGS = ("ID", "PATH", "NAME", "VERSION", "UPGRADE STATUS")
GAP = 8


def run(command: Command) -> None:
    """Lists VCHs.

    Raises:
        Refused: vSphere or the compute resource aren't there.
    """
    login = target.read(command.log, command.options)
    command.no_rest()
    command.log.info("### Listing VCHs ####")
    command.limit()
    inventory = command.connected(login, "List", "list failed")
    with command.in_time(inventory, "List"):
        _show(command, inventory)


def _show(command: Command, inventory: Inventory) -> None:
    log = command.log
    log.info("Validating target")
    place = None
    if command.options.text("compute-resource"):
        log.info("Validating compute resource")
        try:
            place = command.place(inventory)
        except NotFound as error:
            log.error("--------------------")
            log.error(str(error))
            why = "compute resource validation failed: validation of configuration failed"
            log.error(f"List cannot continue - {why}")
            raise Refused("list failed") from error
    rows: list[Sequence[str]] = [HEADINGS]
    for found in inventory.vchs(place):
        settings = Settings.of(inventory.session.extra_config(found.machine))
        build = versions.of_settings(settings)
        busy = command.in_progress(inventory.session, found.machine)
        status = versions.short_status(command.build, build, in_progress=busy)
        path = posixpath.dirname(found.pool_path)
        rows.append((found.machine._GetMoId(), path, found.name, versions.text_of(settings), status))
    widths = [max(len(row[column]) for row in rows) + GAP for column in range(len(HEADINGS) - 1)]
    lines = ["".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    sys.stdout.flush()
