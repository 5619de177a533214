"""What the conformance tests share: the worlds, and a clock that doesn't wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.kit import journal, secrets
from providers.kit.retry import RetryPolicy
from tests.conformance import docker_worlds, esxi_lab_worlds, esxi_world, fake_worlds, vic_world  # noqa: F401 - registers them
from tests.conformance.engine import end_process
from tests.conformance.world import WORLDS, World, names


@pytest.fixture(autouse=True)
def a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Retries as often as in earnest, with pauses of no length; no other test's secrets are known, nor ours to it."""
    monkeypatch.setenv(journal.FOLDER, str(tmp_path))
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)
    monkeypatch.setattr(secrets, "_known", set())
    yield
    end_process()


@pytest.fixture(params=names())
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    one = WORLDS[request.param](monkeypatch)
    yield one
    assert one.open == 0, "a session was left open"
