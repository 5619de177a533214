"""Opening a firewall ruleset on every host of a cluster: ours, beside Ansible's module and beside host after host.

All in one run on one lab vCenter a size, with a latency for each vSphere call; the ruleset is put back closed before
each measurement and looked at after it by a client of the bench's own, without latency. What doesn't open it on every
host is an error, not a time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.report import Report, timed
from bench.stage import ansible
from bench.stage.program import Program
from bench.stage.vcenter import (
    CLUSTER,
    OUR_AGENT,
    Administrator,
    VCenter,
    built,
    firewall_of,
    hosts_of,
    log_in,
    running,
    within,
)
from ops.toolchain import SetupError, say

SIZES = (8, 128, 1000)
RULESET = "vSPC"
LATENCY_MS = 20
RUNS = 3
# Enough for 128 hosts, so that a default run ends within 10 minutes; 1,000 hosts take some 20 minutes.
ANSIBLE_LIMIT_S = 175.0
HOST_BY_HOST_LIMIT_S = 300.0
# The bound is about this many hosts; on the biggest site one run of each must do.
BAR_HOSTS = 128
MOST_HOSTS_FOR_RUNS = 128
MOST_HOSTS_FOR_ANSIBLE_RUNS = 8

CALL = "ours, provider's call"
REFRESH = "ours, provider's refresh"
UP = "ours, pulumi up"
SECOND_UP = "ours, second pulumi up"
PULUMI_REFRESH = "ours, pulumi refresh"
ANSIBLE = "Ansible's playbook"
HOST_BY_HOST = "host by host, as vic-machine"
HOST_BY_HOST_LOOKING = "host by host, with a look at each"

HOST_BY_HOST_LIMIT = 0.12
ANSIBLE_LIMIT = 1.0
REFRESH_CALLS_LIMIT = 8
REFRESH_PER_HOST_LIMIT = 1.0

CONTINUATION = "ContinueRetrievePropertiesEx"

_ARGUMENTS: Mapping[str, Any] = {"cluster": CLUSTER, "ruleset": RULESET, "enabled": True, "allowed_hosts": "all"}
_PROGRAM = f"""from providers.esxi.resources import FirewallRuleset

FirewallRuleset("{RULESET}", **{dict(_ARGUMENTS)!r})
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hosts", type=_sizes, default=SIZES, help="sizes of the cluster, default 8,128,1000")
    parser.add_argument(
        "--ansible-limit",
        type=float,
        default=ANSIBLE_LIMIT_S,
        metavar="SECONDS",
        help="when Ansible is stopped; its row and ratio then are bounds (default %(default).0f)",
    )


def run(hosts: tuple[int, ...] = SIZES, ansible_limit: float = ANSIBLE_LIMIT_S) -> Report:
    """Measures every size on a vCenter of its own.

    Args:
        hosts: sizes of the cluster.
        ansible_limit: when one run of Ansible is stopped, in seconds.
    """
    report = Report("firewall")
    measured = {}
    binary = built()
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as base:
        for size in hosts:
            folder = Path(base, f"{size}-hosts")
            with running(binary, folder / "vcenter", size) as vcenter:
                measured[size] = _Size(size, vcenter, folder, ansible_limit).measure()
            measured[size].into(report)
    add_bars(report, measured)
    return report


@dataclass
class Times:
    """What was measured at one size, in seconds, run by run.

    Args:
        hosts: the size.
        rows: contender → how long each run took.
        calls: vSphere calls of one refresh in a session of its own, login and logout too, continuation pages aside.
        stopped: whether Ansible was stopped at its limit: its time then is a lower bound.
    """

    hosts: int
    rows: dict[str, list[float]] = field(default_factory=dict)
    calls: int = 0
    stopped: bool = False

    def add(self, name: str, time_s: float) -> None:
        self.rows.setdefault(name, []).append(time_s)

    def median(self, name: str) -> float | None:
        """None for a contender that is missing."""
        return statistics.median(self.rows[name]) if name in self.rows else None

    def into(self, report: Report) -> None:
        for name, times_s in self.rows.items():
            stopped = " (stopped)" if name == ANSIBLE and self.stopped else ""
            report.row(f"{self.hosts} hosts: {name}{stopped}", times_s)
        report.figure(f"{self.hosts} hosts: {REFRESH}", self.calls, "calls")


def add_bars(report: Report, measured: Mapping[int, Times]) -> None:
    """The bounds that the sizes must keep; one that needs a size which wasn't measured is left out.

    Args:
        report: gets them.
        measured: number of hosts → what was measured there.
    """
    for hosts, times in measured.items():
        if hosts == BAR_HOSTS:
            ratio = _ratio(times.median(CALL), times.median(HOST_BY_HOST))
            report.bar(f"{hosts} hosts: call, in times of host by host", ratio, HOST_BY_HOST_LIMIT)
        for name, words in ((CALL, "call"), (UP, "pulumi up")):
            ratio = _ratio(times.median(name), times.median(ANSIBLE))
            report.bar(f"{hosts} hosts: {words}, in times of Ansible", ratio, ANSIBLE_LIMIT)
        if hosts >= BAR_HOSTS:
            report.bar(f"{hosts} hosts: refresh, calls", times.calls, REFRESH_CALLS_LIMIT)
    biggest = max(measured)
    if BAR_HOSTS in measured and biggest > BAR_HOSTS:
        small, big = (_per_host(measured[hosts]) for hosts in (BAR_HOSTS, biggest))
        report.bar(f"refresh a host, {biggest} in times of {BAR_HOSTS}", _ratio(big, small), REFRESH_PER_HOST_LIMIT)


@dataclass
class _Size:
    """The contenders at one size, taking turns."""

    hosts: int
    vcenter: VCenter
    folder: Path
    ansible_limit_s: float

    def measure(self) -> Times:
        times = Times(self.hosts)
        runs = RUNS if self.hosts <= MOST_HOSTS_FOR_RUNS else 1
        ansible_runs = RUNS if self.hosts <= MOST_HOSTS_FOR_ANSIBLE_RUNS else 1
        administrator = Administrator(self.vcenter)
        if len(administrator.hosts) != self.hosts:
            raise RuntimeError(f"the cluster has {len(administrator.hosts)} hosts, not {self.hosts}")
        try:
            with self._our_session():  # what is imported at first use belongs to no run
                _create()
            for turn in range(runs):
                say(f"{self.hosts} hosts, run {turn + 1} of {runs}")
                self._turn(times, administrator, turn, with_ansible=turn < ansible_runs)
        finally:
            administrator.log_out()
        return times

    def _turn(self, times: Times, administrator: Administrator, turn: int, *, with_ansible: bool) -> None:
        with self._reset(administrator):
            outputs = self._our_call(times)
        self._our_refresh(times, outputs, administrator.hosts)
        with self._reset(administrator):
            self._pulumi(times, self.folder / f"program-{turn}")
        with self._reset(administrator):
            times.add(HOST_BY_HOST, *timed(lambda: _host_by_host(self.vcenter, looking=False)))
        if turn == 0 and self.hosts <= MOST_HOSTS_FOR_RUNS:
            with self._reset(administrator):
                times.add(HOST_BY_HOST_LOOKING, *timed(lambda: _host_by_host(self.vcenter, looking=True)))
        if with_ansible:
            self._ansible(times, administrator, self.folder / f"ansible-{turn}")

    @contextmanager
    def _reset(self, administrator: Administrator) -> Iterator[None]:
        """Closed on all hosts before, open on all after; the latency is on in between only."""
        administrator.close_ruleset(RULESET)
        with self.vcenter.latency(LATENCY_MS):
            yield
        found = administrator.open_on(RULESET)
        if found != self.hosts:
            raise RuntimeError(f"{RULESET} is open on {found} of {self.hosts} hosts")

    def _our_call(self, times: Times) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        with self._our_session():
            times.add(CALL, *timed(lambda: outputs.update(_create())))
        return outputs

    def _our_refresh(self, times: Times, outputs: dict[str, Any], names: Collection[str]) -> None:
        from providers.esxi.resources import RulesetProvider

        seen: dict[str, Any] = {}
        for _ in range(RUNS):
            self.vcenter.forget_counts()
            with self.vcenter.latency(LATENCY_MS), self._our_session():
                times.add(REFRESH, *timed(lambda: seen.update(RulesetProvider().read("id", outputs).outs or {})))
            calls = self.vcenter.calls(OUR_AGENT)
            times.calls = sum(number for method, number in calls.items() if method != CONTINUATION)
        text = json.dumps(seen)
        if not all(f'{name}"' in text for name in names):
            raise RuntimeError(f"the refresh didn't see all {self.hosts} hosts")

    @contextmanager
    def _our_session(self) -> Iterator[None]:
        """A session that begins and ends in the block, as in a process of its own; what it says is dropped."""
        from providers.kit.sessions import SESSIONS

        before = dict(os.environ)
        os.environ.update({**self.vcenter.variables, "DRYDOCK_STATE": str(self.folder / "notes")})
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            SESSIONS.close_all()
            os.environ.clear()
            os.environ.update(before)

    def _pulumi(self, times: Times, folder: Path) -> None:
        program = Program.of_lines(folder, "firewall", _PROGRAM, self.vcenter.variables)
        times.add(UP, *timed(program.up))
        times.add(SECOND_UP, *timed(program.up))
        times.add(PULUMI_REFRESH, *timed(program.refresh))

    def _ansible(self, times: Times, administrator: Administrator, folder: Path) -> None:
        try:
            ansible.python()
        except SetupError as error:
            say(str(error))
            return
        ended: list[bool] = []

        def play() -> None:
            ended.append(
                ansible.open_ruleset(
                    self.vcenter, folder, cluster=CLUSTER, ruleset=RULESET, limit_s=self.ansible_limit_s
                )
            )

        administrator.close_ruleset(RULESET)
        with self.vcenter.latency(LATENCY_MS):
            [time_s] = timed(play)
        times.stopped |= not ended[0]
        times.add(ANSIBLE, time_s if ended[0] else self.ansible_limit_s)
        if ended[0] and administrator.open_on(RULESET) != self.hosts:
            raise RuntimeError(f"Ansible didn't open {RULESET} on all {self.hosts} hosts")


def _create() -> dict[str, Any]:
    from providers.esxi.resources import RulesetProvider

    return RulesetProvider().create(dict(_ARGUMENTS)).outs or {}


def _host_by_host(vcenter: VCenter, *, looking: bool) -> None:
    """In one session, one call after the other.

    Args:
        vcenter: where.
        looking: also read each host's firewall before changing it, which vic-machine doesn't.
    """
    from pyVim.connect import Disconnect

    service = log_in(vcenter)
    try:
        content = service.RetrieveContent()
        for host in within(HOST_BY_HOST_LIMIT_S, hosts_of(content, CLUSTER)):
            system = firewall_of(content, host)
            if looking and any(rule.enabled for rule in system.firewallInfo.ruleset if rule.key == RULESET):
                continue
            system.EnableRuleset(id=RULESET)
    finally:
        Disconnect(service)


def _per_host(times: Times) -> float | None:
    refresh_s = times.median(REFRESH)
    return None if refresh_s is None else refresh_s / times.hosts


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours / theirs


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not numbers of hosts, each 1 or more, for example 8,128")
    return tuple(int(part) for part in parts)
