"""Sessions with the systems we drive: one per process and endpoint, shared by threads, never left behind."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from providers.kit.errors import Authentication

LINGER_S = 2.0


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


@dataclass
class _Entry:
    client: Closable
    users: int = 0
    doomed: bool = False
    timer: threading.Timer | None = None


class Sessions:
    """Opens a session at first use, lends it to concurrent calls and closes it when it has been idle for a moment.

    A refused login is remembered for the life of the process: the resources that come next get the same
    error without another try, since retried logins lock directory accounts.

    Args:
        linger_s: seconds that an idle session stays open for the next call.
    """

    def __init__(self, linger_s: float = LINGER_S) -> None:
        self._linger_s = linger_s
        self._lock = threading.Lock()
        self._opening: dict[Hashable, threading.Lock] = {}
        self._entries: dict[Hashable, _Entry] = {}
        self._refused: dict[Hashable, Authentication] = {}

    @contextmanager
    def lend(self, endpoint: Hashable, connect: Callable[[], C]) -> Iterator[C]:
        """The session of an endpoint for one call; `connect` is called only where none is open."""
        entry = self._acquire(endpoint, connect)
        try:
            yield cast(C, entry.client)
        finally:
            self._release(endpoint, entry)

    def drop(self, endpoint: Hashable, client: Closable | None = None) -> None:
        """Forgets a session that the server has ended, so that the next call logs in again.

        Args:
            endpoint: which system.
            client: the session that ended: where another thread has a new one already, that one stays.
        """
        with self._lock:
            entry = self._entries.get(endpoint)
            if entry is None or (client is not None and entry.client is not client):
                return
            del self._entries[endpoint]
            entry.doomed = True
            idle = entry.users == 0
        if idle:
            _close(entry)

    def close_all(self) -> None:
        """Ends every session; called when the process ends."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            _close(entry)

    def _acquire(self, endpoint: Hashable, connect: Callable[[], Any]) -> _Entry:
        with self._lock:
            opening = self._opening.setdefault(endpoint, threading.Lock())
        with opening:
            with self._lock:
                if endpoint in self._refused:
                    raise self._refused[endpoint]
                entry = self._entries.get(endpoint)
                if entry is not None:
                    return self._borrow(entry)
            try:
                client = connect()
            except Authentication as error:
                self._refused[endpoint] = error
                raise
            with self._lock:
                entry = self._entries[endpoint] = _Entry(client)
                return self._borrow(entry)

    @staticmethod
    def _borrow(entry: _Entry) -> _Entry:
        entry.users += 1
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        return entry

    def _release(self, endpoint: Hashable, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users:
                return
            if not entry.doomed:
                entry.timer = threading.Timer(self._linger_s, self._close_idle, (endpoint, entry))
                entry.timer.daemon = True
                entry.timer.start()
                return
        _close(entry)

    def _close_idle(self, endpoint: Hashable, entry: _Entry) -> None:
        with self._lock:
            if entry.users or self._entries.get(endpoint) is not entry:
                return
            del self._entries[endpoint]
        _close(entry)


def _close(entry: _Entry) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
    # The work is done and the server may be gone: a failed logout is no reason to fail the run.
    with suppress(Exception):
        entry.client.close()


SESSIONS = Sessions()
atexit.register(SESSIONS.close_all)
