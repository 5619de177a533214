"""`vch logs`: what vic-machine said to a VCH, found by its name, newest last."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.__main__ import main
from ops.exit_codes import Exit
from providers.kit import journal
from providers.vic.command_line import VERSION_LINE
from providers.vic.runner import run

TEXT = "$ ./vic-machine-linux {command}\nsaid at {time}\n[exit {code}]\n"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs of three VCHs, two of them with names that begin alike."""
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    folder = tmp_path / "logs" / "vic"
    folder.mkdir(parents=True)
    for thing, time, command, code in (
        ("vch02-in-DC0-at-vc", "20261124T101500.000002", "configure", 1),
        ("vch02-in-DC0-at-vc", "20261124T091500.000001", "create", 0),
        ("vch02-in-DC1-at-other", "20261124T101000.000000", "inspect-config", 0),
        ("vch02.example.com-in-DC0-at-vc", "20261124T101600.000000", "create", 0),
        ("web-1-in-the-vCenter-at-vc", "20261124T101600.000000", "create", 0),
    ):
        file = folder / f"{thing}--{time}Z-{command}.log"
        file.write_text(TEXT.format(command=command, time=time, code=code))
    (folder / "notes.log").touch()
    return tmp_path


def test_all_of_one_vch_newest_last_and_no_other(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["vch", "logs", "vch02"])

    said = capsys.readouterr().out
    assert code == Exit.OK
    assert [line for line in said.splitlines() if line.startswith("said")] == [
        "said at 20261124T091500.000001",
        "said at 20261124T101000.000000",
        "said at 20261124T101500.000002",
    ]


def test_the_list_tells_when_what_and_how_it_ended(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["vch", "logs", "vch02", "--list"])

    assert [line.split()[:-1] for line in capsys.readouterr().out.splitlines()] == [
        ["2026-11-24", "09:15:00Z", "create", "exit", "0"],
        ["2026-11-24", "10:10:00Z", "inspect", "config", "exit", "0"],
        ["2026-11-24", "10:15:00Z", "configure", "exit", "1"],
    ]


def test_a_name_is_found_as_the_log_file_spells_it(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vch", "logs", "web 1", "--list"]) == Exit.OK


def test_an_unknown_name_is_one_line_with_near_ones(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["vch", "logs", "vhc02"])

    said = capsys.readouterr()
    assert (code, said.out) == (Exit.RESOURCE, "")
    assert said.err == "kept logs: there is none of a VCH 'vhc02'. Near names: vch02.\n"


def test_where_none_is_kept_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))

    assert main(["vch", "logs", "vch02"]) == Exit.RESOURCE
    assert capsys.readouterr().err == "kept logs: there is none of a VCH 'vch02'. There is none.\n"


def test_what_the_runner_keeps_is_what_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    binary = tmp_path / "vic-machine-linux"
    binary.write_text("#!/bin/sh\necho 'vic-machine-linux version v1.5.6-21029-2be3feb'\n")
    binary.chmod(0o755)
    run(binary, VERSION_LINE, thing="-a (b)! in DC0/C at vc:443")

    main(["vch", "logs", "a (b)!", "--list"])

    assert capsys.readouterr().out.split()[2:5] == ["version", "exit", "0"]
