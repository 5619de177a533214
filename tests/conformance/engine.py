"""An engine in small that drives providers as Pulumi's engine and SDK 3.259 do, for the conformance suite."""

from __future__ import annotations

import base64
import copy
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import dill  # type: ignore[import-untyped]
import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.dynamic import Config, ConfigureRequest, ReadResult, ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import rpc

from providers.kit import journal
from providers.kit.claims import CLAIMS
from providers.kit.model import MEMORY
from providers.kit.provider import NAME_KEY, PROVIDER_KEY, Provider
from providers.kit.sessions import SESSIONS

PROJECT = "drydock"
UNKNOWN = rpc.UNKNOWN

T = TypeVar("T")


class Killed(BaseException):
    """The provider's process died: nothing after it is done or saved."""


@dataclass(frozen=True)
class Declared:
    """A resource as the program declares it."""

    provider: type[Provider[Any, Any, Any]]
    arguments: Mapping[str, Any]


Program = Mapping[str, Declared]


@dataclass
class Entry:
    """A resource in the state."""

    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]

    @property
    def memory(self) -> dict[str, Any]:
        """What the kit remembers."""
        found: dict[str, Any] = self.outputs[MEMORY]
        return found


@dataclass
class Run:
    """What one command did and what the user saw of it.

    Args:
        plan: name → ``create``, ``update``, ``replace``, ``delete`` or ``same``.
        changed: names that a refresh found otherwise, or gone.
        infos, errors: lines at the terminal.
        refused: failures of check, as (property, reason).
        raised: the traceback of what a provider raised, as newer SDKs send it to the engine.
        killed: whether the process was killed in the middle.
    """

    plan: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    killed: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.errors or self.refused or self.raised or self.unfinished or self.killed)

    @property
    def clean(self) -> bool:
        return not self.failed and set(self.plan.values()) <= {"same"} and not self.changed

    @property
    def lines(self) -> list[str]:
        """What the user is told of failures; a partial success is told by the program, at the end."""
        return self.errors + self.unfinished + [f"{name}: {reason}" for name, reason in self.refused]

    @property
    def text(self) -> str:
        return "\n".join([*self.infos, *self.lines, *self.raised])


class Stack:
    """A stack: its config, its state, and the commands on it. Each command is a provider process's whole life.

    Args:
        config: the stack's config, decrypted, with namespaces.
        monkeypatch: catches what would be written to the terminal.

    Attributes:
        state: the resources by name, saved after each call that returned.
        threads: how many resources are worked on at once; the SDK's server takes up to four.
    """

    def __init__(self, config: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = dict(config)
        self.state: dict[str, Entry] = {}
        self.threads = 1
        self._monkeypatch = monkeypatch

    def preview(self, program: Program) -> Run:
        return self._run(lambda run: self._plan(program, run))

    def up(self, program: Program) -> Run:
        return self._run(lambda run: self._up(program, run))

    def refresh(self) -> Run:
        return self._run(self._refresh)

    def destroy(self) -> Run:
        return self._run(lambda run: self._up({}, run))

    def exported(self) -> str:
        """The state as ``pulumi stack export --show-secrets`` shows it, text by text, before its own JSON."""
        return "\n".join(_texts([vars(entry) for entry in self.state.values()]))

    # one process

    def _run(self, work: Callable[[_Running], object]) -> Run:
        run = _Running(self.config)
        with self._monkeypatch.context() as patched:
            patched.setattr(pulumi.log, "info", lambda text, *_, **__: run.infos.append(text))
            patched.setattr(pulumi.log, "warn", lambda text, *_, **__: run.infos.append(text))
            patched.setattr(pulumi.log, "error", lambda text, *_, **__: run.errors.append(text))
            try:
                work(run)
            except Killed:
                run.killed = True
                journal._returned.clear()
            except _Ended:
                pass
            finally:
                end_process()
        return run

    def _tell_unfinished(self, run: Run) -> None:
        """As `KitResource` does: it sees the outputs of the resources that this run registered."""
        for name in run.plan:
            failed = self.state[name].memory["failed"] if name in self.state else {}
            if failed and run.plan[name] != "delete":
                run.unfinished.append(failed["message"])

    # commands

    def _plan(self, program: Program, run: _Running) -> dict[str, dict[str, Any]]:
        inputs = {}
        for name, declared in program.items():
            inputs[name] = self._checked(name, declared, run)
        if run.refused:
            return {}
        for name, news in inputs.items():
            run.plan[name] = self._decide(name, news, run)
        for name in self.state.keys() - program.keys():
            run.plan[name] = "delete"
        return inputs

    def _up(self, program: Program, run: _Running) -> None:
        inputs = self._plan(program, run)
        self._steps(inputs, run)
        self._tell_unfinished(run)
        if run.raised or run.unfinished:
            raise _Ended  # the engine deletes what the program doesn't name only when all else went well
        for name in sorted(self.state.keys() - program.keys()):
            if run.plan.get(name) == "delete":
                self._delete(name, run)

    def _steps(self, inputs: Mapping[str, dict[str, Any]], run: _Running) -> None:
        """One after the other, so that a failing case repeats itself; `threads` of them at once where a test asks."""
        if self.threads == 1:
            for name, news in inputs.items():
                self._step(name, run.plan[name], news, run)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            steps = [pool.submit(self._step, name, run.plan[name], news, run) for name, news in inputs.items()]
        for step in steps:
            step.result()

    def _checked(self, name: str, declared: Declared, run: _Running) -> dict[str, Any]:
        given = {key: value for key, value in declared.arguments.items() if value is not None}
        own = {PROVIDER_KEY: serialize_provider(declared.provider()), NAME_KEY: name}
        news = _wire({**given, **own}, keep_unknowns=True)
        entry = self.state.get(name)
        olds = _wire(entry.inputs, keep_unknowns=True) if entry else {}
        result = run.call(lambda: run.provider(news).check(olds, news))
        run.refused += [(one.property, one.reason) for one in result.failures or []]
        return _wire({**result.inputs, PROVIDER_KEY: news[PROVIDER_KEY]}, keep_unknowns=True)

    def _decide(self, name: str, news: dict[str, Any], run: _Running) -> str:
        entry = self.state.get(name)
        if entry is None:
            return "create"
        olds = _wire(entry.outputs, keep_unknowns=True)
        result = run.call(lambda: run.provider(news).diff(entry.id, olds, copy.deepcopy(news)))
        if not result.changes:
            return "same"
        assert not result.replaces or result.delete_before_replace
        return "replace" if result.replaces else "update"

    def _step(self, name: str, step: str, news: dict[str, Any], run: _Running) -> None:
        """A step's failure ends this resource; the others go on, as with independent resources."""
        news = _wire(news)
        try:
            if step == "replace":
                self._delete(name, run)
            if step in ("create", "replace"):
                made = run.call(lambda: run.provider(news).create(_wire(news)))
                assert made.id
                self.state[name] = Entry(made.id, news, _saved(made.outs, news))
            elif step == "update":
                entry = self.state[name]
                done = run.call(lambda: run.provider(news).update(entry.id, _wire(entry.outputs), _wire(news)))
                self.state[name] = Entry(entry.id, news, _saved(done.outs, news))
            else:
                self.state[name].inputs = news
        except _Ended:
            return

    def _delete(self, name: str, run: _Running) -> None:
        entry = self.state[name]
        run.call(lambda: run.provider(entry.outputs).delete(entry.id, _wire(entry.outputs)))
        del self.state[name]

    def _refresh(self, run: _Running) -> None:
        for name, entry in list(self.state.items()):
            found = run.call(partial(_read, entry, run))
            if not found.id:
                del self.state[name]
                run.changed.append(name)
                continue
            outputs = _saved(found.outs, entry.outputs)
            inputs = entry.inputs if found.inputs is None else _saved(found.inputs, entry.outputs)
            self.state[name] = Entry(found.id, inputs, outputs)
            # As the engine's RefreshStep: what an `up` of an unchanged program would do decides, not the outputs.
            if self._decide(name, _wire(entry.inputs, keep_unknowns=True), run) != "same":
                run.changed.append(name)


def _read(entry: Entry, run: _Running) -> ReadResult:
    return run.provider(entry.outputs).read(entry.id, _wire(entry.outputs))


class _Ended(Exception):
    """A provider raised."""


class _Running(Run):
    """A run while it goes on: one provider process, with its own unpickled and configured providers."""

    def __init__(self, config: Mapping[str, str]) -> None:
        super().__init__()
        self._config = config
        self._providers: dict[str, ResourceProvider] = {}

    def provider(self, props: Mapping[str, Any]) -> ResourceProvider:
        pickled = props[PROVIDER_KEY]
        if pickled not in self._providers:
            provider: ResourceProvider = dill.loads(base64.b64decode(pickled))
            provider.configure(ConfigureRequest(config=Config(raw_config=dict(self._config), project_name=PROJECT)))
            self._providers[pickled] = provider
        return self._providers[pickled]

    def call(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - as gRPC: whatever the provider raises becomes text
            self.raised.append("".join(traceback.format_exception(error)))
            raise _Ended from None


def end_process() -> None:
    """What the end of the provider's process ends: its sessions, what it knew of logins and claims, and its notes."""
    SESSIONS.close_all()
    SESSIONS._refused.clear()
    CLAIMS.clear()
    journal.end()


def _saved(outs: Mapping[str, Any] | None, props: Mapping[str, Any]) -> dict[str, Any]:
    return _wire({**(outs or {}), PROVIDER_KEY: props[PROVIDER_KEY]})


def _wire(props: Mapping[str, Any], *, keep_unknowns: bool = False) -> dict[str, Any]:
    """The properties as they arrive after a trip through the SDK's own protobuf structure; `None` is dropped."""
    sent = _finished(rpc.serialize_properties(dict(props), {}))
    received = struct_pb2.Struct.FromString(sent.SerializeToString(deterministic=True))
    return dict(rpc.deserialize_properties(received, keep_unknowns))


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing, as with plain values; an event loop for each is slow."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waits: an output among the arguments?")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts([name, item])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)
