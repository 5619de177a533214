"""Every case of the corpus reads as docker compose reads it, and every wrong one is told with its place."""

from __future__ import annotations

import pytest

from components.compose.located import ComposeError
from tests.compose.corpus import CORPUS, WRONG, Case, cases, differing, listed_differences

LISTED = listed_differences()


def _id(case: Case) -> str:
    return case.folder.name


@pytest.mark.parametrize("case", cases(CORPUS), ids=_id)
def test_a_case_reads_as_docker_compose_reads_it_but_for_what_is_listed(case: Case) -> None:
    found = set(differing(case.ours(), case.golden()))

    assert found == set(LISTED.get(case.folder.name, {}))


def test_every_listed_difference_is_of_a_case_and_has_a_reason() -> None:
    assert LISTED.keys() <= {case.folder.name for case in cases(CORPUS)}
    assert all(reason.strip() for paths in LISTED.values() for reason in paths.values())


@pytest.mark.parametrize("case", cases(WRONG), ids=_id)
def test_what_is_wrong_is_told_in_one_line_with_file_line_and_column(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.folder)

    with pytest.raises(ComposeError) as refused:
        case.ours()

    assert case.placed(str(refused.value)) == (case.folder / "error.txt").read_text(encoding="utf-8").removesuffix("\n")


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(cases(CORPUS)) >= 60
    assert len(cases(WRONG)) >= 15
