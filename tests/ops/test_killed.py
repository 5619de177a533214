"""A run that is killed while the vCenter makes its VM: the next one takes that VM over, and makes no second."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pyVmomi import vim

from lab.supervisor import Lab
from ops import runs
from ops.stack import CHECKOUT, Stack
from tests.ops.conftest import until
from tests.site import eyes

pytestmark = pytest.mark.lab

UP_LIMIT_S = 300
PARTS = ("ops", "components", "providers", "settings.py", "__main__.py", "Pulumi.yaml")
SETTINGS = """\
config:
  drydock:vm:
    name: pier
    datacenter: DC0
    host: DC0_H0
    datastore: LocalDS_0
    network: VM Network
    iso: iso/photon.iso
"""


class Project:
    """The program with a stack that has a VM only, on a backend of its own."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder = folder
        folder.mkdir()
        for name in PARTS:
            (folder / name).symlink_to(CHECKOUT / name)
        (folder / ".venv").symlink_to(CHECKOUT / ".venv")
        (folder / "Pulumi.kill.yaml").write_text(SETTINGS)
        backend = folder / "backend"
        backend.mkdir()
        self.environment = {**os.environ, **lab.environment(), "PULUMI_BACKEND_URL": backend.as_uri()}
        self.environment["PYTHONPATH"] = str(folder)

    def start(self, command: str = "up") -> subprocess.Popen[str]:
        run = f"from pathlib import Path; import sys; from ops import {command}; from ops.stack import Stack; "
        call = "up.make(S)" if command == "up" else "down.take_down(S, delete_data=False)"
        code = run + f"S = Stack('kill', Path({str(self.folder)!r})); sys.exit({call})"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, command: str = "up") -> str:
        child = self.start(command)
        said, _ = child.communicate(timeout=UP_LIMIT_S)
        assert child.returncode == 0, said
        return said

    def machines(self) -> list[str]:
        with eyes.vcenter(self.environment) as content:
            return [name for name in eyes.every(content, vim.VirtualMachine) if name.startswith("pier")]


def test_a_vm_that_a_killed_run_made_is_taken_over_and_not_made_twice(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "the pier", lab)
    monkeypatch.setenv("PULUMI_BACKEND_URL", project.environment["PULUMI_BACKEND_URL"])
    with eyes.vcenter(project.environment) as content:
        child = project.start()
        assert until(lambda: "pier" in eyes.every(content, vim.VirtualMachine))
    run = runs.last(Stack("kill", project.folder))
    assert run is not None and run.pulumi.lives
    os.kill(run.pulumi.pid, signal.SIGKILL)
    child.communicate(timeout=UP_LIMIT_S)

    said = project.finish()
    again = project.finish()

    assert "Takes over VM /DC0/vm/pier" in said
    assert "Nothing changed" in again
    assert project.machines() == ["pier"]
    project.finish("down")
    assert project.machines() == []
