"""The engine runs Python programs with what set-up made, in folders with spaces, without a download."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from ops.toolchain import pulumi_environment

LONGEST_RUN_S = 120.0
SOON_S = 30.0

PROJECT = """
name: tried
runtime:
  name: python
  options:
    virtualenv: {virtualenv}
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    (folder / "state").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text(PROJECT.format(virtualenv=sys.prefix))
    return folder


@pytest.fixture
def variables(project: Path) -> dict[str, str]:
    backend = f"file://{quote(str(project / 'state'))}"
    return {
        **os.environ,
        **pulumi_environment(),
        "PULUMI_BACKEND_URL": backend,
        "PULUMI_CONFIG_PASSPHRASE": "only for this test",
    }


@pytest.fixture
def pulumi(project: Path, variables: dict[str, str]) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(
            argv, cwd=project, env=variables, capture_output=True, text=True, timeout=LONGEST_RUN_S, check=False
        )

    (project / "__main__.py").write_text("import pulumi\n")
    made = run("stack", "init", "trial")
    assert made.returncode == 0, made.stderr
    return run


def test_a_program_with_the_vsphere_sdk_runs_without_a_warning(project: Path, pulumi: Run) -> None:
    (project / "__main__.py").write_text("import pulumi, pulumi_vsphere\npulumi.export('answer', 42)\n")

    done = pulumi("up", "--yes", "--stack", "trial")

    assert done.returncode == 0, done.stdout
    assert "answer: 42" in done.stdout
    assert "warning" not in (done.stdout + done.stderr).lower()


def test_a_program_that_fails_shows_its_line(project: Path, pulumi: Run) -> None:
    (project / "__main__.py").write_text("import pulumi\nraise pulumi.RunError('no such cluster')\n")

    done = pulumi("preview", "--stack", "trial")

    assert done.returncode != 0
    assert "error: no such cluster" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_missing_virtual_environment_says_how_to_make_it(project: Path, pulumi: Run) -> None:
    (project / "Pulumi.yaml").write_text(PROJECT.format(virtualenv=".venv"))

    done = pulumi("preview", "--stack", "trial")

    assert done.returncode != 0
    assert "the project's virtualenv '.venv' has no bin/python: run `python3 -m ops setup`" in done.stdout + done.stderr


def test_a_program_ends_when_the_engine_is_killed(project: Path, variables: dict[str, str], pulumi: Run) -> None:
    mark = project / "pid"
    (project / "__main__.py").write_text(
        f"import os, time, pathlib\npathlib.Path({str(mark)!r}).write_text(str(os.getpid()) + '.')\ntime.sleep(300)\n"
    )
    argv = ["pulumi", "preview", "--stack", "trial", "--non-interactive"]
    engine = subprocess.Popen(argv, cwd=project, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: mark.exists() and mark.read_text().endswith("."), "the program did not start")
    program = int(mark.read_text().rstrip("."))

    engine.send_signal(signal.SIGKILL)
    engine.wait()

    wait_until(lambda: not Path(f"/proc/{program}").exists(), "the program lives on")


def wait_until(true: Callable[[], bool], otherwise: str) -> None:
    end_s = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < end_s, otherwise
        time.sleep(0.05)
