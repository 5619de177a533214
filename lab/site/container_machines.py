"""The VMs that a VCH's containers are in the inventory; for the appliance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyVmomi import vim

from lab.site.extra_config import PREFIX, ApplianceSettings
from lab.site.vsphere import VSphere

CPUS = 2
MEMORY_MB = 2048
LEAST_MEMORY_MB = 512
LONGEST_NAME = 80

_SHORT_ID = 12


class ContainerMachines:
    """Container → VM, and the VMs. Its calls block.

    Args:
        vsphere: the VCH's own session.
        vch: the VCH's VM; containers' VMs go beside it.
        note: the file in which it is kept which VM is whose.
    """

    def __init__(self, vsphere: VSphere, vch: str, note: Path) -> None:
        self._vsphere = vsphere
        self._vch = vch
        self._note = note
        self._known: dict[str, str] = _read(note)

    @property
    def known(self) -> Mapping[str, str]:
        """Container's id → VM's reference."""
        return self._known

    def create(self, settings: ApplianceSettings, container: str, name: str, *, cpus: int, memory_mb: int) -> str:
        """Makes a container's VM, off; its reference."""
        values = {
            f"{PREFIX}common/id": container,
            f"{PREFIX}common/name": name,
            f"{PREFIX}version/Version": settings.version,
            f"{PREFIX}version/BuildNumber": settings.build,
        }
        spec = vim.vm.ConfigSpec(
            name=machine_name(settings.name_convention, container, name),
            guestId="otherGuest64",
            numCPUs=cpus,
            memoryMB=memory_mb,
            annotation=f"Container {name} of {settings.name}",
            files=vim.vm.FileInfo(vmPathName=f"[{settings.image_datastore}] {container}/{container}.vmx"),
            extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()],
            deviceChange=_drive(settings.bootstrap) if settings.bootstrap else [],
        )
        self._vsphere.make_folder(f"[{settings.image_datastore}] {container}")
        reference = self._vsphere.create_machine(spec, beside=self._vch, pool=settings.pool)
        self._known[container] = reference
        self._write()
        return reference

    def switch(self, container: str, *, on: bool) -> None:
        """Powers a container's VM on or off."""
        if container in self._known:
            self._vsphere.switch(self._known[container], on=on)

    def rename(self, settings: ApplianceSettings, container: str, name: str) -> None:
        """Gives a container's VM the name that goes with the container's."""
        if container in self._known:
            self._vsphere.rename(self._known[container], machine_name(settings.name_convention, container, name))

    def remove(self, container: str) -> None:
        """Removes a container's VM; fine if it is gone."""
        reference = self._known.pop(container, "")
        if reference:
            self._write()
            self._vsphere.remove_machine(reference)

    def forget(self, container: str) -> None:
        """Knows no more of a VM that somebody else removed."""
        if self._known.pop(container, ""):
            self._write()

    def _write(self) -> None:
        unfinished = self._note.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self._known, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self._note)


def machine_name(convention: str, container: str, name: str) -> str:
    """What a container's VM is called.

    Args:
        convention: `--container-name-convention`, with `{name}` or `{id}` in it; empty: the name, a dash and the id.
        container: the container's id.
        name: its name.
    """
    short = container[:_SHORT_ID]
    if convention:
        return convention.replace("{id}", short).replace("{name}", name)[:LONGEST_NAME]
    return f"{name[: LONGEST_NAME - _SHORT_ID - 1]}-{short}"


def _drive(iso: str) -> list[Any]:
    """What a container boots from: wherever its VM is moved, this tells whose it is."""
    controller = vim.vm.device.VirtualIDEController(key=200, busNumber=0)
    drive = vim.vm.device.VirtualCdrom(
        key=-1,
        controllerKey=200,
        unitNumber=0,
        backing=vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=iso),
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=True, allowGuestControl=True, connected=True
        ),
    )
    return [vim.vm.device.VirtualDeviceSpec(operation="add", device=one) for one in (controller, drive)]


def _read(note: Path) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in json.loads(note.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError):
        return {}
