"""What `lab env` prints is taken by a shell as it was meant."""

from __future__ import annotations

import subprocess

from lab.environment import exports

AWKWARD = 'it\'s $HOME `id` "x" \\ end'


def test_a_shell_gets_back_every_character() -> None:
    script = f'{exports({"NAME": AWKWARD})}printf %s "$NAME"'

    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == AWKWARD


def test_lines_are_sorted_and_always_quoted() -> None:
    assert exports({"B": "1", "A": ""}) == "export A=''\nexport B='1'\n"
