"""Sets the checkout up: Python packages into `.venv`, then Pulumi and its plugins; does only what is missing.

Runs at the start of every `make`, so with everything there it only looks at a few files. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

from ops import toolchain
from ops.exit_codes import Exit
from ops.pulumi import install, venv
from ops.toolchain import SetupError, say

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK_LIMIT_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops setup`."""
    parser.add_argument(
        "--lock", action="store_true", help="first write the requirements.txt files again, from pyproject.toml"
    )
    parser.add_argument("--upgrade", action="store_true", help="with --lock: take the newest versions allowed")


def run(args: argparse.Namespace) -> int:
    """Makes what is missing.

    Raises:
        SetupError: a tool is missing or a step failed.
    """
    if args.lock:
        lock(CHECKOUT, upgrade=args.upgrade)
    Environment(CHECKOUT).ensure()
    if not install.ready():
        install.install(Environment(CHECKOUT).python)
    return Exit.OK


class Environment:
    """A checkout's `.venv`, made from its requirements.txt.

    A stamp, written last, names what it was made from; without one that fits, the environment isn't believed.

    Args:
        checkout: the folder of requirements.txt.
    """

    def __init__(self, checkout: Path) -> None:
        self.folder = checkout / ".venv"
        self.python = self.folder / "bin" / "python"
        self._requirements = checkout / "requirements.txt"
        self._stamp = self.folder / "made-from.json"

    def ensure(self) -> None:
        """Makes it, or brings it up to date, where it isn't whole."""
        venv.check_python()
        if self.is_whole():
            return
        with toolchain.locked(self.folder.with_name(".venv.lock"), "Installs the Python packages"):
            if not self.is_whole():
                self._make()

    def is_whole(self) -> bool:
        """Whether it was made to the end, from today's requirements, at this place, and is still there."""
        stamp = self._read_stamp()
        return stamp == {**self._wanted_stamp(), "packages": stamp.get("packages")} and self._still_there(stamp)

    def _make(self) -> None:
        log = toolchain.log_file("python-packages")
        wanted = self._wanted_stamp()
        self._stamp.unlink(missing_ok=True)
        say("Installs the Python packages into .venv, each checked by its hash (seconds, the first time half a minute)")
        venv.make(self.folder, self._requirements, log=log)
        self._stamp.write_text(json.dumps({**wanted, "packages": len(self._installed())}))

    def _wanted_stamp(self) -> dict[str, object]:
        try:
            digest = hashlib.sha256(self._requirements.read_bytes()).hexdigest()
        except FileNotFoundError:
            raise SetupError(
                f"{self._requirements} is missing: get it back with `git restore requirements.txt`"
            ) from None
        return {"requirements": digest, "place": str(self.folder)}

    def _read_stamp(self) -> dict[str, object]:
        try:
            stamp = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _still_there(self, stamp: dict[str, object]) -> bool:
        packages = stamp.get("packages")
        return venv.works(self.folder) and isinstance(packages, int) and len(self._installed()) >= packages

    def _installed(self) -> set[str]:
        infos = self.folder.glob("lib/python*/site-packages/*.dist-info")
        return {_plain(info.name.partition("-")[0]) for info in infos}


def lock(checkout: Path, *, upgrade: bool) -> None:
    """Writes requirements.txt (and the language host's) again: every package pinned with its hashes, for all platforms.

    Args:
        checkout: the folder of pyproject.toml.
        upgrade: take the newest versions that pyproject.toml allows; else only what it asks for changes.
    """
    uv = checkout / ".venv" / "bin" / "uv"
    if not uv.exists():
        raise SetupError("'uv' is missing in .venv, it is needed to pin the packages: run `python3 -m ops setup` first")
    say("Pins the Python packages with their hashes (usually 20 seconds)")
    log = toolchain.log_file("lock")
    compile_ = [str(uv), "pip", "compile", "--quiet", "--generate-hashes", "--universal", "--python-version=3.10"]
    compile_ += ["--no-emit-index-url", "--no-header", *(["--upgrade"] if upgrade else [])]
    everything = ["pyproject.toml", "--extra=lab", "--extra=dev", "--output-file=requirements.txt"]
    host = ["ops/pulumi/requirements.in", "--constraints=requirements.txt"]
    host += ["--output-file=ops/pulumi/requirements.txt"]
    for arguments in (everything, host):
        toolchain.run_logged(
            [*compile_, *arguments], what="pinning the packages", log=log, cwd=checkout, limit_s=LOCK_LIMIT_S
        )


def _plain(name: str) -> str:
    """A package's name in the form in which all its spellings are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
