"""The README's commands as a new user types them, and `kill -9` in the middle of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pyVmomi import vim

from lab.supervisor import Lab
from tests.site import eyes
from tests.site.conftest import LEFT_OUT, ROOT

pytestmark = pytest.mark.lab

MAKE_LIMIT_S = 600


class Checkout:
    """A clone in a folder with a space in its name, with a lab of its own.

    Args:
        folder: the clone.
        state: its lab's state folder.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.lab = Lab(state)
        foreign = ("PULUMI", "VSPHERE", "DOCKER", "REGISTRY", "MAKE", "MFLAGS")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self._environment["DRYDOCK_LAB_STATE"] = str(state)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def make(self, *arguments: str) -> str:
        child = self.start(*arguments)
        said, _ = child.communicate(timeout=MAKE_LIMIT_S)
        assert child.returncode == 0, f"make {' '.join(arguments)} ended with {child.returncode}:\n{said}"
        return said

    def machines(self) -> list[str]:
        with eyes.vcenter(self.environment()) as content:
            return sorted(eyes.every(content, vim.VirtualMachine))

    def environment(self) -> dict[str, str]:
        return dict(self.lab.environment())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    folder = tmp_path_factory.mktemp("clone") / "dry dock"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    with tempfile.TemporaryDirectory(prefix="drydock-", ignore_cleanup_errors=True) as state:
        one = Checkout(folder, Path(state))
        yield one
        one.lab.down()


@pytest.mark.parametrize("everything", [False, True], ids=["make alone", "its whole session"])
@pytest.mark.parametrize("moment_s", [0.4, 1.6, 2.8])
def test_a_killed_make_up_is_finished_by_the_next(checkout: Checkout, moment_s: float, everything: bool) -> None:
    checkout.make("down")
    child = checkout.start("up")
    time.sleep(moment_s)
    with suppress(ProcessLookupError):  # a fast machine may be done by then
        os.killpg(child.pid, signal.SIGKILL) if everything else child.kill()
    child.communicate()

    checkout.make("up")

    # A container's VM is named after it and the first signs of its id.
    assert [name.partition("-")[0] for name in checkout.machines()] == ["gogsapp", "gogsdb", "photon", "vch1"]


def test_a_second_make_up_says_that_nothing_changed(checkout: Checkout) -> None:
    checkout.make("up")

    assert "Nothing changed" in checkout.make("up")


def test_make_down_leaves_the_data_and_says_so(checkout: Checkout) -> None:
    checkout.make("up")

    said = checkout.make("down")

    assert "gogs_gogsvol1" in said and "stay" in said
    assert all(part.state == "stopped" for part in checkout.lab.status() if part.pid is None and part.name != "images")


def test_make_down_with_data_delete_deletes_the_data_and_says_so(checkout: Checkout) -> None:
    checkout.make("up")

    said = checkout.make("down", "DATA=delete")

    assert "deleted volume gogs_gogsvol1" in said
    assert list((checkout.lab.state / "vcenter" / "state" / "datastores").rglob("gogs_gogsvol*")) == []


def test_make_up_without_a_vch_runs_the_application_on_the_docker_host(checkout: Checkout) -> None:
    checkout.make("up", "STACK=lab-docker")
    with eyes.engine(checkout.environment()) as engine:
        names = sorted(one.name for one in engine.containers.list(all=True))
    said = checkout.make("down", "STACK=lab-docker", "DATA=delete")

    assert names == ["gogsapp", "gogsdb"]
    assert "deleted volume gogs_gogsvol1" in said
    checkout.lab.up(["engine"])
    with eyes.engine(checkout.environment()) as engine:
        assert engine.volumes.list() == []
