"""Debian packages, fetched and unpacked into a folder: nothing is installed on the host."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ops.toolchain import SetupError, log_file, run_logged

_APT_LIMIT_S = 600.0


def unpack(folder: Path, packages: Sequence[str]) -> None:
    """Downloads packages and unpacks them below a folder, as below `/`; renews apt's lists when they are out of date.

    Raises:
        SetupError: apt-get could not get one of them.
    """
    try:
        _fetch(folder, packages)
    except SetupError:  # there are no lists yet, or they name a version that the archive has replaced since
        update_lists()
        _fetch(folder, packages)


def update_lists() -> None:
    """Renews apt's lists of packages."""
    _apt("update")


def _fetch(folder: Path, packages: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as downloads:
        _apt("download", *packages, where=Path(downloads))
        log = log_file("packages-unpack")
        for package in sorted(Path(downloads).glob("*.deb")):
            run_logged(["dpkg-deb", "-x", str(package), str(folder)], what=f"the unpacking of {package.name}", log=log)


def remove(folder: Path, paths: Sequence[str]) -> None:
    """Removes what isn't needed of what was unpacked."""
    for path in paths:
        place = folder / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _apt(command: str, *arguments: str, where: Path | None = None) -> None:
    run_logged(
        ["apt-get", "-o", "APT::Sandbox::User=root", command, *arguments],
        what=f"apt-get {command}",
        log=log_file(f"packages-{command}"),
        cwd=where,
        limit_s=_APT_LIMIT_S,
    )
