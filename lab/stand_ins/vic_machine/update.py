"""Changes a VCH: snapshot, off, settings, on, wait, and back where that fails; for configure and upgrade."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from lab.stand_ins.vic_machine import durations, extra_config, machine, stores
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.extra_config import NOTHING, Settings
from lab.stand_ins.vic_machine.inventory import Found, Inventory
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused, TimedOut
from lab.stand_ins.vic_machine.power import power_off, power_on
from lab.stand_ins.vic_machine.readiness import NotReady, Trail, Waiting
from lab.stand_ins.vic_machine.vch_settings import COMPONENTS
from lab.stand_ins.vic_machine.vsphere import Clock, Fault, NotThere, lasting, options_of, told

UPGRADE, CONFIGURE = "upgrade for", "reconfigure for"
DEADLINE = "context deadline exceeded"


class NotUpdated(Exception):
    """The change failed; what is left of it was said."""


class NotReverted(Exception):
    """The change failed, and the time to undo it was up."""


@dataclass
class Update:
    """One change of a VCH.

    Args:
        action: ``configure`` or ``upgrade``.
        build_number: what the snapshot is named after.
        isos: names of new ISOs on the datastore; configure has none.
        caller: the line of Go's client that is named where the time runs out.
        own_limit: whether the wait has a limit of its own, and the way back another; configure has one for all.
        prepare: what is done while the VM is off, before its settings change.
    """

    command: Command
    inventory: Inventory
    found: Found
    action: str
    build_number: str
    isos: Sequence[str]
    caller: str
    own_limit: bool
    prepare: Callable[[], None] | None = None

    @property
    def prefix(self) -> str:
        return UPGRADE if self.action == "upgrade" else CONFIGURE

    @property
    def snapshot(self) -> str:
        return f"{self.prefix} {self.build_number}".strip()

    def run(self, settings: Settings, appliance_iso: str = "") -> None:
        """Makes the change, or leaves all as it was.

        Args:
            settings: the new ones.
            appliance_iso: path of the ISO that the VCH is to boot from; nothing for no other.

        Raises:
            NotUpdated: it was undone.
            NotReverted: it wasn't, since the time was up.
        """
        log, session = self.command.log, self.inventory.session
        before = current_snapshot(session, self.found.machine)
        try:
            made = self._take_snapshot()
        except Fault as error:
            log.debug(f"Failed to create {self.action} snapshot {quoted(self.snapshot)}: {error}.")
            self._delete_isos()
            raise NotUpdated(str(error)) from error
        try:
            self._change(settings, appliance_iso)
        except (Fault, NotThere, NotReady, TimedOut) as error:
            self._fail(error)
            self._revert_and_clean(made)
            raise NotUpdated(str(error)) from error
        if before is not None and self._is_superseded(before[1]):
            remove_snapshot(session, before[0])

    def wait(self, clock: Clock, operation: str, *, ready_line: str) -> None:
        """Waits for the VCH, with the words that Go's client adds where the time runs out."""
        callers = (
            f"vic/lib/install/management.(*Dispatcher).{ready_line} {operation}",
            f"{self.caller} vic-machine-linux",
            "vic/cmd/vic-machine/common.NewOperation:27 vic-machine-linux",
        )
        session = self.inventory.session
        Waiting(self.command.log, session, self.found.machine, clock, Trail(operation, callers)).run()

    def revert(self, snapshot: Any, clock: Clock) -> None:
        """Goes back to a snapshot, switches the VCH on and waits for it; that it isn't well then is no failure."""
        log, session = self.command.log, self.inventory.session
        with told():
            task = snapshot.RevertToSnapshot_Task(suppressPowerOn=True)
        session.run(task)
        power_on(session, self.found.machine)
        try:
            self.wait(clock, "CheckServiceReady during rollback", ready_line="ensureRollbackReady:384")
        except (NotReady, TimedOut):
            log.info("\tAPI may be slow to start - try to connect to API after a few minutes")

    def limit(self) -> Clock:
        """The clock of a wait."""
        return lasting(self.command.options.timeout_s) if self.own_limit else self.command.clock

    def _take_snapshot(self) -> Any:
        description = f"{self.action} snapshot"
        with told():
            task = self.found.machine.CreateSnapshot_Task(self.snapshot, description, False, False)
        return self.inventory.session.run(task)

    def _change(self, settings: Settings, appliance_iso: str) -> None:
        log, session = self.command.log, self.inventory.session
        power_off(self.command, session, self.found.machine)
        if self.prepare is not None:
            self.prepare()
        spec = vim.vm.ConfigSpec()
        if appliance_iso:
            log.info(f"Switching appliance iso to {appliance_iso}")
            spec.deviceChange = machine.cdrom_with(session, self.found.machine, appliance_iso)
        for name in COMPONENTS:
            settings.values[extra_config.written(f"init/sessions|{name}/started")] = NOTHING
            settings.values[extra_config.read_only(f"init/sessions|{name}/active")] = "true"
        spec.extraConfig = options_of(settings.sealed())
        log.info("Setting VM configuration")
        session.reconfigure(self.found.machine, spec)
        power_on(session, self.found.machine)
        clock = self.limit()
        try:
            self.wait(clock, "CheckServiceReady during update", ready_line="update:348")
        except (NotReady, TimedOut):
            if clock.is_up():
                trail = Trail("CheckServiceReady during update", self._update_callers())
                log.error(trail.at("vic/lib/install/management.(*Dispatcher).update"))
            log.info("\tAPI may be slow to start - please retry with increased timeout using --timeout")
            raise

    def _update_callers(self) -> tuple[str, ...]:
        return (
            "vic/lib/install/management.(*Dispatcher).update:348 CheckServiceReady during update",
            f"{self.caller} vic-machine-linux",
            "vic/cmd/vic-machine/common.NewOperation:27 vic-machine-linux",
        )

    def _fail(self, error: Exception) -> None:
        said = str(error)
        if isinstance(error, TimedOut):
            limit = durations.text_of(self.command.options.timeout_s)
            advice = "Please increase the timeout using --timeout to accommodate for a busy vSphere target"
            said = f"Upgrading VCH exceeded time limit of {limit}. {advice}"
        self.command.log.error(f"Failed to {self.action}: {said}")
        self.command.log.info(f"Rolling back {self.action}")
        self.command.log.info(f"Reverting to snapshot {self.snapshot}")

    def _revert_and_clean(self, snapshot: Any) -> None:
        log = self.command.log
        if self.command.clock.is_up():
            trail = Trail("vic-machine-linux", (f"{self.caller} vic-machine-linux", _NEW_OPERATION))
            log.error(trail.at("vic/pkg/vsphere/tasks.WaitForResultAndRetryIf"))
            log.error(f"Failed to revert appliance to snapshot: Failed to roll back upgrade: {DEADLINE}.")
            raise NotReverted
        try:
            self.revert(snapshot, self.limit())
        except (Fault, NotThere) as error:
            log.error(f"Failed to revert appliance to snapshot: Failed to roll back upgrade: {error}.")
            raise NotUpdated(str(error)) from error
        log.info("Appliance is rolled back to previous version")
        self._delete_isos()
        try:
            remove_snapshot(self.inventory.session, snapshot)
        except (Fault, NotThere) as error:
            log.error(f"Failed to clean up appliance upgrade snapshot {quoted(self.snapshot)}: {error}.")

    def _delete_isos(self) -> None:
        """Deletes new ISOs. Configure has none, and so deletes the VCH's own folder, as the real one does."""
        log, session = self.command.log, self.inventory.session
        log.info(f"Deleting {self.action} isos")
        datastore = machine.datastore_of(session, self.found.machine)
        folder = machine.folder_of(session, self.found.machine)
        for iso in self.isos or ("",):
            path = f"[{datastore}] {posixpath.join(folder, iso).rstrip('/')}"
            try:
                session.delete_file(self.inventory.datacenter, path)
            except (Fault, NotThere) as error:
                log.debug(f"Failed to delete {quoted(path)}: {error}")

    def _is_superseded(self, name: str) -> bool:
        if self.action == "upgrade":
            return name.startswith((UPGRADE, CONFIGURE))
        return name == self.snapshot


def roll_back(change: Update, name: str) -> None:
    """Goes back to before the last change, and drops its snapshot.

    Raises:
        Refused: there is no snapshot, or it doesn't work.
    """
    log, session, vm = change.command.log, change.inventory.session, change.found.machine
    log.info("Attempting rollback of VCH")
    snapshot = current_snapshot(session, vm)
    if snapshot is None:
        log.debug("A VCH version available from before the last upgrade could not be found.")
        raise Refused(f"{name} failed")
    log.info(f"Reverting to snapshot {snapshot[1]}")
    try:
        change.revert(snapshot[0], change.limit())
        remove_snapshot(session, snapshot[0])
    except (Fault, NotThere, TimedOut) as error:
        log.debug(f"could not complete manual rollback: {error}")
        raise Refused(f"{name} failed") from error


_NEW_OPERATION = "vic/cmd/vic-machine/common.NewOperation:27 vic-machine-linux"


def current_snapshot(session: Any, vm: Any) -> tuple[Any, str] | None:
    """The snapshot that a VM is on, and its name; none if it is on none."""
    found = session.get(vm, "snapshot")
    if found is None or found.currentSnapshot is None:
        return None
    current = found.currentSnapshot._GetMoId()
    left = list(found.rootSnapshotList)
    while left:
        one = left.pop()
        if one.snapshot._GetMoId() == current:
            return one.snapshot, str(one.name)
        left += one.childSnapshotList
    return None


def remove_snapshot(session: Any, snapshot: Any) -> None:
    """Drops a snapshot, not those that were made on it."""
    with told():
        task = snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True)
    session.run(task)


def secrets_key(command: Command, inventory: Inventory, found: Found) -> bytes | None:
    """The key to a VCH's secrets, from its VM's file, since vSphere hides it; none if it isn't in there."""
    session = inventory.session
    datastore = machine.datastore_of(session, found.machine)
    folder = machine.folder_of(session, found.machine)
    stores.make(command.log, inventory, datastore, folder)
    path = str(session.get(found.machine, "config.files.vmPathName")).partition("] ")[2]
    try:
        content = session.download(inventory.path.lstrip("/"), datastore, path).decode("utf-8", "replace")
    except (Fault, NotThere):
        return None
    return extra_config.key_in(content)


def set_progress(inventory: Inventory, vm: Any, *, on: bool) -> None:
    """Says in the VM that somebody is at work on it, or no longer."""
    inventory.session.set_extra_config(vm, {extra_config.IN_PROGRESS: extra_config.truth(on)})
