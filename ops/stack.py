"""One stack as seen from outside the program: its settings file, its backend's files and its outputs."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from ops.exit_codes import Exit

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLE = "Pulumi.dev.yaml"
QUESTION_LIMIT_S = 60.0

_NAME = re.compile(r"(?:[\w.-]+/){0,2}[\w.-]+")


class StackError(Exception):
    """What stands in the way of a command; its text is one line for the user.

    Args:
        line: what, on which object, what to do.
        code: the exit code that says it.
    """

    def __init__(self, line: str, code: Exit = Exit.CONFIGURATION) -> None:
        self.code = code
        super().__init__(line)


@dataclass(frozen=True)
class Stack:
    """A stack of the program.

    Args:
        name: its name, as `pulumi --stack` takes it.
        folder: where the program and `Pulumi.<name>.yaml` lie.
    """

    name: str
    folder: Path = CHECKOUT

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise StackError(f"'{self.name}' can't be a stack's name: letters, digits, '-', '_' and '.' are allowed")

    @property
    def file(self) -> Path:
        """Its settings."""
        return self.folder / f"Pulumi.{self.short_name}.yaml"

    @property
    def short_name(self) -> str:
        """The name without organisation and project."""
        return self.name.rpartition("/")[2]

    @cached_property
    def project(self) -> str:
        """The program's name."""
        return str(self._project_file["name"])

    @property
    def label(self) -> str:
        """What marks a thing as this stack's, as in `components.base.stack_label`."""
        return f"{self.project}/{self.short_name}"

    @cached_property
    def backend(self) -> str:
        """Where its state is kept: PULUMI_BACKEND_URL, else what the project says, else the login."""
        given = os.environ.get("PULUMI_BACKEND_URL")
        configured = (self._project_file.get("backend") or {}).get("url")
        return str(given or configured or _login())

    def require_file(self) -> None:
        """Refuses a stack without settings.

        Raises:
            StackError: says which file is missing and what to copy.
        """
        if not self.file.is_file():
            raise StackError(
                f"{self.file.name} is missing, the settings of stack '{self.name}': "
                f"copy {EXAMPLE} to it and put your own names in"
            )

    def configured(self) -> dict[str, Any]:
        """``namespace:key`` → value, with encrypted ones as they stand in the file.

        Raises:
            StackError: the file isn't one that Pulumi would take.
        """
        self.require_file()
        try:
            content = yaml.safe_load(self.file.read_text(encoding="utf-8")) or {}
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise StackError(f"{self.file.name}:{line}: not YAML: {error.problem}") from error
        config = content.get("config") if isinstance(content, Mapping) else None
        if config is not None and not isinstance(config, Mapping):
            raise StackError(f"{self.file.name}: 'config' must hold settings, namespace:key: value")
        return {str(key): value for key, value in (config or {}).items()}

    def config(self) -> dict[str, Any]:
        """``namespace:key`` → value, decrypted; Pulumi is only asked where the file holds something encrypted.

        Raises:
            StackError: the file is wrong, or Pulumi can't decrypt it.
        """
        configured = self.configured()
        if not _holds_secret(configured):
            return configured
        told = self.ask("config", "--show-secrets", "--json")
        return {key: one.get("objectValue", one.get("value")) for key, one in json.loads(told).items()}

    def outputs(self) -> dict[str, Any]:
        """What the stack says of itself; secrets are shown as ``[secret]``."""
        told = json.loads(self.ask("stack", "output", "--json"))
        return dict(told) if isinstance(told, Mapping) else {}

    def ask(self, *arguments: str, given: str | None = None) -> str:
        """What a short Pulumi command prints.

        Args:
            arguments: the command, without the stack's name.
            given: what it reads from its standard input.

        Raises:
            StackError: Pulumi's own line.
        """
        argv = ["pulumi", *arguments, "--stack", self.name, "--non-interactive", "--color", "never"]
        try:
            done = subprocess.run(
                argv,
                cwd=self.folder,
                input=given if given is not None else "",
                capture_output=True,
                text=True,
                timeout=QUESTION_LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            raise StackError(
                f"`pulumi {arguments[0]}` did not answer within {QUESTION_LIMIT_S:.0f} s: is {self.backend} reached?",
                Exit.TIMEOUT,
            ) from None
        except FileNotFoundError:
            raise StackError("'pulumi' is not on PATH: run `python3 -m ops setup` first") from None
        if done.returncode:
            raise StackError(_pulumis_line(done.stderr or done.stdout), _code(done.returncode))
        return done.stdout

    # --- the files of a backend in a folder ---

    @property
    def backend_folder(self) -> Path | None:
        """The `.pulumi` folder of a backend that is a folder; None for any other."""
        parts = urlsplit(self.backend)
        if parts.scheme != "file":
            return None
        # `file://~` and `file://./x` have their first part where a host's name would stand.
        return Path(unquote(parts.netloc + parts.path)).expanduser() / ".pulumi"

    @property
    def locks_folder(self) -> Path | None:
        """Where its locks lie, one file each."""
        folder = self.backend_folder
        return folder and folder / "locks" / "organization" / self.project / self.short_name

    def checkpoint(self) -> dict[str, Any] | None:
        """Its last saved state; empty if there is no such stack, None if the backend isn't a folder."""
        if self.backend_folder is None:
            return None
        base = self.backend_folder / "stacks" / self.project
        for file, read in ((base / f"{self.short_name}.json", Path.read_bytes), (_zipped(base, self), _unzipped)):
            try:
                content = json.loads(read(file))
            except FileNotFoundError:
                continue
            except ValueError:  # another process is writing it
                return {"latest": {}}
            return dict(content.get("checkpoint") or {"latest": {}})
        return {}

    @cached_property
    def _project_file(self) -> dict[str, Any]:
        file = self.folder / "Pulumi.yaml"
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StackError(f"{file} is missing: run this in the project's checkout") from None
        if not isinstance(content, dict) or "name" not in content:
            raise StackError(f"{file} names no project: give it a line 'name: …'")
        return content


def _zipped(base: Path, stack: Stack) -> Path:
    return base / f"{stack.short_name}.json.gz"


def _unzipped(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes())


def _login() -> str:
    home = Path(os.environ.get("PULUMI_HOME") or "~/.pulumi").expanduser()
    try:
        return str(json.loads((home / "credentials.json").read_text())["current"])
    except (OSError, ValueError, KeyError):
        return "https://api.pulumi.com"


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(_holds_secret(item) for item in value.values())
    return isinstance(value, list) and any(_holds_secret(item) for item in value)


def _pulumis_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "it said nothing")
    return f"pulumi: {told.removeprefix('error:').strip()}"


def _code(number: int) -> Exit:
    return Exit(number) if number in Exit._value2member_map_ else Exit.GENERIC
