"""All that a VCH's resource does outside of this process, in one object: vSphere, vic-machine, the VCH's Docker API."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from pyVmomi import vim, vmodl

from providers.esxi.vsphere import VSphere, inventory_path, thumbprints
from providers.kit.errors import Permanent, Temporary
from providers.kit.secrets import Secret
from providers.vic import bundle, docker_api, runner, vm
from providers.vic.bundle import Bundle, Source
from providers.vic.command_line import CommandLine, Login
from providers.vic.docker_api import Entrance, View
from providers.vic.output import Line
from providers.vic.resources.remains import FOLDER, POOL, Remains
from providers.vic.runner import Finished, Leftover
from providers.vic.vm import Site, Vch

# Many VCHs of one vCenter are refreshed at once; what one of them has read the others take.
SHARED_READ_S = 5.0
TASK_LIMIT_S = 300.0
SHUTDOWN_LIMIT_S = 25.0  # as vic-machine gives a guest with tools (facts/vic-machine.md)
TASK_LOOK_S = 0.2


@dataclass(frozen=True)
class Names:
    """The names of what a VCH is made in.

    Args:
        computes: of clusters, hosts and pools.
        datastores, networks: of those.
        beside: of what stands in a datacenter's own VM folder, where a VCH gets a folder of its name.
    """

    computes: frozenset[str]
    datastores: frozenset[str]
    networks: frozenset[str]
    beside: frozenset[str]


class VicSession:
    """A session with a vCenter or ESXi host, and what runs beside it. `close` logs out.

    Args:
        vsphere: logged in.
    """

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere
        self._reading = threading.Lock()
        self._read: tuple[float, Site] | None = None

    def close(self) -> None:
        self._vsphere.close()

    # vSphere

    def site(self, *, fresh: bool = False) -> Site:
        """All VCHs with their containers; one read for all that ask at the same time, unless it must be fresh."""
        with self._reading:
            if fresh or self._read is None or time.monotonic() - self._read[0] > SHARED_READ_S:
                self._read = (time.monotonic(), vm.read(self._vsphere))
            return self._read[1]

    def login(self, ops_password: Secret | None = None) -> Login:
        """How vic-machine logs in: as we did, at the certificate that we saw."""
        endpoint = self._vsphere.endpoint
        target = f"{endpoint.host}:{endpoint.port}" if endpoint.port != 443 else endpoint.host
        return Login(target, endpoint.user, endpoint.password, self.thumbprint(), ops_password)

    def thumbprint(self) -> str:
        """SHA-1 of the certificate that the vCenter shows now."""
        endpoint = self._vsphere.endpoint
        sha1, sha256, _ = thumbprints(endpoint.host, endpoint.port, endpoint.label)
        seen = self._vsphere._handshake.shown.upper()
        if seen and sha256.replace(":", "") != seen:
            raise Temporary(
                "its certificate was replaced while we were at work",
                on=endpoint.label,
                remedy="Pin the new one: `python -m ops preflight --pin`, then run it again.",
            )
        return sha1

    def at_work_on(self, id_: str) -> list[str]:
        """What anybody's tasks are doing to a VM right now, in words."""
        machine = self._machine(id_)
        with self._vsphere.speaking(f"VM {id_}"):
            found = []
            for task in machine.recentTask or []:
                info = task.info
                if str(info.state) in ("running", "queued"):
                    user = getattr(info.reason, "userName", "") or "somebody"
                    found.append(f"{info.descriptionId} by {user}")
            return found

    def power_on(self, id_: str) -> None:
        """On; what it reported of its last boot is emptied first, as vic-machine does, so that it must report anew."""
        emptied = [vim.option.OptionValue(key=key, value="") for key in vm.STARTED_KEYS]
        self._done(lambda: self._machine(id_).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=emptied)), id_)
        self._done(self._machine(id_).PowerOnVM_Task, id_)

    def restart(self, id_: str) -> None:
        """Off, gently where its tools run, and on again."""
        self._power_off(id_)
        self.power_on(id_)

    def resize(self, id_: str, cpu: int, memory_mb: int) -> None:
        """Another size of the VM, which takes a restart."""
        self._power_off(id_)
        spec = vim.vm.ConfigSpec(numCPUs=cpu, memoryMB=memory_mb)
        self._done(lambda: self._machine(id_).ReconfigVM_Task(spec), id_)
        self.power_on(id_)

    def move(self, id_: str, pool: str) -> None:
        """Back into a pool."""
        there = vim.ResourcePool(pool, self._vsphere._stub)
        with self._vsphere.speaking(f"VM {id_}"):
            there.MoveIntoResourcePool([self._machine(id_)])
        self._forget_read()

    def gather(self, name: str, pool: str, pooled: list[str], folder: str, filed: list[str]) -> None:
        """A VCH's container VMs back.

        Args:
            name: the VCH's.
            pool, pooled: its pool, and the VMs that go into it: managed object ids.
            folder, filed: the same of its folder.
        """
        if pooled:
            there = vim.ResourcePool(pool, self._vsphere._stub)
            with self._vsphere.speaking(f"the containers of VCH {name}"):
                there.MoveIntoResourcePool([self._machine(one) for one in pooled])
        if filed:
            own = vim.Folder(folder, self._vsphere._stub)
            machines = [self._machine(one) for one in filed]
            self._done(lambda: own.MoveIntoFolder_Task(machines), f"of a container of VCH {name}")
        self._forget_read()

    def connect(self, id_: str, cards: Mapping[int, str]) -> None:
        """Network cards back on their networks.

        Args:
            id_: the VM.
            cards: PCI slot → network, as ``Network:network-6``.
        """
        machine = self._machine(id_)
        with self._vsphere.speaking(f"VM {id_}"):
            devices = machine.config.hardware.device
        found = {
            one.slotInfo.pciSlotNumber: one
            for one in devices
            if isinstance(one, vim.vm.device.VirtualEthernetCard) and one.slotInfo is not None
        }
        changes = []
        for slot, network in cards.items():
            card = found.get(slot)
            if card is None:
                raise Permanent(
                    f"VM {id_} has no network card at PCI slot {slot}",
                    on="VCH",
                    remedy="Put it back, or replace the VCH.",
                )
            card.backing = self._backing(network)
            changes.append(vim.vm.device.VirtualDeviceSpec(operation="edit", device=card))
        self._done(lambda: self._machine(id_).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes)), id_)

    def mount(self, id_: str, iso: str) -> None:
        """Another image in the CD-ROM, which takes a restart."""
        machine = self._machine(id_)
        with self._vsphere.speaking(f"VM {id_}"):
            devices = machine.config.hardware.device
        drive = next((one for one in devices if isinstance(one, vim.vm.device.VirtualCdrom)), None)
        if drive is None:
            raise Permanent(f"VM {id_} has no CD-ROM", on="VCH", remedy="Put it back, or replace the VCH.")
        self._power_off(id_)
        drive.backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=iso)
        change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=drive)
        self._done(lambda: self._machine(id_).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])), id_)
        self.power_on(id_)

    def names(self) -> Names:
        """What there is in the vCenter, by name."""
        kinds = {
            vim.ComputeResource: ("name",),
            vim.ResourcePool: ("name",),
            vim.Datastore: ("name",),
            vim.Network: ("name",),
            vim.Datacenter: ("vmFolder",),
        }
        found = self._vsphere.collect(kinds)

        def called(*of: type) -> frozenset[str]:
            return frozenset(unquote(str(known["name"])) for one, known in found if isinstance(one, of))

        homes = [known["vmFolder"] for one, known in found if isinstance(one, vim.Datacenter)]
        return Names(
            called(vim.ComputeResource, vim.ResourcePool),
            called(vim.Datastore),
            called(vim.Network),
            frozenset(self._children(homes)),
        )

    def _children(self, folders: list[Any]) -> set[str]:
        """The names of what stands in some folders."""
        there = self._vsphere.collect({vim.Folder: ("childEntity",)}, folders) if folders else []
        by_kind: dict[type, list[Any]] = {}
        for one in (child for _, known in there for child in known.get("childEntity") or []):
            by_kind.setdefault(type(one), []).append(one)
        named = [known for kind, some in by_kind.items() for _, known in self._vsphere.collect({kind: ("name",)}, some)]
        return {unquote(str(known["name"])) for known in named}

    def remains(self, name: str) -> list[Remains]:
        """Pools and VM folders of a VCH's name in which its VM isn't; pools first."""
        having = {place for one in self.site().named(name) for place in (one.pool, one.folder)}
        places = {vim.ResourcePool: ("name", "parent", "vm"), vim.Folder: ("name", "parent", "childEntity")}
        above = {vim.ComputeResource: ("name", "parent"), vim.Datacenter: ("name", "parent")}
        tree = dict(self._vsphere.collect({**places, **above}))
        mine = [one for one, known in tree.items() if known.get("name") == name and one._moId not in having]
        mine = [one for one in mine if isinstance(one, (vim.ResourcePool, vim.Folder))]
        machines = {machine for one in mine for machine in _machines(tree[one])}
        called = dict(self._vsphere.collect({vim.VirtualMachine: ("name",)}, list(machines))) if machines else {}
        found = [
            Remains(
                one._moId,
                inventory_path(one, tree).lstrip("/"),
                tuple(sorted(str(called.get(machine, {}).get("name", machine)) for machine in _machines(tree[one]))),
                POOL if isinstance(one, vim.ResourcePool) else FOLDER,
            )
            for one in mine
        ]
        return sorted(found, key=lambda one: (one.kind != POOL, one.path))

    def clear(self, left: Remains, name: str) -> None:
        """Removes what a killed create left, with a VM of the VCH's name that was never set up.

        Container VMs are switched off and unregistered: on their datastore nothing of them is deleted.
        """
        kind = vim.ResourcePool if left.kind == POOL else vim.Folder
        there = kind(left.id, self._vsphere._stub)
        with self._vsphere.speaking(left.path):
            machines = [one for one in (there.vm if left.kind == POOL else there.childEntity) if _is_machine(one)]
            named = [(one, one.name, str(one.runtime.powerState) == "poweredOn") for one in machines]
        for one, called, is_on in named:
            if called != name:
                self._let_go(one, called)
            elif not is_on:
                self._done(one.Destroy_Task, name)
        with self._vsphere.speaking(left.path):
            # vSphere deletes a folder with everything in it, a pool alone.
            is_full = left.kind == FOLDER and bool(there.childEntity)
        if not is_full:
            self._done(there.Destroy_Task, left.path)

    def _let_go(self, machine: Any, called: str) -> None:
        self._power_off(machine._moId)
        with self._vsphere.speaking(f"VM {called}"):
            machine.UnregisterVM()

    def missing_files(self, vch: Vch) -> list[str]:
        """What the VM needs and its datastore folder no longer has: a failed configure deletes it."""
        machine = self._machine(vch.id)
        with self._vsphere.speaking(f"VM {vch.name}"):
            layout = machine.layoutEx
        gone = [one.name for one in getattr(layout, "file", None) or [] if getattr(one, "accessible", None) is False]
        return sorted(gone)

    # vic-machine

    def bundle(self, source: Source, say: Callable[[str], None]) -> Bundle:
        """The bundle, fetched where it isn't in the cache."""
        return bundle.fetch(source, say)

    def run(self, there: Bundle, line: CommandLine, thing: str, on_line: Callable[[Line], None]) -> Finished:
        """Runs vic-machine to its end."""
        try:
            return runner.run(there.binary, line, thing=thing, on_line=on_line)
        finally:
            self._forget_read()

    def leftovers(self, thing: str) -> list[Leftover]:
        """Runs that an earlier process of ours has not seen the end of."""
        return runner.leftovers(thing)

    # The VCH

    def look(self, entrance: Entrance) -> View:
        """What its Docker API tells."""
        return docker_api.look(entrance)

    def stop(self, entrance: Entrance | None, machines: list[str]) -> None:
        """Stops containers.

        Args:
            entrance: the way to the VCH's Docker API, where there is one.
            machines: their VMs, which are switched off where they still run then: managed object ids.
        """
        if entrance is not None:
            docker_api.stop(entrance)
        for one in machines:
            self._power_off(one)
        self._forget_read()

    def wait(self, seconds: float) -> None:
        """Gives it time."""
        time.sleep(seconds)

    # How it is done

    def _machine(self, id_: str) -> Any:
        return vim.VirtualMachine(id_, self._vsphere._stub)

    def _backing(self, network: str) -> Any:
        """What a network card stands on to be on a network."""
        kind, _, id_ = network.partition(":")
        card = vim.vm.device.VirtualEthernetCard
        with self._vsphere.speaking(f"network {id_}"):
            if kind == "DistributedVirtualPortgroup":
                group = vim.dvs.DistributedVirtualPortgroup(id_, self._vsphere._stub)
                switch: Any = group.config.distributedVirtualSwitch
                port = vim.dvs.PortConnection(portgroupKey=group.key, switchUuid=switch.uuid)
                return card.DistributedVirtualPortBackingInfo(port=port)
            if kind == "OpaqueNetwork":
                told = vim.OpaqueNetwork(id_, self._vsphere._stub).summary
                return card.OpaqueNetworkBackingInfo(
                    opaqueNetworkId=told.opaqueNetworkId, opaqueNetworkType=told.opaqueNetworkType
                )
            there = vim.Network(id_, self._vsphere._stub)
            return card.NetworkBackingInfo(deviceName=there.name, network=there)

    def _power_off(self, id_: str) -> None:
        machine = self._machine(id_)
        with self._vsphere.speaking(f"VM {id_}"):
            on = str(machine.runtime.powerState) == "poweredOn"
            tools = str(machine.guest.toolsRunningStatus or "") == "guestToolsRunning" if machine.guest else False
        if not on:
            return
        if tools:
            with suppress(vmodl.MethodFault):
                machine.ShutdownGuest()
                end = time.monotonic() + SHUTDOWN_LIMIT_S
                while time.monotonic() < end:
                    if str(machine.runtime.powerState) == "poweredOff":
                        self._forget_read()
                        return
                    time.sleep(TASK_LOOK_S)
        self._done(machine.PowerOffVM_Task, id_)

    def _done(self, begin: Callable[[], Any], on: str) -> None:
        with self._vsphere.speaking(f"VM {on}"):
            task = begin()
            end = time.monotonic() + TASK_LIMIT_S
            while True:
                info = task.info
                if str(info.state) == "success":
                    break
                if str(info.state) == "error":
                    raise info.error
                if time.monotonic() > end:
                    self._late(info, on)
                time.sleep(TASK_LOOK_S)
        self._forget_read()

    def _late(self, info: Any, on: str) -> NoReturn:
        raise Temporary(
            f"{info.descriptionId} is not done after {TASK_LIMIT_S:.0f} s", on=f"VM {on}", remedy="See to the vCenter."
        )

    def _forget_read(self) -> None:
        with self._reading:
            self._read = None


def _machines(known: Mapping[str, Any]) -> list[Any]:
    return [one for one in known.get("vm") or known.get("childEntity") or [] if _is_machine(one)]


def _is_machine(one: Any) -> bool:
    return isinstance(one, vim.VirtualMachine)
