"""Folders and files on datastores: made for volume stores, filled with ISOs, deleted with a VCH."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lab.stand_ins.vic_machine.images import Image
from lab.stand_ins.vic_machine.inventory import Inventory, NotFound
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.vsphere import Fault, NotThere
from lab.stand_ins.vic_machine.wanted import Store

VOLUMES = "VIC"
UPLOAD_TRIES = 5
UPLOAD_FIRST_PAUSE_S = 10.0
UPLOAD_LONGEST_PAUSE_S = 60.0

_BACKING_FILES = ("-delta.vmdk", "-flat.vmdk")


def make(log: Log, inventory: Inventory, datastore: str, path: str) -> None:
    """Makes a folder, if it isn't there, and says so either way, as the real one does.

    Raises:
        Fault: vSphere doesn't.
    """
    whole = f"[{datastore}] {path}"
    log.info(f"Creating directory {whole}")
    inventory.session.make_folder(inventory.datacenter, whole)
    log.info(f"Datastore path is {whole}")


def make_volume_stores(log: Log, inventory: Inventory, stores: Mapping[str, Store]) -> dict[str, Store]:
    """Makes the folders of those on datastores; an empty path becomes the usual one."""
    made: dict[str, Store] = {}
    for label in sorted(stores):
        one = stores[label]
        if one.scheme == "ds":
            one = Store("ds", one.host, one.path.strip("/") or VOLUMES)
            try:
                make(log, inventory, one.host, one.path)
            except Fault as error:
                raise Refused(f"Could not create volume store due to error: {error}") from error
        made[label] = one
    return made


def upload(
    log: Log, inventory: Inventory, datastore: str, folder: str, images: Sequence[Image], *, first: bool
) -> None:
    """Puts the ISOs into a VM's folder.

    Raises:
        Refused: one couldn't be put there, five times.
    """
    log.info("Uploading images for container" if first else "Uploading ISO images")
    failed = False
    for image in images:
        shown = f"\t{quoted(str(image.file) if image.file.is_absolute() else f'./{image.file}')}"
        log.info(shown if first else f"Uploading {image.file.name} as {image.target}")
        failed = not _uploaded(log, inventory, datastore, folder, image) or failed
    if failed:
        raise Refused("Uploading images failed with Failed to upload iso images successfully.. Exiting...")


def delete(log: Log, inventory: Inventory, datastore: str, path: str) -> None:
    """Deletes a folder with all in it; one that isn't there is no failure.

    Raises:
        Fault: it can't be read.
    """
    if not path.strip("/"):
        raise Fault(f'refusing to remove datastore files for path "" on datastore {quoted(datastore)}')
    whole = f"[{datastore}] {path}"
    try:
        store = inventory.datastore(datastore)
        below = inventory.session.files(store, whole)
    except (NotThere, NotFound):
        return
    for file in sorted(below, reverse=True):
        if not file.endswith(_BACKING_FILES):
            _delete_file(log, inventory, file)
    _delete_file(log, inventory, whole)


def is_empty(inventory: Inventory, datastore: str, path: str) -> bool:
    """Whether nothing is in a folder; false if there is none."""
    try:
        return not inventory.session.files(inventory.datastore(datastore), f"[{datastore}] {path}")
    except (NotThere, NotFound):
        return False


def split(path: str) -> tuple[str, str]:
    """Datastore and path of ``[DS] path``."""
    datastore, _, rest = path.partition("] ")
    return datastore.lstrip("["), rest


def write_log(inventory: Inventory, datastore: str, folder: str, action: str, content: bytes) -> None:
    """Leaves the installer's log beside the VM."""
    name = f"vic-machine_{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime())}_{action}.log"
    try:
        inventory.session.write(inventory.path.lstrip("/"), datastore, posixpath.join(folder, name), content)
    except (Fault, NotThere):
        return


def _delete_file(log: Log, inventory: Inventory, path: str) -> None:
    try:
        inventory.session.delete_file(inventory.datacenter, path)
    except (Fault, NotThere) as error:
        log.debug(f"Failed to delete {quoted(path)}: {error}")


def _uploaded(log: Log, inventory: Inventory, datastore: str, folder: str, image: Image) -> bool:
    pause_s = UPLOAD_FIRST_PAUSE_S
    left = UPLOAD_TRIES
    target = posixpath.join(folder, image.target)
    while True:
        try:
            inventory.session.upload(inventory.path.lstrip("/"), datastore, target, image.file)
            return True
        except (Fault, NotThere, OSError) as error:
            left -= 1
            if left < 0:
                tries = f"Attempted upload a total of {UPLOAD_TRIES} times without success, Upload process failed."
                log.warning(tries)
                log.error(f"\t\tUpload failed for {quoted(str(image.file))}: {error}\n")
                return False
            log.warning(f"failed an attempt to upload isos with err ({error}), {left} retries remain")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, UPLOAD_LONGEST_PAUSE_S)


def datastore_named(inventory: Inventory, name: str) -> Any:
    """A datastore, or a refusal.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return inventory.datastore(name)
    except NotFound as error:
        raise Refused(f"Failed to find image datastore {quoted(name)}") from error
