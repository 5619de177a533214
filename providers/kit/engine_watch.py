"""Ends the provider's process when the engine that started it has died: nobody would save what it goes on to do.

Pulumi's engine ends its plugins when it ends; killed, it leaves them behind, at work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from providers.kit.sessions import SESSIONS

LOOK_S = 0.5
ENDED_WITH_ITS_ENGINE = 1

_PLUGIN = "pulumi.dynamic"
_PROC = Path("/proc")
_LAUNCHER = "pulumi-resource-pulumi-python"
_started = threading.Event()


def watch() -> None:
    """Looks after the engine for the rest of the process's life; only a provider's process is ended, and only once."""
    started_as = getattr(sys.modules["__main__"], "__spec__", None)
    if started_as is None or not started_as.name.startswith(_PLUGIN) or _started.is_set():
        return
    _started.set()
    parent = os.getppid()
    # Known before anything else goes on: an engine that dies right after this would not be missed.
    engine = _parent_of(parent) if _LAUNCHER in _command_of(parent) else None
    threading.Thread(target=_look, args=(parent, engine), daemon=True).start()


def _look(parent: int, engine: int | None) -> None:
    """The engine starts this process through a launcher, a shell: it is gone when either of the two is orphaned."""
    while os.getppid() == parent and (engine is None or _parent_of(parent) in (engine, None)):
        time.sleep(LOOK_S)
    SESSIONS.close_all()
    os._exit(ENDED_WITH_ITS_ENGINE)


def _parent_of(process: int) -> int | None:
    """The parent's id; `None` where the system doesn't say."""
    if (_PROC / "self").exists():
        return _number(_text(_PROC / str(process) / "stat").rpartition(")")[2].split()[1:2])
    return _number(_ps(process, "ppid").split())


def _command_of(process: int) -> str:
    return _text(_PROC / str(process) / "cmdline") if (_PROC / "self").exists() else _ps(process, "args")


def _number(words: list[str]) -> int | None:
    return int(words[0]) if words and words[0].isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _ps(process: int, what: str) -> str:
    """Where there is no /proc, as on macOS."""
    try:
        asked = subprocess.run(["ps", "-o", f"{what}=", "-p", str(process)], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout
