"""Asks docker compose what every case of the corpus means, and writes its answers beside them: `make oracle`."""

from __future__ import annotations

import json
from pathlib import Path

from lab.tools import TOOLS, tool
from tests.compose.corpus import CORPUS, DIFFERENCES, cases, oracle_version


def refresh(peer: Path) -> None:
    """Writes all golden answers again."""
    for case in cases(CORPUS):
        text = json.dumps(case.answer(peer), indent=2, sort_keys=True, ensure_ascii=False)
        (case.folder / "oracle.json").write_text(text + "\n", encoding="utf-8")


def note_version() -> None:
    """Puts the peer's version where the answers' is noted."""
    text = DIFFERENCES.read_text(encoding="utf-8")
    new = text.replace(f"oracle: {oracle_version()}", f"oracle: {TOOLS['docker-compose'].version}", 1)
    DIFFERENCES.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    refresh(tool("docker-compose"))
    note_version()
