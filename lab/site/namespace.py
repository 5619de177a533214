"""Sockets in another network namespace, from within our own; for what leads into and out of a VCH's."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


class Namespace:
    """The network namespace of a process, as long as we hold it.

    A socket belongs to the namespace in which it was made, whoever uses it then. So one thread of ours lives in the
    namespace and makes sockets for the others.

    Args:
        pid: the process.
    """

    def __init__(self, pid: int) -> None:
        self._crew = ThreadPoolExecutor(max_workers=1, initializer=_enter, initargs=(pid,))
        self._crew.submit(lambda: None).result()

    def tcp_socket(self, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A TCP socket in the namespace."""
        return self._crew.submit(socket.socket, family, socket.SOCK_STREAM).result()

    def listening(self, host: str, port: int) -> socket.socket:
        """A socket in the namespace that listens there."""
        listener = self.tcp_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
        return listener

    def raise_loopback(self) -> None:
        """Sets the loopback link up; a new namespace has it down."""
        with self.tcp_socket() as any_socket:
            request = bytearray(struct.pack("16sh22x", b"lo", 0))
            fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
            flags = struct.unpack_from("16sh", request)[1] | _IFF_UP
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))

    def close(self) -> None:
        """Lets it go."""
        self._crew.shutdown(wait=False)


def is_apart(pid: int) -> bool:
    """Whether a process is in another network namespace than we."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _enter(pid: int) -> None:
    handle = os.open(Path(f"/proc/{pid}/ns/net"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"can't enter the namespace: {os.strerror(number)}")
    finally:
        os.close(handle)
