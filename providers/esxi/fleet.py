"""One setting on every host of a target: the hosts and what they have, each read once, and changes to several at once.

Knows nothing of Pulumi, and nothing of what the setting is: that is its client's.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from providers.esxi.inventory import Host, Inventory
from providers.esxi.names import near
from providers.esxi.vsphere import VSphere
from providers.kit.errors import DrydockError, Permanent, SessionLost
from providers.kit.retry import RetryPolicy, with_retries

# One host that is busy or slow must not hold up the others for long.
HOST_RETRIES = RetryPolicy(attempts=3, total_s=60.0)
NOT_CONNECTED = "not connected"

_ONCE = RetryPolicy(attempts=1)
_MEND_HOST = "Reconnect or mend the host, then run it again."


class Setting(Protocol):
    """One key of a host's settings, with its value."""

    @property
    def key(self) -> str: ...


V = TypeVar("V", bound=Setting)


class Client(Protocol[V]):
    """Reads and writes one kind of setting.

    Attributes:
        system: which of a host's systems has it (vSphere API: HostConfigManager).
    """

    system: str

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> Mapping[str, Mapping[str, V]]:
        """Host name → key → what is there, in a constant number of calls."""

    def keys(self, host: Host) -> Sequence[str]:
        """Every key that a host has; for errors only."""

    def apply(self, host: Host, wanted: V, there: V) -> None:
        """Makes one setting as wanted, with only the calls that are missing."""


class Target(Protocol):
    """Which hosts are meant: those of a cluster, or one, or several."""

    @property
    def cluster(self) -> str | None: ...
    @property
    def host(self) -> str | None: ...
    @property
    def hosts(self) -> Sequence[str] | None: ...
    @property
    def allow_empty(self) -> bool: ...


class Fleet(Generic[V]):
    """The hosts of a target and one kind of setting on them.

    Args:
        vsphere: the session.
        client: reads and writes the setting.
        target: which hosts.
        keys: the keys of the setting that may matter.
    """

    def __init__(self, vsphere: VSphere, client: Client[V], target: Target, keys: Sequence[str]) -> None:
        self._client = client
        self._inventory = Inventory(vsphere, client.system)
        self._target = target
        self.hosts = self._find()
        self.settings = client.read(self.hosts, keys)

    @property
    def path(self) -> str:
        """The target's inventory path, or the paths of its hosts."""
        if self._target.cluster is not None:
            return self._inventory.path_of_cluster(self._target.cluster)
        return ", ".join(host.path for host in self.hosts)

    def has(self, host: Host, key: str) -> bool:
        return key in self.settings[host.name]

    def why_hidden(self, host: Host, what: str, key: str) -> str:
        """Why a host doesn't show a key: it isn't connected, or has none of that name, with near ones."""
        if not host.connected:
            return NOT_CONNECTED
        alike = near(key, self._sample)
        return f"there is no {what} '{key}'" + (f"; near names: {', '.join(alike)}" if alike else "")

    def differing(self, host: Host, wanted: Mapping[str, Sequence[V]]) -> list[V]:
        """What of it a host doesn't have yet."""
        return [one for one in wanted.get(host.name, []) if self.settings[host.name][one.key] != one]

    def change(
        self, wanted: Mapping[str, Sequence[V]], at_once: int, say: Callable[[Host, V, str], None]
    ) -> dict[str, str]:
        """Changes the hosts that differ, several at once; returns those that could not be, with the reason.

        Args:
            wanted: host name → settings, each of which the host has.
            at_once: hosts changed at the same time.
            say: told of each host that is done, with how far it is.

        Raises:
            SessionLost: the session ended; what is done is done.
            DrydockError: there is only one host, and it could not be changed.
        """
        todo = [(host, settings) for host in self.hosts if (settings := self.differing(host, wanted))]
        failed: dict[str, str] = {}
        ended = threading.Event()
        done = itertools.count(1)

        def one(host: Host, settings: Sequence[V]) -> None:
            if ended.is_set():
                return
            try:
                self._persist(host, settings)
                say(host, settings[0], f"{next(done)} of {len(todo)}")
            except SessionLost:
                ended.set()  # the others would only be refused; who asked logs in again and goes on from here
                raise
            except DrydockError as error:
                if len(self.hosts) == 1:
                    raise
                failed[host.name] = error.what

        if todo:
            with ThreadPoolExecutor(max_workers=min(at_once, len(todo))) as pool:
                for change in [pool.submit(one, host, settings) for host, settings in todo]:
                    change.result()
        return failed

    def _persist(self, host: Host, wanted: Sequence[V]) -> None:
        """Tries one host's change again where its error may pass; a lost session is not a host's matter."""
        lost: list[SessionLost] = []

        def attempt() -> None:
            try:
                self._apply(host, wanted)
            except SessionLost as error:
                lost.append(error)

        with_retries(attempt, HOST_RETRIES if len(self.hosts) > 1 else _ONCE)
        if lost:
            raise lost[0]

    def _apply(self, host: Host, wanted: Sequence[V]) -> None:
        if not host.connected:
            raise Permanent(NOT_CONNECTED, on=f"host {host.name}", remedy=_MEND_HOST)
        for one in wanted:
            self._client.apply(host, one, self.settings[host.name][one.key])

    def _find(self) -> list[Host]:
        if self._target.cluster is not None:
            return self._inventory.hosts_of_cluster(self._target.cluster, allow_empty=self._target.allow_empty)
        names = [self._target.host] if self._target.host is not None else self._target.hosts or []
        found = {host.path: host for host in map(self._inventory.host, names)}
        return [found[path] for path in sorted(found)]

    @cached_property
    def _sample(self) -> Sequence[str]:
        """The keys of one host: one list, also where a thousand hosts lack the key."""
        shown = next((host for host in self.hosts if host.connected and host.system is not None), None)
        return self._client.keys(shown) if shown else []
