"""What goes wrong with a lab is seen, named, and put right by the next `lab up`."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from lab import processes
from lab.supervisor import Lab, LabError
from tests.lab import host
from tests.lab.conftest import command, started_command

pytestmark = pytest.mark.lab

PARTS = ["vcenter", "engine", "registry"]
APPEAR_LIMIT_S = 120.0


def states(lab: Lab) -> dict[str, str]:
    return {part.name: part.state for part in lab.status() if part.name in PARTS}


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + APPEAR_LIMIT_S
    while not condition():
        assert time.monotonic() < end, "what the test waits for doesn't come"
        time.sleep(0.005)


@pytest.mark.parametrize("name", PARTS)
def test_a_crash_is_named_and_healed(running_lab: Lab, name: str) -> None:
    running_lab.kill(name)
    until(lambda: states(running_lab)[name] != "ready")
    seen = command(running_lab, "status")

    running_lab.up(PARTS)

    assert seen.returncode == 4
    assert f"{name} is crashed: see {running_lab.part(name).log}" in seen.stdout
    assert states(running_lab) == dict.fromkeys(PARTS, "ready")


def test_a_part_that_hangs_is_started_anew(running_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.supervisor.PATIENCE_S", 1.0)
    running_lab.kill("registry", signal.SIGSTOP)
    seen = states(running_lab)["registry"]

    running_lab.up(["registry"])

    assert seen == "unhealthy"
    assert states(running_lab)["registry"] == "ready"


@pytest.mark.parametrize(
    "moment", ["folder", "passwords.json", "addresses.json", "certificates", "wanted/engine", "logs/engine.log"]
)
def test_up_that_was_killed_is_finished_by_the_next(new_lab: Callable[..., Lab], moment: str) -> None:
    lab = new_lab()
    place = lab.state if moment == "folder" else lab.state / moment
    first = started_command(lab, "up", *PARTS)
    until(place.exists)
    first.kill()
    first.wait()

    second = command(lab, "up", *PARTS)

    assert second.returncode == 0, second.stderr
    assert states(lab) == dict.fromkeys(PARTS, "ready")
    assert all(len(mains(lab, name)) == 1 for name in PARTS)


def mains(lab: Lab, name: str) -> list[processes.Process]:
    """The processes of a part that would pass as its main one."""
    found = processes.running(lab.state).get(name, [])
    return [process for process in found if lab.part(name).process([process])]


def test_two_ups_at_once_make_one_lab(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()

    both = [started_command(lab, "up", *PARTS) for _ in range(2)]

    assert [one.wait(APPEAR_LIMIT_S) for one in both] == [0, 0]
    assert all(len(mains(lab, name)) == 1 for name in PARTS)


def test_down_after_everything_was_killed_leaves_nothing(new_lab: Callable[..., Lab]) -> None:
    links = host.links()
    lab = new_lab()
    lab.up(PARTS)
    for found in processes.running(lab.state).values():
        processes.kill_all(process.pid for process in found)
    until(lambda: not processes.running(lab.state))

    lab.down()

    assert host.links() == links
    assert host.mounts_naming(str(lab.state)) == []


def test_a_part_that_cannot_start_gives_one_line_with_its_last_words(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["registry"])
    lab.down()
    data = lab.part("engine").folder / "data"
    data.parent.mkdir(exist_ok=True)
    data.write_text("a file where a folder must be")

    with pytest.raises(LabError) as refused:
        lab.up(["engine"])
    data.unlink()

    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith("engine ended right after its start: ")
    assert line.endswith(f"(log: {lab.part('engine').log})")
    assert str(data) in line


def test_one_part_that_cannot_start_does_not_keep_the_others_from_it(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    (lab.state / "engine").mkdir()
    (lab.state / "engine/data").write_text("a file where a folder must be")

    done = command(lab, "up", *PARTS)
    (lab.state / "engine/data").unlink()

    assert done.returncode == 4
    assert states(lab) == {"vcenter": "ready", "engine": "crashed", "registry": "ready"}


def test_down_finds_a_lab_whose_notes_were_lost(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["registry"])
    folder = lab.part("registry").premises.addresses.short_folder
    (lab.state / "addresses.json").unlink()

    lab.down()

    assert processes.running(lab.state) == {}
    assert not folder.exists()
