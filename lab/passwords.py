"""The lab's passwords: made at random on the first start, kept in one file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

FILE = "passwords.json"
NAMES = ("vsphere", "registry", "gogs_db", "gogs_admin")

_RANDOM_BYTES = 18


def kept_passwords(state: Path, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name → password.

    Args:
        state: the lab's state folder.
        given: passwords to use instead of random ones (for tests); they replace what was kept.

    Raises:
        KeyError: a name in `given` that the lab doesn't know.
    """
    unknown = set(given or {}) - set(NAMES)
    if unknown:
        raise KeyError(f"the lab has no password {sorted(unknown)}, it has {list(NAMES)}")
    file = state / FILE
    known = _read(file)
    wanted = {name: known.get(name) or secrets.token_urlsafe(_RANDOM_BYTES) for name in NAMES} | dict(given or {})
    if wanted != known:
        write_private(file, json.dumps(wanted, indent=2) + "\n")
    return wanted


def write_private(file: Path, text: str) -> None:
    """Writes a file of mode 600 that is never seen half written, nor by others."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as output:
        output.write(text)
    unfinished.replace(file)


def _read(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
