"""HTTP/1.1 as far as a Docker API needs it: heads, bodies, streams, connections that become pipes; for the front."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from typing import Any

ENGINE_LIMIT_S = 120.0
DRAIN_LIMIT_S = 5.0
LONGEST_BODY_BYTES = 8 * 1024 * 1024

_PIECE_BYTES = 64 * 1024
_LOOK_FOR_END_S = 1.0
_PIPES = ("application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream")


class HttpError(Exception):
    """What came isn't HTTP, or more than we take."""


@dataclass(frozen=True)
class Head:
    """The first line and the headers of a request or an answer.

    Attributes:
        first: the first line's three parts.
        headers: names in small letters.
    """

    first: tuple[str, str, str]
    headers: Mapping[str, str]

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.first[1])

    @property
    def is_pipe(self) -> bool:
        """Whether what follows an answer is no body but a connection both ways."""
        unending = "content-length" not in self.headers and not self.is_chunked
        return self.status == 101 or (unending and self.headers.get("content-type", "") in _PIPES)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def content(self) -> Any:
        """Its JSON."""
        return json.loads(self.body) if self.body.strip() else None


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head, or None at the connection's end.

    Raises:
        HttpError: it isn't one.
    """
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise HttpError("the head ends in its middle") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise HttpError("the head is too long") from error
    first, *lines = text.lstrip("\r\n").split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2:
        raise HttpError("the first line is no HTTP")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Head((parts[0], parts[1], parts[2] if len(parts) > 2 else ""), headers)


async def pieces(reader: asyncio.StreamReader, head: Head, *, is_answer: bool) -> AsyncIterator[bytes]:
    """A body, piece by piece as it comes.

    Args:
        reader: where it comes from.
        head: the head before it.
        is_answer: an answer without a length goes on until the connection's end; such a request has no body.
    """
    if head.is_chunked:
        while size := int((await reader.readline()).split(b";")[0].strip() or b"0", 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        while (await reader.readline()).strip():  # trailers
            continue
        return
    if "content-length" in head.headers:
        left = int(head.headers["content-length"])
        while left and (piece := await reader.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
        return
    while is_answer and (piece := await reader.read(_PIECE_BYTES)):
        yield piece


async def whole(reader: asyncio.StreamReader, head: Head, *, is_answer: bool = False) -> bytes:
    """A whole body."""
    return b"".join([piece async for piece in pieces(reader, head, is_answer=is_answer)])


async def gathered(coming: AsyncIterator[bytes]) -> bytes:
    """What is left of a request's body.

    Raises:
        HttpError: it is too long.
    """
    body = bytearray()
    async for piece in coming:
        body += piece
        if len(body) > LONGEST_BODY_BYTES:
            raise HttpError("the body is too long")
    return bytes(body)


async def drained(coming: AsyncIterator[bytes]) -> bool:
    """Reads what is left of a request's body and throws it away; False if that is too much, or comes too slowly."""
    try:
        await asyncio.wait_for(gathered(coming), DRAIN_LIMIT_S)
    except (asyncio.TimeoutError, HttpError, OSError, asyncio.IncompleteReadError, ValueError):
        return False
    return True


class Engine:
    """A Docker daemon behind a unix socket.

    Args:
        socket: its path.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, method: str, path: str, content: Any = None) -> Answer:
        """Asks and takes the whole answer.

        Args:
            method: HTTP's.
            path: with the API's version.
            content: sent as JSON; absent: nothing.

        Raises:
            OSError: it doesn't answer, or not in time.
        """
        return await asyncio.wait_for(self._ask(method, path, content), ENGINE_LIMIT_S)

    async def open(
        self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> tuple[Head, asyncio.StreamReader, asyncio.StreamWriter]:
        """Asks and returns as soon as the answer's head is there; the caller closes the writer."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_PIECE_BYTES * 4)
        try:
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            if body is not None:
                async for piece in body:
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            await writer.drain()
            head = await read_head(reader)
            if head is None:
                raise OSError("the engine ended the connection")
        except BaseException:
            writer.close()
            raise
        return head, reader, writer

    async def _ask(self, method: str, path: str, content: Any) -> Answer:
        body = b"" if content is None else json.dumps(content).encode()
        headers = {"Host": "engine", "Connection": "close"}
        if content is not None:
            headers |= {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        head, reader, writer = await self.open(method, path, headers, _once(body) if content is not None else None)
        try:
            return Answer(head.status, head.headers, await whole(reader, head, is_answer=True))
        finally:
            writer.close()


async def send(writer: asyncio.StreamWriter, answer: Answer, *, body: bool = True) -> None:
    """Sends a whole answer."""
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if answer.status in (204, 304):
        headers.pop("content-length")
    writer.write(_head(answer.status, headers))
    if body and answer.status not in (204, 304):
        writer.write(answer.body)
    await writer.drain()


async def relay(
    source: asyncio.StreamReader,
    head: Head,
    headers: Mapping[str, str],
    guest: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    body: bool,
) -> None:
    """Passes an answer on as it comes, until it or the guest ends."""
    reader, writer = guest
    if not body or head.status in (204, 304):
        writer.write(_head(head.status, headers))
        await writer.drain()
        return
    writer.write(_head(head.status, {**headers, "transfer-encoding": "chunked"}))
    await writer.drain()
    coming = pieces(source, head, is_answer=True)
    while True:
        piece = await _next(coming, reader)
        if not piece:
            break
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def join(
    first: tuple[asyncio.StreamReader, asyncio.StreamWriter], second: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Makes two connections one pipe, until the second has said all."""
    there = asyncio.ensure_future(_pour(first[0], second[1]))
    try:
        await _pour(second[0], first[1])
    finally:
        there.cancel()
        await asyncio.gather(there, return_exceptions=True)


def pipe_head(head: Head, headers: Mapping[str, str]) -> bytes:
    """The head before a pipe, passed on."""
    kept = {name: head.headers[name] for name in ("connection", "upgrade") if name in head.headers}
    return _head(head.status, {**headers, **kept}, head.first[2])


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(_PIECE_BYTES):
            target.write(piece)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except (ConnectionError, RuntimeError):
        target.close()


async def _next(coming: AsyncIterator[bytes], guest: asyncio.StreamReader) -> bytes:
    """The next piece; nothing at the end, or when the guest is gone."""
    task = asyncio.ensure_future(anext(coming, b""))
    while True:
        done, _ = await asyncio.wait({task}, timeout=_LOOK_FOR_END_S)
        if done:
            return task.result()
        if guest.at_eof():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return b""


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def _head(status: int, headers: Mapping[str, str], reason: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} {reason or responses[status]}"]
    lines += [f"{name.title()}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
