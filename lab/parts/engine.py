"""The lab's Docker Engine: the distribution's own program in a folder of ours, so that the host stays as it is.

Facts behind the flags: docs of dockerd 20.10, and what was measured (facts `lab.md`): without firewall rules and
forwarding of the host's, bridges, names, published ports and isolation work; only outbound traffic doesn't.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from lab.parts import engine_remains
from lab.parts.engine_packages import EnginePackages
from lab.parts.part import Command, Server, write_settings

# What a container's processes get to end, before the engine kills them.
_CONTAINERS_STOP_S = 10
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21

# The engine writes below /etc (a key), /run (sockets of containers' keepers) and /opt, whatever its flags say. It sees
# a layer of its own over these, in a mount namespace of its own; only the folder with our sockets stays the host's.
_START = """set -e
short=$1
shift
mkdir -p "$short/private"
mount -t tmpfs -o size=64m,mode=700 drydock "$short/private"
cd "$short/private"
mkdir short
mount --bind "$short" short
for place in etc opt run; do
  if [ -d "/$place" ]; then
    mkdir "$place" "$place.work"
    mount -t overlay -o "lowerdir=/$place,upperdir=$place,workdir=$place.work" drydock "/$place"
  fi
done
mkdir -p "$short"
mount --bind short "$short"
cd /
exec "$@"
"""

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
        dockerd = [
            str(packages.folder / "usr/sbin/dockerd"),
            f"--config-file={self._settings}",
            f"--data-root={self.data}",
            f"--exec-root={short}",
            f"--pidfile={short / 'dockerd.pid'}",
            f"--host=unix://{self.socket}",
            f"--host=tcp://{self.address}",
            "--tlsverify",
            f"--tlscacert={self.premises.certificates.authority}",
            f"--tlscert={self.certificate / 'cert.pem'}",
            f"--tlskey={self.certificate / 'key.pem'}",
            f"--bridge={addresses.bridge}",
            f"--default-address-pool=base={addresses.containers},size=26",
            f"--ip={self.host}",
            f"--userland-proxy-path={self._proxy}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            "--ip-forward=false",
            f"--cgroup-parent=/{addresses.bridge}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--shutdown-timeout={_CONTAINERS_STOP_S}",
            "--log-level=warn",
        ]
        namespace = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _START, "engine", str(short)]
        environment = {**packages.environment(), "HOME": str(self.folder)}
        return Command(
            [*namespace, *dockerd],
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
