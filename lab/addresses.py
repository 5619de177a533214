"""A lab's addresses, the same at every start: a loopback /24 of its own, free ports in it, a range for its containers.

Lab number N has 127.64.N.0/24 for its parts and 10.192.0.0/12's N-th /20 for its containers' networks. A number is
claimed by a file in the cache that names the lab's state folder, and by the short folder in which its sockets lie; a
claim whose lab is gone is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from lab import processes
from ops.toolchain import SetupError, cache_dir

FILE = "addresses.json"
NUMBERS = range(1, 255)
CONTAINERS = ipaddress.IPv4Network("10.192.0.0/12")
CONTAINERS_PREFIX = 20
NETWORK_PREFIX = 26


class Addresses:
    """The addresses of one lab.

    Args:
        state: the lab's state folder; what is found here is kept in its `addresses.json`.
        number: the lab's number, claimed.
        ports: part → port, as kept.
    """

    def __init__(self, state: Path, number: int, ports: dict[str, int]) -> None:
        self.number = number
        self._state = state
        self._ports = ports
        self._lock = threading.Lock()

    def host(self, member: int) -> str:
        """The address of the network's member of that number; elsewhere than on Linux always 127.0.0.1."""
        return f"127.64.{self.number}.{member}" if sys.platform.startswith("linux") else "127.0.0.1"

    def port(self, part: str, host: str, preferred: int) -> int:
        """The port of a part: the one that it had, else the preferred one, else one that is free."""
        with self._lock:
            if part not in self._ports:
                self._ports[part] = free_port(host, preferred)
                self._write()
            return self._ports[part]

    def move(self, part: str, host: str) -> int:
        """A new port for a part whose own is in a stranger's hands."""
        with self._lock:
            self._ports[part] = free_port(host, 0)
            self._write()
            return self._ports[part]

    @property
    def short_folder(self) -> Path:
        """Where sockets lie: a socket's path may have 108 bytes at most, a state folder's may be longer."""
        return short_folder(self.number)

    @property
    def containers(self) -> ipaddress.IPv4Network:
        """The range from which the engine takes its networks."""
        return containers(self.number)

    @property
    def bridge(self) -> str:
        """The name of the engine's first bridge (15 characters are allowed)."""
        return f"drydock-{self.number}"

    @property
    def claim_in_short_folder(self) -> Path:
        """The file that says whose the short folder is."""
        return _short_claim(self.number)

    def leave_short_folder(self) -> None:
        """Removes the folder for sockets, when the lab is down; its number stays claimed in the cache."""
        shutil.rmtree(self.short_folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another lab has its folder there
            self.short_folder.parent.rmdir()

    def _write(self) -> None:
        _write(self._state / FILE, json.dumps({"number": self.number, "ports": self._ports}, indent=2) + "\n")


def claimed_addresses(state: Path) -> Addresses:
    """The addresses of the lab with that state folder, claimed for it now if they weren't.

    Raises:
        SetupError: all numbers are in use.
    """
    known = known_addresses(state)
    if known and _owner(_claim(known.number)) == str(state) == _owner(_short_claim(known.number)):
        number = known.number
    else:
        number = _claimed(state, known.number if known else None)
    addresses = known if known and number == known.number else Addresses(state, number, {})
    if not (known and number == known.number and (state / FILE).exists()):
        addresses._write()
    return addresses


def known_addresses(state: Path) -> Addresses | None:
    """The addresses of a lab that was started before; None if it never was, or was killed before it had any."""
    noted = _noted(state)
    if noted:
        return noted
    # Its note was lost, but what it made outside is still known by its number.
    claims = (claim for claim in _short_root().glob("*/lab") if _owner(claim) == str(state))
    return next((Addresses(state, int(claim.parent.name), {}) for claim in claims), None)


def is_free(host: str, port: int) -> bool:
    """Whether one may listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:  # taken, or too low a port for this user
            return False
    return True


def free_port(host: str, preferred: int) -> int:
    """The preferred port if one may listen there, else any that is free."""
    if preferred and is_free(host, preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def short_folder(number: int) -> Path:
    """The folder for the sockets of a lab."""
    return _short_root() / str(number)


def containers(number: int) -> ipaddress.IPv4Network:
    """The range for the containers' networks of a lab."""
    width = 1 << (32 - CONTAINERS_PREFIX)
    return ipaddress.IPv4Network((int(CONTAINERS.network_address) + number * width, CONTAINERS_PREFIX))


def _short_root() -> Path:
    is_root = os.geteuid() == 0 and Path("/run").is_dir()
    return Path("/run/drydock") if is_root else Path(f"/tmp/drydock-{os.geteuid()}")


def _claimed(state: Path, wanted: int | None) -> int:
    folder = cache_dir() / "labs"
    folder.mkdir(exist_ok=True)
    with _locked(folder / ".lock"):
        # Begin at a number that the folder's name gives, so that a lab that is made anew mostly gets its old one.
        first = int.from_bytes(hashlib.sha256(str(state).encode()).digest()[:4], "big") % len(NUMBERS)
        order = [NUMBERS[(first + step) % len(NUMBERS)] for step in range(len(NUMBERS))]
        for number in ([wanted] if wanted else []) + order:
            if _may_take(number, state) and _take(_claim(number), state) and _take(_short_claim(number), state):
                return number
    raise SetupError(f"all {len(NUMBERS)} labs of this machine are in use: stop one with `python -m lab down`")


def _may_take(number: int, state: Path) -> bool:
    for claim in (_claim(number), _short_claim(number)):
        owner = _owner(claim)
        if owner not in ("", str(state)) and _is_in_use(Path(owner), number):
            return False
    ours = _noted_number(state) == number
    return ours or not any(containers(number).overlaps(network) for network in _routes())


def _take(claim: Path, state: Path) -> bool:
    """Claims; False if a lab with another cache, which our lock doesn't keep out, was quicker."""
    if _owner(claim) == str(state):
        return True
    with contextlib.suppress(FileExistsError):
        claim.parent.parent.mkdir(exist_ok=True, mode=0o700)
        claim.parent.mkdir(exist_ok=True, mode=0o700)
        claim.unlink(missing_ok=True)
        with claim.open("x", encoding="utf-8") as output:
            output.write(f"{state}\n")
        return True
    return False


def _is_in_use(owner: Path, number: int) -> bool:
    return _noted_number(owner) == number or bool(processes.running(owner))


def _claim(number: int) -> Path:
    return cache_dir() / "labs" / f"127.64.{number}.0"


def _short_claim(number: int) -> Path:
    return short_folder(number) / "lab"


def _owner(claim: Path) -> str:
    with contextlib.suppress(OSError):
        return claim.read_text(encoding="utf-8").strip()
    return ""


def _noted(state: Path) -> Addresses | None:
    try:
        noted = json.loads((state / FILE).read_text(encoding="utf-8"))
        return Addresses(state, int(noted["number"]), {str(part): int(port) for part, port in noted["ports"].items()})
    except (OSError, ValueError, KeyError):
        return None


def _noted_number(state: Path) -> int | None:
    noted = _noted(state)
    return noted.number if noted else None


def _routes() -> list[ipaddress.IPv4Network]:
    """The networks to which this machine has a route, but for the default route."""
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        address, mask = (struct.unpack("<I", bytes.fromhex(fields[column]))[0] for column in (1, 7))
        if mask:
            found.append(ipaddress.IPv4Network((address, bin(mask).count("1"))))
    return found


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
