"""What VIC's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.kit import journal, secrets
from tests.conformance.engine import end_process
from tests.vic.ground import Ground


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ground]:
    """A process of its own."""
    monkeypatch.setenv(journal.FOLDER, str(tmp_path / "state"))
    monkeypatch.setattr(secrets, "_known", set())
    yield Ground(monkeypatch)
    end_process()
