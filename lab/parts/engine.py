"""The lab's Docker Engine: the distribution's own program in a folder of ours, so that the host stays as it is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from lab import dockerd
from lab.parts import engine_remains
from lab.parts.engine_packages import EnginePackages
from lab.parts.part import Command, Server, write_settings

_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21

# `--ip` holds for the default bridge only: on every other network the engine publishes on all addresses of the host.
# Its proxy is asked through this, which keeps to the lab's own address and tells the engine that IPv6 is served
# (a 0 on descriptor 3, as the real one does).
_PROXY = """#!/bin/sh
for argument in "$@"; do
  shift
  case "$argument" in
    0.0.0.0) argument={address} ;;
    ::) printf '0\\n' >&3; exec 3>&-; exec sleep infinity ;;
  esac
  set -- "$@" "$argument"
done
exec {proxy} "$@"
"""


class Engine(Server):
    """A Docker Engine with a bridge, an address range and a published address of its own."""

    name = "engine"
    member = 3
    preferred_port = 2376
    program = "dockerd"
    stop_limit_s = 30.0

    @property
    def socket(self) -> Path:
        """Its socket for whoever is on this machine."""
        return self.premises.addresses.short_folder / "docker.sock"

    @property
    def data(self) -> Path:
        """Where its images, containers and volumes lie."""
        return self.folder / "data"

    def install(self) -> None:
        packages = EnginePackages.unpacked()
        write_settings(self._settings, "{}\n")
        proxy = shlex.quote(str(packages.folder / "usr/sbin/docker-proxy"))
        write_settings(self._proxy, _PROXY.format(address=self.host, proxy=proxy))
        self._proxy.chmod(0o755)

    def command(self) -> Command:
        packages = EnginePackages.unpacked()
        addresses = self.premises.addresses
        short = addresses.short_folder
        own = dockerd.flags(
            self._settings, self.data, short, short / "dockerd.pid", self.socket, group=f"/{addresses.bridge}"
        )
        program = [
            str(packages.folder / "usr/sbin/dockerd"),
            *own,
            f"--host=tcp://{self.address}",
            "--tlsverify",
            f"--tlscacert={self.premises.certificates.authority}",
            f"--tlscert={self.certificate / 'cert.pem'}",
            f"--tlskey={self.certificate / 'key.pem'}",
            f"--bridge={addresses.bridge}",
            f"--default-address-pool=base={addresses.containers},size=26",
            f"--ip={self.host}",
            f"--userland-proxy-path={self._proxy}",
        ]
        environment = {**packages.environment(), "HOME": str(self.folder)}
        return Command(
            dockerd.apart("engine", short, program),
            environment,
            [self._settings, self._proxy, self.premises.certificates.authority, self.certificate / "cert.pem"],
        )

    def start(self) -> None:
        # A crash leaves containers and their keepers behind, which a new engine would only half take over.
        self._clear()
        short = self.premises.addresses.short_folder
        short.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine_remains.make_bridge(self.premises.addresses)
        super().start()

    def healthy(self) -> bool:
        return self.asked("/_ping", client=True).status == 200

    def stop(self) -> None:
        self._clear()

    def forget(self) -> None:
        """Removes containers and volumes, with all else that the engine keeps: it is pulled and made again."""
        if self.data.exists():
            engine_remains.unmount_below(self.data)
            shutil.rmtree(self.data)

    def variables(self) -> dict[str, str]:
        return {
            "DOCKER_HOST": f"tcp://{self.address}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(self.premises.certificates.of("client")),
        }

    @property
    def _settings(self) -> Path:
        """An empty settings file, so that it doesn't read the host's."""
        return self.folder / "daemon.json"

    @property
    def _proxy(self) -> Path:
        """What the engine starts for a published port."""
        return self.folder / "docker-proxy"

    def _clear(self) -> None:
        super().stop()
        engine_remains.end_containers(self.premises.addresses)
        engine_remains.unmount_below(self.data, self.premises.addresses.short_folder)
        engine_remains.remove_links(self.premises.addresses, self.data)
        engine_remains.empty_short_folder(self.premises.addresses)


def can_run_here() -> bool:
    """Whether this user on this system may run an engine: root on Linux, and not the root of a mere container."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    granted = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return granted is not None and all(int(granted[1], 16) >> bit & 1 for bit in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))
