"""The base of every dynamic provider: turns observe, apply and remove of one thing into Pulumi's contract.

What Pulumi really does with a dynamic provider is written down in ``facts/pulumi.md``; each line here that
looks strange answers one of its traps, so that no provider has to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from pulumi.runtime.rpc import UNKNOWN

from providers.kit.claims import CLAIMS
from providers.kit.difference import Change, compare, plain, summary
from providers.kit.engine_watch import watch
from providers.kit.errors import DrydockError, Permanent, SessionLost, Temporary
from providers.kit.journal import Journal
from providers.kit.model import MEMORY, BadInputs, Inputs, Memory, State, holds, parse
from providers.kit.retry import RetryPolicy, with_retries
from providers.kit.secrets import HIDDEN, Secret, Settings, UnknownSecret, fingerprint, redact
from providers.kit.sessions import SESSIONS, Closable

PROVIDER_KEY = "__provider"
# Pulumi tells a dynamic provider no name of the resource; it comes with its inputs. Two underscores: never displayed.
NAME_KEY = "__name"
_SPEAKING = threading.Lock()
_NO_ARGUMENTS = frozenset({PROVIDER_KEY, NAME_KEY})
SECRETS = "secrets"

I = TypeVar("I", bound=Inputs)  # noqa: E741
S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Closable)
R = TypeVar("R")


@dataclass(frozen=True)
class Call(Generic[C, S]):
    """What one operation may use.

    Args:
        client: the session with the system.
        settings: the stack's config and the environment.
        key: makes this resource's fingerprints.
        before: what was there before our first change.
        creating: whether the resource is not in state yet.
        looking: whether this is a mere look, which may share what others have read in the same moment.
        looks: what `observe` read, for the `apply` or `remove` that follows; anew in each try.
        last: what the state said before this operation.
        memory: what is remembered of the last run.
        learned: what `apply` got to know and no observation tells, for the `observe` that follows; one an operation.
    """

    client: C
    settings: Settings
    key: str
    before: S | None = None
    creating: bool = False
    looking: bool = False
    looks: dict[str, Any] = field(default_factory=dict)
    last: S | None = None
    memory: Memory = field(default_factory=Memory)
    learned: dict[str, Any] = field(default_factory=dict)

    def secret(self, name: str) -> Secret:
        """A secret of the stack, by its name."""
        return self.settings.secret(name)

    def seal(self, value: str) -> str:
        """How a secret value that was observed is written into state."""
        return fingerprint(self.key, value)

    def say(self, text: str) -> None:
        """Shows at the terminal, while it happens, what is being done; one line at a time, also from many threads."""
        with _SPEAKING:
            pulumi.log.info(redact(text), ephemeral=True)


@dataclass(frozen=True)
class Foresight:
    """What a look at the system says of the inputs, before anything is changed.

    Args:
        problems: pairs of property and reason; any of them ends the preview.
        warnings: lines for the terminal.
    """

    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Failed(Exception):
    """Ends an operation after its error has been shown: the line is in front, this says only that it ended."""


class Provider(ResourceProvider, Generic[I, S, C]):
    """One thing of one system.

    A subclass lives in an importable module and is named there for good: state refers to it by that name.

    Class attributes:
        kind: how errors call it, ``esxi.FirewallRuleset``.
        inputs, state: its two models.
        replace_on: arguments whose change needs a replacement.
        without_calls: arguments that change nothing on the system by themselves (used on delete, or on create).
        always_there: the thing can be set but neither made nor removed (a host's ruleset).
        not_shown: arguments that are no state, though the state has a field of their name.
        looks_ahead: whether new or changed inputs are held against the system in the preview already.
        may_come_later: parts of arguments, by path, without which a preview can tell all it has to.
        looks_before_replacing: whether a replacement is judged by what is there now, not by what the state says.
        secret_outputs: fields of the state that are secret.
        retries: how `Temporary` errors are tried again.
    """

    serialize_as_secret_always = False

    kind: ClassVar[str]
    inputs: type[I]
    state: type[S]
    replace_on: ClassVar[frozenset[str]] = frozenset()
    without_calls: ClassVar[frozenset[str]] = frozenset({"adopt"})
    always_there: ClassVar[bool] = False
    not_shown: ClassVar[frozenset[str]] = frozenset()
    looks_ahead: ClassVar[bool] = False
    may_come_later: ClassVar[frozenset[str]] = frozenset()
    looks_before_replacing: ClassVar[bool] = False
    secret_outputs: ClassVar[frozenset[str]] = frozenset()
    retries: ClassVar[RetryPolicy] = RetryPolicy()

    # What a provider fills in

    def endpoint(self, settings: Settings, desired: I) -> Hashable:
        """Which system the thing lives on; calls with the same endpoint share a session."""
        raise NotImplementedError

    def connect(self, settings: Settings, desired: I) -> C:
        """A new session with it, logged in."""
        raise NotImplementedError

    def describe(self, desired: I) -> str:
        """How errors and progress name it, ``esxi.FirewallRuleset 'vSPC'``."""
        raise NotImplementedError

    def thing(self, desired: I) -> str:
        """What it is about, the same in every run; what is noted of an interrupted run is kept under this name."""
        return self.describe(desired)

    def identify(self, desired: I, state: S) -> str:
        """The id in Pulumi's state: the real system's, or a stable name where that one changes."""
        raise NotImplementedError

    def observe(self, call: Call[C, S], desired: I) -> S | None:
        """What is really there, `None` when it is gone. Changes nothing."""
        raise NotImplementedError

    def apply(self, call: Call[C, S], desired: I, there: S | None) -> Mapping[str, str] | None:
        """Makes it so, doing only what is missing. May return what could not be done, by part, with the reason."""
        raise NotImplementedError

    def remove(self, call: Call[C, S], desired: I, there: S) -> Mapping[str, str] | None:
        """Takes it away, or puts back `call.before`. What is left undone is returned as by `apply`."""
        raise NotImplementedError

    def clear(self, call: Call[C, S], desired: I) -> None:
        """Takes away what an interrupted delete left around the thing, which is gone itself."""

    def ours(self, call: Call[C, S], desired: I, there: S) -> bool:
        """Whether what exists was made by this stack, so that it is taken over without `adopt`."""
        return False

    def expected(self, desired: I, there: S) -> Mapping[str, Any]:
        """What the state should say, by field; the default is the user's own arguments that the state knows."""
        known = [name for name in self.inputs.model_fields if name in self.state.model_fields]
        return {name: getattr(desired, name) for name in known if name in desired.model_fields_set}

    def default(self, name: str, there: S) -> Any:
        """What the state should say of an argument that was taken out of the program."""
        return self.inputs.model_fields[name].get_default(call_default_factory=True)

    def secret_values(self, settings: Settings, desired: I) -> Mapping[str, Secret]:
        """The secrets that the inputs name, by path, looked up. Raises `UnknownSecret`."""
        return {}

    def remember(self, kept: S | None, seen: S | None) -> S | None:
        """What was there before us: the first observation counts, unless a provider knows better."""
        return kept if kept is not None else seen

    def verify(self, settings: Settings, desired: I) -> list[tuple[str, str]]:
        """Problems that need more than the model to see, as (property, reason); called where all inputs are known."""
        return []

    def look_ahead(self, call: Call[C, S], desired: I) -> tuple[S | None, Foresight]:
        """What is there, and what that says of the inputs; called in a preview where `looks_ahead`. Changes nothing."""
        there = self.observe(call, desired)
        return there, self.foresee(desired, there)

    def foresee(self, desired: I, there: S | None) -> Foresight:
        """What the system's state says of the inputs; called in a preview where `looks_ahead`."""
        return Foresight()

    def foretell(self, desired: I, there: S, changes: Sequence[Change]) -> str:
        """What the changes will come to and what they cost, for the preview's line. Raises what refuses them."""
        return ""

    def claims(self, desired: I, there: S) -> Mapping[str, str]:
        """What no other resource of the program may manage: its name with the system → in the user's words."""
        return {}

    def claimed(self, desired: I, owner: str, things: Sequence[str]) -> str:
        """The reason why a resource is refused that manages what another one does already."""
        return f"'{owner}' manages {', '.join(things)} as well: leave one of the two out"

    def complete(self, kept: S | None, noted: S) -> S:
        """What was there before us, with what an interrupted run had noted and the state doesn't know."""
        return kept if kept is not None else noted

    def marked(self, state: S, failed: Mapping[str, str]) -> S:
        """The state with what the last run could not do, by part, where the state has a place for it."""
        return state

    def same(self, name: str, then: Any, now: Any, there: S) -> bool:
        """Whether two values of an argument that no observation shows mean the same."""
        return bool(then == now)

    def replaces(self, change: Change, desired: I) -> bool:
        """Whether a change needs a replacement."""
        return change.path.split(".")[0] in self.replace_on

    def patience(self, desired: I) -> RetryPolicy:
        """How often a mere look is tried again."""
        return self.retries

    def out_of_sight(self, desired: I, last: S, error: DrydockError) -> S | None:
        """What the state says of a thing while its system can't be asked; `None` where that is an error."""
        return None

    def counts_as_gone(self, desired: I, last: S, error: DrydockError) -> bool:
        """Whether a thing that is to be removed counts as gone where its system can't be asked."""
        return False

    def goes_first(self, changes: Sequence[Change]) -> bool:
        """Whether a replacement takes the old one away before it makes the new one; with equal names it must."""
        return True

    def incomplete(self, desired: I, failed: Mapping[str, str], state: S) -> DrydockError:
        """The user's error for parts that could not be done."""
        return Permanent(
            f"{len(failed)} part(s) were not changed",
            on=self.describe(desired),
            remedy="The others are done. Mend these, then run `pulumi up` again: it changes only them.",
            items=failed,
        )

    # Pulumi's contract

    def configure(self, req: ConfigureRequest) -> None:
        watch()
        self._settings = Settings(config=req.config.get)

    @property
    def settings(self) -> Settings:
        found: Settings | None = self.__dict__.get("_settings")
        return found if found is not None else Settings()

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        given = _arguments(news)
        CLAIMS.want(_name(news))
        with self._told():
            try:
                now = self._without_later(given)
                desired = parse(self.inputs, now, UNKNOWN)
                problems = [] if holds(now, UNKNOWN) else self._problems(desired)
                if self.looks_ahead and not problems and not holds(now, UNKNOWN) and self._news(olds, given):
                    problems = self._foreseen(desired, _name(news), creating=not olds)
            except BadInputs as error:
                problems = error.problems
        told = [(name, redact(self._problem(name, reason))) for name, reason in problems]
        failures = [CheckFailure(name, reason) for name, reason in told]
        named = {NAME_KEY: news[NAME_KEY]} if NAME_KEY in news else {}
        return CheckResult({**given, **named}, failures)

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        with self._told():
            given = self._without_later(_arguments(news))
            changes = self.changes(olds, given)
            if not holds(given, UNKNOWN):
                desired = self._parse(given)
                there = self.state.model_validate(olds)
                self._refuse_claimed(desired, there, _name(news))
                replaces = sorted({one.path.split(".")[0] for one in changes if self.replaces(one, desired)})
                if changes:
                    told = self._foretold(olds, desired, there, changes, bool(replaces), _name(news))
                    line = f"{self.describe(desired)}: {summary(changes)}"
                    pulumi.log.info(redact(f"{line}; {told}" if told else line))
            else:
                replaces = sorted({one.path.split(".")[0] for one in changes} & self.replace_on)
            first = self.goes_first(changes)
            return DiffResult(changes=bool(changes), replaces=replaces, delete_before_replace=first)

    def create(self, props: dict[str, Any]) -> CreateResult:
        with self._told():
            given = _arguments(props)
            desired = self._parse(given)
            state, memory = self._settle(desired, given, Memory.new(), None)
            return CreateResult(self.identify(desired, state), self._outputs(state, memory))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        with self._told():
            memory, desired = self._last(props)
            memory = self._recalled(desired, memory)
            last = self.state.model_validate(props)
            state = self._seen(desired, memory, last)
            if state is None:
                return ReadResult(None, {})  # outs=None crashes the SDK
            return ReadResult(id_, self._outputs(state, memory), inputs=dict(memory.applied))

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        with self._told():
            given = _arguments(news)
            desired = self._parse(given)
            memory = Memory.of(olds)
            touched = {change.path.split(".")[0] for change in self.changes(olds, given)}
            if touched and touched <= self.without_calls:
                return UpdateResult(self._outputs(self.state.model_validate(olds), memory.having(applied=given)))
            state, memory = self._settle(desired, given, memory, self.state.model_validate(olds))
            return UpdateResult(self._outputs(state, memory))

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        with self._told():
            memory, desired = self._last(props)
            memory = self._recalled(desired, memory)
            seen: list[S] = []

            def attempt(call: Call[C, S]) -> Mapping[str, str] | None:
                there = self.observe(call, desired)
                seen[:] = [] if there is None else [there]
                if there is None:
                    self.clear(call, desired)
                    return None
                return self.remove(call, desired, there)

            last = self.state.model_validate(props)
            try:
                failed = self._try(desired, memory, attempt, last)
            except DrydockError as error:
                if not self.counts_as_gone(desired, last, error):
                    raise
                pulumi.log.warn(redact(f"{self.describe(desired)}: is forgotten: {error.on}: {error.what}"))
                failed = None
            if failed:
                raise self.incomplete(desired, failed, seen[0])
            self._journal(desired).forget()

    def changes(self, olds: Mapping[str, Any], given: Mapping[str, Any]) -> list[Change]:
        """What an update would change: three ways, of the wanted, the last applied and the observed."""
        memory = Memory.of(olds)
        if holds(given, UNKNOWN):
            return list(self._known_later(given, memory))
        return self.differences(self._parse(given), self.state.model_validate(olds), memory)

    def differences(self, desired: I, there: S, memory: Memory) -> list[Change]:
        """As `changes`, of a state that was just observed: what `apply` has to do."""
        found = self._compared(self._expected(desired, there, memory), there)
        found += self._taken_out(desired, there, memory)
        # What a part of the thing tells already (`hosts.a.enabled`) isn't told twice; a replacement always is.
        told = {change.path.rpartition(".")[2] for change in found} - self.replace_on
        found += [change for change in self._unseen(desired, there, memory) if change.path not in told]
        found += self._changed_secrets(desired, there, memory)
        if memory.failed:
            found.append(Change("unfinished", "work that the last run left", "done"))
        return found

    # How it is done

    def _seen(self, desired: I, memory: Memory, last: S) -> S | None:
        """What is there; what is known of it where its system can't be asked and the provider says so."""
        try:
            return self._try(
                desired,
                memory,
                lambda call: self.observe(call, desired),
                last,
                retries=self.patience(desired),
                looking=True,
            )
        except DrydockError as error:
            kept = self.out_of_sight(desired, last, error)
            if kept is None:
                raise
            pulumi.log.warn(redact(f"{self.describe(desired)}: can't be looked at now: {error.on}: {error.what}"))
            return kept

    def _compared(self, expected: Mapping[str, Any], there: S) -> list[Change]:
        found = compare(plain(expected), plain(there))
        return [self._change(change.path, change.there, change.wanted) for change in found]

    def _known_later(self, given: Mapping[str, Any], memory: Memory) -> Iterator[Change]:
        """In a preview with unknown inputs only these, and what the program itself changed, can be told."""
        for name in sorted(given.keys() | memory.applied.keys()):
            then, now = memory.applied.get(name), given.get(name)
            if holds(now, UNKNOWN):
                yield self._change(name, then, "(known later)")
            elif then != now:
                yield self._change(name, then, now)

    def _expected(self, desired: I, there: S, memory: Memory) -> Mapping[str, Any]:
        expected = dict(self.expected(desired, there))
        # An argument taken out of the program means its default again, which is a change as well.
        taken_out = memory.applied.keys() - desired.model_fields_set
        for name in self.inputs.model_fields:
            if name in taken_out and name in self.state.model_fields and name not in expected:
                expected[name] = self.default(name, there)
        return expected

    def _taken_out(self, desired: I, there: S, memory: Memory) -> Iterator[Change]:
        """Entries of a mapping (labels, variables) that the program set before and sets no more, and that are there."""
        applied = self._applied(memory) if memory.applied else desired
        for name in sorted(desired.model_fields_set & applied.model_fields_set & self.state.model_fields.keys()):
            then, now, seen = (plain(getattr(one, name)) for one in (applied, desired, there))
            if isinstance(then, Mapping) and isinstance(now, Mapping) and isinstance(seen, Mapping):
                for key in sorted((then.keys() - now.keys()) & seen.keys()):
                    yield self._change(f"{name}.{key}", seen[key], None)

    def _unseen(self, desired: I, there: S, memory: Memory) -> Iterator[Change]:
        """Arguments that no observation shows are compared with what was applied last."""
        if not memory.applied:
            return
        applied = self._applied(memory)
        for name in self.inputs.model_fields:
            then, now = plain(getattr(applied, name)), plain(getattr(desired, name))
            shown = name in self.state.model_fields and name not in self.not_shown
            if not shown and then != now and not self.same(name, then, now, there):
                yield self._change(name, then, now)

    def _change(self, name: str, then: Any, now: Any) -> Change:
        hidden = name.split(".")[0] in self.inputs.secret_fields
        return Change(name, HIDDEN if hidden else then, HIDDEN if hidden else now)

    def _changed_secrets(self, desired: I, there: S, memory: Memory) -> list[Change]:
        observed: Mapping[str, str] | None = getattr(there, SECRETS, None)
        known = memory.fingerprints if observed is None else observed
        wanted = self._fingerprints(desired, memory)
        return [Change(path, HIDDEN, HIDDEN) for path in sorted(wanted) if wanted[path] != known.get(path)]

    def _fingerprints(self, desired: I, memory: Memory) -> dict[str, str]:
        values = self.secret_values(self.settings, desired)
        return {path: fingerprint(memory.key, value.reveal()) for path, value in values.items()}

    def _problems(self, desired: I) -> list[tuple[str, str]]:
        try:
            self.secret_values(self.settings, desired)
        except UnknownSecret as error:
            return [(SECRETS, str(error))]
        return list(self.verify(self.settings, desired))

    def _problem(self, name: str, reason: str) -> str:
        """A line of an error of ours says already what it is about."""
        own = reason.startswith((f"{self.kind} ", f"{self.kind}: "))
        return reason if own else ": ".join(filter(None, [self.kind, name, reason]))

    def _news(self, olds: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
        """Whether the program asks for something that the last run didn't see."""
        before = _arguments(olds)
        return any(before.get(name) != given.get(name) for name in (before.keys() | given.keys()) - self.without_calls)

    def _without_later(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments without those parts that a preview doesn't know yet and can do without."""
        for path in self.may_come_later:
            name, _, part = path.partition(".")
            whole = given.get(name)
            if isinstance(whole, Mapping) and whole.get(part) == UNKNOWN:
                given = {**given, name: {key: value for key, value in whole.items() if key != part}}
        return given

    def _foretold(
        self, olds: Mapping[str, Any], desired: I, there: S, changes: Sequence[Change], replaces: bool, name: str
    ) -> str:
        """The provider's word on the changes. A refresh wants none of them: there a refusal is only told."""
        if not CLAIMS.wants(name):
            try:
                return self.foretell(desired, there, changes)
            except Permanent as error:
                return str(error)
        if replaces and self.looks_before_replacing:
            there = self._now(olds) or there
        return self.foretell(desired, there, changes)

    def _now(self, olds: Mapping[str, Any]) -> S | None:
        memory, desired = self._last(olds)
        return self._try(desired, memory, lambda call: self.observe(call, desired), self.state.model_validate(olds))

    def _foreseen(self, desired: I, name: str, *, creating: bool) -> list[tuple[str, str]]:
        """A wrong argument is refused before anything is changed, also where only the system can tell."""
        learned: dict[str, Any] | None = {} if creating else None
        try:
            looked = self._try(
                desired, Memory.new(), lambda call: self.look_ahead(call, desired), None, learned, looking=True
            )
        except DrydockError as error:
            return [(error.argument, str(error))]
        there, found = looked
        for line in found.warnings:
            pulumi.log.warn(redact(f"{self.describe(desired)}: {line}"))
        return found.problems or ([] if there is None else self._claimed(desired, there, name))

    def _claimed(self, desired: I, there: S, name: str) -> list[tuple[str, str]]:
        things = self.claims(desired, there) if name else {}
        taken = CLAIMS.take(name, things) if things else {}
        by_owner = {owner: sorted(things[one] for one in taken if taken[one] == owner) for owner in taken.values()}
        return [("", self.claimed(desired, owner, by_owner[owner])) for owner in sorted(by_owner)]

    def _refuse_claimed(self, desired: I, there: S, name: str) -> None:
        for _, reason in self._claimed(desired, there, name):
            raise Permanent(reason, on=self.describe(desired), remedy="")

    def _journal(self, desired: I) -> Journal:
        return Journal(f"{self.thing(desired)} at {self.endpoint(self.settings, desired)}")

    def _recalled(self, desired: I, memory: Memory) -> Memory:
        """The memory, completed with what a run noted that was interrupted before its state was saved."""
        if not self.always_there:
            return memory
        journal = self._journal(desired)
        noted = journal.read()
        if noted is None:
            return memory
        kept = self.state.model_validate(memory.before) if memory.before else None
        before = plain(self.complete(kept, self.state.model_validate(noted)))
        if before == memory.before:
            journal.forget()
            return memory
        pulumi.log.info(f"{self.describe(desired)}: an earlier run was interrupted; what was there before it is known")
        return memory.having(before=before)

    def _forget_note(self, desired: I, memory: Memory) -> None:
        """What an interrupted run had noted stays; what this one noted isn't needed."""
        if self.always_there and memory.before is None:
            self._journal(desired).forget()

    def _note(self, desired: I, memory: Memory, there: S | None) -> None:
        """Before the first change: what the state doesn't know yet is on the disk."""
        kept = self.state.model_validate(memory.before) if memory.before else None
        before = self.remember(kept, there)
        if self.always_there and before is not None and plain(before) != memory.before:
            self._journal(desired).write(plain(before))

    def _outputs(self, state: S, memory: Memory) -> dict[str, Any]:
        return {**plain(self.marked(state, memory.parts)), MEMORY: plain(memory)}

    def _settle(self, desired: I, given: Mapping[str, Any], memory: Memory, last: S | None) -> tuple[S, Memory]:
        """Applies and observes; what got done before an error is kept in state, so that the next run finishes it.

        Without a last state the resource is being created.
        """
        memory = self._recalled(desired, memory)
        learned: dict[str, Any] = {}
        first: list[S | None] = []
        before: list[S | None] = []
        leftover: list[DrydockError] = []

        def attempt(call: Call[C, S]) -> Mapping[str, str] | None:
            there = self.observe(call, desired)
            if not first:
                left = None
                if last is None and there is not None and not self.always_there:
                    left = self._take_over(call, desired, there)
                    leftover.extend(left or [])
                before.append(there if left is None else None)
                first.append(there)
                self._note(desired, memory, there)
            return self.apply(call, desired, there)

        failed: Mapping[str, str] | None = None
        error: DrydockError | None = None
        try:
            failed = self._try(desired, memory, attempt, last, learned)
        except Exception as raised:  # noqa: BLE001 - also a mistake of ours must not make us forget what was done
            error = self._as_error(raised)
        if error is not None and not first:
            raise error
        try:
            state = self._try(desired, memory, lambda call: self.observe(call, desired), last, learned)
        except Exception as raised:  # noqa: BLE001 - as above
            error = error or self._as_error(raised)
            state = first[0]  # nobody can tell what got done; what was there before must not be forgotten
            if state is None:
                raise error from None
        else:
            if error is not None and (state is None or state == first[0]):
                self._forget_note(desired, memory)
                raise error  # nothing was changed, so there is nothing to keep
        if state is None:
            raise Permanent("was made, but is not there", on=self.describe(desired), remedy="Run `pulumi up` again.")
        if leftover and error is None and not failed:
            [error] = leftover  # kept in state, however little was to do: only from there the next run can replace it
        if self.always_there:
            self._journal(desired).returned()
        return state, self._remembered(desired, given, memory, before[0], state, failed, error)

    def _remembered(
        self,
        desired: I,
        given: Mapping[str, Any],
        memory: Memory,
        first: S | None,
        state: S,
        failed: Mapping[str, str] | None,
        error: DrydockError | None,
    ) -> Memory:
        kept = self.state.model_validate(memory.before) if memory.before else None
        # What an update finds is our own work, where our create found nothing.
        before = self.remember(kept, first) if kept or self.always_there or not memory.applied else None
        if failed:
            error = self.incomplete(desired, failed, state)
        return memory.having(
            applied=dict(given),
            before=None if before is None else plain(before),
            failed={} if error is None else {"message": str(error)},
            parts=dict(failed or {}),
            fingerprints=self._fingerprints(desired, memory),
        )

    def _take_over(self, call: Call[C, S], desired: I, there: S) -> list[DrydockError] | None:
        """Refuses what isn't to be taken over; `None` for what is somebody else's, a list for what is ours.

        In the list is what a killed run left otherwise than it is wanted now.
        """
        found = self._compared(self.expected(desired, there), there)
        fixed = [change for change in found if self.replaces(change, desired)]
        if self.ours(call, desired, there):
            left = Permanent(
                f"is left from an earlier run ({summary(fixed)})",
                on=self.describe(desired),
                remedy="Run the same command again: it replaces what is left.",
            )
            return [left] if fixed else []
        if getattr(desired, "adopt", False):
            if not fixed:
                return None
            # Taken over, the next run would replace it: what is somebody else's would be deleted.
            raise Permanent(
                f"can't be taken over, since it would have to be replaced ({summary(fixed)})",
                on=self.describe(desired),
                remedy="Set the argument to what is there, or choose another name.",
            )
        raise Permanent(
            "exists already and was not made by this stack",
            on=self.describe(desired),
            remedy="Choose another name, or set `adopt=True` to take it over.",
        )

    def _try(
        self,
        desired: I,
        memory: Memory,
        work: Callable[[Call[C, S]], R],
        last: S | None = None,
        learned: dict[str, Any] | None = None,
        retries: RetryPolicy | None = None,
        looking: bool = False,
    ) -> R:
        """Runs work on the shared session, again after temporary errors, with a new session where it was lost."""
        settings = self.settings
        endpoint = (type(self).kind.split(".")[0], self.endpoint(settings, desired))
        before = self.state.model_validate(memory.before) if memory.before else None

        def call(client: C) -> Call[C, S]:
            return Call(
                client,
                settings,
                memory.key,
                before,
                creating=last is None and learned is not None,
                looking=looking,
                last=last,
                memory=memory,
                learned={} if learned is None else learned,
            )

        def once() -> R:
            with SESSIONS.lend(endpoint, lambda: self.connect(settings, desired)) as client:
                try:
                    return work(call(client))
                except SessionLost:
                    SESSIONS.drop(endpoint, client)
                    raise

        def waiting(error: Temporary, pause_s: float) -> None:
            pulumi.log.info(f"{error.on}: {error.what}; trying again in {pause_s:.0f} s", ephemeral=True)

        return with_retries(once, retries or self.retries, on_retry=waiting)

    def _last(self, outputs: Mapping[str, Any]) -> tuple[Memory, I]:
        memory = Memory.of(outputs)
        return memory, self._applied(memory)

    def _applied(self, memory: Memory) -> I:
        """The inputs of the last run; arguments that an earlier version of ours had are left out."""
        return self._parse({name: value for name, value in memory.applied.items() if name in self.inputs.model_fields})

    def _parse(self, given: Mapping[str, Any]) -> I:
        try:
            return parse(self.inputs, given)
        except BadInputs as error:
            raise Permanent(str(error), on=self.kind, remedy="Correct the arguments.") from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The user's one line comes before anything that gRPC or the SDK make of the exception."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the user sees one line and no secret
            self._tell(self._as_error(error))

    def _as_error(self, error: Exception) -> DrydockError:
        if isinstance(error, DrydockError):
            return error
        if isinstance(error, UnknownSecret):
            return Permanent(str(error), on=self.kind, remedy="")
        what = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        return Permanent(what, on=self.kind, remedy="This is our mistake: please report it.")

    def _tell(self, error: DrydockError) -> NoReturn:
        pulumi.log.error(str(error))
        raise Failed("nothing more was done here; the reason stands in the line above") from None


def _arguments(props: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _marked(value) for name, value in props.items() if name not in _NO_ARGUMENTS and value is not None}


def _name(props: Mapping[str, Any]) -> str:
    return str(props.get(NAME_KEY) or "")


def _marked(value: Any) -> Any:
    """The SDK hands unknown values of a preview over as objects, each another one, and takes them back as a marker."""
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    return value
