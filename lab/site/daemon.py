"""A VCH's own Docker daemon, in namespaces of its own: what it mounts, links and runs ends with it.

The engine is the lab's (facts `lab.md`).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import dockerd
from lab.site.namespace import Namespace, is_apart

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0

_POLL_S = 0.02

# It is the first process of a process namespace, behind a small init that reaps: when that ends, the kernel ends all
# of it.
_INIT = ("docker-init", "-s", "--")
_UNSHARED = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")


class DaemonError(Exception):
    """A daemon that doesn't come up."""


@dataclass(frozen=True)
class Programs:
    """The engine's programs.

    Attributes:
        folder: where they lie, as below `/`.
        environment: the variables with which they run.
    """

    folder: Path
    environment: Mapping[str, str]


class Daemon:
    """One VCH's daemon.

    Args:
        programs: what it is started from.
        folder: what it keeps: images, containers.
        short: a folder with a short path for its sockets.
        log: where its output goes.
        group: the control group for its containers.
    """

    def __init__(self, programs: Programs, folder: Path, short: Path, log: Path, group: str) -> None:
        self._programs = programs
        self._folder = folder
        self._short = short
        self._log = log
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: tuple[str, ...] = ()
        self._namespace: Namespace | None = None

    @property
    def socket(self) -> Path:
        """Where it answers."""
        return self._short / "docker.sock"

    @property
    def namespace(self) -> Namespace:
        """The network namespace that it is in."""
        if self._namespace is None:
            raise DaemonError("the daemon doesn't run")
        return self._namespace

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, bridges: ipaddress.IPv4Network, width: int, insecure: Sequence[str] = ()) -> None:
        """Starts it, or leaves it alone if it runs with these settings.

        Args:
            bridges: the range that its networks come from.
            width: their prefix length.
            insecure: registries that may go without TLS.

        Raises:
            DaemonError: it doesn't come up.
        """
        settings = (str(bridges), str(width), *insecure)
        if self.runs and settings == self._settings:
            return
        self.stop()
        self._settings = settings
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._short.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("docker.sock", "docker.pid"):
            (self._short / name).unlink(missing_ok=True)
        (self._folder / "daemon.json").write_text("{}\n")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                dockerd.apart("daemon", self._short, self._command(bridges, width, insecure), *_UNSHARED),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._programs.environment, "HOME": str(self._folder)},
                cwd="/",
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        """Stops it: its containers get their time, then everything in its namespaces is ended."""
        if self._namespace:
            self._namespace.close()
            self._namespace = None
        process, self._process = self._process, None
        if process is None:
            return
        for child in _children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
        process.kill()
        process.wait()

    def _command(self, bridges: ipaddress.IPv4Network, width: int, insecure: Sequence[str]) -> list[str]:
        first = next(bridges.subnets(new_prefix=max(width, bridges.prefixlen)))
        settings, data, pidfile = (self._folder / "daemon.json", self._folder / "data", self._short / "docker.pid")
        return [
            *_INIT,
            "dockerd",
            *dockerd.flags(settings, data, self._short, pidfile, self.socket, self._group),
            f"--bip={first[1]}/{first.prefixlen}",
            f"--default-address-pool=base={bridges},size={first.prefixlen}",
            *(f"--insecure-registry={registry}" for registry in insecure),
        ]

    def _wait(self) -> None:
        process = self._process
        assert process is not None
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end and process.poll() is None:
            if self._namespace is None and is_apart(process.pid):
                self._namespace = Namespace(process.pid)
                self._namespace.raise_loopback()
            if self._namespace is not None and self.socket.exists():
                return
            time.sleep(_POLL_S)
        self.stop()
        raise DaemonError(f"its Docker daemon doesn't come up (log: {self._log})")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
