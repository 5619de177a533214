"""A bundle is what a VIC appliance serves, and what is in it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pycdlib
import pytest

from lab.stand_ins.vic_machine.builds import KNOWN
from lab.stand_ins.vic_machine.images import version_of
from tests.stand_ins.transcripts import LIMIT_S, ROOT


@pytest.mark.parametrize("version", KNOWN)
def test_a_bundle_has_a_program_that_runs_and_two_isos_of_its_version(version: str, tmp_path: Path) -> None:
    target = tmp_path / f"vic_{version}.tar.gz"
    command = [sys.executable, "-m", "lab.stand_ins.vic_machine.bundle", version, str(target)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=LIMIT_S)
    with tarfile.open(target) as archive:
        archive.extractall(tmp_path, filter="data")
    program = tmp_path / "vic" / "vic-machine-linux"
    environment = {"PATH": os.environ["PATH"]}
    said = subprocess.check_output([program, "version"], env=environment, cwd=tmp_path, text=True, timeout=LIMIT_S)
    assert said == f"vic-machine-linux version v{KNOWN[version]}\n"
    for kind in ("appliance", "bootstrap"):
        file = tmp_path / "vic" / f"{kind}.iso"
        assert version_of(file) == f"v{KNOWN[version]}"
        image = pycdlib.PyCdlib()
        image.open(str(file))
        assert [one.file_identifier() for one in image.list_children(iso_path="/")][2:] == [b"VERSION.TXT;1"]
        image.close()


def test_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lab.stand_ins.vic_machine.bundle", "1.4.3", str(tmp_path / "x.tar.gz")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2
    assert "1.1.1, 1.5.6, 1.5.7" in done.stderr
