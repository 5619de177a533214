"""A site under Drydock: the whole program on the real engine against the lab, driven as a user drives it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from lab.supervisor import Lab
from tests.site import eyes

ROOT = Path(__file__).parents[2]
COMMAND_LIMIT_S = 300
LEFT_OUT = (".git", ".venv", ".lab", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")


@dataclass
class Site:
    """One stack of the program.

    Args:
        project: a copy of the program's folder.
        environment: what `lab env` prints.
        stack: its name.
    """

    project: Path
    environment: Mapping[str, str]
    stack: str = "lab"
    said: list[str] = field(default_factory=list)

    def pulumi(self, *arguments: str, expect: int = 0, **more: str) -> str:
        """Runs one command as a user would; all that it prints is kept in `said`."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.project,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
        output = done.stdout + done.stderr
        self.said.append(output)
        assert done.returncode == expect, f"pulumi {' '.join(arguments)} ended with {done.returncode}:\n{output}"
        return output

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command and doesn't wait for it."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.project,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def up(self, *options: str, expect: int = 0, **more: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", f"--stack={self.stack}", *options, expect=expect, **more)

    def preview(self, expect: int = 0) -> str:
        return self.pulumi("preview", f"--stack={self.stack}", expect=expect)

    def destroy(self) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", f"--stack={self.stack}")

    def drift(self) -> str:
        """What a refresh would find; the exit code says that there is something."""
        return self.pulumi(
            "refresh", "--preview-only", "--diff", "--expect-no-changes", f"--stack={self.stack}", expect=7
        )

    def is_clean(self) -> bool:
        self.pulumi("refresh", "--preview-only", "--expect-no-changes", f"--stack={self.stack}")
        return True

    def outputs(self) -> dict[str, Any]:
        found = subprocess.run(
            ["pulumi", "stack", "output", "--json", f"--stack={self.stack}"],
            cwd=self.project,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=True,
        )
        return dict(json.loads(found.stdout))

    def engine(self, *, with_client_certificate: bool = True) -> AbstractContextManager[docker.DockerClient]:
        """A client of our own for the Docker host or VCH that the application runs on, with nothing but the outputs."""
        told = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets", f"--stack={self.stack}"))
        self.said.pop()  # it has the client's key, which was asked for
        return eyes.reached(told, with_client_certificate=with_client_certificate)

    def secret(self, name: str, value: str) -> None:
        """Sets a secret of the stack, its value on standard input as our README tells."""
        subprocess.run(
            ["pulumi", "config", "set", "--secret", name, f"--stack={self.stack}", "--non-interactive"],
            cwd=self.project,
            env=dict(self.environment),
            input=value,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=True,
        )

    def settings(self, **changes: Any) -> None:
        """Writes values into the stack's file, `app__page=1` for app.page; JSON as `pulumi config` takes it."""
        for name, value in changes.items():
            key = name.replace("__", ".")
            text = value if isinstance(value, str) else json.dumps(value)
            self.pulumi("config", "set", "--path", f"drydock:{key}", text, f"--stack={self.stack}")


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A fresh stack of a copy of the program, in a folder with a space in its name; destroyed at the end.

    The stack is `lab`, unless the module has another STACK.
    """
    base = tmp_path_factory.mktemp("a site")
    project = base / "dry dock"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (project / ".venv").symlink_to(ROOT / ".venv")
    backend = base / "backend"
    backend.mkdir()
    environment = {**os.environ, **lab.environment(), "PULUMI_BACKEND_URL": backend.as_uri()}
    one = Site(project, environment, getattr(request.module, "STACK", "lab"))
    one.pulumi("stack", "init", one.stack)
    yield one
    one.destroy()


@pytest.fixture(scope="module")
def running(site: Site) -> Site:
    """The same, made."""
    site.up()
    return site
