"""The plug is pulled in the middle: the next command comes to the wanted end, with one VCH and nothing left over.

A run that is killed leaves its vic-machine at work, which comes to its end by itself; in a power cut that dies as well.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.esxi.test_program import processes, until
from tests.program import kill
from tests.vic.life import hands
from tests.vic.life.vch import LivingVch

pytestmark = pytest.mark.lab

ONE_OF_EACH = {"VirtualMachine": 1, "ResourcePool": 1, "Folder": 1}
SLOW_MS = 15
IN_PROGRESS = "UpdateInProgress"


@pytest.fixture
def slowly(vch: LivingVch) -> Iterator[Callable[..., None]]:
    """Makes every call of the vCenter slow, so that a moment lasts long enough to be met."""

    def slow(so: bool, how_ms: int = SLOW_MS) -> None:
        hands.control(vch, "/switches", {"latency_ms": how_ms if so else 0})

    yield slow
    slow(False)


def scratches(vch: LivingVch) -> list[Path]:
    return list((vch.program.folder.parent / "notes" / "scratch").glob("vic-*"))


def said(vch: LivingVch, command: str) -> str:
    """What vic-machine has printed so far."""
    for folder in scratches(vch):
        with suppress(OSError):
            if f'"{command}"' in (folder / "owner.json").read_text():
                return (folder / "output.txt").read_text()
    return ""


def at_work(vch: LivingVch) -> list[int]:
    """vic-machine's processes in this test's own folders."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(vch.program.folder.parent / "notes" / "scratch") in str((folder / "cwd").readlink()):
                found.append(int(folder.name))
    return found


def killed(vch: LivingVch, command: str, moment: Callable[[], bool], *, power_cut: bool) -> None:
    """Runs a command and kills it, and all that it started, at a moment; in a power cut its vic-machine first."""
    process = vch.program.begin(command, "--yes", "--skip-preview")
    until(moment)
    if power_cut:
        for one in at_work(vch):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    assert process.poll() is None, "it was too quick for this moment"
    kill(process)
    until(lambda: not processes("pulumi.dynamic", vch.program))
    vch.program.pulumi("cancel", "--yes", expect=None)


def is_well(vch: LivingVch, version: str = "1.5.6") -> None:
    """One VCH that runs, nobody at work on it, and nothing to do."""
    assert hands.traces(vch) == ONE_OF_EACH
    assert hands.extra_config(vch).get(IN_PROGRESS, "false") == "false"
    assert at_work(vch) == []
    with vch.engine() as engine:
        assert engine.info()["ServerVersion"].startswith(f"v{version}")
    vch.program.up("--expect-no-changes")
    vch.program.drift(expect=0)


def test_a_create_that_is_killed_before_vic_machine_starts_has_made_nothing(vch: LivingVch) -> None:
    vch.declare()

    killed(vch, "up", lambda: bool(processes("pulumi.dynamic", vch.program)), power_cut=False)
    before = hands.traces(vch), scratches(vch)
    vch.program.up()

    assert before == ({}, [])
    is_well(vch)


@pytest.mark.parametrize(
    ("moment", "power_cut", "left"),
    [
        ("Creating Resource Pool", True, {"ResourcePool": 1}),
        ("Creating the VCH VM", True, None),
        ("Uploading ISO images", True, ONE_OF_EACH),
        ("Waiting for IP information", True, ONE_OF_EACH),
        ("Creating Resource Pool", False, None),
        ("Waiting for IP information", False, ONE_OF_EACH),
    ],
)
def test_a_create_that_is_killed_is_finished_by_the_next_up(
    vch: LivingVch, slowly: Callable[..., None], moment: str, power_cut: bool, left: dict[str, int] | None
) -> None:
    vch.declare()
    slowly(True)

    killed(vch, "up", lambda: moment in said(vch, "create"), power_cut=power_cut)
    slowly(False)
    found = hands.traces(vch)
    vch.program.up()

    assert left is None or found == left or (moment == "Creating Resource Pool" and "VirtualMachine" not in found)
    is_well(vch)


def test_a_create_that_came_to_its_end_unseen_is_taken_up_as_it_is(vch: LivingVch) -> None:
    vch.declare()

    killed(vch, "up", lambda: "Initialization of appliance successful" in said(vch, "create"), power_cut=False)
    until(lambda: not at_work(vch))
    made = hands.identity(vch)
    vch.program.up()

    assert hands.identity(vch) == made
    is_well(vch)


@pytest.mark.parametrize(
    ("moment", "power_cut"),
    [("Validating target", False), ("Setting VM configuration", False), ("Setting VM configuration", True)],
)
def test_a_configure_that_is_killed_is_waited_for_or_reset_and_done(
    vch: LivingVch, slowly: Callable[..., None], moment: str, power_cut: bool
) -> None:
    vch.up()
    before = hands.identity(vch)
    vch.declare(memory=4096)
    slowly(True)

    killed(vch, "up", lambda: moment in said(vch, "configure"), power_cut=power_cut)
    slowly(False)
    flag = hands.extra_config(vch).get(IN_PROGRESS)
    vch.program.up("--refresh")

    assert flag == "true" or not power_cut
    assert hands.identity(vch) == before
    with vch.machine() as machine:
        assert machine.resourcePool.config.memoryAllocation.limit == 4096
    is_well(vch)


@pytest.mark.parametrize(
    ("moment", "power_cut"),
    [("Uploading ISO images", False), ("Waiting for IP information", False), ("Switching appliance iso", True)],
)
def test_an_upgrade_that_is_killed_is_waited_for_or_done_again(
    vch: LivingVch, slowly: Callable[..., None], moment: str, power_cut: bool
) -> None:
    vch.up()
    before = hands.identity(vch)
    vch.declare("1.5.7")
    slowly(True)

    killed(vch, "up", lambda: moment in said(vch, "upgrade"), power_cut=power_cut)
    slowly(False)
    vch.program.up("--refresh")

    assert hands.identity(vch) == before
    is_well(vch, "1.5.7")


@pytest.mark.parametrize(
    ("moment", "power_cut"),
    [
        ("Validating target", False),
        ("Removing appliance VM network devices", True),
        ("Removing appliance VM network devices", False),
        ("Removing Resource Pool", True),
    ],
)
def test_a_delete_that_is_killed_is_finished_by_the_next_destroy(
    vch: LivingVch, slowly: Callable[..., None], moment: str, power_cut: bool
) -> None:
    vch.up()
    slowly(True)

    killed(vch, "destroy", lambda: moment in said(vch, "delete"), power_cut=power_cut)
    slowly(False)
    vch.program.destroy()

    assert hands.traces(vch) == {} and at_work(vch) == []
    assert hands.stored(vch, f"volumes/{vch.name}").is_dir()
    vch.up()
    is_well(vch)


def test_an_up_while_an_earlier_vic_machine_is_at_work_says_for_what_it_waits(
    vch: LivingVch, slowly: Callable[..., None]
) -> None:
    vch.up()
    vch.declare(memory=4096)
    slowly(True, how_ms=80)
    killed(vch, "up", lambda: "Validating target" in said(vch, "configure"), power_cut=False)
    [process] = at_work(vch)

    waited = vch.program.up("--refresh")
    slowly(False)

    assert f"waiting for an earlier run's vic-machine configure (process {process}) to end" in waited
    with vch.machine() as machine:
        assert machine.resourcePool.config.memoryAllocation.limit == 4096
    is_well(vch)
