"""Makes a bundle as a VIC appliance serves it: ``python -m lab.stand_ins.vic_machine.bundle VERSION TARGET.tar.gz``."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
import tarfile
from pathlib import Path

import pycdlib

from lab.stand_ins.vic_machine.builds import Build, named
from lab.stand_ins.vic_machine.command_line import PROGRAM

ROOT = Path(__file__).resolve().parents[3]

_LAUNCHER = """#!/bin/sh
# Stands in for vic-machine {version}: the same flags, the same words, the same traces in vSphere.
export PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}}
exec {interpreter} -m lab.stand_ins.vic_machine --version-is {version} --beside "$(dirname "$0")" "$@"
"""


def iso(build: Build, kind: str, fault: str = "") -> bytes:
    """A small ISO 9660 image that says of which build it is, as its publisher and in a file.

    Args:
        kind: ``appliance`` or ``bootstrap``.
        fault: what goes wrong when it boots, for the tests of who copes with that.
    """
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, vol_ident=f"VIC_{kind.upper()}", pub_ident_str=build.text)
    content = f"kind={kind}\nversion=v{build.version}\nbuild={build.number}\ncommit={build.commit}\n".encode()
    content += f"fault={fault}\n".encode() if fault else b""
    image.add_fp(io.BytesIO(content), len(content), "/VERSION.TXT;1")
    made = io.BytesIO()
    image.write_fp(made)
    image.close()
    return made.getvalue()


def launcher(build: Build) -> bytes:
    """The script that runs this stand-in with the interpreter that made the bundle."""
    script = _LAUNCHER.format(
        version=build.text.removeprefix("v"), root=shlex.quote(str(ROOT)), interpreter=shlex.quote(sys.executable)
    )
    return script.encode()


def write(build: Build, target: Path, fault: str = "") -> None:
    """Writes the bundle, with an appliance that has a fault if one is named."""
    files = [
        ("vic/appliance.iso", iso(build, "appliance", fault), 0o644),
        ("vic/bootstrap.iso", iso(build, "bootstrap"), 0o644),
        (f"vic/{PROGRAM}", launcher(build), 0o755),
    ]
    with tarfile.open(target, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("vic")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m lab.stand_ins.vic_machine.bundle", description=__doc__)
    parser.add_argument("version", help="1.1.1, 1.5.6 or 1.5.7")
    parser.add_argument("target", type=Path, help="file, such as vic_1.5.6.tar.gz")
    given = parser.parse_args()
    try:
        build = named(given.version)
    except ValueError as error:
        parser.error(str(error))
    write(build, given.target)


if __name__ == "__main__":
    main()
