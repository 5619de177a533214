"""What a host shows of itself, read by other means than the lab's own, to be compared before and after."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

SETTLE_LIMIT_S = 15.0
# Change by themselves, whoever is at work.
RESTLESS = re.compile(r"random|dentry|inode|file-nr|ns_last_pid|pty/nr|quota|nf_conntrack_count|tcp_mem|lease")
PLACES = ("/etc/docker", "/run/docker", "/run/containerd", "/opt/containerd", "/var/lib/docker", "/var/lib/containerd")


def links() -> set[str]:
    """The names of the network's links."""
    return set(os.listdir("/sys/class/net"))


def settle() -> None:
    """Waits until the links that ended containers leave behind are gone: the kernel takes them away by and by."""
    end = time.monotonic() + SETTLE_LIMIT_S
    before: set[str] = set()
    while before != (now := links()) and time.monotonic() < end:
        before = now
        time.sleep(1)


def settings() -> dict[str, str]:
    """The kernel's settings, but for those that change by themselves."""
    found = {}
    for file in (Path(folder, name) for folder, _, names in os.walk("/proc/sys") for name in names):
        if RESTLESS.search(str(file)):
            continue
        try:
            found[str(file)] = file.read_text(errors="replace")
        except OSError:
            continue
    return found


def firewall() -> dict[str, str]:
    """The tables of the old firewall that the kernel has; the new one can't be read without its tool."""
    found = {}
    for name in ("ip_tables_names", "ip6_tables_names", "arp_tables_names"):
        file = Path("/proc/net") / name
        if file.exists():
            found[name] = file.read_text()
    return found


def places() -> dict[str, bool]:
    """The folders that an engine otherwise makes on a host: whether they are there."""
    return {place: Path(place).exists() for place in PLACES}


def mounts_naming(text: str) -> list[str]:
    """The mounts that this process sees and that name a path."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if text in line]


def control_groups(name: str) -> list[str]:
    """The control groups of that name, in every hierarchy."""
    return [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{name}")]


def argvs() -> Iterator[str]:
    """The command lines of all processes."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue


def processes_naming(text: str) -> list[str]:
    """The command lines that name a text."""
    return [argv for argv in argvs() if text in argv]
