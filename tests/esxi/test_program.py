"""The resources of ESXi's hosts on the real engine, on a site of 128 hosts; looked at by another client."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.esxi.simulator import Simulator, running
from tests.program import COMMAND_LIMIT_S, Program, kill

pytestmark = pytest.mark.lab

HOSTS = 128
IMPORTS = "import pulumi\nfrom providers.esxi.resources import *\n"
OPEN_EVERYWHERE = 'FirewallRuleset("vic", cluster="DC0_C0", ruleset="vSPC")\n'
SLOWLY = 'FirewallRuleset("vic", cluster="DC0_C0", ruleset="vSPC", at_once=1)\n'


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A vCenter with a cluster of many hosts."""
    with running(tmp_path_factory.mktemp("big"), f"-cluster-hosts={HOSTS}") as one:
        yield one


@pytest.fixture
def program(big: Simulator, tmp_path: Path) -> Iterator[Program]:
    big.reset()
    one = Program.made(tmp_path, big.environment, IMPORTS)
    yield one
    big.reset()
    one.destroy()
    left = big.counts().open_sessions
    assert left == 0


def opened(site: Simulator) -> set[str]:
    return {host for host, (enabled, _) in site.rulesets("vSPC").items() if enabled}


def test_a_rule_closed_by_hand_on_one_of_many_hosts_is_named_and_only_it_is_healed(
    big: Simulator, program: Program
) -> None:
    program.write(OPEN_EVERYWHERE)
    program.up()
    big.set_ruleset("DC0_C0_H77", "vSPC", enabled=False)

    drift = program.drift()
    big.reset()
    program.up("--refresh")
    healed = big.counts().changes

    [line] = [one for one in drift.splitlines() if "info: " in one]
    assert line == "info: esxi.FirewallRuleset 'vSPC' on DC0_C0: hosts.DC0_C0_H77.enabled: False → True"
    assert re.findall(r"~ (\w+)\s*: {[^}]*~ enabled\s*: true => false", drift) == ["DC0_C0_H77"]
    assert healed == {"EnableRuleset": 1}
    assert len(opened(big)) == HOSTS
    program.drift(expect=0)


def test_up_again_changes_nothing_and_calls_nothing(big: Simulator, program: Program) -> None:
    program.write(OPEN_EVERYWHERE)
    program.up()
    big.reset()

    program.up("--expect-no-changes")

    assert big.counts().ours() == {}


def test_a_first_preview_warns_where_vspc_opens_more_than_is_needed(program: Program) -> None:
    program.write('FirewallRuleset("vic", cluster="DC0_C0", ruleset="vic")\n')
    said = program.preview()
    program.write('FirewallRuleset("vic", cluster="DC0_C0", ruleset="vic", allowed_hosts=["192.0.2.0/24"])\n')
    narrowed = program.preview()

    assert re.search(
        r"warning: esxi.FirewallRuleset 'vic' on DC0_C0: on \d+ of 128 hosts \(DC0_C0_H0, .*vSPC opens", said
    )
    assert "warning" not in narrowed


@pytest.mark.parametrize(
    "other",
    [
        'FirewallRuleset("again", cluster="DC0_C0", ruleset="vSPC")\n',
        'FirewallRuleset("again", host="/DC0/host/DC0_C0/DC0_C0_H5", ruleset="vSPC", enabled=False)\n',
    ],
)
def test_two_resources_on_one_ruleset_of_a_host_are_refused_in_the_preview(program: Program, other: str) -> None:
    program.write(OPEN_EVERYWHERE + other)
    at_first = program.preview(expect=1)
    program.write(OPEN_EVERYWHERE)
    program.up()
    program.write(OPEN_EVERYWHERE + other)
    later = program.preview(expect=1)

    for said in (at_first, later):
        assert re.search(r"'(vic|again)' manages the ruleset of DC0_C0_H\d+.* as well: leave one of the two out", said)


def test_a_partial_failure_ends_the_run_names_the_host_and_is_finished_by_the_next(
    big: Simulator, program: Program
) -> None:
    program.write(OPEN_EVERYWHERE + 'pulumi.export("done", 1)\n')
    big.disconnect("DC0_C0_H9")
    try:
        said = program.up(expect=1)
        plan = program.preview()
    finally:
        big.reconnect("DC0_C0_H9")
    half = opened(big)
    big.reset()
    program.up()
    rest = big.counts().changes

    assert "esxi.FirewallRuleset 'vSPC' on DC0_C0: 1 of 128 hosts was not changed" in said
    assert "DC0_C0_H9: not connected" in said
    assert "The other 127 are done. Reconnect the host, then run the same command again" in said
    assert "Traceback" not in said
    assert "1 to update" in plan
    assert len(half) == HOSTS - 1
    assert rest == {"EnableRuleset": 1}


def test_every_resource_with_a_list_of_hosts_on_the_real_engine(big: Simulator, program: Program) -> None:
    hosts = 'hosts=["DC0_C0_H1", "/DC0/host/DC0_C0/DC0_C0_H2"]'
    program.write(
        f'FirewallRuleset("vic", {hosts}, ruleset="vic", allowed_hosts=["192.0.2.0/24"])\n'
        f'FirewallDefaults("defaults", {hosts}, outgoing_blocked=False)\n'
        f'HostService("ssh", {hosts}, service="TSM-SSH", running=True, policy="on")\n'
        f'setting = AdvancedSetting("setting", {hosts}, key="NFS.MaxVolumes", value=64)\n'
        'values = setting.hosts.apply(lambda hosts: {name: one["value"] for name, one in hosts.items()})\n'
        'pulumi.export("values", values)\n'
    )
    before = big.options("NFS.MaxVolumes")
    program.pulumi("preview")

    program.up()
    told = json.loads(program.pulumi("stack", "output", "--json"))
    between = big.services("TSM-SSH"), big.policies(), big.options("NFS.MaxVolumes"), big.rulesets("vic-engine")
    program.up("--expect-no-changes")
    program.drift(expect=0)
    program.destroy()

    named = ("DC0_C0_H1", "DC0_C0_H2")
    assert told == {"values": dict.fromkeys(named, 64)}
    assert {host for host, (runs, _) in between[0].items() if runs} == set(named)
    assert {host for host, (_, outgoing) in between[1].items() if not outgoing} == set(named)
    assert {host for host, value in between[2].items() if value == 64} == set(named)
    assert {host for host, rule in between[3].items() if rule == (True, ["192.0.2.0/24"])} == set(named)
    assert big.options("NFS.MaxVolumes") == before
    assert {runs for runs, _ in big.services("TSM-SSH").values()} == {False}


def test_a_wrong_password_ends_every_resource_and_costs_one_failed_login(big: Simulator, program: Program) -> None:
    wrong = Program(program.folder, {**program.environment, "VSPHERE_PASSWORD": "wrong-one-8"}, IMPORTS)
    wrong.write("".join(f'FirewallRuleset("r{n}", cluster="DC0_C0", ruleset="vSPC")\n' for n in range(6)))

    said = wrong.up(expect=1)

    assert "was refused" in said and "wrong-one-8" not in said
    assert big.counts().failed_logins == 1
    assert big.counts().open_sessions == 0


@pytest.mark.parametrize("moment", [0.02, 0.3, 0.6])
def test_the_plug_is_pulled_in_the_middle_and_the_beginning_is_still_known(
    big: Simulator, program: Program, moment: float
) -> None:
    big.set_ruleset("DC0_C0_H3", "vSPC", enabled=True)
    before = big.rulesets("vSPC")
    program.write(SLOWLY)
    big.switch(latency_ms=20)

    command = program.begin("up", "--yes", "--skip-preview")
    until(lambda: big.counts().changes["EnableRuleset"] >= moment * HOSTS)
    kill(command)
    until(lambda: not processes("pulumi.dynamic", program))
    big.reset()
    half = opened(big)
    program.pulumi("cancel", "--yes")
    program.up()
    all_of_them = opened(big)
    program.destroy()
    after = big.rulesets("vSPC")
    big.set_ruleset("DC0_C0_H3", "vSPC", enabled=False)

    assert 1 < len(half) < HOSTS
    assert len(all_of_them) == HOSTS
    assert after == before


@pytest.mark.parametrize("who", ["pulumi up", "pulumi.dynamic"], ids=["the engine", "the provider"])
def test_no_session_is_left_by_a_run_that_is_killed(big: Simulator, program: Program, who: str) -> None:
    program.write(SLOWLY)
    big.switch(latency_ms=20)

    command = program.begin("up", "--yes", "--skip-preview")
    until(lambda: big.counts().changes["EnableRuleset"] >= 3)
    [process] = processes(who, program)
    os.kill(process, signal.SIGKILL)
    command.wait(COMMAND_LIMIT_S)

    until(lambda: big.counts().open_sessions == 0)
    until(lambda: not processes("pulumi.dynamic", program))
    done = big.counts().changes
    time.sleep(1)
    assert big.counts().changes == done
    program.pulumi("cancel", "--yes", expect=None)
    big.close_everywhere("vSPC")


def processes(what: str, program: Program) -> list[int]:
    """Those of the program whose command line says so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_text().replace("\0", " ")
            if what in command and (folder / "cwd").readlink() == program.folder:
                found.append(int(folder.name))
    return found


def until(happened: Callable[[], bool]) -> None:
    """Waits until it is so."""
    end = time.monotonic() + COMMAND_LIMIT_S / 2
    while not happened():
        assert time.monotonic() < end, "it doesn't come to it"
        time.sleep(0.01)
