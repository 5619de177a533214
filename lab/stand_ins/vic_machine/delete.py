"""``delete``: removes a VCH, its containers and images; with ``--force`` its volumes as well."""

from __future__ import annotations

import posixpath
from typing import Any

from pyVmomi import vim

from lab.stand_ins.vic_machine import machine, stores, target
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.inventory import CREATING, Found, Inventory, NotFound
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.power import power_off
from lab.stand_ins.vic_machine.versions import of_settings
from lab.stand_ins.vic_machine.vsphere import Fault, NotThere, reference, told

_RULE = "----------"


def run(command: Command) -> None:
    """Deletes a VCH.

    Raises:
        Refused: it isn't there, a container runs, or it is of another build.
    """
    login = target.read(command.log, command.options)
    command.no_rest()
    command.log.info("### Removing VCH ####")
    command.limit()
    inventory = command.connected(login, "Delete", "delete failed")
    with command.in_time(inventory, "Delete"):
        _Deletion(command, inventory).run()


class _Deletion:
    def __init__(self, command: Command, inventory: Inventory) -> None:
        self._command, self._inventory = command, inventory
        self._log, self._session = command.log, inventory.session
        self._force = command.options.yes("force")

    def run(self) -> None:
        log = self._log
        log.info("Validating target")
        found = self._command.find_or_refuse(self._inventory, "delete")
        log.info("")
        log.info(f"VCH ID: {reference(found.machine)}")
        settings = Settings.of(self._session.extra_config(found.machine))
        self._check_version(settings)
        try:
            self._remove(found, settings)
        except (Fault, NotThere, NotFound) as error:
            log.error(str(error))
            raise Refused("delete failed") from error
        log.info(_RULE)
        log.info("If firewall changes were made for VIC during install, they were not reverted during delete")
        log.info("To modify firewall rules see vic-machine update firewall --help")
        log.info(_RULE)
        log.info("Completed successfully")

    def _check_version(self, settings: Settings) -> None:
        theirs, mine = of_settings(settings), self._command.build
        if self._force or (settings.text("init/common/id").startswith(CREATING) and not theirs):
            return
        if theirs is None or theirs.number != mine.number:
            shown = theirs.text if theirs else ""
            self._log.error(f"VCH version {quoted(shown)} is different than installer version {quoted(mine.text)}.")
            self._log.error("Upgrade VCH before deleting or specify --force to force delete")
            raise Refused("delete failed")

    def _remove(self, found: Found, settings: Settings) -> None:
        """All of it, in the order in which a failure does least harm."""
        log, session = self._log, self._session
        datastore = machine.datastore_of(session, found.machine)
        folder = machine.folder_of(session, found.machine)
        parent = session.get(found.machine, "parent")
        try:
            self._remove_containers(found, datastore)
        except (Fault, NotThere) as error:
            log.error(str(error))
            if not self._force:
                log.info("Specify --force to force delete")
                raise
            log.warning("Proceeding with delete of VCH due to --force")
        if not self._command.build.is_first:
            try:
                session.enable_destroy(found.machine)
            except Fault as error:
                log.warning(f"Failed to enable Destroy_Task for {reference(found.machine)}: {error}")
        self._remove_images(found, settings)
        self._remove_volumes(settings)
        log.info("Removing appliance VM network devices")
        power_off(self._command, session, found.machine)
        changes = machine.removal_of_nics(session, found.machine)
        if changes:
            session.reconfigure(found.machine, vim.vm.ConfigSpec(deviceChange=changes))
        else:
            log.info("No network device attached")
        self._destroy(found.machine, datastore, folder)
        compute = self._command.compute_of(self._inventory, found.pool)
        self._remove_folder(found, parent)
        self._remove_pool(found)
        if settings.text("container/UseVMGroup") == "true":
            machine.set_group(session, compute, settings.text("container/VMGroupName"), None)

    def _remove_containers(self, found: Found, datastore: str) -> None:
        self._log.info("Removing VMs")
        failures: list[str] = []
        for name, one in self._containers(found):
            if self._session.power(one) != "poweredOff":
                if not self._force:
                    failures.append(f"VM {quoted(name)} is powered on")
                    continue
                with told():
                    task = one.PowerOffVM_Task()
                self._session.run(task)
            try:
                folder = machine.folder_of(self._session, one)
                self._detach_disks(one)
                self._destroy(one, machine.datastore_of(self._session, one) or datastore, folder)
            except (Fault, NotThere) as error:
                failures.append(str(error))
        self._detach_disks(found.machine)
        if failures:
            raise Fault("\n".join(failures))

    def _containers(self, found: Found) -> list[tuple[str, Any]]:
        """Its containers' VMs, in its folder or in its pool."""
        session, own = self._session, found.machine._GetMoId()
        near = list(session.get(found.pool, "vm") or [])
        parent = session.get(found.machine, "parent")
        if parent is not None and str(session.get(parent, "name")) == found.name:
            near += [one for one in session.get(parent, "childEntity") or [] if isinstance(one, vim.VirtualMachine)]
        distinct = {one._GetMoId(): one for one in near if one._GetMoId() != own}
        named = session.names(list(distinct.values()))
        return [
            (name, one) for name, one in named if self._inventory.is_container(one) and not self._inventory.is_vch(one)
        ]

    def _detach_disks(self, vm: Any) -> None:
        changes = machine.removal_of_disks(self._session, vm)
        if changes and self._session.power(vm) == "poweredOff":
            self._session.reconfigure(vm, vim.vm.ConfigSpec(deviceChange=changes))

    def _remove_images(self, found: Found, settings: Settings) -> None:
        self._log.info("Removing image stores")
        datastore = settings.text("storage/image_stores|0/Host")
        path = settings.text("storage/image_stores|0/Path")
        if not datastore or not path:
            return
        identity = str(self._session.get(found.machine, "config.uuid") or "")
        if identity:
            stores.delete(self._log, self._inventory, datastore, posixpath.join(path, stores.VOLUMES, identity))
        stores.delete(self._log, self._inventory, datastore, posixpath.join(path, "kvStores"))
        if stores.is_empty(self._inventory, datastore, path):
            stores.delete(self._log, self._inventory, datastore, path)

    def _remove_volumes(self, settings: Settings) -> None:
        labels = settings.names("storage/VolumeLocations")
        schemes = {label: settings.text(f"storage/VolumeLocations|{label}/Scheme") for label in labels}
        paths = {label: settings.text(f"storage/VolumeLocations|{label}/Path") for label in labels}
        if not self._force:
            self._keep_volumes(schemes, paths)
            return
        self._log.info("Removing volume stores")
        for label in labels:
            if schemes[label] != "ds":
                kept = "It may not be reachable by vic-machine and has been skipped by the delete process."
                host = settings.text(f"storage/VolumeLocations|{label}/Host")
                self._log.warning(f"Cannot delete VolumeStore ({schemes[label]}://{host}{paths[label]}). {kept}")
                continue
            datastore, path = stores.split(paths[label])
            where = f"volume store {quoted(label)} on Datastore {quoted(datastore)} at path {quoted(path)}"
            self._log.info(f"Deleting {where}")
            try:
                stores.delete(self._log, self._inventory, datastore, path)
            except (Fault, NotThere):
                self._log.error(f"Failed to delete {where}")

    def _keep_volumes(self, schemes: dict[str, str], paths: dict[str, str]) -> None:
        if not schemes:
            return
        kept = {
            scheme: "".join(f"\t{label}: {paths[label]}\n" for label in schemes if schemes[label] == scheme)
            for scheme in ("ds", "nfs")
        }
        said = "Since --force was not specified, the following volume stores will not be removed. Use the vSphere UI"
        if self._command.build.is_first:
            self._log.warning(f"{said} to delete content you do not wish to keep.\n{kept['ds']}")
            return
        said += " or supplied nfs targets to delete content you do not wish to keep."
        self._log.warning(f"{said}\n vsphere volumestores:\n{kept['ds']}\n NFS volumestores:\n{kept['nfs']}\n")

    def _destroy(self, vm: Any, datastore: str, folder: str) -> None:
        session = self._session
        try:
            with told():
                task = vm.Destroy_Task()
            session.run(task)
        except Fault as error:
            self._log.warning(f"Destroy VM {reference(vm)} failed with {error}, unregister the VM instead")
            with told():
                vm.UnregisterVM()
        if not folder:
            return
        try:
            stores.delete(self._log, self._inventory, datastore, folder)
        except Fault as error:
            where = f"{reference(vm)} with folder path {folder}"
            self._log.warning(f"Failed to remove datastore files for VM {where}: {error}")

    def _remove_folder(self, found: Found, parent: Any) -> None:
        session = self._session
        if not session.is_vcenter or parent is None or str(session.get(parent, "name")) != found.name:
            return
        if session.get(parent, "childEntity"):
            self._log.debug(f"Could not remove VCH inventory folder, {found.name} has existing contents in it.")
            return
        with told():
            task = parent.Destroy_Task()
        session.run(task)

    def _remove_pool(self, found: Found) -> None:
        session = self._session
        if str(session.get(found.pool, "name")) != found.name:
            self._log.warning("VCH resource pool is cluster default pool - skipping delete")
            return
        self._log.info(f"Removing Resource Pool {quoted(found.name)}")
        if session.get(found.pool, "vm") or session.get(found.pool, "resourcePool"):
            self._log.info(f"Resource pool is not empty: {quoted(found.pool_path)}")
            return
        try:
            with told():
                task = found.pool.Destroy_Task()
            session.run(task)
        except Fault as error:
            self._log.warning(f"VCH resource pool is not removed: {error}")
