"""What the site stands on, as the lab tells it in one file: folders, addresses, programs; for all of the site."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from lab.site.daemon import Programs

VCH_MEMBERS = range(128, 251)
NETWORK_PREFIX = 24


@dataclass(frozen=True)
class Ground:
    """The site's ground.

    Attributes:
        folder: where what it keeps lies.
        short: a folder with a short path, for sockets.
        logs: where logs go.
        network: the lab's /24, in which VMs get addresses.
        listen: where it tells how it is, `host:port`.
        certificate: the folder with its certificate and key.
        vcenter: the vCenter, `host:port`.
        user: the account that watches.
        passwords: the lab's one password file.
        programs: the engine's.
        door: our Go program for TLS.
        group: the control group for containers.
    """

    folder: Path
    short: Path
    logs: Path
    network: ipaddress.IPv4Network
    listen: str
    certificate: Path
    vcenter: str
    user: str
    passwords: Path
    programs: Programs
    door: Path
    group: str

    @property
    def password(self) -> str:
        """The password of the account that watches."""
        return str(json.loads(self.passwords.read_text(encoding="utf-8"))["vsphere"])

    @classmethod
    def read(cls, file: Path) -> Ground:
        """Reads the file that `lab.parts.site` writes."""
        told = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            folder=Path(told["folder"]),
            short=Path(told["short"]),
            logs=Path(told["logs"]),
            network=ipaddress.IPv4Network(told["network"]),
            listen=str(told["listen"]),
            certificate=Path(told["certificate"]),
            vcenter=str(told["vcenter"]),
            user=str(told["user"]),
            passwords=Path(told["passwords"]),
            programs=Programs(Path(told["programs"]), dict(told["environment"])),
            door=Path(told["door"]),
            group=str(told["group"]),
        )


class AddressBook:
    """Which address each VM has; it keeps it as long as it is there.

    Args:
        file: where it is kept.
        network: the lab's.
    """

    def __init__(self, file: Path, network: ipaddress.IPv4Network) -> None:
        self._file = file
        self._network = network
        try:
            self._kept: dict[str, str] = dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self._kept = {}

    def of(self, machine: str) -> str:
        """A VM's address.

        Raises:
            OSError: all are in use.
        """
        if machine not in self._kept:
            taken = set(self._kept.values())
            free = (str(self._network[member]) for member in VCH_MEMBERS)
            address = next((address for address in free if address not in taken), "")
            if not address:
                raise OSError(f"all {len(VCH_MEMBERS)} addresses for VMs are in use")
            self._kept[machine] = address
            self._write()
        return self._kept[machine]

    def forget(self, machine: str) -> None:
        """Frees a VM's address."""
        if self._kept.pop(machine, ""):
            self._write()

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(self._kept, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self._file)
