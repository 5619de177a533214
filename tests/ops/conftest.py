"""What the tests of `ops` share: a project with a backend of its own, and a stand-in for `pulumi` on PATH."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import runs
from ops.stack import Stack

STAND_IN = Path(__file__).with_name("pulumi_stand_in.py")
PATIENCE_S = 20.0


def script(code: str) -> str:
    """A Python program as a file to run; a first line with the interpreter's path could hold no space."""
    quotes = "'" * 3
    return f"#!/bin/sh\n{quotes}exec' '{sys.executable}' \"$0\" \"$@\"\n' {quotes}\n{code}\n"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack `lab` with settings, in a folder with a space in its name; nothing of it is made yet."""
    folder = tmp_path / "the project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: drydock\nruntime: python\n")
    (folder / "Pulumi.lab.yaml").write_text("config:\n  drydock:registry: registry.example.com\n")
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tmp_path / "the backend").as_uri())
    monkeypatch.setenv("DRYDOCK_CACHE", str(tmp_path / "cache"))
    return Stack("lab", folder)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Puts the stand-in on PATH, before everything else; what it returns tells the calls that were made."""
    programs, told = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    command = programs / "pulumi"
    command.write_text(script(STAND_IN.read_text()))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_CALLS", str(told))

    def made() -> list[list[str]]:
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []

    return made


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which events the stand-in's next command sends."""

    def send(*sent: dict[str, Any]) -> None:
        file = tmp_path / "events.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in sent))
        monkeypatch.setenv("STAND_IN_EVENTS", str(file))

    return send


@pytest.fixture
def lock(stack: Stack) -> Callable[..., Path]:
    """Writes a lock as Pulumi does."""

    def write(pid: int, host: str = socket.gethostname()) -> Path:
        assert stack.locks_folder is not None
        stack.locks_folder.mkdir(parents=True, exist_ok=True)
        file = stack.locks_folder / f"{pid}.json"
        since = "2026-11-24T12:12:25.60939725Z"
        file.write_text(json.dumps({"pid": pid, "username": "ada", "hostname": host, "timestamp": since}))
        return file

    return write


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts short-lived processes of our own, which are gone at the end."""
    started = []

    def start(code: str = "import time; time.sleep(60)", *, mark: str = "", name: str = "") -> subprocess.Popen[bytes]:
        program = tmp_path / name if name else None
        if program is not None:
            # The kernel names a process by its file only with the interpreter in its first line, where no space may
            # stand; the interpreter below our environment lies in no folder of ours.
            program.write_text(f"#!{os.path.realpath(sys.executable)}\n{code}\n")
            program.chmod(0o755)
        argv = [str(program)] if program else [sys.executable, "-c", code]
        one = subprocess.Popen(argv, env={**os.environ, **({runs.MARK: mark} if mark else {})})
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.wait()


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that has ended."""
    one = subprocess.Popen(["true"])
    one.wait()
    return one.pid


def until(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within a bound."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
