"""Waiting for vSphere's tasks, for tests that act as an administrator."""

from __future__ import annotations

import time
from typing import Any

PATIENCE_S = 60.0
LOOK_S = 0.02


def finished(task: Any) -> Any:
    """Asks again and again, since pyVim's WaitForTask fails on the simulator; returns what the task made."""
    end = time.monotonic() + PATIENCE_S
    while task.info.state in ("queued", "running"):
        assert time.monotonic() < end, "the task doesn't end"
        time.sleep(LOOK_S)
    assert task.info.state == "success", task.info.error
    return task.info.result
