"""Anything in any order, over the fake system: what must hold all the same. A failing case prints itself as a test."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from providers.kit.retry import RetryPolicy
from tests.conformance.engine import Declared, Run
from tests.conformance.fake import US, Thing, ThingProvider
from tests.conformance.fake_worlds import CONFIG, ThingWorld
from tests.conformance.world import KINDS, MARKER, encodings

NAMES = st.sampled_from(["bell", "gong"])
CALLS = st.integers(1, 12)
SETTINGS = st.fixed_dictionaries(
    {"place": st.sampled_from(["here", "there"]), "size": st.integers(1, 3)},
    optional={
        "color": st.sampled_from(["grey", "red"]),
        "labels": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])),
        "password_secret": st.sampled_from(["thing_password", "other_password"]),
    },
)


class Life(RuleBasedStateMachine):
    """A stack of two things, a user who writes data into them, somebody who meddles, and a system that fails."""

    def __init__(self) -> None:
        super().__init__()
        self._patched = pytest.MonkeyPatch()
        self._patched.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)
        self.world = ThingWorld(self._patched)
        self.system = self.world.system
        self.stack = self.world.stack
        self.wanted: dict[str, dict[str, Any]] = {}
        self.written: dict[str, list[str]] = {}
        self.drifted = False
        self.last = Run()

    def teardown(self) -> None:
        self._patched.undo()

    @initialize(arguments=SETTINGS)
    def first(self, arguments: dict[str, Any]) -> None:
        self.declare("bell", arguments)
        self.up()

    # what the user does

    @rule(name=NAMES, arguments=SETTINGS)
    def declare(self, name: str, arguments: dict[str, Any]) -> None:
        self.wanted[name] = arguments

    @rule(name=NAMES, place=st.sampled_from(["here", "there"]))
    def move(self, name: str, place: str) -> None:
        """One setting changes and the others stay, as people do it."""
        if name in self.wanted:
            self.wanted[name] = {**self.wanted[name], "place": place}

    @rule(name=NAMES)
    def take_out(self, name: str) -> None:
        """Not while a killed create is unknown to the state: nobody could know of it any more."""
        there = self.system.things.get(name)
        if there is None or there.owner != US or name in self.stack.state:
            self.wanted.pop(name, None)

    @rule()
    def up(self) -> None:
        self.last = self.stack.up(self._program())
        self._agrees()

    @rule()
    def refresh(self) -> None:
        self.last = self.stack.refresh()
        assert not self.last.failed, self.last.text
        self.drifted = False

    @rule()
    def refresh_and_up(self) -> None:
        self.refresh()
        strangers = self._strangers()
        self.up()
        if self.system.stuck:
            return
        if strangers:
            assert all("can't be taken over" in line for line in self.last.lines) and self.last.failed
            assert self._strangers() == strangers
            return
        if self.last.failed:
            assert all("is left from an earlier run" in line for line in self.last.lines), self.last.text
            self.up()
        assert not self.last.failed, self.last.text
        assert self.stack.preview(self._program()).clean

    @rule(name=NAMES, line=st.sampled_from(["x", "y"]))
    def write_data(self, name: str, line: str) -> None:
        if name in self.system.things:
            self.system.data.setdefault(name, []).append(line)
            self.written.setdefault(name, []).append(line)

    # what goes wrong

    @rule(name=NAMES, size=st.integers(4, 5), color=st.sampled_from(["red", "blue"]))
    def meddle(self, name: str, size: int, color: str) -> None:
        if name in self.system.things:
            self.system.things[name].size = size
            self.system.things[name].color = color
            self.drifted = True

    @rule(name=NAMES)
    def remove_by_hand(self, name: str) -> None:
        if self.system.things.pop(name, None):
            self.drifted = True

    @rule(name=NAMES, place=st.sampled_from(["here", "there"]))
    def make_by_hand(self, name: str, place: str) -> None:
        if name not in self.system.things:
            self.system.things[name] = Thing(place, 9, owner="somebody")
            self.drifted = True

    @rule(what=st.sampled_from(["size", "color", "password"]))
    def jam(self, what: str) -> None:
        self.system.stuck.add(what)

    @precondition(lambda self: self.system.stuck)
    @rule()
    def oil(self) -> None:
        self.system.stuck.clear()

    @rule(kind=st.sampled_from(sorted(KINDS)), at=CALLS, after=st.booleans())
    def failing_up(self, kind: str, at: int, after: bool) -> None:
        with self.world.failing(kind, at, after=after):
            self.up()

    @rule(at=CALLS, after=st.booleans())
    def killed_up(self, at: int, after: bool) -> None:
        """Apart from the other failures, so that it comes often: state knows nothing of what it left."""
        self.failing_up("kill", at, after)

    @rule(kind=st.sampled_from(sorted(KINDS)), at=CALLS, after=st.booleans())
    def failing_refresh(self, kind: str, at: int, after: bool) -> None:
        with self.world.failing(kind, at, after=after):
            self.last = self.stack.refresh()

    @rule(at=CALLS)
    def session_expires_in_an_up(self, at: int) -> None:
        self.system.expires_at = len(self.system.calls) + at
        self.up()

    # what holds

    @invariant()
    def no_session_is_open(self) -> None:
        assert self.system.open == set() and self.world.open == 0

    @invariant()
    def nothing_is_orphaned(self) -> None:
        ours = {name for name, thing in self.system.things.items() if thing.owner == US}
        assert ours <= self.stack.state.keys() | self.wanted.keys()

    @invariant()
    def users_data_is_kept(self) -> None:
        assert {name: lines for name, lines in self.system.data.items() if lines} == self.written

    @invariant()
    def no_secret_is_seen(self) -> None:
        seen = self.stack.exported() + self.last.text
        assert not [spelling for spelling in encodings(MARKER) if spelling in seen]

    # reading

    def _strangers(self) -> dict[str, Thing]:
        """Somebody else's things under our names that only a replacement could make as we want them."""
        return {
            name: thing
            for name, thing in self.system.things.items()
            if name in self.wanted and name not in self.stack.state
            if thing.owner != US and thing.place != self.wanted[name]["place"]
        }

    def _program(self) -> dict[str, Declared]:
        return {
            name: Declared(ThingProvider, {"name": name, "adopt": True, **arguments})
            for name, arguments in self.wanted.items()
        }

    def _agrees(self) -> None:
        """After a clean run an eye that doesn't know the provider sees what the program says."""
        if self.last.failed or self.drifted:
            return
        assert self.system.things.keys() >= self.wanted.keys()
        for name, arguments in self.wanted.items():
            there = vars(self.system.things[name])
            for what in arguments.keys() - {"password_secret"}:
                assert there[what] == arguments[what], f"{name}: {what}"
            if "password_secret" in arguments:
                assert there["password"] == CONFIG["drydock:" + arguments["password_secret"]], f"{name}: password"


Life.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class TestLife(Life.TestCase):  # type: ignore[misc, valid-type]
    """Runs the machine."""
