"""The fake providers' worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.conformance.fake import SYSTEMS, FakeSystem, SafeProvider, SwitchProvider, Thing, ThingProvider
from tests.conformance.world import MARKER, World, register

ADDRESS = "fake"
CONFIG = {
    "fake:address": ADDRESS,
    "drydock:fake_password": MARKER,
    "drydock:thing_password": f"thing {MARKER}",
    "drydock:other_password": f"other {MARKER}",
}


class FakeWorld(World):
    """A fresh fake system."""

    config = CONFIG

    def make(self) -> None:
        self.system = SYSTEMS[ADDRESS] = FakeSystem(MARKER)
        self.system.units.update(a=False, b=False, c=True)


@register
class ThingWorld(FakeWorld):
    """A thing that is made and removed, with a password."""

    name = "fake.Thing"
    provider = ThingProvider
    arguments: ClassVar = {
        "name": "bell",
        "place": "here",
        "size": 5,
        "color": "red",
        "labels": {"kept": "yes", "other": "no"},
        "password_secret": "thing_password",
    }
    changed: ClassVar = {"size": 7, "color": "blue", "labels": {"kept": "yes"}, "password_secret": "other_password"}
    replacing: ClassVar = {"place": "there"}
    quiet: ClassVar = {"delete_data": True}
    optional = "size"
    wrong: ClassVar = {"size": 100, "color": "green", "name": "", "labels": 5, "sise": 5, "password_secret": 5}

    def look(self) -> Any:
        found = self.system.things.get("bell")
        return None if found is None else (found.place, found.size, found.color, found.labels, found.password)

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        size = arguments.get("size") or 1
        password = CONFIG["drydock:" + arguments["password_secret"]]
        return arguments["place"], size, arguments["color"], arguments["labels"], password

    def disturb(self) -> str:
        self.system.things["bell"].color = "blue"
        return "color"

    def restore(self) -> None:
        self.system.things["bell"].color = "red"

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        place, size, color, labels, password = self.wanted(arguments)
        self.system.things["bell"] = Thing(place, size, color, dict(labels), "somebody", password)

    def take_away(self) -> None:
        del self.system.things["bell"]


@register
class SafeWorld(ThingWorld):
    """A thing whose password can't be observed."""

    name = "fake.Safe"
    provider = SafeProvider


@register
class SwitchWorld(FakeWorld):
    """Switches that are always there."""

    name = "fake.Switch"
    provider = SwitchProvider
    arguments: ClassVar = {"panel": "main", "on": True}
    changed: ClassVar = {"on": False}
    replacing: ClassVar = {"panel": "other"}
    quiet: ClassVar = {"on_delete": "keep"}
    optional = "on"
    wrong: ClassVar = {"on": "perhaps", "on_delete": "no", "onn": True}

    def look(self) -> Any:
        return dict(self.system.units)

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        on = arguments.get("on")
        return dict.fromkeys(self.system.units, True if on is None else on)

    def disturb(self) -> str:
        self.system.units["b"] = False
        return "units.b"

    def restore(self) -> None:
        self.system.units["b"] = True
