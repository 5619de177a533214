"""Changing a container without ever losing it: the new one is made, proven, and only then the old one removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    """Replaces a container by one of the same name, in this order: rename the old one, make the new one, stop the
    old one, start and prove the new one, remove the old one. Whatever step it is killed after, `recover` sees which.

    Args:
        engine: the Docker host.
        name: the container's name.
        grace_s: how long the old one may take to stop, in seconds.
        proof_s: how long the new one may take until it is proven, in seconds.
        sleep, clock: time, for tests.
    """

    engine: Engine
    name: str
    grace_s: int
    proof_s: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def recover(
        self, is_ours: Callable[[ContainerInfo], bool], is_right: Callable[[ContainerInfo], bool]
    ) -> ContainerInfo | None:
        """Ends a swap that was cut off half-way, and returns the container of that name.

        A new one that is right is started, proven and stays; else the old one comes back.

        Raises:
            Permanent: the new one can't be proven (the old one runs again), or a stranger has taken the name.
        """
        old, new = self.engine.container(self._held), self.engine.container(self.name)
        if old is None or not is_ours(old):
            return new
        if new is not None and not is_ours(new):
            remedy = f"Rename or remove it, then run `pulumi up` again: ours waits as {self._held}."
            raise Permanent("somebody else's container has taken its name", on=f"container {self.name}", remedy=remedy)
        if new is not None and is_right(new):
            self._finish(old.id, new.id)
        else:
            if new is not None:
                self.engine.remove_container(new.id)
            self._bring_back()
        return self.engine.container(self.name)

    def make(self, spec: ContainerSpec) -> None:
        """Makes, starts and proves a container where there is none; what fails is taken away again."""
        made = self.engine.create_container(spec)
        try:
            self.start(made)
        except Exception:
            with suppress(DrydockError):  # the first error is the one to tell
                self.engine.remove_container(made)
            raise

    def replace(self, old: ContainerInfo, spec: ContainerSpec) -> None:
        """Puts a new container in an old one's place; if the new one fails, the old one runs again."""
        self.engine.rename(old.id, self._held)
        with self._or_the_old_one(None):
            new = self.engine.create_container(spec)
        self._finish(old.id, new)

    def start(self, one: str) -> None:
        """Starts the container of our name, and waits until it has run for a moment without a restart, and is healthy
        where it says so.

        Args:
            one: its id.

        Raises:
            Permanent: it ended or stays unhealthy; the end of its log is in the message.
        """
        self.engine.start(one, self.name)
        began = self.clock()
        while True:
            now = self.engine.container(self.name)
            age_s = self.clock() - began
            if now is None or not now.running or now.restarting or now.restarts:
                raise self._failed("it ended" + (f" with exit code {now.exit_code}" if now else ""))
            if age_s >= SETTLE_S and now.health in ("", "healthy", "none"):
                return
            if now.health == "unhealthy" or age_s > self.proof_s:
                raise self._failed(f"it is not healthy after {age_s:.0f} s")
            self.sleep(POLL_S)

    @property
    def _held(self) -> str:
        return self.name + OLD_SUFFIX

    def _finish(self, old: str, new: str) -> None:
        with self._or_the_old_one(new):
            self.engine.stop(old, self.grace_s)
            self.start(new)
        self.engine.remove_container(old)

    @contextmanager
    def _or_the_old_one(self, new: str | None) -> Iterator[None]:
        """What fails brings the old container back; what is only temporary is then tried again."""
        try:
            yield
        except Exception as error:
            how, remedy = self._undo(new)
            if not isinstance(error, Permanent):
                raise
            what = f"{error.what}; {how}"
            raise Permanent(what, on=error.on, remedy=f"{error.remedy}{remedy}", items=error.items) from error

    def _undo(self, new: str | None) -> tuple[str, str]:
        """Takes the new one away and brings the old one back; tells how that went, and what to do."""
        try:
            if new is not None:
                self.engine.remove_container(new)
            self._bring_back()
        except DrydockError as error:
            told = f"the old container could not be brought back yet ({error.what})"
            return told, f" The next `pulumi up` brings it back: it waits as {self._held}."
        return "the old container runs again", ""

    def _bring_back(self) -> None:
        self.engine.rename(self._held, self.name)
        self.engine.start(self.name)

    def _failed(self, how: str) -> Permanent:
        try:
            log = self.engine.log_tail(self.name, LOG_LINES)
        except DrydockError as error:
            log = f"(it could not be read: {error.what})"
        return Permanent(
            f"it was started, but {how}",
            on=f"container {self.name}",
            remedy="Correct its image or settings.",
            items={"the end of its log": "".join(f"\n    {line}" for line in log.splitlines()) or "(empty)"},
        )
