"""A world: one provider, the system it drives, and an independent eye on it; what the conformance suite runs over."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import pytest

from providers.kit.errors import Authentication, Permanent, SessionLost, Temporary
from providers.kit.provider import Provider
from providers.kit.secrets import Secret
from tests.conformance.engine import Declared, Killed, Program, Stack

MARKER = 'mk"Zü+/% marker~Q7'
WHAT_TO_DO = "Ask whoever runs it."

WORLDS: dict[str, type[World]] = {}


def names(*, only: Callable[[type[World]], bool] = lambda world: True) -> list[Any]:
    """The worlds by name, as parameters of a test; those of the lab are marked so."""
    found = {name: world for name, world in sorted(WORLDS.items()) if only(world)}
    return [pytest.param(name, marks=pytest.mark.lab) if world.lab else name for name, world in found.items()]


W = TypeVar("W", bound="type[World]")


def register(world: W) -> W:
    """Puts a world into the suite; every provider needs at least one."""
    WORLDS[world.name] = world
    return world


@dataclass
class Fault:
    """What one client call, or all from it on, come to.

    Args:
        kind: a name in `KINDS`.
        at: which call, counted from 1.
        after: whether the call takes effect before it fails.
    """

    kind: str
    at: int
    after: bool = False
    calls: int = 0
    fired: bool = False

    def strikes(self) -> bool:
        self.calls += 1
        hit = self.calls == self.at or (self.kind == "outage" and self.calls > self.at)
        self.fired = self.fired or hit
        return hit


def _permanent() -> BaseException:
    return Permanent(_nasty("said no"), on="the system", remedy=WHAT_TO_DO)


def _temporary() -> BaseException:
    return Temporary(_nasty("is busy"), on="the system", remedy=WHAT_TO_DO)


def _session_lost() -> BaseException:
    return SessionLost(_nasty("ended the session"), on="the system", remedy=WHAT_TO_DO)


def _authentication() -> BaseException:
    return Authentication(_nasty("refused the login"), on="the system", remedy=WHAT_TO_DO)


def _unexpected() -> BaseException:
    return ValueError(_nasty("a mistake of ours"))


KINDS: Mapping[str, Callable[[], BaseException]] = {
    "permanent": _permanent,
    "temporary": _temporary,
    "session lost": _session_lost,
    "authentication": _authentication,
    "outage": _temporary,
    "unexpected": _unexpected,
    "kill": Killed,
}
SILENT = frozenset({"temporary", "session lost"})


def _nasty(text: str) -> str:
    """A system that echoes the password in its error, in the spellings that systems use."""
    return f"{text} ({' '.join(encodings(MARKER))})"


def encodings(secret: str) -> list[str]:
    """Every spelling in which the suite looks for a secret."""
    raw = secret.encode()
    return [
        secret,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ]


class World:
    """One provider and its system.

    A subclass fills in the class attributes and methods below; the suite does the rest.

    Class attributes:
        name: the test's id.
        provider: its class.
        arguments: the program's arguments, all at values that differ from what is there before.
        changed: argument → another value that needs an update.
        replacing: argument → another value that needs a replacement.
        identity: those of `replacing` that name the thing: another value is another thing.
        quiet: argument → another value that needs no call.
        optional: argument that can be taken out of the program again, so that its default holds.
        own: outputs that are each thing's own (an id that the system gives, whose it was).
        wrong: argument → value outside the model.
        config: the stack's config, with namespaces; the marker secret among it.
        lab: whether it needs the lab's parts.
        at_every_call: which failures are tried at every call, as (kind, before or after); all where it is empty.
    """

    name: ClassVar[str]
    provider: ClassVar[type[Provider[Any, Any, Any]]]
    arguments: ClassVar[Mapping[str, Any]]
    changed: ClassVar[Mapping[str, Any]]
    replacing: ClassVar[Mapping[str, Any]] = {}
    identity: ClassVar[frozenset[str]] = frozenset()
    quiet: ClassVar[Mapping[str, Any]] = {}
    optional: ClassVar[str] = ""
    own: ClassVar[frozenset[str]] = frozenset()
    wrong: ClassVar[Mapping[str, Any]]
    config: ClassVar[Mapping[str, str]] = {}
    lab: ClassVar[bool] = False
    at_every_call: ClassVar[frozenset[tuple[str, str]]] = frozenset()

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.fault: Fault | None = None
        self.refuses_logins = False
        self.logins = 0
        self.open = 0
        self.calls: list[str] = []
        Secret(MARKER)  # a process knows what it logs in with
        self.make()
        self._watch_sessions()
        self.stack = Stack(self.config, monkeypatch)

    # What a world fills in

    def make(self) -> None:
        """The system, fresh."""
        raise NotImplementedError

    def look(self) -> Any:
        """What is really there, read without the provider; `None` where the thing isn't there."""
        raise NotImplementedError

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        """What `look` should show for these arguments."""
        raise NotImplementedError

    def disturb(self) -> str:
        """Changes the thing behind our back; returns the field's name. Empty where no change of it can be healed."""
        return ""

    def restore(self) -> None:
        """Puts back by hand what `disturb` changed."""

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        """Makes the thing as the arguments say, as somebody else's. Not called where it is always there."""
        raise NotImplementedError

    def take_away(self) -> None:
        """Removes the thing behind our back. Not called where it is always there."""
        raise NotImplementedError

    # What the suite uses

    @property
    def always_there(self) -> bool:
        return self.provider.always_there

    def program(self, **otherwise: Any) -> Program:
        """The program; an argument that is `None` is not set."""
        return {"it": Declared(self.provider, {**self.arguments, **otherwise})}

    def many(self, count: int) -> Program:
        """Several resources on the same endpoint."""
        return {f"it-{number}": Declared(self.provider, self.arguments) for number in range(count)}

    @contextmanager
    def failing(self, kind: str, at: int, *, after: bool = False) -> Iterator[Fault]:
        """The n-th client call of what is done inside comes to this."""
        self.fault = Fault(kind, at, after)
        try:
            yield self.fault
        finally:
            self.fault = None

    def _watch_sessions(self) -> None:
        real = self.provider.connect
        world = self

        def connect(provider: Any, settings: Any, desired: Any) -> _Watched:
            world.logins += 1
            if world.refuses_logins:
                raise _authentication()
            client = real(provider, settings, desired)
            world.open += 1
            return _Watched(client, world)

        self.monkeypatch.setattr(self.provider, "connect", connect)


class _Watched:
    """Stands around a client: counts its calls and lets the n-th fail."""

    def __init__(self, client: Any, world: World) -> None:
        self._client = client
        self._world = world
        self._closed = False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._world.open -= 1
        self._client.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def called(*args: Any, **named: Any) -> Any:
            fault = self._world.fault
            self._world.calls.append(name)
            strikes = fault is not None and fault.strikes()
            if strikes and fault is not None and not fault.after:
                raise KINDS[fault.kind]()
            answer = found(*args, **named)
            if strikes and fault is not None:
                if hasattr(answer, "__enter__"):
                    return _failing_at_its_end(answer, fault)
                raise KINDS[fault.kind]()
            return answer

        return called


@contextmanager
def _failing_at_its_end(block: Any, fault: Fault) -> Iterator[Any]:
    with block as entered:
        yield entered
    raise KINDS[fault.kind]()
