"""Changing a container without ever losing it: the new one is made, proven, and only then the old one removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.kit.errors import DrydockError, Permanent

if TYPE_CHECKING:
    from providers.docker.client import ContainerInfo, ContainerSpec, Engine

OLD_SUFFIX = ".drydock-old"
SETTLE_S = 0.7
POLL_S = 0.1
LOG_LINES = 30


@dataclass(frozen=True)
class Swap:
    """Replaces a container by one of the same name.

    Args:
        engine: the Docker host.
        grace_s: how long the old one may take to stop, in seconds.
        proof_s: how long the new one may take until it is proven, in seconds.
        sleep, clock: time, for tests.
    """

    engine: Engine
    grace_s: int
    proof_s: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def recover(self, name: str, is_right: Callable[[ContainerInfo], bool]) -> ContainerInfo | None:
        """Ends a swap that was cut off half-way, and returns the container of that name.

        A new one that is right stays and the old one goes; else the old one comes back.
        """
        old, new = self.engine.container(name + OLD_SUFFIX), self.engine.container(name)
        if old is None:
            return new
        if new is not None and new.running and is_right(new):
            self.engine.remove_container(old.name)
            return new
        if new is not None:
            self.engine.remove_container(name)
        self._bring_back(name)
        return self.engine.container(name)

    def make(self, spec: ContainerSpec) -> None:
        """Makes, starts and proves a container where there is none; what fails is taken away again."""
        try:
            self._start(spec)
        except Exception:
            with suppress(DrydockError):  # the first error is the one to tell
                self.engine.remove_container(spec.name)
            raise

    def replace(self, spec: ContainerSpec) -> None:
        """Puts a new container in an old one's place; if the new one fails, the old one runs again."""
        self.engine.stop(spec.name, self.grace_s)
        self.engine.rename(spec.name, spec.name + OLD_SUFFIX)
        try:
            self._start(spec)
        except Exception as error:
            old = self._undo(spec.name)
            if not isinstance(error, Permanent):
                raise  # what is only temporary is tried again
            raise Permanent(f"{error.what}; {old}", on=error.on, remedy=error.remedy) from error
        self.engine.remove_container(spec.name + OLD_SUFFIX)

    def _undo(self, name: str) -> str:
        """Takes the new one away and brings the old one back; says how that went."""
        try:
            self.engine.remove_container(name)
            self._bring_back(name)
        except DrydockError as error:
            return f"the old container is stopped ({error.what}): the next run starts it again"
        return "the old container runs again"

    def _start(self, spec: ContainerSpec) -> None:
        self.engine.create_container(spec)
        self.engine.start(spec.name)
        self.prove(spec.name)

    def _bring_back(self, name: str) -> None:
        self.engine.rename(name + OLD_SUFFIX, name)
        self.engine.start(name)

    def prove(self, name: str) -> None:
        """Waits until a container has run for a moment without a restart, and is healthy where it says so.

        Raises:
            Permanent: it ended or stays unhealthy; the last lines of its log are in the message.
        """
        began = self.clock()
        while True:
            now = self.engine.container(name)
            age_s = self.clock() - began
            if now is None or not now.running or now.restarting or now.restarts:
                raise self._failed(name, "it ended" + (f" with exit code {now.exit_code}" if now else ""))
            if now.health == "unhealthy" or age_s > self.proof_s:
                raise self._failed(name, f"it is not healthy after {age_s:.0f} s")
            if age_s >= SETTLE_S and now.health in ("", "healthy", "none"):
                return
            self.sleep(POLL_S)

    def _failed(self, name: str, how: str) -> Permanent:
        try:
            log = self.engine.log_tail(name, LOG_LINES)
        except DrydockError as error:
            log = f"(its log could not be read: {error.what})"
        lines = "".join(f"\n    {line}" for line in log.splitlines())
        return Permanent(
            f"it was started, but {how}; the end of its log:{lines}\n ",
            on=f"container {name}",
            remedy="Correct its image or settings.",
        )
