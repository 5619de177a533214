"""What an engine makes outside its folder, found and removed also after a crash: containers, mounts, links, sockets.

The bridge and the control groups carry the lab's name; networks' bridges are known by the lab's address range and by
what the engine noted about them.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import processes
from lab.addresses import NETWORK_PREFIX, Addresses

if TYPE_CHECKING:
    from pyroute2 import IPRoute

CONTROL_GROUPS = Path("/sys/fs/cgroup")
END_LIMIT_S = 10.0

_POLL_S = 0.02
_MNT_DETACH = 2


def make_bridge(addresses: Addresses) -> None:
    """Makes the engine's first bridge and gives it the first network of the lab's range."""
    from pyroute2 import IPRoute

    network = next(addresses.containers.subnets(new_prefix=NETWORK_PREFIX))
    with IPRoute() as links:
        links.link("add", ifname=addresses.bridge, kind="bridge")
        index = links.link_lookup(ifname=addresses.bridge)[0]
        links.addr("add", index=index, address=str(network[1]), prefixlen=network.prefixlen)
        links.link("set", index=index, state="up")


def end_containers(addresses: Addresses) -> None:
    """Kills what still runs in the engine's control groups, and removes these."""
    end_groups(addresses.bridge)


def end_groups(name: str) -> None:
    """Kills what still runs in the control groups of a name, and removes these."""
    deadline = time.monotonic() + END_LIMIT_S
    while any(_groups(name)) and time.monotonic() < deadline:
        processes.kill_all(_members(name))
        for group in _groups(name):
            for folder in sorted(_folders(group), key=lambda folder: len(folder.parts), reverse=True):
                _remove_group(folder)
        if any(_groups(name)):
            time.sleep(_POLL_S)


def unmount_below(*folders: Path) -> None:
    """Takes away the mounts at and below folders, the innermost first."""
    library = ctypes.CDLL(None, use_errno=True)
    for place in sorted(_mounts(), reverse=True):
        is_ours = any(place == folder or folder in place.parents for folder in folders)
        if is_ours and library.umount2(os.fsencode(place), _MNT_DETACH) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"can't unmount: {os.strerror(number)}", str(place))


def remove_links(addresses: Addresses, data: Path) -> None:
    """Removes the lab's bridges, and the containers' ends that still hang on them.

    Args:
        addresses: the lab's; each bridge with an address in its range is the lab's.
        data: the engine's folder, where it noted the names of the bridges of networks with ranges of their own.
    """
    from pyroute2 import IPRoute

    with IPRoute() as links:
        bridges = _bridges(links, addresses, _noted_bridges(data) | {addresses.bridge})
        for link in links.get_links():
            if link.get_attr("IFLA_MASTER") in bridges:
                links.link("del", index=link["index"])
        for index in bridges:
            links.link("del", index=index)


def empty_short_folder(addresses: Addresses) -> None:
    """Removes the sockets and what else the engine leaves beside them; the lab's claim on the folder stays."""
    if not addresses.short_folder.is_dir():
        return
    for entry in addresses.short_folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry != addresses.claim_in_short_folder:
            entry.unlink(missing_ok=True)


def _bridges(links: IPRoute, addresses: Addresses, names: set[str]) -> set[int]:
    ours = {
        address["index"]
        for address in links.get_addr(family=2)
        if ipaddress.ip_address(address.get_attr("IFA_ADDRESS")) in addresses.containers
    }
    return {
        link["index"]
        for link in links.get_links()
        if _kind(link) == "bridge" and (link["index"] in ours or link.get_attr("IFLA_IFNAME") in names)
    }


def _kind(link: Any) -> str:
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND")) if info else ""


def _noted_bridges(data: Path) -> set[str]:
    """The bridges' names in the engine's own notes, a database whose records are JSON."""
    try:
        content = (data / "network/files/local-kv.db").read_bytes()
    except OSError:  # none yet
        return set()
    return {name.decode() for name in re.findall(rb'"BridgeName":"(br-[0-9a-f]{12})"', content)}


def _groups(name: str) -> list[Path]:
    """The control group of that name in every hierarchy."""
    return [*CONTROL_GROUPS.glob(f"*/{name}"), *CONTROL_GROUPS.glob(name)]


def _folders(group: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(group):
        yield Path(folder)


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for group in _groups(name):
        for folder in _folders(group):
            try:
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text().split()}
            except OSError:  # gone meanwhile, or a threaded group, whose processes its parent names
                continue
    return found


def _remove_group(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # still in use: the next round tries again
        return


def _mounts() -> list[Path]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    # Blanks and the like are written as three octal digits.
    return [Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])) for line in lines]
