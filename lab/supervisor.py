"""Starts, watches and stops a lab's parts; the lab's face for `python -m lab`, tests and benches."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from lab import processes
from lab.addresses import Addresses, claimed_addresses, known_addresses
from lab.certificates import Certificates
from lab.parts.part import Part, Server
from lab.passwords import kept_passwords
from lab.premises import Premises
from lab.processes import Process
from ops.toolchain import SetupError, say

# A part that runs but doesn't answer may be on its way; after this it is started anew.
PATIENCE_S = 15.0
LAST_WORDS_BYTES = 2048

_MISSES_OF_THE_DEAD = 5
_POLL_S = 0.03
_STOP_GRACE_S = 5.0


class LabError(Exception):
    """Parts that could not be brought up or down; one line a part."""


@dataclass(frozen=True)
class PartStatus:
    """How a part is.

    Attributes:
        name: its name.
        state: `ready`; `unhealthy`: it runs, or should, and doesn't answer as it should; `crashed`: it was started and
            has ended by itself; `stopped`.
        address: where it answers.
        pid: its main process, if it has one.
        log: its log file.
    """

    name: str
    state: str
    address: str
    pid: int | None
    log: str


class Lab:
    """One lab.

    Args:
        state: its folder; made at the first start.
        passwords: passwords to use instead of random ones, by name (`lab.passwords.NAMES`), for tests.
        control: whether its vCenter opens its control port, for benches.
    """

    def __init__(self, state: Path, passwords: Mapping[str, str] | None = None, *, control: bool = False) -> None:
        self.state = Path(os.path.realpath(state.expanduser()))
        self._given = passwords
        self._control = control
        self._interrupted = threading.Event()

    def up(self, parts: Collection[str] | None = None, tell: Callable[[str], None] = lambda line: None) -> None:
        """Makes parts ready: starts what doesn't run, starts anew what crashed or changed, leaves alone what is well.

        Args:
            parts: their names; what they need comes too. Absent: all.
            tell: gets one line for each part that is ready.

        Raises:
            LabError: parts that didn't become ready, one line each.
            SetupError: something is missing on this machine.
        """
        with self._alone():
            house = build(self._furnished())
            chosen = _with_needs(house, parts)
            found = processes.running(self.state)
            self._interrupted.clear()
            with ThreadPoolExecutor(max_workers=len(chosen)) as crew:
                tasks: dict[str, Future[str]] = {}
                for name in chosen:
                    needs = {need: tasks[need] for need in house[name].needs}
                    tasks[name] = crew.submit(self._bring_up, house[name], found.get(name, []), needs)
                try:
                    for task in as_completed(tasks.values()):
                        if task.exception() is None:
                            tell(task.result())
                except BaseException:
                    self._interrupted.set()
                    raise
            _raise_failures([task.exception() for task in tasks.values()])

    def down(self, *, delete_data: bool = False) -> None:
        """Stops every part and removes what it made outside the state folder.

        Args:
            delete_data: also remove the application's data (its volumes), which otherwise stays for the next start.

        Raises:
            LabError: parts that could not be stopped, one line each.
        """
        premises = self._known()
        if premises is None:
            processes.stop(_all(processes.running(self.state)), grace_s=_STOP_GRACE_S)
            return
        with self._alone():
            house = build(premises)
            with ThreadPoolExecutor(max_workers=len(house)) as crew:
                tasks = [crew.submit(self._take_down, part, delete_data) for part in house.values()]
            processes.stop(_all(processes.running(self.state)), grace_s=_STOP_GRACE_S)
            premises.addresses.leave_short_folder()
            _raise_failures([task.exception() for task in tasks])

    def status(self) -> list[PartStatus]:
        """How every part is; empty if this lab was never started."""
        premises = self._known()
        if premises is None:
            return []
        house = build(premises)
        found = processes.running(self.state)
        with ThreadPoolExecutor(max_workers=len(house)) as crew:
            return list(crew.map(lambda part: self._look_at(part, found.get(part.name, [])), house.values()))

    def environment(self) -> dict[str, str]:
        """The variables with which `pulumi` and any client find this lab.

        Raises:
            LabError: it was never started.
        """
        from lab.environment import environment

        return environment(self.state, list(self._parts().values()))

    def part(self, name: str) -> Part:
        """One part, for its address, folder and log."""
        return self._parts()[name]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to a part's main process, for tests of faults.

        Raises:
            LabError: it doesn't run.
        """
        found = processes.running(self.state).get(name, [])
        main = self.part(name).process(found)
        if main is None:
            raise LabError(f"{name} doesn't run, so there is nothing to signal")
        os.kill(main.pid, number)

    def _furnished(self) -> Premises:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        addresses = claimed_addresses(self.state)
        premises = Premises(
            self.state,
            addresses,
            kept_passwords(self.state, self._given),
            Certificates(self.state / "certificates"),
            self._control,
        )
        servers = {part.name: part.host for part in build(premises).values() if isinstance(part, Server)}
        premises.certificates.issue(servers)
        return premises

    def _known(self) -> Premises | None:
        addresses: Addresses | None = known_addresses(self.state)
        if addresses is None:
            return None
        return Premises(
            self.state,
            addresses,
            kept_passwords(self.state, self._given),
            Certificates(self.state / "certificates"),
            self._control,
        )

    def _parts(self) -> dict[str, Part]:
        premises = self._known()
        if premises is None:
            raise LabError(f"the lab in {self.state} was never started: run `python -m lab up` first")
        return build(premises)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One command at a time changes a lab."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.state / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Waits for another `python -m lab` that is at work on this lab")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _mark(self, part: Part) -> Path:
        """The file that is there while a part is meant to run."""
        return self.state / "wanted" / part.name

    def _bring_up(self, part: Part, found: Sequence[Process], needs: Mapping[str, Future[str]]) -> str:
        for name, need in needs.items():
            if need.exception() is not None:
                raise LabError(f"{part.name} wasn't started: it needs {name}")
        part.install()
        if part.is_as_wanted(found) and (part.healthy() or (part.has_process and self._comes(part, PATIENCE_S))):
            self._note_wanted(part)
            return f"{part.name:<9} ready at {part.address}, as before"
        began = time.monotonic()
        self._note_wanted(part)
        if part.has_process:
            part.stop()
        said_before = part.log.stat().st_size if part.log.exists() else 0
        part.start()
        if not self._comes(part, part.start_limit_s):
            raise LabError(self._why_not_ready(part, said_before))
        return f"{part.name:<9} ready at {part.address}, started in {time.monotonic() - began:.1f} s"

    def _note_wanted(self, part: Part) -> None:
        self._mark(part).parent.mkdir(exist_ok=True)
        self._mark(part).touch()

    def _comes(self, part: Part, limit_s: float) -> bool:
        """Waits until a part is healthy; False if that takes too long or its process ended."""
        deadline = time.monotonic() + limit_s
        misses = 0
        while not part.healthy():
            # A process that replaces itself by the next program shows no environment for a moment.
            misses = misses + 1 if part.has_process and not self._found(part) else 0
            if misses == _MISSES_OF_THE_DEAD:
                return False
            if self._interrupted.wait(_POLL_S) or time.monotonic() > deadline:
                return False
        return True

    def _found(self, part: Part) -> list[Process]:
        return processes.running(self.state).get(part.name, [])

    def _why_not_ready(self, part: Part, said_before: int) -> str:
        if part.has_process and part.process(self._found(part)) is None:
            reason = "ended right after its start"
        else:
            reason = f"didn't become ready within {part.start_limit_s:.0f} s"
        words = last_words(part.log, said_before)
        return f"{part.name} {reason}: {words or 'it said nothing'} (log: {part.log})"

    def _take_down(self, part: Part, delete_data: bool) -> None:
        was_wanted = self._mark(part).exists()
        self._mark(part).unlink(missing_ok=True)
        if was_wanted or part.has_process:
            part.stop()
        if delete_data:
            part.forget()

    def _look_at(self, part: Part, found: Sequence[Process]) -> PartStatus:
        main = part.process(found)
        wanted = self._mark(part).exists()
        if part.has_process and main is None:
            state = "crashed" if wanted else "stopped"
        elif part.healthy():
            state = "ready"
        else:
            state = "unhealthy" if wanted or main else "stopped"
        return PartStatus(part.name, state, part.address, main.pid if main else None, str(part.log))


def build(premises: Premises) -> dict[str, Part]:
    """Name → part, every one after those that it needs."""
    from lab.parts import engine
    from lab.parts.bundles import Bundles
    from lab.parts.host_engine import HostEngine
    from lab.parts.images import Images
    from lab.parts.registry import Registry
    from lab.parts.site import Site
    from lab.parts.vcenter import VCenter

    own_engine = engine.can_run_here()
    parts: list[Part] = [
        VCenter(premises),
        engine.Engine(premises) if own_engine else HostEngine(premises),
        Registry(premises),
        Images(premises),
    ]
    if own_engine:  # what comes alive in the site runs on daemons of its own
        parts += [Bundles(premises), Site(premises)]
    return {part.name: part for part in parts}


def last_words(log: Path, since: int = 0) -> str:
    """The last lines of a log file, at most two, from an offset on, as one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - LAST_WORDS_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return " / ".join([line.strip() for line in lines if line.strip()][-2:])


def default_state() -> Path:
    """The folder of the lab of this checkout: `DRYDOCK_LAB_STATE`, else `.lab` in it."""
    named = os.environ.get("DRYDOCK_LAB_STATE")
    return Path(named) if named else Path(__file__).resolve().parents[1] / ".lab"


def _with_needs(house: Mapping[str, Part], names: Collection[str] | None) -> list[str]:
    """Names and what they need, in the house's order."""
    chosen = set(house if names is None else names)
    unknown = chosen - set(house)
    if unknown:
        raise LabError(f"the lab has no part {', '.join(sorted(unknown))}: it has {', '.join(house)}")
    for name in reversed(list(house)):
        if name in chosen:
            chosen |= set(house[name].needs)
    return [name for name in house if name in chosen]


def _all(found: Mapping[str, Sequence[Process]]) -> list[Process]:
    return [process for processes_of_part in found.values() for process in processes_of_part]


def _raise_failures(failures: Sequence[BaseException | None]) -> None:
    """Raises one error with a line for each failure; what nobody foresaw is raised as it is."""
    known = [failure for failure in failures if failure is not None]
    for failure in known:
        if not isinstance(failure, (LabError, SetupError, OSError)):
            raise failure
    if known:
        raise LabError("\n".join(str(failure) for failure in known)) from known[0]
