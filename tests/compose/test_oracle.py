"""The golden answers are what docker compose says today, and it refuses what we refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.tools import TOOLS, tool
from tests.compose.corpus import CORPUS, WRONG, Case, cases, oracle_version

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def peer() -> Path:
    return tool("docker-compose")


@pytest.mark.parametrize("case", cases(CORPUS), ids=lambda case: case.folder.name)
def test_a_golden_answer_is_the_peers(case: Case, peer: Path) -> None:
    assert case.answer(peer) == case.golden()


@pytest.mark.parametrize("case", cases(WRONG), ids=lambda case: case.folder.name)
def test_the_peer_refuses_what_we_refuse_unless_the_case_says_why(case: Case, peer: Path) -> None:
    accepted = case.asked(peer).returncode == 0

    assert accepted == bool(case.options.get("peer_accepts"))


def test_the_answers_are_of_the_version_that_is_built() -> None:
    assert oracle_version() == TOOLS["docker-compose"].version
