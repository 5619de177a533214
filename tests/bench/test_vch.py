"""What the VCH's bench makes of its times: rows and bars, without a lab; and vic-machine's notes of its own runs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bench.report import Report
from bench.stage.vcenter import VCenter
from bench.stage.vch import Run, Stage, _make_noting
from bench.vch import CREATE, MANY, REFRESH, SECOND_UP, Lives, Taken, add_bars

OURS = "create: ours beyond vic-machine, s"
MEMORY = "create: ours, MB"
RATIO = f"refresh of {MANY}, in times of one"
CALLS = f"refresh of {MANY}, calls beyond those of one"


def machine(wall_s: float, *words: str) -> Run:
    return Run((*(words or ("create",)), "--name=vch"), 0.0, wall_s)


def bars(lives: Lives) -> dict[str, tuple[float | None, bool]]:
    report = Report("vch")
    add_bars(report, lives)
    return {bar.name: (bar.value, bar.ok) for bar in report.bars}


def refreshes(one: list[float], many: list[float], calls: int = 10) -> Lives:
    return Lives(
        refreshes={1: [Taken(wall, calls=10) for wall in one], MANY: [Taken(wall, calls=calls) for wall in many]}
    )


def test_ours_is_what_all_of_vic_machines_runs_leave_of_a_call() -> None:
    taken = Taken(3.0, (machine(1.5), machine(1.0, "inspect", "config")))

    assert (taken.ours_s, taken.looking_s) == (0.5, 1.0)


@pytest.mark.parametrize(("wall_s", "kept"), [(2.5, True), (2.6, False)])
def test_ours_may_be_half_a_second_a_call_by_the_median(wall_s: float, kept: bool) -> None:
    found = bars(Lives(calls={CREATE: [Taken(one, (machine(2.0),)) for one in (9.0, 2.0, wall_s)]}))

    assert found[OURS] == (pytest.approx(wall_s - 2.0), kept)


@pytest.mark.parametrize(("memory_mb", "kept"), [(40.0, True), (40.1, False)])
def test_no_call_may_grow_by_more_than_40_mb(memory_mb: float, kept: bool) -> None:
    found = bars(Lives(calls={CREATE: [Taken(1.0, memory_mb=one) for one in (1.0, memory_mb, 2.0)]}))

    assert found[MEMORY] == (memory_mb, kept)


@pytest.mark.parametrize("operation", [SECOND_UP, REFRESH])
def test_one_run_of_vic_machine_where_nothing_changed_fails(operation: str) -> None:
    name = f"{operation}: runs of vic-machine"

    assert bars(Lives(whole={operation: [Taken(1.0), Taken(1.0)]}))[name] == (0, True)
    assert bars(Lives(whole={operation: [Taken(1.0), Taken(1.0, (machine(0.1),))]}))[name] == (1, False)


@pytest.mark.parametrize(("many_s", "kept"), [(2.5, True), (2.6, False)])
def test_a_refresh_of_20_may_take_two_and_a_half_times_that_of_one_by_medians(many_s: float, kept: bool) -> None:
    found = bars(refreshes([1.0, 9.0, 0.5], [many_s, 9.0, 1.0]))

    assert found[RATIO] == (many_s, kept)


@pytest.mark.parametrize(("calls", "kept"), [(10, True), (11, False)])
def test_a_refresh_of_20_makes_no_more_calls_than_that_of_one(calls: int, kept: bool) -> None:
    found = bars(refreshes([1.0], [1.0], calls))

    assert found[CALLS] == (calls - 10, kept)


def test_what_was_not_measured_fails() -> None:
    assert set(bars(Lives()).values()) == {(None, False)}


def test_rows_tell_vic_machines_commands_and_its_looks_apart() -> None:
    report = Report("vch")

    Lives(whole={CREATE: [Taken(4.0, (machine(1.0), machine(0.5, "inspect", "config")), calls=23)]}).into(report)

    told = {str(row["name"]): (row.get("median_s", row.get("value")), row.get("unit")) for row in report.rows}
    assert told == {
        "create: pulumi": (4.0, None),
        "create: pulumi, without vic-machine": (2.5, None),
        "create: pulumi, vic-machine": (2, "runs (create, inspect config)"),
        "create: pulumi, vic-machine's inspect": (0.5, None),
        "create: pulumi, vSphere": (23, "calls"),
    }


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "notes").mkdir()
    return Stage(VCenter("127.0.0.1:443", "127.0.0.1:80", "ada", "pw"), {}, "AA:BB", tmp_path)


def bundled(stage: Stage, launcher: str) -> None:
    source = stage.folder / "source.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        member = tarfile.TarInfo("vic/vic-machine-linux")
        member.size, member.mode = len(launcher), 0o755
        archive.addfile(member, io.BytesIO(launcher.encode()))
    _make_noting(source, stage.archive("1.5.6"), stage.folder / "notes")


def test_a_run_notes_its_time_and_arguments_once(stage: Stage) -> None:
    bundled(stage, "#!/bin/sh\nexec true\n")

    stage.by_hand("1.5.6", ("inspect", "config", "--name=a b"))

    [one] = stage.runs()
    assert (one.command, one.arguments) == ("inspect config", ("inspect", "config", "--name=a b"))
    assert one.wall_s > 0
    assert stage.runs() == []


def test_a_run_that_fails_is_an_error_and_no_time(stage: Stage) -> None:
    bundled(stage, "#!/bin/sh\necho no such pool\nexit 3\n")

    with pytest.raises(RuntimeError, match="ended with 3: no such pool"):
        stage.by_hand("1.5.6", ("create",))
