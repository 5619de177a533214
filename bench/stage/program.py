"""A Pulumi program on a backend of its own, for benches over whole commands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.toolchain import pulumi_environment

ROOT = Path(__file__).resolve().parents[2]
COMMAND_LIMIT_S = 600
PASSPHRASE = "drydock-bench"

_RUNTIME = "runtime: {name: python, options: {virtualenv: .venv}}\n"


@dataclass(frozen=True)
class Program:
    """A Pulumi program on a backend of its own.

    Args:
        folder: where its Pulumi.yaml lies.
        environment: the lab's variables.
    """

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def of_lines(cls, folder: Path, name: str, lines: str, variables: Mapping[str, str]) -> Program:
        """A program of a few lines, on a backend and in a stack of its own.

        Args:
            folder: for all of it; made here.
            name: the project's.
            lines: the program.
            variables: by which it finds the vCenter.
        """
        backend = folder / "backend"
        backend.mkdir(parents=True)
        (folder / "Pulumi.yaml").write_text(
            f"name: {name}\nruntime: {{name: python, options: {{virtualenv: .venv}}}}\n"
        )
        (folder / "__main__.py").write_text(lines)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        environment = {
            **os.environ,
            **pulumi_environment(),
            **variables,
            "PULUMI_BACKEND_URL": backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PYTHONPATH": str(ROOT),
            "DRYDOCK_STATE": str(folder / "notes"),
        }
        program = cls(folder, environment)
        program.run("stack", "select", "--create")
        return program

    def run(self, *arguments: str) -> None:
        call(["pulumi", *arguments, "--stack=lab", "--non-interactive"], self.folder, self.environment)

    def up(self) -> None:
        self.run("up", "--yes", "--skip-preview")

    def preview(self) -> None:
        self.run("preview")

    def refresh(self) -> None:
        self.run("refresh", "--preview-only")

    def destroy(self) -> None:
        self.run("destroy", "--yes", "--skip-preview")


def call(argv: list[str], folder: Path, environment: Mapping[str, str], told: str = "") -> str:
    """Runs a command to its end.

    Args:
        argv: the command.
        folder: where it runs.
        environment: all of its variables.
        told: its standard input.

    Returns:
        What it wrote to its standard output.

    Raises:
        RuntimeError: it failed; its last words are in the text.
    """
    done = subprocess.run(
        argv, cwd=folder, env=dict(environment), input=told, capture_output=True, text=True, timeout=COMMAND_LIMIT_S
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
