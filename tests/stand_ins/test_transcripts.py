"""The stand-in says, line by line, what the real vic-machine said in the same place."""

from __future__ import annotations

import pytest

from tests.stand_ins.conftest import Told
from tests.stand_ins.transcripts import GAPS, comparable, names, transcript

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", names())
def test_the_stand_in_says_what_the_real_one_said(told: Told, name: str) -> None:
    known = transcript(name)
    assert name in told.runs, "no story tells it"
    assert told.runs[name].lines == known.output
    assert told.runs[name].code == known.code


def test_a_comparison_sees_another_word_another_level_and_another_order() -> None:
    known = ['time="2026-11-24T09:21:52Z" level=info msg=a ', 'time="2026-11-24T09:21:53Z" level=info msg=b ']
    for other in (
        [known[0].replace("msg=a", "msg=c"), known[1]],
        [known[0].replace("info", "error"), known[1]],
        [known[1], known[0]],
        [known[0]],
    ):
        assert comparable("\n".join(known)) != comparable("\n".join(other))


def test_what_the_simulator_of_the_transcripts_lacked_is_all_that_is_left_out() -> None:
    left = [line for line in ("warning", *GAPS) if comparable(line)]
    assert left == ["warning"]
