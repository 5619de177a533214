"""The lab's site: the watcher in whose sight VMs come alive. See `lab.site`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from lab import dockerd
from lab.parts import engine_remains
from lab.parts.engine_packages import EnginePackages
from lab.parts.part import Command, Server, write_settings
from lab.parts.vcenter import USER, VCenter
from lab.passwords import FILE as PASSWORDS
from ops.toolchain import digest_of, go_build

_CHECKOUT = Path(__file__).resolve().parents[2]
_SOURCE = _CHECKOUT / "lab" / "site"


class Site(Server):
    """The watcher, with the appliances that it brings up and their daemons."""

    name = "site"
    needs = ("vcenter",)
    member = 5
    preferred_port = 8443
    program = "python"
    # VCHs stop side by side, each with its containers.
    stop_limit_s = 40.0

    def install(self) -> None:
        packages = EnginePackages.unpacked()
        addresses = self.premises.addresses
        told = {
            "folder": str(self.folder),
            "short": str(self._short),
            "logs": str(self.log.parent),
            "network": f"{addresses.host(0)}/24",
            "listen": self.address,
            "certificate": str(self.certificate),
            "vcenter": VCenter(self.premises).address,
            "user": USER,
            "passwords": str(self.premises.state / PASSWORDS),
            "programs": str(packages.folder),
            "environment": packages.environment(),
            "door": str(go_build("door", "1", source=_SOURCE / "door", usually="ten seconds")),
            "group": f"/{self._group}",
            # A site of another source is started anew.
            "source": digest_of(_SOURCE, Path(dockerd.__file__)),
        }
        write_settings(self._settings, json.dumps(told, indent=2) + "\n")

    def command(self) -> Command:
        return Command(
            [sys.executable, "-m", "lab.site", str(self._settings)],
            {"PYTHONPATH": str(_CHECKOUT), "HOME": str(self.folder)},
            [self._settings, self.certificate / "cert.pem", self.premises.state / PASSWORDS],
        )

    def start(self) -> None:
        self._clear()
        super().start()

    def healthy(self) -> bool:
        return self.asked("/").status == 200

    def stop(self) -> None:
        self._clear()

    def forget(self) -> None:
        """Removes what its VCHs keep: their images and containers."""
        shutil.rmtree(self.folder / "vch", ignore_errors=True)

    @property
    def _settings(self) -> Path:
        return self.folder / "site.json"

    @property
    def _short(self) -> Path:
        """A socket's path may have 108 bytes at most."""
        short = self.premises.addresses.short_folder
        return short.with_name(f"{short.name}-site")

    @property
    def _group(self) -> str:
        return f"{self.premises.addresses.bridge}-site"

    def _clear(self) -> None:
        """All that the site makes outside its folder ends with its processes, but for control groups and sockets."""
        super().stop()
        engine_remains.end_groups(self._group)
        shutil.rmtree(self._short, ignore_errors=True)
