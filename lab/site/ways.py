"""Ways across a VCH's network namespace: published ports lead in, loopback's registries lead out; for appliances."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable

from lab.site.namespace import Namespace

CONNECT_LIMIT_S = 5.0

_PIECE_BYTES = 64 * 1024
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
log = logging.getLogger(__name__)


class PublishedPorts:
    """Listens on a VCH's address for what its containers publish.

    Args:
        address: the VCH's.
        namespace: where the daemon publishes them.
    """

    def __init__(self, address: str, namespace: Namespace) -> None:
        self._address = address
        self._namespace = namespace
        self._servers: dict[int, asyncio.Server] = {}

    async def keep(self, ports: Iterable[int]) -> None:
        """Listens on these ports and no others."""
        wanted = set(ports)
        for port in set(self._servers) - wanted:
            self._servers.pop(port).close()
        for port in wanted - set(self._servers):
            try:
                self._servers[port] = await asyncio.start_server(self._leads_to(port), self._address, port)
            except OSError as error:
                log.warning("port %d of %s is taken: %s", port, self._address, error)

    async def close(self) -> None:
        """Listens no more."""
        await self.keep(())

    def _leads_to(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside = self._namespace.tcp_socket()
            inside.setblocking(False)
            await _through(inside, ("127.0.0.1", port), (reader, writer))

        return lead


class WaysOut:
    """Lets a VCH's daemon reach servers on the host's loopback under their own addresses.

    Args:
        namespace: where the daemon is.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._servers: dict[tuple[str, int], asyncio.Server] = {}

    async def open(self, host: str, port: int) -> None:
        """Opens a way to a server; nothing for one that isn't on loopback."""
        if (host, port) in self._servers or not _is_loopback(host):
            return
        try:
            listener = self._namespace.listening(host, port)
        except OSError as error:
            log.warning("no way out to %s:%d: %s", host, port, error)
            return

        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            outside = socket.socket()
            outside.setblocking(False)
            await _through(outside, (host, port), (reader, writer))

        self._servers[host, port] = await asyncio.start_server(lead, sock=listener)

    async def close(self) -> None:
        """Closes all ways."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()


async def _through(target: socket.socket, address: tuple[str, int], guest: _Streams) -> None:
    try:
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.sock_connect(target, address), CONNECT_LIMIT_S)
        there = await asyncio.open_connection(sock=target)
    except (OSError, asyncio.TimeoutError):
        target.close()
        guest[1].close()
        return
    try:
        await asyncio.gather(_pour(guest[0], there[1]), _pour(there[0], guest[1]))
    finally:
        there[1].close()
        guest[1].close()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(_PIECE_BYTES):
            target.write(piece)
            await target.drain()
        target.write_eof()
    except OSError:
        target.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
