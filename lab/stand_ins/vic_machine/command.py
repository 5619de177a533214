"""What all commands share: log, options, login, diagnostic logs, and finding the VCH that they are about."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vmodl

from lab.stand_ins.vic_machine import extra_config, target
from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.command_line import Options
from lab.stand_ins.vic_machine.inventory import Found, Inventory, NotFound, Place
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.outcome import Refused, TimedOut
from lab.stand_ins.vic_machine.target import NoConnection, Target
from lab.stand_ins.vic_machine.vsphere import Clock, Fault, NotThere, Session, message, reference

LOG_LINES = 0


@dataclass
class Command:
    """A command that runs.

    Args:
        build: which vic-machine it is.
        options: what was given.
        log: where it speaks.
        beside: the folder of the program, where ISOs are looked for as well.
    """

    build: Build
    options: Options
    log: Log
    beside: str
    clock: Clock = field(default_factory=Clock)

    def limit(self) -> Clock:
        """Starts the time that ``--timeout`` gives."""
        self.clock = Clock(time.monotonic() + self.options.timeout_s)
        return self.clock

    def connect(self, target_: Target) -> Inventory:
        """Logs in.

        Raises:
            NoConnection: it can't.
        """
        target.check_certificate(self.log, target_, force=self.options.yes("force"))
        session = Session(self.build, target_)
        session.clock = self.clock
        try:
            return Inventory(session, target_.datacenter)
        except NotFound as error:
            session.close()
            self.log.error(str(error))
            raise NoConnection(str(error)) from error

    def connected(self, target_: Target, action: str, outcome: str) -> Inventory:
        """Logs in, or ends as the command does that can't.

        Args:
            target_: where.
            action: how the command calls what it does, ``List``.
            outcome: its last word.

        Raises:
            Refused: it can't.
        """
        try:
            return self.connect(target_)
        except NoConnection as error:
            self.log.error(f"{action} cannot continue - failed to create validator: {error}")
            raise Refused(outcome) from error

    @contextmanager
    def in_time(self, inventory: Inventory, action: str) -> Iterator[None]:
        """What is done in a session, ended with it; the command's time may be up meanwhile."""
        try:
            yield
        except TimedOut as error:
            raise Refused(f"{action} timed out: use --timeout to add more time") from error
        finally:
            inventory.session.close()

    def no_rest(self) -> None:
        """Refuses words that are no flags."""
        if self.options.rest:
            self.log.error(f"Unknown argument: {self.options.rest[0]}")
            raise Refused("invalid CLI arguments")

    def place(self, inventory: Inventory, given: str | None = None) -> Place:
        """The compute resource that is given here, else the one on the command line.

        Raises:
            NotFound: it isn't there; what there is was suggested.
        """
        try:
            return inventory.place(self.options.text("compute-resource") if given is None else given)
        except NotFound:
            self.log.info("Suggested values for --compute-resource:")
            for name, _ in inventory.computes():
                self.log.info(f"  {quoted(name)}")
            raise

    def find(self, inventory: Inventory) -> Found:
        """The VCH that name and compute resource, or id, say.

        Raises:
            NotFound: there is none.
        """
        if self.options.text("id"):
            return self._found_by_id(inventory, self.options.text("id"))
        name = self.options.text("name")
        place = inventory.place(self.options.text("compute-resource"))
        pool = inventory.child_pool(place.pool, name)
        path = f"{place.pool_path}/{name}" if pool is not None else place.pool_path
        if pool is None and self.build.is_first:
            missing = f"resource pool '{place.pool_path}/{name}' not found"
            self.log.error(f"Failed to get VCH resource pool {quoted(f'{place.pool_path}/{name}')}: {missing}")
            raise NotFound(missing)
        pool = place.pool if pool is None else pool
        machine = next((one for known, one in inventory.machines_in(pool) if known == name), None)
        if machine is None:
            missing = f"Didn't find VM {quoted(name)} in resource pool {quoted(reference(pool))}"
            self.log.error(missing)
            raise NotFound(missing)
        return self._checked(inventory, Found(machine, name, pool, path))

    def find_or_refuse(self, inventory: Inventory, command: str) -> Found:
        """The same, with a command's words where there is none."""
        try:
            return self.find(inventory)
        except NotFound as error:
            self.log.error(f"Failed to get Virtual Container Host {self.options.text('name')}")
            self.log.error(str(error))
            raise Refused(f"{command} failed") from error

    def diagnostic_logs(self, inventory: Inventory, compute: Any) -> None:
        """Looks where the logs of vCenter and hosts end, to add to ours what came meanwhile if we fail."""
        session = inventory.session
        sources = [(session.instance, "vpxd:vpxd.log", "vpxd.log", None)] if session.is_vcenter else []
        hosts = list(session.get(compute, "host") or []) if compute is not None else []
        sources += [(host._GetMoId(), "hostd", "hostd.log", host) for host in hosts]
        for name, key, shown, host in sources:
            try:
                session.content.diagnosticManager.BrowseDiagnosticLog(host=host, key=key, start=LOG_LINES, lines=0)
            except vmodl.MethodFault as error:
                why = f"ServerFaultCode: {message(error)}"
                self.log.warning(f"Disabling {name} {shown} collection ({why})")

    def compute_of(self, inventory: Inventory, pool: Any) -> Any:
        """The cluster or host that a pool belongs to."""
        return inventory.session.get(pool, "owner")

    def in_progress(self, session: Session, machine: Any) -> bool:
        """Whether some configure or upgrade is at work on a VCH."""
        return session.extra_config(machine).get(extra_config.IN_PROGRESS, "") == "true"

    def _found_by_id(self, inventory: Inventory, identity: str) -> Found:
        session = inventory.session
        machine = session.object(f"VirtualMachine:{identity.rpartition(':')[2]}")
        try:
            name, pool = session.get(machine, "name"), session.get(machine, "resourcePool")
        except NotThere as error:
            missing = f'Failed to query appliance ("VirtualMachine:{identity}"): ServerFaultCode: {error}'
            raise NotFound(missing) from error
        owner = session.get(pool, "owner")
        root = f"{inventory.path}/host/{session.get(owner, 'name')}/Resources"
        return self._checked(
            inventory, Found(machine, str(name), pool, posixpath.join(root, str(session.get(pool, "name"))))
        )

    def _checked(self, inventory: Inventory, found: Found) -> Found:
        if not inventory.is_vch(found.machine):
            self.log.error("Not a VCH")
            raise NotFound("Not a VCH")
        self.diagnostic_logs(inventory, self.compute_of(inventory, found.pool))
        return found


def refused_by(error: Fault | NotThere | NotFound) -> Refused:
    """A refusal with vSphere's words."""
    return Refused(str(error))
