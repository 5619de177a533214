"""A Pulumi program of a few lines, on the real engine, driven as a user drives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMAND_LIMIT_S = 120
PROJECT = "name: program\nruntime: {name: python, options: {virtualenv: .venv}}\n"


@dataclass
class Program:
    """A program of a few lines, on a backend of its own.

    Args:
        folder: its project.
        environment: of the vCenter.
        imports: its first lines.
    """

    folder: Path
    environment: Mapping[str, str]
    imports: str
    said: list[str] = field(default_factory=list)

    @classmethod
    def made(cls, base: Path, environment: Mapping[str, str], imports: str) -> Program:
        folder = base / "a program"
        (folder / "backend").mkdir(parents=True)
        (folder / "Pulumi.yaml").write_text(PROJECT)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        own = {
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PYTHONPATH": str(ROOT),
            "DRYDOCK_STATE": str(base / "notes"),
        }
        one = cls(folder, {**os.environ, **environment, **own}, imports)
        one.write("")
        one.pulumi("stack", "init", "lab")
        return one

    def write(self, lines: str) -> None:
        (self.folder / "__main__.py").write_text(self.imports + lines)

    def pulumi(self, *arguments: str, expect: int | None = 0) -> str:
        """Runs a command; it must end with the code that is expected, or with any where that is `None`."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
        output = done.stdout + done.stderr
        self.said.append(output)
        assert expect in (None, done.returncode), f"pulumi {arguments} ended with {done.returncode}:\n{output[-3000:]}"
        return output

    def preview(self, *options: str, expect: int = 0) -> str:
        return self.pulumi("preview", *options, expect=expect)

    def up(self, *options: str, expect: int = 0) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *options, expect=expect)

    def destroy(self, expect: int = 0) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", expect=expect)

    def drift(self, expect: int = 7) -> str:
        return self.pulumi("refresh", "--preview-only", "--diff", "--expect-no-changes", expect=expect)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secret ones too."""
        told = subprocess.run(
            ["pulumi", "stack", "output", "--json", "--show-secrets"],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=True,
        )
        return dict(json.loads(told.stdout))

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a command in a process group of its own and doesn't wait for it."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """The plug is pulled: the command and everything that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(COMMAND_LIMIT_S)
