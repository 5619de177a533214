"""What a VCH makes of a request for a container: VM's size, volumes, and what it leaves out; for the front.

Rules: facts `vch-docker-api.md`; words: the VCH's public sources (lib/apiservers/engine/proxy/storage_proxy.go).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.site.container_machines import CPUS, LEAST_MEMORY_MB, MEMORY_MB
from lab.site.refusals import Refusal

_MB = 1024 * 1024
# Documented as without effect on a VCH. What isn't in here is passed on.
_IGNORED = ("Healthcheck", "StopTimeout")
_IGNORED_OF_HOST = (
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioWeight",
    "CapAdd",
    "CapDrop",
    "CgroupParent",
    "CpuCount",
    "CpusetCpus",
    "CpusetMems",
    "CpuShares",
    "CpuPeriod",
    "CpuQuota",
    "DeviceCgroupRules",
    "Devices",
    "DnsSearch",
    "ExtraHosts",
    "Init",
    "IpcMode",
    "LogConfig",
    "Mounts",
    "NanoCpus",
    "OomKillDisable",
    "PidMode",
    "PidsLimit",
    "Privileged",
    "ReadonlyRootfs",
    "Runtime",
    "SecurityOpt",
    "ShmSize",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Ulimits",
    "UsernsMode",
    "UTSMode",
    "VolumeDriver",
    "VolumesFrom",
)


class RequestError(Refusal):
    """A container that is refused, in a VCH's words."""


@dataclass(frozen=True)
class Mount:
    """A volume in a container."""

    volume: str
    place: str
    mode: str


@dataclass(frozen=True)
class ContainerRequest:
    """What is asked for.

    Attributes:
        body: for the daemon.
        mounts: the volumes; those that don't exist are made.
        cpus: the VM's.
        memory_mb: the VM's.
    """

    body: dict[str, Any]
    mounts: tuple[Mount, ...]
    cpus: int
    memory_mb: int


def understood(body: Mapping[str, Any], image: Mapping[str, Any]) -> ContainerRequest:
    """Reads a request.

    Args:
        body: as the client sent it.
        image: the image's `Config`.

    Raises:
        RequestError: refused.
    """
    host: dict[str, Any] = dict(body.get("HostConfig") or {})
    if not any((body.get("Cmd"), body.get("Entrypoint"), image.get("Cmd"), image.get("Entrypoint"))):
        raise RequestError(404, "No command specified")
    mode = str(host.get("NetworkMode") or "")
    if mode in ("host", "none") or mode.startswith("container:"):
        raise RequestError(404, f"network {mode} not found")
    mounts = _mounts(host.get("Binds") or (), {**(image.get("Volumes") or {}), **(body.get("Volumes") or {})})
    memory = int(host.get("Memory") or 0)
    kept_host = {name: value for name, value in host.items() if name not in _IGNORED_OF_HOST}
    kept_host["Binds"] = [f"{mount.volume}:{mount.place}:{mount.mode}" for mount in mounts]
    if memory:
        kept_host |= {"Memory": max(memory, LEAST_MEMORY_MB * _MB), "MemorySwap": -1, "MemoryReservation": 0}
    kept = {name: value for name, value in body.items() if name not in _IGNORED}
    kept |= {"HostConfig": kept_host, "Volumes": {}}
    memory_mb = max(memory // _MB, LEAST_MEMORY_MB) if memory else MEMORY_MB
    return ContainerRequest(kept, mounts, _cpus(host), memory_mb)


def _mounts(binds: Iterable[str], places: Iterable[str]) -> tuple[Mount, ...]:
    """Named volumes, and one without a name for each place that none is for."""
    found = {}
    for place in places:
        found[place] = Mount(str(uuid.uuid4()), place, "rw")
    for bind in binds:
        parts = bind.split(":")
        if len(parts) > 1 and parts[0].startswith("/"):
            raise _bad("mounting directories as a data volume is not supported.")
        if len(parts) == 1:
            found[parts[0]] = Mount(str(uuid.uuid4()), parts[0], "rw")
        elif len(parts) <= 3:
            found[parts[1]] = Mount(parts[0], parts[1], parts[2] if len(parts) == 3 else "rw")
        else:
            raise _bad(f"volume bind input is invalid: -v {bind}")
    return tuple(found.values())


def _bad(words: str) -> RequestError:
    return RequestError(400, f"Bad request error from portlayer: {words}")


def _cpus(host: Mapping[str, Any]) -> int:
    """`--cpuset-cpus` is the number of virtual CPUs on a VCH."""
    if host.get("CpuCount"):
        return int(host["CpuCount"])
    cpuset = str(host.get("CpusetCpus") or "")
    return int(cpuset) if cpuset.isdigit() and int(cpuset) > 0 else CPUS
