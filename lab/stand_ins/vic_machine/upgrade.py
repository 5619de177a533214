"""``upgrade``: brings a VCH to the version of the program, or back."""

from __future__ import annotations

import posixpath

from lab.stand_ins.vic_machine import images, machine, secretbox, stores, target, update, vch_settings, versions
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.extra_config import IN_PROGRESS, Settings, read_only, text
from lab.stand_ins.vic_machine.images import Image
from lab.stand_ins.vic_machine.inventory import Found, Inventory
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.update import NotReverted, NotUpdated, Update
from lab.stand_ins.vic_machine.vsphere import Fault, reference

CALLER = "vic/cmd/vic-machine/upgrade.(*Upgrade).Run:107"


def run(command: Command) -> None:
    """Upgrades a VCH, or rolls one back.

    Raises:
        Refused: it failed before the in-progress flag was set; what fails later ends well, as with the real one.
    """
    login = target.read(command.log, command.options)
    command.no_rest()
    back = command.options.yes("rollback")
    found = [] if back else images.find(command)
    command.log.info("### Rolling back VCH ####" if back else "### Upgrading VCH ####")
    inventory = command.connected(login, "Upgrade", "upgrade failed")
    try:
        _Upgrade(command, inventory, found).run()
    finally:
        inventory.session.close()


class _Upgrade:
    def __init__(self, command: Command, inventory: Inventory, found: list[Image]) -> None:
        self._command, self._inventory, self._images = command, inventory, found
        self._log, self._session = command.log, inventory.session

    def run(self) -> None:
        log, options = self._log, self._command.options
        log.info("Validating target")
        found = self._command.find_or_refuse(self._inventory, "upgrade")
        log.info("")
        log.info(f"VCH ID: {reference(found.machine)}")
        if self._command.build.is_first:
            self._work(found)
            return
        if options.yes("reset-progress"):
            reset(self._command, self._inventory, found, "upgrade")
            return
        if self._command.in_progress(self._session, found.machine):
            refuse_in_progress(self._command, "Upgrade")
        update.set_progress(self._inventory, found.machine, on=True)
        try:
            self._work(found)
        except Refused:
            # The real one forgets its error when it clears its flag.
            log.debug("the error is lost")
        finally:
            update.set_progress(self._inventory, found.machine, on=False)

    def _work(self, found: Found) -> None:
        if self._command.build.is_first and not self._command.options.yes("rollback"):
            # 1.1 looks at the version first, and reads no secrets for that.
            self._check_version(found, Settings.of(self._session.extra_config(found.machine)))
        settings = opened(self._command, self._inventory, found, "upgrade")
        if self._command.options.yes("rollback"):
            update.roll_back(self._change(found, []), "upgrade")
        else:
            self._forward(found, settings)
        self._log.info("Completed successfully")

    def _forward(self, found: Found, settings: Settings) -> None:
        log, build = self._log, self._command.build
        self._check_version(found, settings)
        datastore = machine.datastore_of(self._session, found.machine)
        folder = machine.folder_of(self._session, found.machine)
        try:
            stores.upload(log, self._inventory, datastore, folder, self._images, first=build.is_first)
        except Refused as error:
            log.error(str(error))
            raise Refused("upgrade failed") from error
        names = {one.kind: one.target for one in self._images}
        self._modernise(settings, f"[{datastore}] {posixpath.join(folder, names['bootstrap'])}")
        change = self._change(found, list(names.values()))
        try:
            change.run(settings, f"[{datastore}] {posixpath.join(folder, names['appliance'])}")
        except (NotUpdated, NotReverted) as error:
            raise Refused("upgrade failed") from error

    def _check_version(self, found: Found, settings: Settings) -> None:
        log, build = self._log, self._command.build
        theirs = versions.of_settings(settings)
        newer = theirs is None or build.is_newer_than(theirs)
        if newer or self._command.options.yes("force"):
            return
        log.error("--------------------")
        shown = f"has same or newer version {versions.text_of(settings)} than installer version {build.text}."
        log.error(f"{quoted(found.name)} {shown} No upgrade is available.")
        log.error("validation of configuration failed")
        raise Refused("upgrade failed")

    def _change(self, found: Found, isos: list[str]) -> Update:
        number = self._command.build.number
        return Update(self._command, self._inventory, found, "upgrade", number, isos, CALLER, own_limit=True)

    def _modernise(self, settings: Settings, bootstrap: str) -> None:
        build = self._command.build
        if not build.is_first:
            vch_settings.add_missing(settings)
        settings.values |= {
            read_only("container/bootstrap_image_path"): bootstrap,
            read_only("init/version/BuildNumber"): build.number,
            read_only("init/version/GitCommit"): text(build.commit),
            read_only("init/version/PluginVersion"): str(build.plugin),
            read_only("init/version/Version"): f"v{build.version}",
        }


def opened(command: Command, inventory: Inventory, found: Found, name: str) -> Settings:
    """A VCH's settings with their secrets.

    Raises:
        Refused: the key isn't where it should be.
    """
    log = command.log
    key = update.secrets_key(command, inventory, found)
    try:
        if key is None:
            raise secretbox.WrongKey("unable to find guestinfo secret")
        return Settings.of(inventory.session.extra_config(found.machine), key)
    except secretbox.WrongKey as error:
        said = f"Failed to decode VM configuration {quoted(reference(found.machine))}: {error}"
        log.error(said)
        log.error("Failed to get Virtual Container Host configuration")
        log.error(said)
        raise Refused(f"{name} failed") from error


def reset(command: Command, inventory: Inventory, found: Found, name: str) -> None:
    """Clears the in-progress flag, and nothing else."""
    try:
        update.set_progress(inventory, found.machine, on=False)
    except Fault as error:
        command.log.error(f"Failed to reset {IN_PROGRESS} flag")
        command.log.error(str(error))
        raise Refused(f"{name} failed") from error
    command.log.info(f"Reset {IN_PROGRESS} flag successfully")


def refuse_in_progress(command: Command, name: str) -> None:
    """Raises Refused, with the way out."""
    command.log.error(f"{name} failed: another upgrade/configure operation is in progress")
    how = "use --reset-progress to reset the VCH upgrade/configure status"
    command.log.error(f"If no other upgrade/configure process is running, {how}")
    raise Refused(f"{name.lower()} failed")
