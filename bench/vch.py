"""A VCH's life: ours over whole `pulumi` commands and call by call, beside vic-machine alone, run by hand.

All in one run on one lab; vic-machine notes its own times, so that ours is what is left of a command or a call. What
doesn't bring the VCH where it shall be is an error, not a time.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.report import Report, timed
from bench.stage.program import ROOT, Program, call
from bench.stage.vcenter import OUR_AGENT
from bench.stage.vch import VERSIONS, Run, Seen, Stage, staged
from ops.toolchain import say

CREATE, SECOND_UP, REFRESH = "create", "second up", "refresh"
CONFIGURE, UPGRADE, DELETE = "configure", "upgrade", "delete"
OPERATIONS = (CREATE, SECOND_UP, REFRESH, CONFIGURE, UPGRADE, DELETE)
# What vic-machine has a command for.
BY_HAND = (CREATE, CONFIGURE, UPGRADE, DELETE)

RUNS = 5
MANY = 20
LATENCY_MS = 20

OUR_TIME_LIMIT_S = 0.5
OUR_MEMORY_LIMIT_MB = 40.0
UNCHANGED_RUNS_LIMIT = 0
MANY_LIMIT = 2.5
MANY_CALLS_LIMIT = 0

_OLD, _NEW = VERSIONS
_DNS = {"dns_servers": ["10.0.0.1"]}
_PROGRAM = """import json, pathlib
from providers.vic.resources import Bundle, VirtualContainerHost

told = json.loads(pathlib.Path("arguments.json").read_text())
bundle = Bundle("bundle", **told["bundle"])
place = {"version": bundle.version, "source": bundle.source, "sha256": bundle.sha256}
for given in told["vchs"]:
    VirtualContainerHost(given["name"], bundle=place, **given)
"""


@dataclass(frozen=True)
class Taken:
    """What one operation took.

    Args:
        wall_s: all of it.
        machine: vic-machine's runs in it.
        calls: our vSphere calls, login and logout too.
        memory_mb: what our process grew by; known of a call only.
    """

    wall_s: float
    machine: tuple[Run, ...] = ()
    calls: int = 0
    memory_mb: float = 0.0

    @property
    def machine_s(self) -> float:
        return sum(one.wall_s for one in self.machine)

    @property
    def ours_s(self) -> float:
        return self.wall_s - self.machine_s

    @property
    def looking_s(self) -> float:
        """Of vic-machine's time that of looks, which nobody has who runs it by hand."""
        return sum(one.wall_s for one in self.machine if one.command.startswith("inspect"))


@dataclass
class Lives:
    """What was measured, run by run.

    Args:
        whole: operation → whole commands of Pulumi's.
        calls: operation → calls of the provider.
        by_hand: operation → vic-machine alone.
        refreshes: number of VCHs → whole refreshes, with latency.
    """

    whole: dict[str, list[Taken]] = field(default_factory=dict)
    calls: dict[str, list[Taken]] = field(default_factory=dict)
    by_hand: dict[str, list[Taken]] = field(default_factory=dict)
    refreshes: dict[int, list[Taken]] = field(default_factory=dict)

    def into(self, report: Report) -> None:
        for operation in OPERATIONS:
            _rows(report, f"{operation}: pulumi", self.whole.get(operation, []))
            _rows(report, f"{operation}: call", self.calls.get(operation, []))
            if self.by_hand.get(operation):
                report.row(f"{operation}: by hand", [one.wall_s for one in self.by_hand[operation]])
        for number, found in self.refreshes.items():
            report.row(f"refresh of {number}, {LATENCY_MS} ms a call", [one.wall_s for one in found])
            report.figure(f"refresh of {number}, {LATENCY_MS} ms a call", max(one.calls for one in found), "calls")


def _rows(report: Report, name: str, found: list[Taken]) -> None:
    if not found:
        return
    report.row(name, [one.wall_s for one in found])
    report.row(f"{name}, without vic-machine", [one.ours_s for one in found])
    commands = ", ".join(one.command for one in found[0].machine)
    report.figure(
        f"{name}, vic-machine", max(len(one.machine) for one in found), f"runs ({commands})" if commands else "runs"
    )
    if any(one.looking_s for one in found):
        report.row(f"{name}, vic-machine's inspect", [one.looking_s for one in found])
    report.figure(f"{name}, vSphere", max(one.calls for one in found), "calls")
    if any(one.memory_mb for one in found):
        report.figure(f"{name}, memory", round(max(one.memory_mb for one in found), 1), "MB")


def run() -> Report:
    """Measures on a lab of its own, which is taken down at the end."""
    report = Report("vch")
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as base, staged(Path(base)) as stage:
        lives = _Measuring(stage, Path(base)).measure()
    lives.into(report)
    add_bars(report, lives)
    return report


def add_bars(report: Report, lives: Lives) -> None:
    """The bounds that a life must keep; what wasn't measured fails.

    Args:
        report: gets them.
        lives: what was measured.
    """
    for operation in OPERATIONS:
        if operation == SECOND_UP:  # comes to no call of the provider that does anything
            continue
        found = lives.calls.get(operation, [])
        ours_s = statistics.median(one.ours_s for one in found) if found else None
        report.bar(f"{operation}: ours beyond vic-machine, s", ours_s, OUR_TIME_LIMIT_S)
        report.bar(f"{operation}: ours, MB", max((one.memory_mb for one in found), default=None), OUR_MEMORY_LIMIT_MB)
    for operation in (SECOND_UP, REFRESH):
        runs = max((len(one.machine) for one in lives.whole.get(operation, [])), default=None)
        report.bar(f"{operation}: runs of vic-machine", runs, UNCHANGED_RUNS_LIMIT)
    one, many = lives.refreshes.get(1), lives.refreshes.get(MANY)
    ratio = more_calls = None
    if one and many:
        ratio = statistics.median(each.wall_s for each in many) / statistics.median(each.wall_s for each in one)
        more_calls = max(each.calls for each in many) - max(each.calls for each in one)
    report.bar(f"refresh of {MANY}, in times of one", ratio, MANY_LIMIT)
    report.bar(f"refresh of {MANY}, calls beyond those of one", more_calls, MANY_CALLS_LIMIT)


@dataclass(frozen=True)
class _Asked:
    """What a life of ours has asked vic-machine for.

    Args:
        name: the VCH's.
        id: its VM's managed object id.
        arguments: vic-machine's command → what it was given.
    """

    name: str
    id: str
    arguments: Mapping[str, tuple[str, ...]]

    def of(self, command: str, name: str, id_: str) -> tuple[str, ...]:
        """The same of another VCH."""
        words = [one.replace(self.name, name) for one in self.arguments[command]]
        return tuple(f"--id={id_}" if one == f"--id={self.id}" else one for one in words)


@dataclass
class _Measuring:
    """The contenders, taking turns."""

    stage: Stage
    base: Path
    lives: Lives = field(default_factory=Lives)

    def measure(self) -> Lives:
        program = Program.of_lines(self.base / "program", "vch", _PROGRAM, self.stage.variables)
        for version in VERSIONS:  # what is fetched and compiled at first use belongs to no run
            self._declare(program, [], version)
            program.up()
        for turn in range(RUNS):
            say(f"run {turn + 1} of {RUNS}")
            self._by_hand(f"hand{turn}", self._whole(program, f"whole{turn}"))
            self._calls(f"call{turn}")
        say(f"{MANY} VCHs")
        for number in (1, MANY):
            self._refreshes(program, number)
        program.destroy()
        return self.lives

    def _declare(self, program: Program, vchs: list[dict[str, Any]], version: str = _OLD) -> None:
        bundle = {"version": version, "source": str(self.stage.archive(version))}
        (program.folder / "arguments.json").write_text(json.dumps({"bundle": bundle, "vchs": vchs}))

    def _taken(self, work: Callable[[], object]) -> Taken:
        self.stage.runs()
        self.stage.vcenter.forget_counts()
        [wall_s] = timed(work)
        return Taken(wall_s, tuple(self.stage.runs()), sum(self.stage.vcenter.calls(OUR_AGENT).values()))

    def _look(self, name: str, version: str, *, has_dns: bool) -> Seen:
        seen = self.stage.seen(name)
        if seen is None or (seen.version, seen.has_dns) != (version, has_dns):
            raise RuntimeError(f"{name} isn't a VCH of {version} with dns={has_dns} but {seen}")
        return seen

    def _look_gone(self, name: str) -> None:
        if self.stage.seen(name) is not None:
            raise RuntimeError(f"{name} wasn't deleted")

    def _whole(self, program: Program, name: str) -> _Asked:
        """One life over Pulumi's commands."""
        asked: dict[str, tuple[str, ...]] = {}

        def step(operation: str, work: Callable[[], object]) -> None:
            taken = self._taken(work)
            self.lives.whole.setdefault(operation, []).append(taken)
            asked.update((one.command, one.arguments) for one in taken.machine)

        self._declare(program, [_arguments(name)])
        step(CREATE, program.up)
        step(SECOND_UP, program.up)
        step(REFRESH, lambda: _unchanged(program))
        self._look(name, _OLD, has_dns=False)
        self._declare(program, [{**_arguments(name), **_DNS}])
        step(CONFIGURE, program.up)
        self._look(name, _OLD, has_dns=True)
        self._declare(program, [{**_arguments(name), **_DNS}], _NEW)
        step(UPGRADE, program.up)
        id_ = self._look(name, _NEW, has_dns=True).id
        step(DELETE, program.destroy)
        self._look_gone(name)
        return _Asked(name, id_, asked)

    def _by_hand(self, name: str, asked: _Asked) -> None:
        """The same life by hand: the same arguments, of another VCH."""
        id_ = ""
        for operation in BY_HAND:
            version = _NEW if operation in (UPGRADE, DELETE) else _OLD
            taken = self._taken(partial(self.stage.by_hand, version, asked.of(operation, name, id_)))
            self.lives.by_hand.setdefault(operation, []).append(taken)
            if operation == DELETE:
                self._look_gone(name)
            else:
                id_ = self._look(name, version, has_dns=operation != CREATE).id

    def _calls(self, name: str) -> None:
        """The same life, call by call."""
        id_, outs = self._call(CREATE, "create", "", {}, self._given(name, _OLD))
        id_, outs = self._call(REFRESH, "read", id_, outs, {})
        self._look(name, _OLD, has_dns=False)
        id_, outs = self._call(CONFIGURE, "update", id_, outs, self._given(name, _OLD, **_DNS))
        self._look(name, _OLD, has_dns=True)
        id_, outs = self._call(UPGRADE, "update", id_, outs, self._given(name, _NEW, **_DNS))
        self._look(name, _NEW, has_dns=True)
        self._call(DELETE, "delete", id_, outs, {})
        self._look_gone(name)

    def _call(
        self, operation: str, method: str, id_: str, olds: dict[str, Any], news: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        told = {"operation": method, "id_": id_, "olds": olds, "news": news}
        said: list[str] = []
        environment = {**self.stage.variables, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "bench.stage.one_call"]
        taken = self._taken(lambda: said.append(call(command, self.base, environment, told=json.dumps(told))))
        answer = json.loads(said[0])
        own = Taken(answer["wall_s"], taken.machine, taken.calls, answer["memory_mb"])
        self.lives.calls.setdefault(operation, []).append(own)
        return answer["id"], answer["outs"]

    def _given(self, name: str, version: str, **more: Any) -> dict[str, Any]:
        source = {"source": str(self.stage.archive(version)), "sha256": self.stage.sha256(version)}
        return {**_arguments(name), "bundle": {"version": version, **source}, **more}

    def _refreshes(self, program: Program, number: int) -> None:
        """Whole refreshes of a stack that has so many VCHs, in a vCenter that has no others."""
        self._declare(program, [_arguments(f"many{place}") for place in range(number)])
        program.up()
        _unchanged(program)
        for _ in range(RUNS):
            with self.stage.vcenter.latency(LATENCY_MS):
                taken = self._taken(lambda: _unchanged(program))
            self.lives.refreshes.setdefault(number, []).append(taken)


def _arguments(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "compute_resource": "DC0_C0",
        "image_store": f"LocalDS_0/images/{name}",
        "volume_stores": {"default": f"LocalDS_0/volumes/{name}"},
        "bridge_network": "DC0_DVPG0",
        "tls": {"mode": "none"},
    }


def _unchanged(program: Program) -> None:
    """A refresh that finds all as it was left."""
    program.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
