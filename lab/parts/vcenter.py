"""The lab's vCenter: govmomi's simulator with a main of our own, with TLS, a login and a state that survives."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import ClassVar

from lab.certificates import thumbprint
from lab.parts.part import Command, Server
from lab.passwords import write_private
from ops.toolchain import go_build

VERSION = "0.52.0"
USER = "administrator@vsphere.local"
DATASTORE = "LocalDS_0"
ISO = "iso/photon.iso"

_SOURCE = Path(__file__).resolve().parents[1] / "vcenter"


class VCenter(Server):
    """A vCenter with a cluster and a standalone host; its datastores are folders in the lab's state folder.

    Attributes:
        is_controlled: whether it has a port by which tests throw switches and count calls; anybody may use that one.
    """

    is_controlled: ClassVar[bool] = False

    name = "vcenter"
    member = 2
    preferred_port = 443
    program = "vcenter-"

    def install(self) -> None:
        self._binary()
        self.folder.mkdir(parents=True, exist_ok=True)
        login = json.dumps({"user": USER, "password": self.premises.passwords["vsphere"]}) + "\n"
        if not self._login.exists() or self._login.read_text(encoding="utf-8") != login:
            write_private(self._login, login)
        self._place_iso()

    def command(self) -> Command:
        return Command(
            [
                str(self._binary()),
                f"-listen={self.address}",
                f"-state={self.folder / 'state'}",
                f"-tlscert={self.certificate / 'cert.pem'}",
                f"-tlskey={self.certificate / 'key.pem'}",
                f"-credentials={self._login}",
                *([f"-control={self.control}"] if self.is_controlled else []),
            ],
            {"HOME": str(self.folder)},
            [self._login, self.certificate / "cert.pem"],
        )

    @property
    def control(self) -> str:
        """Where its control port is, if it has one."""
        return f"{self.host}:{self.premises.addresses.port('vcenter-control', self.host, 8989)}"

    def healthy(self) -> bool:
        return self.asked("/about").status == 200

    def variables(self) -> dict[str, str]:
        return {
            "VSPHERE_SERVER": self.address,
            "VSPHERE_USER": USER,
            "VSPHERE_PASSWORD": self.premises.passwords["vsphere"],
            "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
            "VSPHERE_THUMBPRINT": thumbprint(self.certificate / "cert.pem"),
        }

    @property
    def _login(self) -> Path:
        return self.folder / "credentials.json"

    def _place_iso(self) -> None:
        iso = self.folder / "state" / "datastores" / DATASTORE / ISO
        if iso.exists():
            return
        iso.parent.mkdir(parents=True, exist_ok=True)
        unfinished = iso.with_suffix(".unfinished")
        _write_iso(unfinished)
        unfinished.replace(iso)

    def _binary(self) -> Path:
        return go_build("vcenter", VERSION, source=_SOURCE, usually="half a minute")


def _write_iso(target: Path) -> None:
    """Writes a real ISO 9660 image of some 60 KB with one text file, in the place of Photon's installer."""
    import pycdlib

    text = b"A placeholder of the Drydock lab, in the place of the installer of Photon OS.\n"
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident="PHOTON", joliet=3)
    image.add_fp(io.BytesIO(text), len(text), "/README.TXT;1", joliet_path="/readme.txt")
    image.write(str(target))
    image.close()
