"""A VCH's VM and its pool: how they are made; for create."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.command_line import Options
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.outcome import Crashed
from lab.stand_ins.vic_machine.vsphere import Session, options_of, reference, told

ROLES = ("public", "client", "management", "bridge")

_IDE_KEY, _SCSI_KEY, _FIRST_NIC_KEY, _CDROM_KEY, _SERIAL_KEY = -200, -205, -210, -220, -230
_FIRST_SLOT, _FIRST_SLOT_OF_FIRST, _SLOT_STEP = 1184, 192, 32
_SHARES = {"low", "normal", "high"}


@dataclass(frozen=True)
class Nics:
    """The NICs that the roles need: devices, and role → place on the bus."""

    devices: list[Any]
    slots: dict[str, int]


def nics(build: Build, log: Log, session: Session, networks: dict[str, Any]) -> Nics:
    """One NIC for each distinct network.

    Raises:
        Crashed: 1.1 doesn't know the kind of a distributed switch.
    """
    devices: list[Any] = []
    slots: dict[str, int] = {}
    owners: dict[str, str] = {}
    slot = _FIRST_SLOT_OF_FIRST if build.is_first else _FIRST_SLOT
    for role in ROLES:
        if role not in networks:
            continue
        network = networks[role]
        owner = owners.get(network._GetMoId())
        if owner is not None:
            slots[role] = slots[owner]
            log.info(f"Network role {quoted(role)} is sharing NIC with {quoted(owner)}")
            continue
        owners[network._GetMoId()] = role
        slots[role] = slot
        if build.is_first and kind_of_switch(session, network) == "DistributedVirtualSwitch":
            raise Crashed
        devices.append(_nic(session, network, _FIRST_NIC_KEY - len(devices), slot))
        slot += _SLOT_STEP
    return Nics(devices, slots)


def kind_of_switch(session: Session, network: Any) -> str:
    """The type of the distributed switch that a port group is on; nothing for other networks."""
    if not isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        return ""
    return reference(session.get(network, "config.distributedVirtualSwitch")).partition(":")[0]


def specification(
    build: Build, options: Options, name: str, datastore: str, nics_: Nics, settings: dict[str, str]
) -> Any:
    """The VM as it is first made: without its CD-ROM."""
    ide = vim.vm.device.VirtualIDEController(key=_IDE_KEY, busNumber=0)
    shared = vim.vm.device.VirtualSCSIController.Sharing.noSharing
    scsi = vim.vm.device.ParaVirtualSCSIController(key=_SCSI_KEY, busNumber=0, sharedBus=shared)
    return vim.vm.ConfigSpec(
        name=name,
        guestId="otherGuest64",
        alternateGuestName=build.guest_name,
        files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
        numCPUs=options.number("endpoint-cpu") or 1,
        memoryMB=options.number("endpoint-memory") or 2048,
        extraConfig=[*options_of(settings), vim.option.OptionValue(key="answer.msg.serial.file.open", value="Append")],
        deviceChange=[_added(one) for one in (ide, scsi, *nics_.devices)],
    )


def folder_of(session: Session, machine: Any) -> str:
    """The VM's folder on its datastore."""
    path = str(session.get(machine, "config.files.vmPathName"))
    return posixpath.dirname(path.partition("] ")[2])


def datastore_of(session: Session, machine: Any) -> str:
    """The name of its datastore."""
    return str(session.get(machine, "config.files.vmPathName")).partition("]")[0].lstrip("[")


def boot_devices(session: Session, machine: Any, datastore: str, folder: str, iso: str) -> list[Any]:
    """Its CD-ROM with the appliance's ISO, and the serial port that writes to a file."""
    devices = session.get(machine, "config.hardware.device") or []
    ide = next(one.key for one in devices if isinstance(one, vim.vm.device.VirtualIDEController))
    connected = vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=True)
    cdrom = vim.vm.device.VirtualCdrom(
        key=_CDROM_KEY,
        controllerKey=ide,
        unitNumber=0,
        connectable=connected,
        backing=vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=f"[{datastore}] {folder}/{iso}"),
    )
    serial = vim.vm.device.VirtualSerialPort(
        key=_SERIAL_KEY,
        yieldOnPoll=True,
        backing=vim.vm.device.VirtualSerialPort.FileBackingInfo(fileName=f"[{datastore}] {folder}/tether.debug"),
    )
    return [_added(cdrom), _added(serial)]


def cdrom_with(session: Session, machine: Any, path: str) -> list[Any]:
    """The change that puts another ISO into its CD-ROM; none if it is in there already."""
    devices = session.get(machine, "config.hardware.device") or []
    cdrom = next((one for one in devices if isinstance(one, vim.vm.device.VirtualCdrom)), None)
    if cdrom is None or getattr(cdrom.backing, "fileName", "") == path:
        return []
    cdrom.backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=path)
    return [vim.vm.device.VirtualDeviceSpec(operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=cdrom)]


def removal_of_nics(session: Session, machine: Any) -> list[Any]:
    """The change that takes its NICs out."""
    devices = session.get(machine, "config.hardware.device") or []
    remove = vim.vm.device.VirtualDeviceSpec.Operation.remove
    return [
        vim.vm.device.VirtualDeviceSpec(operation=remove, device=one)
        for one in devices
        if isinstance(one, vim.vm.device.VirtualEthernetCard)
    ]


def removal_of_disks(session: Session, machine: Any) -> list[Any]:
    """The change that takes its disks out, and keeps their files."""
    devices = session.get(machine, "config.hardware.device") or []
    remove = vim.vm.device.VirtualDeviceSpec.Operation.remove
    return [
        vim.vm.device.VirtualDeviceSpec(operation=remove, device=one)
        for one in devices
        if isinstance(one, vim.vm.device.VirtualDisk)
    ]


def pool_specification(options: Options) -> Any:
    """What a VCH's pool may use."""
    return vim.ResourceConfigSpec(
        cpuAllocation=_allocation(options, "cpu", None), memoryAllocation=_allocation(options, "memory", None)
    )


def changed_pool_specification(options: Options, now: Any) -> Any:
    """The same, where only what was given changes; none if nothing was."""
    given = [f"{what}{part}" for what in ("cpu", "memory") for part in ("", "-reservation", "-shares")]
    if not any(options.has(name) for name in given):
        return None
    return vim.ResourceConfigSpec(
        cpuAllocation=_allocation(options, "cpu", now.cpuAllocation),
        memoryAllocation=_allocation(options, "memory", now.memoryAllocation),
    )


def group_change(session: Session, compute: Any, name: str, machine: Any) -> Any:
    """The change of a cluster by which a VM gets its group, or (with no VM) the group goes; none if it is so."""
    known = [one.name for one in session.get(compute, "configurationEx").group]
    if (name in known) == (machine is not None):
        return None
    operation = vim.option.ArrayUpdateSpec.Operation
    if machine is None:
        spec = vim.cluster.GroupSpec(operation=operation.remove, removeKey=name)
    else:
        spec = vim.cluster.GroupSpec(operation=operation.add, info=vim.cluster.VmGroup(name=name, vm=[machine]))
    return vim.cluster.ConfigSpecEx(groupSpec=[spec])


def set_group(session: Session, compute: Any, name: str, machine: Any) -> None:
    """Makes a VM's group in a cluster, or (with no VM) removes it.

    Raises:
        Fault: vSphere doesn't.
    """
    if not isinstance(compute, vim.ClusterComputeResource):
        return
    change = group_change(session, compute, name, machine)
    if change is None:
        return
    with told():
        task = compute.ReconfigureComputeResource_Task(change, True)
    session.run(task)


def _allocation(options: Options, what: str, now: Any) -> Any:
    limit = options.number(what) if options.has(what) or now is None else now.limit
    reserved = f"{what}-reservation"
    reservation = options.number(reserved) if options.has(reserved) or now is None else now.reservation
    shares = _shares(options.text(f"{what}-shares")) if options.has(f"{what}-shares") or now is None else now.shares
    return vim.ResourceAllocationInfo(
        limit=limit if limit and limit > 0 else -1,
        reservation=reservation or 0,
        expandableReservation=True,
        shares=shares,
    )


def _shares(text: str) -> Any:
    if text.isdigit():
        return vim.SharesInfo(level=vim.SharesInfo.Level.custom, shares=int(text))
    level = text if text in _SHARES else "normal"
    return vim.SharesInfo(level=getattr(vim.SharesInfo.Level, level), shares=0)


def _nic(session: Session, network: Any, key: int, slot: int) -> Any:
    connected = vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=True)
    return vim.vm.device.VirtualVmxnet3(
        key=key,
        addressType="generated",
        wakeOnLanEnabled=True,
        connectable=connected,
        backing=_nic_backing(session, network),
        slotInfo=vim.vm.device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=slot),
    )


def _nic_backing(session: Session, network: Any) -> Any:
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        switch = session.get(network, "config.distributedVirtualSwitch")
        port = vim.dvs.PortConnection(portgroupKey=session.get(network, "key"), switchUuid=session.get(switch, "uuid"))
        return vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    return vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName=str(session.get(network, "name")))


def _added(device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(operation=vim.vm.device.VirtualDeviceSpec.Operation.add, device=device)
