"""What the kit's tests share: each is a process of its own, that knows no secrets of other tests."""

from __future__ import annotations

import pytest

from providers.kit import secrets


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
