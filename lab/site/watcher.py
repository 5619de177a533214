"""Sees VMs being powered on, off, changed and deleted, and brings their real parts up and down."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field

from lab.site import extra_config
from lab.site.appliance import Appliance, key_in
from lab.site.extra_config import Login
from lab.site.ground import AddressBook, Ground
from lab.site.vsphere import Machine, ObjectGone, Seen, VSphere, VSphereError

LOOK_EVERY_S = 0.3
# What a deleted VM kept goes only after some looks without it; its address is free at once.
LOST_AFTER_LOOKS = 3

# What an appliance's ISO may say of itself, for the tests of who copes with that.
HANGS = "hangs"
LOSES_STORES = "loses its volume stores"

_FAULT = re.compile(rb"^fault=(.+)$", re.MULTILINE)
_RETRY_S = 1.0
log = logging.getLogger(__name__)


@dataclass
class _Known:
    """What is known of one VM."""

    version: str = ""
    machine: Machine | None = None
    appliance: Appliance | None = None
    boot: str = ""
    missed: int = 0
    in_doubt: bool = False
    task: asyncio.Task[None] | None = None
    comparison: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def is_comparing(self) -> bool:
        return self.comparison is not None and not self.comparison.done()


@dataclass
class Watcher:
    """Watches one vCenter.

    Args:
        ground: the site's.

    Attributes:
        looked_at: when it looked last, on the monotonic clock.
        is_ready: whether what was on when it began is up.
    """

    ground: Ground
    looked_at: float = 0.0
    is_ready: bool = False
    _is_swept: bool = False
    _known: dict[str, _Known] = field(default_factory=dict)
    _farewells: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._vsphere = VSphere(Login(self.ground.vcenter, "", self.ground.user, self.ground.password))
        self._book = AddressBook(self.ground.folder / "addresses.json", self.ground.network)

    @property
    def appliances(self) -> list[Appliance]:
        """The VCHs."""
        return [known.appliance for known in self._known.values() if known.appliance is not None]

    async def run(self) -> None:
        """Watches until it is cancelled; then everything is ended."""
        reached = True
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._look(await asyncio.to_thread(self._vsphere.machines), began)
                    self.looked_at = time.monotonic()
                    self.is_ready = self.is_ready or not any(known.is_busy for known in self._known.values())
                    reached = True
                except VSphereError as error:
                    if reached:
                        log.warning("%s", error)
                    reached = False
                    await asyncio.sleep(_RETRY_S)
                await asyncio.sleep(max(0.0, LOOK_EVERY_S - (time.monotonic() - began)))
        finally:
            await self._end()

    async def _look(self, seen: list[Seen], began: float) -> None:
        here = {machine.reference: machine for machine in seen}
        if not self._is_swept:
            await asyncio.to_thread(self._sweep, here)
            self._is_swept = True
        for machine in seen:
            await self._look_at(machine, self._known.setdefault(machine.reference, _Known()))
        for reference in [reference for reference in self._known if reference not in here]:
            self._miss(reference)
        for known in list(self._known.values()):
            is_comparing = known.comparison is not None and not known.comparison.done()
            if (
                known.appliance is not None
                and not known.is_busy
                and not is_comparing
                and known.appliance.has_containers
            ):
                known.comparison = asyncio.ensure_future(known.appliance.compare(here, began))
                known.comparison.add_done_callback(_told_if_failed)

    async def _look_at(self, seen: Seen, known: _Known) -> None:
        known.missed = 0
        if known.is_busy:
            return
        if known.machine is None or known.version != seen.version:
            try:
                known.machine = await asyncio.to_thread(self._vsphere.machine, seen.reference)
            except ObjectGone:  # since the look
                return
            known.version = seen.version
        machine = known.machine
        is_vch = extra_config.is_vch(machine.values, machine.iso)
        if known.appliance is None:
            if not is_vch:
                return
            known.appliance = Appliance(self.ground, seen.reference, self._book.of(seen.reference))
        appliance = known.appliance
        if not seen.is_on:
            if appliance.is_up:
                known.task = _begun(appliance.down())
            return
        if not appliance.is_up and not is_vch:
            return  # somebody put another ISO into its drive
        was_rebooted = seen.boot not in ("", known.boot)
        reported = extra_config.has_reported(machine.values)
        if appliance.is_up and not was_rebooted and not reported and not known.in_doubt:
            # Its settings were read after the list: it may be in the middle of a reboot, which the next look shows.
            known.in_doubt, known.version = True, ""
            return
        known.in_doubt = False
        if not appliance.is_up or was_rebooted or not reported:
            known.boot = seen.boot or known.boot
            known.task = _begun(self._boot(known, appliance, seen.reference))

    async def _boot(self, known: _Known, appliance: Appliance, reference: str) -> None:
        try:
            machine = await asyncio.to_thread(self._vsphere.machine, reference)
            fault = await asyncio.to_thread(self._fault, machine)
            if fault == HANGS:
                log.warning("%s hangs while it boots", machine.name)
                await appliance.down()
                await asyncio.sleep(_RETRY_S)
                return
            key = machine.values.get(extra_config.KEY_OF_SECRETS, "") or await asyncio.to_thread(self._key, machine)
            written = await appliance.up(machine.values, key, loses_stores=fault == LOSES_STORES)
            now = await asyncio.to_thread(self._vsphere.seen, reference)
            if now is None or not now.is_on or now.boot not in ("", known.boot):
                # It was switched off meanwhile: what has died can't report.
                await appliance.down()
                return
            await asyncio.to_thread(self._vsphere.write, reference, written)
        except VSphereError as error:  # the VM or the vCenter went meanwhile: the next look tells
            log.warning("%s: %s", appliance.name, error)
            await appliance.down()
        known.version = ""

    def _key(self, machine: Machine) -> str:
        """vSphere hides the key of secrets from readers, but not in the `.vmx`."""
        try:
            return key_in(self._vsphere.file(machine.file))
        except VSphereError as error:
            log.warning("%s: %s", machine.name, error)
            return ""

    def _sweep(self, here: Collection[str]) -> None:
        """What VMs kept that were deleted while nobody watched."""
        folder = self.ground.folder / "vch"
        for reference in {one.name for one in folder.glob("*")} - set(here):
            self._book.forget(reference)
            shutil.rmtree(folder / reference, ignore_errors=True)
            log.info("what %s kept is removed", reference)

    def _fault(self, machine: Machine) -> str:
        """What its ISO says that goes wrong."""
        try:
            return fault_in(self._vsphere.file(machine.iso)) if machine.iso else ""
        except VSphereError as error:
            log.warning("%s: %s", machine.name, error)
            return ""

    def _miss(self, reference: str) -> None:
        known = self._known[reference]
        known.missed += 1
        if known.is_busy:
            return
        if known.appliance is not None and known.appliance.is_up:
            known.task = _begun(known.appliance.down())
        elif known.missed >= LOST_AFTER_LOOKS:
            self._forget(reference)

    def _forget(self, reference: str) -> None:
        known = self._known.pop(reference)
        if known.appliance is not None:
            self._book.forget(reference)
            self._farewells.add(farewell := _begun(known.appliance.vanish()))
            farewell.add_done_callback(self._farewells.discard)

    async def _end(self) -> None:
        log.info("ends")
        for known in self._known.values():
            for task in (known.task, known.comparison):
                if task is not None:
                    task.cancel()
        await asyncio.gather(*(appliance.end() for appliance in self.appliances), return_exceptions=True)
        await asyncio.to_thread(self._vsphere.close)


def _begun(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    task.add_done_callback(_told_if_failed)
    return task


def _told_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("failed", exc_info=task.exception())


def fault_in(iso: bytes) -> str:
    """The fault that an appliance's ISO names; empty for a good one."""
    found = _FAULT.search(iso)
    return found[1].decode() if found else ""
