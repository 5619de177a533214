"""A lab with what a VCH lives on, one a test process, and a VCH of each test's own in it."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.supervisor import Lab
from tests.conftest import MEMORY_DISK
from tests.program import Program
from tests.vic.life.vch import IMPORTS, LivingVch


@pytest.fixture(scope="session")
def vic_lab(marker_passwords: dict[str, str]) -> Iterator[Lab]:
    parent = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    one = Lab(Path(tempfile.mkdtemp(prefix="drydock-vic-", dir=parent)), marker_passwords, control=True)
    try:
        one.up(["site", "bundles", "registry"])
        yield one
    finally:
        one.down()
        shutil.rmtree(one.state, ignore_errors=True)


@pytest.fixture
def vch(vic_lab: Lab, tmp_path: Path) -> Iterator[LivingVch]:
    one = LivingVch(vic_lab, Program.made(tmp_path, vic_lab.environment(), IMPORTS), f"vch-{uuid.uuid4().hex[:6]}")
    yield one
    one.cleared()
