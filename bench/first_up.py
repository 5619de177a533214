"""The first `up` and what comes after it, beside docker compose with the same file on the same engine.

What isn't ours (Pulumi's engine, Python's start) is measured with an empty program and told apart.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.report import Report, timed
from bench.stage.program import ROOT, Program, call
from lab.supervisor import Lab
from lab.tools import tool
from ops.toolchain import SetupError, say

RUNS = 5
EMPTY_PROJECT = "name: empty\nruntime: {name: python, options: {virtualenv: .venv}}\n"
SECOND_UP_LIMIT_S = 6.0
PREVIEW_LIMIT_S = 4.0
PREVIEW_BEYOND_EMPTY_LIMIT_S = 1.5
UP_BEYOND_EMPTY_LIMIT_S = 2.5


def run() -> Report:
    """Measures on a lab of its own, which is taken down at the end."""
    report = Report("first_up")
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as base:
        lab = Lab(Path(base, "lab"))
        try:
            lab.up(tell=say)
            _measure(report, lab, Path(base))
        finally:
            lab.down()
    return report


def _measure(report: Report, lab: Lab, base: Path) -> None:
    environment = {**os.environ, **lab.environment()}
    empty = _empty_program(base / "empty", environment)
    program = _program(base / "program", environment)
    up_empty = report.row("up, empty program", timed(empty.up, RUNS))
    preview_empty = report.row("preview, empty program", timed(empty.preview, RUNS))

    report.row("first up, cold (images are pulled)", timed(program.up))
    second = report.row("second up", timed(program.up, RUNS))
    preview = report.row("preview", timed(program.preview, RUNS))
    report.row("refresh", timed(program.refresh, RUNS))
    report.row("destroy", timed(program.destroy))
    warm = report.row("first up, warm (images are there)", timed(program.up))
    program.destroy()

    ratio = _beside_compose(report, environment, warm)
    report.bar("second up, s", second, SECOND_UP_LIMIT_S)
    report.bar("preview, s", preview, PREVIEW_LIMIT_S)
    report.bar("second up beyond an empty program, s", second - up_empty, UP_BEYOND_EMPTY_LIMIT_S)
    report.bar("preview beyond an empty program, s", preview - preview_empty, PREVIEW_BEYOND_EMPTY_LIMIT_S)
    if ratio is not None:
        report.rows.append({"name": "warm first up, in times of compose's", "median_s": round(ratio, 2), "runs_s": []})


def _beside_compose(report: Report, environment: Mapping[str, str], ours_s: float) -> float | None:
    try:
        compose = tool("docker-compose")
    except SetupError as error:
        say(str(error))
        return None
    host = environment["DOCKER_HOST"].rpartition(":")[0].rpartition("/")[2]
    variables = {
        **environment,
        "APP_URL": f"http://{host}:13000/",
        "GOGS_DB_PASSWORD": environment["DRYDOCK_GOGS_DB_PASSWORD"],
        "GOGS_ADMIN_PASSWORD": environment["DRYDOCK_GOGS_ADMIN_PASSWORD"],
    }
    command = [str(compose), "--project-name", "peer", "--file", "apps/gogs/compose.yml"]
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as login:
        variables["DOCKER_CONFIG"] = _docker_config(Path(login), environment)
        call([*command, "pull"], ROOT, variables)
        peer_s = report.row("docker compose up -d, warm", timed(lambda: call([*command, "up", "-d"], ROOT, variables)))
        report.row("docker compose up -d, again", timed(lambda: call([*command, "up", "-d"], ROOT, variables), RUNS))
        call([*command, "down", "--volumes"], ROOT, variables)
    return ours_s / peer_s


def _docker_config(folder: Path, environment: Mapping[str, str]) -> str:
    """The peer reads its login from a file; this one is gone with its folder."""
    login = base64.b64encode(f"{environment['REGISTRY_USER']}:{environment['REGISTRY_PASSWORD']}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {environment["REGISTRY"]: {"auth": login}}}))
    return str(folder)


def _empty_program(folder: Path, environment: Mapping[str, str]) -> Program:
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(EMPTY_PROJECT)
    (folder / "__main__.py").write_text("import pulumi\n")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return _with_stack(folder, environment)


def _program(folder: Path, environment: Mapping[str, str]) -> Program:
    left_out = shutil.ignore_patterns(".git", ".venv", ".lab", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=left_out)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return _with_stack(folder, environment)


def _with_stack(folder: Path, environment: Mapping[str, str]) -> Program:
    program = Program(folder, environment)
    call(["pulumi", "stack", "select", "--create", "--stack=lab", "--non-interactive"], folder, environment)
    return program
