"""The stories, told once for all tests that look at what came of them."""

from __future__ import annotations

import fcntl
import os
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.esxi.simulator import running
from tests.stand_ins import stories
from tests.stand_ins.appliance import appliances
from tests.stand_ins.stories import Kept, Story
from tests.stand_ins.transcripts import Run

# A VCH has its own ports on an address; only one test process at a time may have them on the loopback address.
LOCK = Path(tempfile.gettempdir()) / "drydock-tests-stand-ins.lock"


@dataclass
class Told:
    """What came of all stories."""

    runs: dict[str, Run] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All stories, told once, by whichever process of this run is first."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    kept = tmp_path_factory.getbasetemp().parent / "stand-ins.pickle"
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if run and kept.exists():
            read: Told = pickle.loads(kept.read_bytes())
            return read
        found = _tell(tmp_path_factory)
        if run:
            kept.write_bytes(pickle.dumps(found))
    return found


def _tell(tmp_path_factory: pytest.TempPathFactory) -> Told:
    found = Told()
    for story in stories.ALL:
        folder = tmp_path_factory.mktemp(story.__name__)
        (folder / "work").mkdir()
        with running(folder) as simulator, appliances(simulator) as watched:
            one = Story(simulator, watched, folder / "work")
            story(one)
            found.runs |= one.runs
            found.kept |= one.kept
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A site of a module's own."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = tmp_path_factory.mktemp("story")
        (folder / "work").mkdir()
        with running(folder) as simulator, appliances(simulator) as watched:
            yield Story(simulator, watched, folder / "work")
