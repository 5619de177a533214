"""What was there before outlives a killed run, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from providers.kit import journal
from providers.kit.errors import Permanent
from providers.kit.journal import Journal

ROOT = Path(__file__).parents[2]

PROCESS = """
import os, sys
sys.path.insert(0, {root!r})
from providers.kit.journal import Journal
one = Journal("thing at vc")
one.write({{"enabled": False}})
if {returned}:
    one.returned()
if {killed}:
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    return tmp_path


def run(*, returned: bool, killed: bool) -> None:
    code = PROCESS.format(root=str(ROOT), returned=returned, killed=killed)
    subprocess.run([sys.executable, "-c", code], timeout=30, check=not killed)


def test_a_run_that_is_killed_leaves_its_note() -> None:
    run(returned=False, killed=True)

    assert Journal("thing at vc").read() == {"enabled": False}
    assert Journal("other at vc").read() is None


def test_a_run_that_fails_leaves_its_note() -> None:
    run(returned=False, killed=False)

    assert Journal("thing at vc").read() == {"enabled": False}


def test_what_was_returned_to_an_engine_that_lives_is_forgotten_at_the_end() -> None:
    run(returned=True, killed=False)

    assert Journal("thing at vc").read() is None


def test_what_was_returned_to_an_engine_that_died_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal("thing at vc")
    one.write({"enabled": False})
    one.returned()
    monkeypatch.setattr(os, "getppid", lambda: 1)

    journal.end()

    assert one.read() == {"enabled": False}


def test_a_note_is_the_users_alone_and_leaves_nothing_beside_it(notes: Path) -> None:
    Journal("thing at vc").write({"a": 1})
    Journal("thing at vc").write({"a": 2})

    [file] = [one for one in notes.rglob("*") if one.is_file()]
    assert file.stat().st_mode & 0o077 == 0 and file.parent.stat().st_mode & 0o077 == 0
    assert Journal("thing at vc").read() == {"a": 2}


def test_where_no_note_can_be_kept_the_error_says_what_to_set(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (notes / "file").write_text("")
    monkeypatch.setenv(journal.FOLDER, str(notes / "file"))

    with pytest.raises(
        Permanent, match="thing at vc: the note of what was there before can't be written .*set DRYDOCK"
    ):
        Journal("thing at vc").write({})


def test_a_note_that_is_no_note_is_told_and_not_taken_for_none(notes: Path) -> None:
    Journal("thing at vc").write({"a": 1})
    [file] = [one for one in notes.rglob("*") if one.is_file()]
    file.write_text("{")

    with pytest.raises(Permanent, match="can't be read"):
        Journal("thing at vc").read()


def test_without_a_folder_of_ours_the_users_folder_for_state_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(journal.FOLDER)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")

    assert journal.folder() == Path("/somewhere/drydock")
