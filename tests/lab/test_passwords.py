"""Passwords are random, kept, and only their owner's to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.passwords import FILE, NAMES, kept_passwords


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    kept_passwords(tmp_path)

    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_no_two_passwords_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    made = [*kept_passwords(tmp_path).values(), *kept_passwords(tmp_path / "other").values()]

    assert len(set(made)) == 2 * len(NAMES)


def test_passwords_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    assert kept_passwords(tmp_path) == kept_passwords(tmp_path)


def test_given_passwords_are_used_and_kept(tmp_path: Path) -> None:
    kept_passwords(tmp_path, {"registry": "of the test"})

    assert kept_passwords(tmp_path)["registry"] == "of the test"


def test_a_password_for_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="harbour"):
        kept_passwords(tmp_path, {"harbour": "x"})


def test_a_file_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.unfinished").write_text('{"vsph')

    assert set(kept_passwords(tmp_path)) == set(NAMES)
