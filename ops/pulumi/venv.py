"""Virtual environments with hash-checked packages, for `ops setup` and Pulumi's language host."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from ops import toolchain
from ops.toolchain import SetupError

OLDEST_PYTHON = (3, 10)
INSTALL_LIMIT_S = 1800.0
_UV = re.compile(r"^uv==(?P<version>[^ ]+)(?: [^\n]*)?\\?\n(?:[ ]+--hash=[^\n]*\n)+", re.MULTILINE)
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

    uv does it in seconds from its cache, which lies in ours; where it can't (an index that only pip is set up for),
    pip does.

    Args:
        folder: where; anything there is replaced, a link itself and not what it points to.
        requirements: the file with pinned, hashed packages.
        log: where the installer's output is added.
    """
    check_python()
    if folder.is_symlink():
        folder.unlink()
    if not _made_by_kept_uv(folder, requirements, log):
        _make_with_pip(folder, requirements, log)
    (folder / MADE_WITH).write_text(os.path.realpath(folder / "bin" / "python"))


def _made_by_kept_uv(folder: Path, requirements: Path, log: Path) -> bool:
    uv = _kept_uv()
    if uv is None:
        return False
    _environment(folder, log, "--without-pip")
    return _installed_by(uv, folder, requirements, log)


def _make_with_pip(folder: Path, requirements: Path, log: Path) -> None:
    """The first time on a machine: pip brings uv, uv the rest; where uv fails, pip does it all."""
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(
            f"this Python can't make virtual environments, which keep our packages apart from yours: "
            f"apt-get install {package} (or your system's package of that kind)"
        )
    _environment(folder, log)
    pinned = _UV.search(requirements.read_text())
    if pinned is not None:
        only = folder / "uv-requirement.txt"
        only.write_text(pinned[0])
        _pip(folder, only, log)
        uv = toolchain.kept(
            _uv_folder() / f"uv-{pinned['version']}",
            lambda target: _copied(folder / "bin" / "uv", target),
            what="Keeps the installer for the next time",
            usually="a moment",
        )
        if _installed_by(uv, folder, requirements, log):
            return
    _pip(folder, requirements, log)


def _environment(folder: Path, log: Path, *options: str) -> None:
    argv = [base_python(), "-m", "venv", "--clear", *options, str(folder)]
    toolchain.run_logged(argv, what="making a virtual environment", log=log)


def _installed_by(uv: Path, folder: Path, requirements: Path, log: Path) -> bool:
    variables = {"UV_CACHE_DIR": str(toolchain.cache_dir() / "uv"), "UV_HTTP_TIMEOUT": "30", "UV_NO_CONFIG": "1"}
    index = os.environ.get("PIP_INDEX_URL")
    if index:
        variables["UV_DEFAULT_INDEX"] = index
    argv = [str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    try:
        toolchain.run_logged(
            [*argv, "--require-hashes", "--no-deps", "-r", str(requirements)],
            what="the installation of Python packages",
            log=log,
            env=variables,
            limit_s=INSTALL_LIMIT_S,
        )
    except SetupError as error:
        toolchain.say(f"  uv could not do it, pip tries ({error})")
        return False
    return True


def _pip(folder: Path, requirements: Path, log: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    toolchain.run_logged(
        [*pip, "--progress-bar=off", "--require-hashes", "--no-deps", "-r", str(requirements)],
        what="the installation of Python packages",
        log=log,
        env={"PYTHONNOUSERSITE": "1", "PIP_REQUIRE_VIRTUALENV": "0"},
        limit_s=INSTALL_LIMIT_S,
    )


def _kept_uv() -> Path | None:
    found = sorted(_uv_folder().glob("uv-*"))
    return found[-1] if found else None


def _uv_folder() -> Path:
    return toolchain.cache_dir() / "tools"


def _copied(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    target.chmod(0o755)


def check_python() -> None:
    """Raises SetupError on a Python that is too old."""
    if sys.version_info < OLDEST_PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(
            f"Python {have} is too old, 3.10 or later is needed: install one and say `make PYTHON=python3.11 …`"
        )
