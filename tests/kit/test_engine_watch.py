"""A provider's process ends with the engine that started it, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 20.0
PROVIDER = """import sys, time
sys.path.insert(0, {root!r})
from providers.kit.engine_watch import watch
watch()
print(0, flush=True)
time.sleep(600)
"""
ENGINE = "import subprocess, sys; print(subprocess.Popen({command!r}).pid, flush=True); import time; time.sleep(600)"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A module of the plugin's name, since only that one is watched."""
    folder = tmp_path / "pulumi" / "dynamic"
    folder.mkdir(parents=True)
    for one in (folder.parent, folder):
        (one / "__init__.py").write_text("")
    (folder / "__main__.py").write_text(PROVIDER.format(root=str(ROOT)))
    launcher = tmp_path / "pulumi-resource-pulumi-python"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" -m pulumi.dynamic &\necho $! > "{tmp_path}/provider"\nwait\n')
    launcher.chmod(0o700)
    return tmp_path


@pytest.fixture
def engine(package: Path) -> Iterator[subprocess.Popen[str]]:
    code = ENGINE.format(command=[str(package / "pulumi-resource-pulumi-python")])
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=package)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()  # the provider's own: it is watched from here on
    yield process
    process.kill()
    process.wait()
    provider = int((package / "provider").read_text())
    if alive(provider):
        os.kill(provider, signal.SIGKILL)


def alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_it_ends_when_the_engine_is_killed(engine: subprocess.Popen[str], package: Path) -> None:
    provider = int((package / "provider").read_text())
    assert alive(provider)

    engine.kill()
    engine.wait()

    end = time.monotonic() + LIMIT_S
    while alive(provider):
        assert time.monotonic() < end, "the provider goes on without its engine"
        time.sleep(0.05)


def test_it_stays_while_the_engine_lives(engine: subprocess.Popen[str], package: Path) -> None:
    provider = int((package / "provider").read_text())

    time.sleep(1.5)

    assert alive(provider)
