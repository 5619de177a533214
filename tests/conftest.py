"""What tests share: one lab for the whole run, its parts real, its passwords known markers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime.settings import reset_options

from lab.passwords import NAMES
from lab.supervisor import Lab
from ops.toolchain import pulumi_environment
from providers.kit import journal

MEMORY_DISK = Path("/dev/shm")


@pytest.fixture(scope="session")
def marker_passwords() -> dict[str, str]:
    """Passwords that stand in no text by chance, with signs that every encoding writes differently."""
    return {name: f'mk{number}"Zü+/% {name}~Q7' for number, name in enumerate(NAMES)}


@contextmanager
def running_lab(
    passwords: Mapping[str, str] | None = None, parts: Collection[str] | None = None, *, control: bool = False
) -> Iterator[Lab]:
    """A lab as long as the block lasts; its state in memory where that is possible: the disk makes engines slow."""
    parent = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    one = Lab(Path(tempfile.mkdtemp(prefix="drydock-", dir=parent)), passwords, control=control)
    try:
        one.up(parts)
        yield one
    finally:
        one.down()
        shutil.rmtree(one.state, ignore_errors=True)


@pytest.fixture(scope="session")
def lab(marker_passwords: dict[str, str]) -> Iterator[Lab]:
    """A whole lab."""
    with running_lab(marker_passwords) as one:
        yield one


@pytest.fixture
def mocked() -> Iterator[Callable[[pulumi.runtime.Mocks], None]]:
    """Sets Pulumi's mocks for one test: its runtime is the process's, every later test's messages would go to them."""
    yield lambda mocks: pulumi.runtime.set_mocks(mocks, project="drydock", stack="lab")
    pulumi.runtime.set_all_config({})
    reset_options()


@pytest.fixture(scope="session", autouse=True)
def _pulumi_on_path() -> None:
    """The Automation API asks for `pulumi` in this process's own environment."""
    os.environ.update(pulumi_environment())


@pytest.fixture(scope="session", autouse=True)
def _notes_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What interrupted runs of the tests note stays out of the user's own folder, for subprocesses as well."""
    os.environ[journal.FOLDER] = str(tmp_path_factory.mktemp("notes"))
