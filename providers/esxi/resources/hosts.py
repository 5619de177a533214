"""What all resources of this package share: one setting on many hosts, remembered host by host and put back so."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import pulumi
from pydantic import Field, model_validator
from typing_extensions import TypedDict

from providers.kit.difference import Change
from providers.kit.errors import DrydockError, Permanent
from providers.kit.model import Inputs, State
from providers.kit.provider import Call, Foresight, Provider
from providers.kit.resource import KitResource
from providers.kit.secrets import Settings
from providers.kit.words import few

if TYPE_CHECKING:  # pyVmomi is slow to import, and the program that only declares resources doesn't need it
    from providers.esxi.fleet import Client, Fleet
    from providers.esxi.inventory import Host
    from providers.esxi.vsphere import VSphere

DEFAULT_AT_ONCE = 16

NOT_SHOWN = "the host doesn't show it"

_FLEET = "fleet"
_NAMED = 3


class HostsInputs(Inputs):
    """Which hosts, and how they are changed."""

    cluster: str | None = Field(None, description="Inventory path or name of a cluster; all its hosts are meant.")
    host: str | None = Field(None, description="Inventory path or name of one host, instead of a cluster.")
    hosts: list[str] | None = Field(None, min_length=1, description="Several hosts, instead of a cluster.")
    allow_empty: bool = Field(False, description="Whether the cluster may have no hosts.")
    on_delete: Literal["restore", "keep"] = Field("restore", description="What destroy does.")
    at_once: int = Field(DEFAULT_AT_ONCE, ge=1, le=256, description="Hosts that are changed at the same time.")

    @model_validator(mode="after")
    def _one_target(self) -> HostsInputs:
        given = [name for name in ("cluster", "host", "hosts") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of 'cluster', 'host' and 'hosts' ({' and '.join(given) or 'none'} given)")
        return self


class HostPart(State):
    """One host's part of the state.

    Args:
        path: its inventory path.
        reason: why the setting is what it is there, or why the host doesn't show it.
        error: why the last run could not change it; absent where it could.
        also: in memory only: other settings that were changed there before (a host's upgrade changes what vic means).
    """

    path: str = ""
    reason: str | None = None
    error: str | None = None
    also: list[dict[str, Any]] | None = None

    @property
    def which(self) -> str:
        """Which setting it is."""
        raise NotImplementedError

    @property
    def shown(self) -> bool:
        """Whether the host shows the setting."""
        raise NotImplementedError


class Where(TypedDict, total=False):
    """The arguments that all resources of this package share.

    Args:
        cluster: inventory path or name of a cluster; all its hosts are meant, also those that join later.
        host: inventory path or name of one host, instead of a cluster.
        hosts: inventory paths or names of several hosts, instead of a cluster; one that is taken out is put back.
        allow_empty: whether the cluster may have no hosts (yet); default False.
        on_delete: ``restore`` puts back what was there before, host by host; ``keep`` leaves things as they are.
        at_once: hosts changed at the same time; default 16.
    """

    cluster: pulumi.Input[str] | None
    host: pulumi.Input[str] | None
    hosts: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    allow_empty: pulumi.Input[bool] | None
    on_delete: pulumi.Input[str] | None
    at_once: pulumi.Input[int] | None


class HostsResource(KitResource):
    """The base of the resources.

    Outputs:
        target: inventory path of the cluster or host, or of each of the hosts.
        hosts: host name → path, what the resource is about, reason (why it is that, or why the host doesn't show it),
            error (why the last run could not change it).
    """

    target: pulumi.Output[str]
    hosts: pulumi.Output[Any]  # the argument of that name is a list, and the SDK holds both against this


class HostsState(State):
    """Every host's setting, by the host's name, which is unique in a vCenter."""

    target: str
    hosts: Mapping[str, Any]


HI = TypeVar("HI", bound=HostsInputs)
HS = TypeVar("HS", bound=HostsState)
P = TypeVar("P", bound=HostPart)
V = TypeVar("V", bound=Any)


class HostsProvider(Provider[HI, HS, "VSphere"], Generic[HI, HS, P, V]):
    """One setting on the hosts of a target; destroy puts back what was there, host by host.

    Class attributes:
        part: the model of one host's part.
        setting: how messages call it, ``ruleset``.
        named_by: the argument that names the setting; empty where there is only one.
    """

    part: type[P]
    setting: ClassVar[str]
    named_by: ClassVar[str] = ""

    replace_on = frozenset({"cluster", "host"})
    without_calls = frozenset({"on_delete", "at_once", "allow_empty"})
    not_shown = frozenset({"hosts"})
    always_there = True
    looks_ahead = True

    # What a resource fills in

    def client(self, vsphere: VSphere) -> Client[V]:
        """Reads and writes the setting."""
        raise NotImplementedError

    def keys(self, desired: HI) -> list[str]:
        """The keys that it may be on a host."""
        return [getattr(desired, self.named_by)]

    def key_on(self, desired: HI, known: Mapping[str, V]) -> str:
        """The key that it is on a host."""
        return self.keys(desired)[0]

    def show(self, desired: HI, there: V) -> Mapping[str, Any]:
        """The fields of a host's part."""
        raise NotImplementedError

    def hide(self, key: str) -> Mapping[str, Any]:
        """The fields of the part of a host that doesn't show the setting."""
        raise NotImplementedError

    def wanted(self, desired: HI, there: V) -> V:
        """What it shall be on a host."""
        raise NotImplementedError

    def restored(self, before: P, there: V) -> V:
        """What it was on a host, as its part says."""
        raise NotImplementedError

    def expected_on(self, desired: HI, part: P) -> Mapping[str, Any]:
        """The fields of a host's part that the arguments speak of."""
        raise NotImplementedError

    def refusal(self, desired: HI, part: P) -> tuple[str, str] | None:
        """Why a host would not take it, as (argument, reason)."""
        return None

    def warnings(self, desired: HI, parts: Mapping[str, P]) -> list[str]:
        """What to tell the user before anything is changed."""
        return []

    def words(self, value: V) -> str:
        """How progress tells of it, ``vSPC is open``."""
        raise NotImplementedError

    # The kit's

    def endpoint(self, settings: Settings, desired: HI) -> Hashable:
        from providers.esxi.vsphere import Endpoint

        one = Endpoint.of(settings)
        return one.server, one.user, one.thumbprint

    def connect(self, settings: Settings, desired: HI) -> VSphere:
        from providers.esxi.vsphere import Endpoint, VSphere

        return VSphere(Endpoint.of(settings))

    def describe(self, desired: HI) -> str:
        named = f" '{getattr(desired, self.named_by)}'" if self.named_by else ""
        several = f"{len(desired.hosts)} hosts" if desired.hosts else ""
        return f"{self.kind}{named} on {desired.cluster or desired.host or several}"

    def thing(self, desired: HI) -> str:
        return f"{self.describe(desired)} {' '.join(sorted(desired.hosts or []))}".strip()

    def identify(self, desired: HI, state: HS) -> str:
        return f"{state.target}:{getattr(desired, self.named_by) if self.named_by else self.setting}"

    def observe(self, call: Call[VSphere, HS], desired: HI) -> HS | None:
        from providers.esxi.inventory import NotThere

        try:
            fleet = self._fleet(call, desired)
        except NotThere:
            if call.before is None:
                raise
            return None  # it was there once: the cluster or host is gone, and its settings with it
        seen = {host.name: self._observed(fleet, host, desired) for host in fleet.hosts}
        return self.state.model_validate({"target": fleet.path, "hosts": seen})

    def expected(self, desired: HI, there: HS) -> Mapping[str, Any]:
        return {"hosts": {name: self.expected_on(desired, part) for name, part in sorted(there.hosts.items())}}

    def apply(self, call: Call[VSphere, HS], desired: HI, there: HS | None) -> Mapping[str, str]:
        fleet = self._fleet(call, desired)
        parts = there.hosts if there else {}
        problems = self.foresee(desired, there).problems
        if problems:
            raise Permanent(problems[0][1], on=self.describe(desired), remedy="Correct the arguments.")
        wanted: dict[str, list[V]] = {}
        failed: dict[str, str] = {}
        for host in fleet.hosts:
            known = fleet.settings[host.name]
            key = self.key_on(desired, known)
            if key in known:
                former = [one for one in self._former(call, host) if one.which != key and one.which in known]
                wanted[host.name] = [
                    self.wanted(desired, known[key]),
                    *(self.restored(one, known[one.which]) for one in former),
                ]
            else:
                failed[host.name] = parts[host.name].reason or NOT_SHOWN
        return self._settle_on(call, desired, fleet, wanted, failed)

    def remove(self, call: Call[VSphere, HS], desired: HI, there: HS) -> Mapping[str, str]:
        if desired.on_delete == "keep":
            return {}
        fleet = self._fleet(call, desired)
        back: dict[str, list[V]] = {}
        failed: dict[str, str] = {}
        for host in fleet.hosts:
            known = fleet.settings[host.name]
            for one in self._former(call, host):
                if one.which in known:
                    back.setdefault(host.name, []).append(self.restored(one, known[one.which]))
                else:
                    failed[host.name] = fleet.why_hidden(host, self.setting, one.which)
        return self._settle_on(call, desired, fleet, back, failed)

    def remember(self, kept: HS | None, seen: HS | None) -> HS | None:
        """A host that joined later is remembered as it came; one that left is forgotten."""
        if kept is None or seen is None:
            return kept or seen
        known = {name: part for name, part in kept.hosts.items() if part.shown}
        hosts = {name: _remembered(known[name], part) if name in known else part for name, part in seen.hosts.items()}
        return seen.model_copy(update={"hosts": hosts})

    def complete(self, kept: HS | None, noted: HS) -> HS:
        """The state's word goes first; the note knows the hosts that were new when a run was interrupted."""
        if kept is None:
            return noted
        known = {name: part for name, part in kept.hosts.items() if part.shown}
        return noted.model_copy(update={"hosts": {**kept.hosts, **noted.hosts, **known}})

    def marked(self, state: HS, failed: Mapping[str, str]) -> HS:
        hosts = {name: part.model_copy(update={"error": failed.get(name)}) for name, part in state.hosts.items()}
        return state.model_copy(update={"hosts": hosts})

    def same(self, name: str, then: Any, now: Any, there: HS) -> bool:
        """A cluster's or host's name and its path mean the same."""
        if name in ("cluster", "host") and isinstance(then, str) and isinstance(now, str):
            return _means(then, there.target) and _means(now, there.target)
        if name == "hosts" and isinstance(then, list) and isinstance(now, list):
            paths = [part.path for part in there.hosts.values()]
            return _meant(then, paths) == _meant(now, paths)
        return bool(then == now)

    def replaces(self, change: Change, desired: HI) -> bool:
        """A host that is taken out of the list is put back as it was; one more is only changed."""
        if change.path == "hosts":
            return change.there is None or change.wanted is None or not set(change.there) <= set(change.wanted)
        return change.path in self.replace_on

    def foresee(self, desired: HI, there: HS | None) -> Foresight:
        if there is None:
            return Foresight()
        problems = [*self._unknown(desired, there.hosts), *self._refusals(desired, there.hosts)]
        shown = {name: part for name, part in there.hosts.items() if part.shown}
        return Foresight(problems[:1], self.warnings(desired, shown))

    def claims(self, desired: HI, there: HS) -> Mapping[str, str]:
        server = self.endpoint(self.settings, desired)
        return {f"{server} {self.setting} {part.which} {name}": name for name, part in there.hosts.items()}

    def claimed(self, desired: HI, owner: str, things: Sequence[str]) -> str:
        return f"'{owner}' manages the {self.setting} of {few(things, _NAMED)} as well: leave one of the two out"

    def incomplete(self, desired: HI, failed: Mapping[str, str], state: HS) -> DrydockError:
        count, all_hosts = len(failed), len(state.hosts)
        others = all_hosts - count
        done = f"The other {others} are done. " if others > 1 else "The other one is done. " if others else ""
        return Permanent(
            f"{count} of {all_hosts} hosts {'were' if count > 1 else 'was'} not changed",
            on=self.describe(desired),
            remedy=f"{done}{_mend(failed.values())}, then run the same command again: it changes only "
            f"{'these' if count > 1 else 'this one'}.",
            items=dict(sorted(failed.items())),
        )

    # How it is done

    def _fleet(self, call: Call[VSphere, HS], desired: HI) -> Fleet[V]:
        """The hosts and what they have, read once for the observation and the change that follows it."""
        from providers.esxi.fleet import Fleet

        if _FLEET not in call.looks:
            call.looks[_FLEET] = Fleet(call.client, self.client(call.client), desired, self.keys(desired))
        found: Fleet[V] = call.looks[_FLEET]
        return found

    def _observed(self, fleet: Fleet[V], host: Host, desired: HI) -> P:
        known = fleet.settings[host.name]
        key = self.key_on(desired, known)
        if key in known:
            return self.part.model_validate({"path": host.path, **self.show(desired, known[key])})
        reason = fleet.why_hidden(host, self.setting, key)
        return self.part.model_validate({"path": host.path, "reason": reason, **self.hide(key)})

    def _former(self, call: Call[VSphere, HS], host: Host) -> Iterator[P]:
        """What was there on a host before us."""
        part = call.before.hosts.get(host.name) if call.before else None
        if part is not None and part.shown:
            yield part
            for other in part.also or []:
                yield self.part.model_validate(other)

    def _settle_on(
        self,
        call: Call[VSphere, HS],
        desired: HI,
        fleet: Fleet[V],
        wanted: Mapping[str, Sequence[V]],
        failed: Mapping[str, str],
    ) -> dict[str, str]:
        if failed and len(fleet.hosts) == 1:
            [(name, reason)] = failed.items()
            raise Permanent(reason, on=f"host {name}", remedy=f"{_mend([reason])}, then run the same command again.")

        def say(host: Host, value: V, progress: str) -> None:
            call.say(f"host {host.name}: {self.words(value)} ({progress})")

        if wanted and not failed and not any(fleet.differing(host, wanted) for host in fleet.hosts):
            there = sorted({self.words(settings[0]) for settings in wanted.values()})
            call.say(f"{self.describe(desired)}: nothing is to do, {' or '.join(there)} on every host")
        return {**failed, **fleet.change(wanted, desired.at_once, say)}

    def _unknown(self, desired: HI, parts: Mapping[str, P]) -> Iterator[tuple[str, str]]:
        """Where no host shows the setting and some could, its name is wrong."""
        from providers.esxi.fleet import NOT_CONNECTED

        if any(part.shown for part in parts.values()):
            return
        for name, part in sorted(parts.items()):
            if part.reason != NOT_CONNECTED:
                yield self.named_by, f"host {name}: {part.reason}"

    def _refusals(self, desired: HI, parts: Mapping[str, P]) -> Iterator[tuple[str, str]]:
        for name, part in sorted(parts.items()):
            refused = self.refusal(desired, part) if part.shown else None
            if refused:
                yield refused[0], f"host {name}: {refused[1]}"


def _remembered(kept: P, seen: P) -> P:
    """What was there first; where another key is meant since (a host's upgrade), that one as it came, too."""
    others = [type(kept).model_validate(one).which for one in kept.also or []]
    if not seen.shown or seen.which == kept.which or seen.which in others:
        return kept
    return kept.model_copy(update={"also": [*(kept.also or []), seen.model_dump(mode="json", exclude_none=True)]})


def _means(text: str, path: str) -> bool:
    """Whether a name or path is that of an inventory path; a standalone host goes by its compute resource's, too."""
    above, _, last = path.rpartition("/")
    given = text.strip("/")
    return f"/{given}" == path or text == last or (f"/{given}" == above and above.rpartition("/")[2] == last)


def _meant(names: Iterable[str], paths: Sequence[str]) -> set[str]:
    return {next((path for path in paths if _means(name, path)), name) for name in names}


def _mend(reasons: Iterable[str]) -> str:
    """What to do about hosts that could not be changed, as the beginning of a sentence."""
    from providers.esxi.fleet import NOT_CONNECTED

    said = list(reasons)
    steps = ["reconnect the host"] if NOT_CONNECTED in said else []
    steps += ["grant the privilege"] if any("the user lacks" in one for one in said) else []
    rest = [one for one in said if one != NOT_CONNECTED and "the user lacks" not in one]
    steps += ["mend what the reason names"] if rest else []
    text = ", ".join(steps)
    return text[0].upper() + text[1:]
