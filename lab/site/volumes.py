"""A VCH's volumes as they lie on datastores: a disk's descriptor and the data beside it, which outlive the VCH.

Rules and words: facts `vch-docker-api.md`, and the VCH's public sources (lib/apiservers/engine/proxy).
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.site.extra_config import VolumeStore
from lab.site.refusals import Refusal
from lab.site.vsphere import VSphere, VSphereError

DRIVERS = ("vsphere", "local")
DEFAULT_STORE = "default"
DEFAULT_CAPACITY_MB = 1024

_OPTIONS = ("volumestore", "capacity", "flags", "container", "image")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp])?i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_METADATA = "imageMetadata/DockerMetaData"


class VolumeError(Refusal):
    """A volume that is refused, in a VCH's words."""


@dataclass(frozen=True)
class Volume:
    """A volume.

    Attributes:
        name: its name.
        store: the label of its store.
        driver: as it was asked for.
        options: as they were asked for.
        labels: its labels.
        folder: the folder of the host's with its data.
        created: when, ISO 8601.
    """

    name: str
    store: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    folder: Path
    created: str

    def told(self) -> dict[str, Any]:
        """As the Docker API tells it."""
        return {
            "Name": self.name,
            "Driver": "vsphere",
            "Mountpoint": "",
            "Labels": dict(self.labels),
            "Options": dict(self.options),
            "Scope": "",
        }


class VolumeStores:
    """The volume stores of one VCH. Its calls block.

    Args:
        vsphere: the VCH's own session.
        stores: label → place.
    """

    def __init__(self, vsphere: VSphere, stores: Mapping[str, VolumeStore]) -> None:
        self._vsphere = vsphere
        self._stores = stores
        self._folders: dict[str, Path] = {}

    def open(self) -> None:
        """Finds every store, and makes its folder for volumes.

        Raises:
            VSphereError: a store's datastore is missing or its folder can't be made.
        """
        for label, store in self._stores.items():
            if store.scheme != "ds":
                continue  # the lab has no NFS server: such a store is never online
            datastore = Path(self._vsphere.datastore_folder(store.datastore))
            self._vsphere.make_folder(f"[{store.datastore}] {_below(store.folder, 'volumes')}")
            self._folders[label] = datastore / store.folder / "volumes"

    @property
    def online(self) -> list[str]:
        """The labels of the stores that are there."""
        return sorted(label for label, folder in self._folders.items() if folder.is_dir())

    def all(self) -> list[Volume]:
        """All volumes."""
        return [self._read(label, disk.parent) for label, disk in self._disks()]

    def get(self, name: str) -> Volume | None:
        """One volume."""
        return next((self._read(label, disk.parent) for label, disk in self._disks() if disk.parent.name == name), None)

    def create(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> Volume:
        """Makes a volume.

        Args:
            name: its name; empty: a random one.
            driver: `vsphere`, or `local`, which is the same here.
            options: `VolumeStore` and `Capacity`, large letters or small.
            labels: its labels.

        Raises:
            VolumeError: refused, in a VCH's words.
        """
        name = name or str(uuid.uuid4())
        if driver not in DRIVERS:
            raise VolumeError(500, f"error looking up volume plugin {driver}: plugin not found")
        if not _NAME.fullmatch(name):
            raise VolumeError(
                500, f'volume name "{name}" includes invalid characters, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'
            )
        unknown = next((option for option in options if option.lower() not in _OPTIONS), None)
        if unknown is not None:
            raise VolumeError(500, f"bad driver value - {unknown} is not a supported option")
        normal = {option.lower(): value for option, value in options.items()}
        capacity_mb = _capacity_mb(normal.get("capacity"))
        label = normal.get("volumestore", DEFAULT_STORE)
        if label not in self._folders:
            raise VolumeError(500, f"No volume store named ({label}) exists")
        if self.get(name) is not None:
            raise VolumeError(500, f"A volume named {name} already exists. Choose a different volume name.")
        try:
            self._make(label, name, capacity_mb, {"Driver": driver, "DriverOpts": normal, "Labels": dict(labels)})
        except VSphereError as error:
            raise VolumeError(500, f"Server error from portlayer: {error}") from error
        return self._read(label, self._folders[label] / name)

    def remove(self, name: str) -> None:
        """Removes a volume and its data.

        Raises:
            VolumeError: there is none, or it can't be removed.
        """
        volume = self.get(name)
        if volume is None:
            raise VolumeError(404, f"Get {name}: no such volume")
        store = self._stores[volume.store]
        try:
            self._vsphere.remove_file(f"[{store.datastore}] {_below(store.folder, f'volumes/{name}')}")
        except VSphereError as error:
            raise VolumeError(500, f"Server error from portlayer: {error}") from error

    def _disks(self) -> list[tuple[str, Path]]:
        """The stores' labels, and the disks in them: a volume is what has its disk."""
        return [
            (label, disk)
            for label, folder in sorted(self._folders.items())
            for disk in sorted(folder.glob("*/*.vmdk"))
            if disk.stem == disk.parent.name
        ]

    def _make(self, label: str, name: str, capacity_mb: int, metadata: Mapping[str, Any]) -> None:
        store = self._stores[label]
        place = f"[{store.datastore}] {_below(store.folder, f'volumes/{name}')}"
        folder = self._folders[label] / name
        self._vsphere.make_folder(place)
        data = folder / "data"
        # A file system of its own, as the kernel formats it.
        (data / "lost+found").mkdir(parents=True, exist_ok=True, mode=0o700)
        data.chmod(0o755)
        note = folder / _METADATA
        note.parent.mkdir(exist_ok=True)
        created = datetime.datetime.now(datetime.timezone.utc).isoformat()
        note.write_text(json.dumps({"Name": name, "Created": created, **metadata}, indent=1) + "\n", encoding="utf-8")
        # The disk comes last: without it, it is no volume.
        self._vsphere.make_disk(f"{place}/{name}.vmdk", capacity_mb * 1024)

    def _read(self, label: str, folder: Path) -> Volume:
        try:
            noted = json.loads((folder / _METADATA).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            noted = {}
        return Volume(
            name=folder.name,
            store=label,
            driver=str(noted.get("Driver", "vsphere")),
            options=dict(noted.get("DriverOpts") or {}),
            labels=dict(noted.get("Labels") or {}),
            folder=folder / "data",
            created=str(noted.get("Created", "")),
        )


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _capacity_mb(text: str | None) -> int:
    """A number alone is megabytes; units are decimal (docker/go-units FromHumanSize)."""
    if text is None:
        return DEFAULT_CAPACITY_MB
    if re.fullmatch(r"-?\d+", text):
        if int(text) < 1:
            raise VolumeError(500, f"bad driver value - Invalid size: {text}")
        return int(text)
    found = _SIZE.fullmatch(text)
    if found is None:
        raise VolumeError(500, f"bad driver value - invalid size: '{text}'")
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()]) // 10**6
