"""A fake system in memory and three small providers over it that use every feature of the kit."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field

from providers.kit.errors import Authentication, Permanent, SessionLost
from providers.kit.model import Inputs, State
from providers.kit.provider import Call, Provider
from providers.kit.secrets import Secret, Settings

US = "drydock"


@dataclass
class Thing:
    """What the system has: fields, an owner's label, a password."""

    place: str
    size: int = 1
    color: str = "grey"
    labels: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    password: str = ""


@dataclass
class FakeSystem:
    """A system with sessions; data outlive the thing that wrote them.

    Args:
        password: what a login has to know.
        stuck: fields or units that can't be changed now.
        expires_at: the call, counted from 1, before which every session ends.
    """

    password: str
    things: dict[str, Thing] = field(default_factory=dict)
    data: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, bool] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    logins: int = 0
    calls: list[str] = field(default_factory=list)
    expires_at: int = 0

    def login(self, password: str) -> Client:
        self.logins += 1
        if password != self.password:
            raise Authentication(f"refused the password {password}", on="fake system", remedy="Set `fake_password`.")
        self.open.add(self.logins)
        return Client(self, self.logins)

    def expire(self) -> None:
        """Ends every session on the server's side."""
        self.open.clear()


class Client:
    """A session with a `FakeSystem`."""

    def __init__(self, system: FakeSystem, session: int) -> None:
        self._system = system
        self._session = session

    def close(self) -> None:
        self._system.open.discard(self._session)

    def find(self, name: str) -> Thing | None:
        self._called("find")
        found = self._system.things.get(name)
        return None if found is None else Thing(**{**vars(found), "labels": dict(found.labels)})

    def make(self, name: str, place: str, owner: str) -> None:
        self._called(f"make {name}")
        if name in self._system.things:
            raise Permanent("exists", on=f"thing {name}", remedy="Choose another name.")
        self._system.things[name] = Thing(place, owner=owner)
        self._system.data.setdefault(name, [])

    def set(self, name: str, what: str, value: Any) -> None:
        self._called(f"set {what}")
        if what in self._system.stuck:
            raise Permanent(f"{what} is stuck", on=f"thing {name}", remedy="Oil it.")
        setattr(self._system.things[name], what, value)

    def unmake(self, name: str) -> None:
        self._called(f"unmake {name}")
        if name not in self._system.things:
            raise Permanent("is not there", on=f"thing {name}", remedy="Look first.")
        del self._system.things[name]

    def wipe(self, name: str) -> None:
        self._called(f"wipe {name}")
        self._system.data.pop(name, None)

    def switches(self) -> dict[str, bool]:
        self._called("switches")
        return dict(self._system.units)

    def switch(self, unit: str, on: bool) -> None:
        self._called(f"switch {unit}")
        if unit in self._system.stuck:
            raise Permanent("is stuck", on=f"unit {unit}", remedy="Oil it.")
        self._system.units[unit] = on

    def _called(self, what: str) -> None:
        self._system.calls.append(what)
        if len(self._system.calls) == self._system.expires_at:
            self._system.expire()
        if self._session not in self._system.open:
            raise SessionLost("the session ended", on="fake system", remedy="Run `pulumi up` again.")


SYSTEMS: dict[str, FakeSystem] = {}
ADDRESS = "fake:address"


class ThingInputs(Inputs):
    """Arguments of a thing."""

    name: str = Field(min_length=1, description="Its name.")
    place: str = Field("here", description="Where it stands.")
    size: int = Field(1, ge=1, le=99, description="Its size.")
    color: Literal["grey", "red", "blue"] = Field("grey", description="Its colour.")
    labels: dict[str, str] = Field({}, description="Its labels.")
    password_secret: str | None = Field(None, description="Name of the secret that is its password.")
    adopt: bool = Field(False, description="Takes over what exists.")
    delete_data: bool = Field(False, description="Whether delete takes the data with it.")


class ThingState(State):
    """A thing."""

    name: str
    place: str
    size: int
    color: str
    labels: dict[str, str]
    secrets: dict[str, str] = Field({})


class FakeProvider:
    """What the providers here share: the session."""

    def endpoint(self, settings: Settings, desired: Any) -> Hashable:
        return settings.value(ADDRESS)

    def connect(self, settings: Settings, desired: Any) -> Client:
        return SYSTEMS[str(settings.value(ADDRESS))].login(settings.secret("fake_password").reveal())


class ThingProvider(FakeProvider, Provider[ThingInputs, ThingState, Client]):
    """Makes and removes a thing; its data stay unless `delete_data`."""

    kind = "fake.Thing"
    inputs = ThingInputs
    state = ThingState
    replace_on = frozenset({"name", "place"})
    without_calls = frozenset({"adopt", "delete_data"})

    def describe(self, desired: ThingInputs) -> str:
        return f"{self.kind} '{desired.name}'"

    def identify(self, desired: ThingInputs, state: ThingState) -> str:
        return state.name

    def observe(self, call: Call[Client, ThingState], desired: ThingInputs) -> ThingState | None:
        found = call.client.find(desired.name)
        if found is None:
            return None
        secrets = {"password_secret": call.seal(found.password)} if found.password else {}
        return ThingState(
            name=desired.name,
            place=found.place,
            size=found.size,
            color=found.color,
            labels=found.labels,
            secrets=secrets,
        )

    def ours(self, call: Call[Client, ThingState], desired: ThingInputs, there: ThingState) -> bool:
        found = call.client.find(desired.name)
        return found is not None and found.owner == US

    def secret_values(self, settings: Settings, desired: ThingInputs) -> Mapping[str, Secret]:
        return {"password_secret": settings.secret(desired.password_secret)} if desired.password_secret else {}

    def apply(
        self, call: Call[Client, ThingState], desired: ThingInputs, there: ThingState | None
    ) -> Mapping[str, str]:
        if there is None:
            call.client.make(desired.name, desired.place, US)
        elif desired.adopt:
            call.client.set(desired.name, "owner", US)
        wanted: dict[str, Any] = {"size": desired.size, "color": desired.color, "labels": desired.labels}
        if desired.password_secret:
            wanted["password"] = call.secret(desired.password_secret).reveal()
        call.say(f"thing {desired.name}: setting {', '.join(wanted)}")
        failed = {}
        for what, value in wanted.items():
            try:
                call.client.set(desired.name, what, value)
            except Permanent as error:
                failed[what] = error.what
        return failed

    def remove(self, call: Call[Client, ThingState], desired: ThingInputs, there: ThingState) -> None:
        call.client.unmake(desired.name)
        if desired.delete_data:
            call.client.wipe(desired.name)


class SafeState(State):
    """A thing that doesn't show its password, not even whether it has one."""

    name: str
    place: str
    size: int
    color: str
    labels: dict[str, str]


class SafeProvider(ThingProvider):
    """As a thing, but what was applied is the only sign of its password."""

    kind = "fake.Safe"
    state = SafeState  # type: ignore[assignment]

    def observe(self, call: Call[Client, Any], desired: ThingInputs) -> Any:
        found = super().observe(call, desired)
        return None if found is None else SafeState.model_validate(found.model_dump())


class SwitchInputs(Inputs):
    """Arguments of the switches."""

    panel: str = Field("main", description="Which panel.")
    on: bool = Field(True, description="Whether they are on.")
    on_delete: Literal["restore", "keep"] = Field("restore", description="What destroy does.")


class SwitchState(State):
    """The switches, unit by unit."""

    units: dict[str, bool]


class SwitchProvider(FakeProvider, Provider[SwitchInputs, SwitchState, Client]):
    """Sets switches that are always there; destroy puts back what was."""

    kind = "fake.Switch"
    inputs = SwitchInputs
    state = SwitchState
    replace_on: ClassVar[frozenset[str]] = frozenset({"panel"})
    without_calls = frozenset({"on_delete"})
    always_there = True

    def describe(self, desired: SwitchInputs) -> str:
        return f"{self.kind} '{desired.panel}'"

    def identify(self, desired: SwitchInputs, state: SwitchState) -> str:
        return desired.panel

    def observe(self, call: Call[Client, SwitchState], desired: SwitchInputs) -> SwitchState | None:
        return SwitchState(units=call.client.switches())

    def expected(self, desired: SwitchInputs, there: SwitchState) -> Mapping[str, Any]:
        return {"units": dict.fromkeys(there.units, desired.on)}

    def apply(
        self, call: Call[Client, SwitchState], desired: SwitchInputs, there: SwitchState | None
    ) -> Mapping[str, str]:
        assert there is not None
        return self._set(call, dict.fromkeys(there.units, desired.on), there)

    def remove(self, call: Call[Client, SwitchState], desired: SwitchInputs, there: SwitchState) -> Mapping[str, str]:
        if desired.on_delete == "keep" or call.before is None:
            return {}
        return self._set(call, call.before.units, there)

    def _set(
        self, call: Call[Client, SwitchState], wanted: Mapping[str, bool], there: SwitchState
    ) -> Mapping[str, str]:
        failed = {}
        for unit, on in wanted.items():
            try:
                if there.units[unit] != on:
                    call.client.switch(unit, on)
            except Permanent as error:
                failed[unit] = error.what
        return failed
