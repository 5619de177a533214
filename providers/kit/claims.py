"""Which resource of a program manages which thing, so that two that would undo each other's work are told of it."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Claims:
    """The claims of one process, which serves one run of a program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, str] = {}
        self._wanted: set[str] = set()
        self._given_up: set[str] = set()
        self._gone: set[str] = set()

    def want(self, owner: str) -> None:
        """Notes that the program of this run asks for a resource; a refresh asks for none."""
        with self._lock:
            self._wanted.add(owner)

    def wants(self, owner: str) -> bool:
        """Whether the program of this run asks for a resource; one without a name may be any."""
        with self._lock:
            return not owner or owner in self._wanted

    def take(self, owner: str, things: Iterable[str]) -> dict[str, str]:
        """Claims things for a resource, instead of those that it claimed before.

        Args:
            owner: the resource's name.
            things: what it manages, each named with the system that it is on.

        Returns:
            Thing → the other resource that has it already.
        """
        wanted = set(things)
        with self._lock:
            self._owners = {thing: one for thing, one in self._owners.items() if one != owner or thing in wanted}
            taken = {thing: self._owners[thing] for thing in wanted if self._owners.get(thing, owner) != owner}
            self._owners.update(dict.fromkeys(wanted - taken.keys(), owner))
        return taken

    def has(self, thing: str) -> bool:
        """Whether any resource of the program manages it."""
        with self._lock:
            return thing in self._owners

    def give_up(self, thing: str) -> None:
        """Notes that this run replaces a thing and may lose what is on it; its delete alone knows nothing of that."""
        with self._lock:
            self._given_up.add(thing)

    def is_given_up(self, thing: str) -> bool:
        """Whether this run may lose what is on a thing."""
        with self._lock:
            return thing in self._given_up

    def went(self, host: str) -> None:
        """Notes that this run has removed a host, with all that was on it."""
        with self._lock:
            self._gone.add(host)

    def is_gone(self, host: str) -> bool:
        """Whether this run has removed a host."""
        with self._lock:
            return host in self._gone

    def clear(self) -> None:
        """What the end of the process does."""
        with self._lock:
            self._owners.clear()
            self._wanted.clear()
            self._given_up.clear()
            self._gone.clear()


CLAIMS = Claims()
