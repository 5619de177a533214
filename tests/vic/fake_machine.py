"""A program that behaves as a test tells it to, in vic-machine's place; run as a process of its own."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from pathlib import Path

SCRIPT = "FAKE_SCRIPT"


def main() -> None:
    """Each step is [what, argument]; the script lies beside the launcher."""
    for what, argument in json.loads(Path(sys.argv[1]).read_text()):
        _STEPS[what](argument)


def _ask(prompt: str) -> None:
    Path("asked.json").write_text(json.dumps([*_asked(), getpass.getpass(prompt)]))


def _asked() -> list[str]:
    return json.loads(Path("asked.json").read_text()) if Path("asked.json").exists() else []


def _tell(path: str) -> None:
    """Everything that it can see of itself, into a file outside."""
    told = {
        "arguments": sys.argv[2:],
        "environment": dict(os.environ),
        "asked": _asked(),
        "folder": os.getcwd(),
        "mode": oct(os.stat(".").st_mode & 0o777),
        "files": {str(one): oct(one.stat().st_mode & 0o777) for one in Path().rglob("*") if one.is_file()},
    }
    Path(f"{path}.new").write_text(json.dumps(told))
    os.replace(f"{path}.new", path)


def _make(path: str) -> None:
    Path(path).parent.mkdir(mode=0o700, exist_ok=True)
    Path(path).write_text(
        "-----BEGIN PRIVATE KEY-----\nmk-made-key\n" if "key" in path else "-----BEGIN CERTIFICATE-----\n"
    )


def _wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


_STEPS = {
    "ask": _ask,
    "exit": lambda code: sys.exit(code),
    "fill": lambda megabytes: bytearray(os.urandom(1024)) * (1024 * megabytes),
    "log": lambda text: Path("vic-machine.log").write_text(text),
    "make": _make,
    "say": _say,
    "tell": _tell,
    "touch": lambda path: Path(path).touch(),
    "wait_for": _wait_for,
}

if __name__ == "__main__":
    main()
