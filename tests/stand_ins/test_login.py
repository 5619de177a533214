"""Passwords come by environment or at the terminal, and go to nobody but the vCenter whose certificate is right."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.esxi.simulator import PASSWORD, USER
from tests.stand_ins.stories import Story
from tests.stand_ins.transcripts import ROOT, run

pytestmark = pytest.mark.lab

LIMIT_S = 30.0


def at_terminal(story: Story, build: str, arguments: list[str], passwords: dict[str, str]) -> tuple[str, int]:
    """Runs the stand-in at a terminal, and answers when it asks for somebody's password."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.stand_ins.vic_machine", "--version-is", build, *arguments],
        cwd=story.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, asked, end = "", dict(passwords), time.monotonic() + LIMIT_S
    try:
        while time.monotonic() < end:
            if not select.select([ours], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                read = os.read(ours, 4096)
            except OSError:
                break
            said += read.decode()
            for user in [user for user in asked if f"vSphere password for {user}: " in said]:
                # As the real one, it asks first and switches the echo off then; nobody types that fast.
                while termios.tcgetattr(ours)[3] & termios.ECHO:
                    assert time.monotonic() < end, "the echo stays on"
                    time.sleep(0.001)
                os.write(ours, f"{asked.pop(user)}\n".encode())
        return said, process.wait(LIMIT_S)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_1_1_asks_at_the_terminal_and_shows_nothing_of_what_is_typed(story: Story) -> None:
    where = ["--target", f"{story.simulator.address}/DC0", "--user", USER, "--thumbprint", story.thumbprint]
    said, code = at_terminal(story, "1.1.1", ["ls", *where], {USER: PASSWORD})
    assert code == 0, said
    assert "UPGRADE STATUS" in said
    assert PASSWORD not in said
    assert PASSWORD not in (story.folder / "vic-machine.log").read_text()


def test_the_password_of_the_ops_user_is_asked_for_too_and_sealed_in_the_vch(story: Story) -> None:
    import base64

    from lab.stand_ins.vic_machine import secretbox
    from lab.stand_ins.vic_machine.extra_config import key_in

    story.isos("1.5.6")
    place = [
        "--compute-resource",
        "DC0_C0",
        "--bridge-network",
        "DC0_DVPG0",
        "--no-tls",
        "--image-store",
        "LocalDS_0/o",
    ]
    arguments = ["create", "--name", "ops", *place, *story.login, "--ops-user", "ops@vsphere.local"]
    said, code = at_terminal(story, "1.5.6", arguments, {"ops@vsphere.local": "for ops only"})
    assert code == 0, said
    story.keep("ops", "ops")
    vm = story.kept["ops"]
    key = key_in(vm.file)
    assert key is not None
    box = base64.b64decode(vm.settings["guestinfo.vice./connect/token@secret"])
    assert secretbox.opened(box, key) == b"for ops only"
    assert vm.settings["guestinfo.vice./connect/username"] == "ops@vsphere.local"
    assert "Using administrative user" not in said


def test_1_5_reads_target_login_and_thumbprint_from_the_environment(story: Story) -> None:
    environment = {
        "VIC_MACHINE_TARGET": f"{story.simulator.address}/DC0",
        "VIC_MACHINE_USER": USER,
        "VIC_MACHINE_PASSWORD": PASSWORD,
        "VIC_MACHINE_THUMBPRINT": story.thumbprint,
    }
    done = run("1.5.6", ["ls"], story.folder, environment)
    assert done.code == 0, done.output
    assert "UPGRADE STATUS" in done.output


def test_a_wrong_thumbprint_is_refused_before_anybody_logs_in(story: Story) -> None:
    story.simulator.reset()
    arguments = ["ls", "--target", f"{story.simulator.address}/DC0", "--user", USER, "--password", PASSWORD]
    done = run("1.5.6", [*arguments, "--thumbprint", "00" + story.thumbprint[2:]], story.folder)
    assert done.code == 1
    assert f"(thumbprint={story.thumbprint})" in done.output
    assert "x509: certificate signed by unknown authority" in done.output
    assert not any("vic-machine" in agent for agent in story.simulator.counts().told["logins"])


def test_it_names_itself_and_leaves_no_session(story: Story) -> None:
    story.simulator.reset()
    story.do("1.5.6", "ls")
    counts = story.simulator.counts()
    assert "vic-machine/1.5.6" in counts.told["by_agent"]
    assert not [one for one in counts.told["sessions"] if one["agent"].startswith("vic-machine/")]


def test_the_log_of_all_commands_is_kept_in_the_current_folder(story: Story, tmp_path: Path) -> None:
    for _ in range(2):
        run("1.5.6", ["ls", *story.login], tmp_path)
    log = tmp_path / "vic-machine.log"
    assert log.read_text().count("### Listing VCHs ####") == 2
    assert f"{log.stat().st_mode & 0o777:o}" == "644"
