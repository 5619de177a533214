"""A lab with what a VCH lives on, one a test process, and a VCH of each test's own in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.supervisor import Lab
from tests.conftest import running_lab
from tests.vic.life.vch import LivingVch


@pytest.fixture(scope="session")
def vic_lab(marker_passwords: dict[str, str]) -> Iterator[Lab]:
    with running_lab(marker_passwords, ["site", "bundles", "registry"], control=True) as one:
        yield one


@pytest.fixture
def vch(vic_lab: Lab, tmp_path: Path) -> Iterator[LivingVch]:
    one = LivingVch.fresh(vic_lab, tmp_path)
    yield one
    one.cleared()
