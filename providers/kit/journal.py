"""What was there before our first change, kept outside Pulumi's state until a run has saved it: a kill loses nothing.

A provider's process that dies in the middle of a create or an update saves no state (facts/pulumi.md). For things that
are always there (a host's ruleset) the next run would then remember our own work as what was there before.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from providers.kit.errors import Permanent

FOLDER = "DRYDOCK_STATE"

_PARENT = os.getppid()
_returned: list[Journal] = []


def folder() -> Path:
    """`DRYDOCK_STATE`, else ``drydock`` in the user's folder for state (XDG base directory specification)."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "drydock"


class Journal:
    """One thing's entry.

    Args:
        thing: names the thing and the system that it is on; the same in every run.
    """

    def __init__(self, thing: str) -> None:
        name = hashlib.sha256(thing.encode()).hexdigest()[:32]
        self._thing = thing
        self._file = folder() / "before" / f"{name}.json"

    def read(self) -> dict[str, Any] | None:
        """What an interrupted run had found; `None` where none was interrupted."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._unusable("can't be read", error) from error
        before: dict[str, Any] = kept["before"]
        return before

    def write(self, before: Mapping[str, Any]) -> None:
        """Keeps it on the disk, whole or not at all, before anything is changed.

        Raises:
            Permanent: it can't be kept, so nothing may be changed.
        """
        text = json.dumps({"thing": self._thing, "before": before}, indent=1, sort_keys=True)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False, encoding="utf-8") as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            os.replace(new.name, self._file)
        except OSError as error:
            raise self._unusable("can't be written", error) from error

    def returned(self) -> None:
        """The work has returned to the engine, which saves it; when the process ends as it should, the note goes."""
        if self._file.exists():
            _returned.append(self)

    def forget(self) -> None:
        """It is saved in Pulumi's state, or put back."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable("can't be removed", error) from error

    def _unusable(self, what: str, error: Exception) -> Permanent:
        return Permanent(
            f"the note of what was there before {what} ({error})",
            on=self._thing,
            remedy=f"Mend it, or set {FOLDER} to a folder of yours.",
        )


def end() -> None:
    """What the end of the process does: an engine that lives to end it has saved what was returned to it."""
    if os.getppid() == _PARENT:
        for journal in _returned:
            with suppress(Permanent):  # a note that stays is only read once more
                journal.forget()
    _returned.clear()


atexit.register(end)
