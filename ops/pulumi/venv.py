"""Virtual environments with hash-checked packages, for `ops setup` and Pulumi's language host."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from ops import toolchain
from ops.toolchain import SetupError

OLDEST_PYTHON = (3, 10)
INSTALL_LIMIT_S = 1800.0
MADE_WITH = "made-with.txt"
"""In an environment: the path of the interpreter that it was made with, written last."""


def base_python() -> str:
    """The interpreter that environments are made from: the one that runs us, or the one below its environment."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def works(folder: Path) -> bool:
    """Whether an environment was made to the end and its interpreter is the one it was made with; only looks.

    An environment is bound to its interpreter's version, but not to the Python that happens to run us.
    """
    try:
        made_with = (folder / MADE_WITH).read_text()
    except OSError:
        return False
    python = folder / "bin" / "python"
    return python.exists() and os.path.realpath(python) == made_with


def make(folder: Path, requirements: Path, *, log: Path) -> None:
    """Makes an environment and installs the requirements, every one checked against its hash.

    Args:
        folder: where; anything there is replaced.
        requirements: the file with pinned, hashed packages.
        log: where pip's output is added.
    """
    check_python()
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(
            f"this Python can't make virtual environments, which keep our packages apart from yours: "
            f"apt-get install {package} (or your system's package of that kind)"
        )
    toolchain.run_logged(
        [base_python(), "-m", "venv", "--clear", str(folder)], what="making a virtual environment", log=log
    )
    install(folder, requirements, log=log)
    (folder / MADE_WITH).write_text(os.path.realpath(folder / "bin" / "python"))


def install(folder: Path, requirements: Path, *, log: Path) -> None:
    """Installs the requirements into an environment that is there; arguments as for `make`."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    toolchain.run_logged(
        [*pip, "--progress-bar=off", "--require-hashes", "--no-deps", "-r", str(requirements)],
        what="the installation of Python packages",
        log=log,
        env={"PYTHONNOUSERSITE": "1", "PIP_REQUIRE_VIRTUALENV": "0"},
        limit_s=INSTALL_LIMIT_S,
    )


def check_python() -> None:
    """Raises SetupError on a Python that is too old."""
    if sys.version_info < OLDEST_PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(
            f"Python {have} is too old, 3.10 or later is needed: install one and say `make PYTHON=python3.11 …`"
        )
