"""vic-machine is run so that nothing of it is lost, no secret is seen, and no change is cut in two."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from providers.kit import journal
from providers.kit.errors import Authentication, Permanent
from providers.kit.secrets import Secret
from providers.vic import runner
from providers.vic.command_line import CommandLine, File
from providers.vic.flags import Command
from providers.vic.output import Ending, Kind, Line
from tests.vic import fake_machine

ROOT = Path(__file__).parents[2]
THING = "VCH vch02 on vc.example.com"
OK = ["say", 'time="x" level=info msg="Completed successfully" ']
CREATED = ["say", 'time="x" level=info msg="Installer completed successfully" ']
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(journal.FOLDER, str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Path]:
    """A binary that takes these steps."""

    def make(*steps: list[Any]) -> Path:
        script = tmp_path / "script.json"
        script.write_text(json.dumps(steps))
        binary = tmp_path / "vic-machine-linux"
        words = [sys.executable, "-I", fake_machine.__file__, str(script)]
        binary.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        binary.chmod(0o755)
        return binary

    return make


def line(command: Command = Command.CREATE, **named: Any) -> CommandLine:
    return CommandLine(command, "1.5.6", (*command.value.split(), "--name=vch02"), timeout_s=5.0, **named)


def until(there: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not there():
        assert time.monotonic() < end, "it doesn't come"
        time.sleep(0.01)


def test_it_runs_in_a_scratch_directory_of_its_own_that_nobody_else_reads(
    machine: Callable[..., Path], tmp_path: Path, state: Path
) -> None:
    files = {"given/key.pem": File(Secret("mk-given-key"), 0o600), "registry-ca-1.pem": File("ca")}

    runner.run(machine(["tell", str(tmp_path / "told")], CREATED), line(files=files), thing=THING)

    told = json.loads((tmp_path / "told").read_text())
    assert told["mode"] == "0o700" and told["folder"].startswith(str(state / "scratch"))
    assert told["files"]["given/key.pem"] == "0o600" and told["files"]["registry-ca-1.pem"] == "0o644"
    assert list((state / "scratch").iterdir()) == []


def test_it_sees_its_own_environment_and_nothing_of_ours(
    machine: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIC_MACHINE_PASSWORD", "mk-stale")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mk-ours")
    environment = {"VIC_MACHINE_PASSWORD": Secret("mk-right-one"), "VIC_MACHINE_USER": "ada"}

    runner.run(machine(["tell", str(tmp_path / "told")], CREATED), line(environment=environment), thing=THING)

    seen = json.loads((tmp_path / "told").read_text())["environment"]
    assert seen["VIC_MACHINE_PASSWORD"] == "mk-right-one" and seen["VIC_MACHINE_USER"] == "ada"
    assert "PULUMI_CONFIG_PASSPHRASE" not in seen and seen["HOME"] != os.environ.get("HOME")


@pytest.mark.parametrize("prompt", ["vSphere password for ada: ", "Please enter ESX or vCenter password: ", "? "])
def test_answers_are_typed_at_its_prompts_in_their_order(
    machine: Callable[..., Path], tmp_path: Path, prompt: str
) -> None:
    answers = (Secret("mk-first-Zü 1"), Secret("mk-second-'\"$2"))
    steps = [["ask", prompt], ["ask", prompt], ["tell", str(tmp_path / "told")], CREATED]

    finished = runner.run(machine(*steps), line(answers=answers), thing=THING)

    assert json.loads((tmp_path / "told").read_text())["asked"] == [one.reveal() for one in answers]
    assert finished.verdict.succeeded


@pytest.mark.parametrize("password", ["", "a\x03b", "line\nbreak"])
def test_what_a_terminal_would_take_for_a_command_is_never_typed(machine: Callable[..., Path], password: str) -> None:
    with pytest.raises(Permanent, match="can't be typed"):
        runner.run(machine(CREATED), line(answers=(Secret(password),)), thing=THING)


def test_lines_are_handed_over_as_they_come(machine: Callable[..., Path], tmp_path: Path) -> None:
    seen: list[Line] = []

    def look(one: Line) -> None:
        seen.append(one)
        (tmp_path / "go").touch()

    steps = [["say", 'time="x" level=warning msg="first" '], ["wait_for", str(tmp_path / "go")], CREATED]
    runner.run(machine(*steps), line(), thing=THING, on_line=look)

    assert [one.text for one in seen] == ["first", "Installer completed successfully"]
    assert seen[0].kind is Kind.WARNING


def test_the_log_holds_all_of_it_scrubbed_and_only_for_its_owner(machine: Callable[..., Path], state: Path) -> None:
    environment = {"VIC_MACHINE_PASSWORD": Secret("mk-logged-one")}
    steps = [["say", "it says mk-logged-one"], ["log", "debug: mk-logged-one"], ["exit", 1]]

    finished = runner.run(machine(*steps), line(environment=environment), thing=THING)

    text = finished.log.read_text()
    assert finished.log.parent == state / "logs" / "vic"
    assert stat.S_IMODE(finished.log.stat().st_mode) == 0o600
    assert "it says ***" in text and "debug: ***" in text and "[exit 1]" in text and "mk-logged-one" not in text
    assert all("mk-logged-one" not in one.text for one in finished.lines)


def test_only_the_last_logs_of_a_thing_are_kept(machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KEPT_LOGS", 2)
    logs = [runner.run(machine(CREATED), line(), thing=THING).log for _ in range(3)]

    assert [one.exists() for one in logs] == [False, True, True]


def test_a_failure_is_one_line_that_names_the_cause_and_the_log(machine: Callable[..., Path]) -> None:
    steps = [["say", 'time="x" level=error msg="datastore \'NoSuch\' not found" '], ["exit", 1]]
    finished = runner.run(machine(*steps), line(), thing=THING)

    error = finished.failure("VCH vch02")

    assert str(error) == (
        "VCH vch02: vic-machine create failed: datastore 'NoSuch' not found. "
        f"Correct the cause, then run it again. Its whole log: {finished.log}"
    )


def test_a_refused_login_is_never_tried_again(machine: Callable[..., Path]) -> None:
    said = 'time="x" level=error msg="vic-machine-linux create failed: Failed to log in to vc: Login failure\\n" '
    finished = runner.run(machine(["say", said], ["exit", 1]), line(), thing=THING)

    assert isinstance(finished.failure("VCH vch02"), Authentication)


def test_exit_0_without_the_success_line_is_a_failure(machine: Callable[..., Path]) -> None:
    assert not runner.run(machine(["exit", 0]), line(), thing=THING).verdict.succeeded


def test_made_certificates_come_out_with_their_keys_as_secrets(machine: Callable[..., Path]) -> None:
    steps = [["make", "vch02/ca.pem"], ["make", "vch02/key.pem"], CREATED]

    made = runner.run(machine(*steps), line(certificate_folder="vch02"), thing=THING).made

    assert made["ca.pem"] == "-----BEGIN CERTIFICATE-----\n"
    assert isinstance(made["key.pem"], Secret) and "mk-made-key" in made["key.pem"].reveal()


def test_time_and_memory_are_the_childs_own(machine: Callable[..., Path], tmp_path: Path) -> None:
    finished = runner.run(
        machine(["fill", 96], ["ask", "password: "], CREATED), line(answers=(Secret("mk-x-1"),)), thing=THING
    )

    assert 96 * 2**20 < finished.usage.memory_bytes < 200 * 2**20
    assert 0 < finished.usage.cpu_s <= finished.usage.wall_s + 1.0


@pytest.mark.parametrize("command", [Command.CREATE, Command.DELETE, Command.INSPECT])
def test_a_run_that_may_be_killed_ends_when_we_are_stopped(
    machine: Callable[..., Path], tmp_path: Path, command: Command
) -> None:
    stop = threading.Event()
    steps = [["say", "begun"], ["wait_for", str(tmp_path / "never")]]

    finished = runner.run(machine(*steps), line(command), thing=THING, stop=stop, on_line=lambda _: stop.set())

    assert finished.stopped and finished.exit_code == -signal.SIGTERM
    assert "was stopped by us" in str(finished.failure("VCH vch02"))


@pytest.mark.parametrize("command", [Command.CONFIGURE, Command.UPGRADE])
def test_a_change_goes_on_to_its_end_when_we_are_stopped(
    machine: Callable[..., Path], tmp_path: Path, command: Command
) -> None:
    stop = threading.Event()

    def look(one: Line) -> None:
        if stop.is_set():
            return
        stop.set()
        threading.Timer(0.2, (tmp_path / "go").touch).start()

    steps = [["say", "begun"], ["wait_for", str(tmp_path / "go")], OK]
    finished = runner.run(machine(*steps), line(command), thing=THING, stop=stop, on_line=look)

    assert finished.verdict.succeeded and not finished.stopped


def test_a_limit_ends_what_may_be_killed(machine: Callable[..., Path], tmp_path: Path) -> None:
    binary = machine(["wait_for", str(tmp_path / "never")])

    assert runner.run(binary, line(Command.LS), thing=THING, time_limit_s=0.2).stopped


def test_a_limit_leaves_a_change_at_work_and_the_next_run_finds_it(
    machine: Callable[..., Path], tmp_path: Path, state: Path
) -> None:
    steps = [["say", "begun"], ["wait_for", str(tmp_path / "go")], OK, ["touch", str(tmp_path / "done")]]

    with pytest.raises(runner.StillAtWork, match="It must not be killed"):
        runner.run(machine(*steps), line(Command.CONFIGURE), thing=THING, time_limit_s=0.2)

    (found,) = runner.leftovers(THING)
    assert found.at_work and found.command is Command.CONFIGURE
    runner.sweep(THING)
    assert found.folder.exists(), "what is at work keeps its directory"
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists)
    os.waitpid(found.pid, 0)
    (found,) = runner.leftovers(THING)
    assert not found.at_work and found.verdict.succeeded
    runner.sweep(THING)
    assert runner.leftovers(THING) == [] and not found.folder.exists()


KILLED = """
    import sys
    from pathlib import Path
    from providers.vic import runner
    from providers.vic.command_line import CommandLine
    from providers.vic.flags import Command
    line = CommandLine(Command(sys.argv[2]), "1.5.6", (sys.argv[2],), timeout_s=5.0, certificate_folder="vch02")
    runner.run(Path(sys.argv[1]), line, thing=sys.argv[3])
"""


@pytest.mark.parametrize("command", [Command.CONFIGURE, Command.CREATE])
def test_a_kill_of_ours_does_not_end_it_and_loses_nothing_that_it_made(
    machine: Callable[..., Path], tmp_path: Path, command: Command
) -> None:
    end = CREATED if command is Command.CREATE else OK
    steps = [["make", "vch02/key.pem"], ["touch", str(tmp_path / "begun")], ["wait_for", str(tmp_path / "go")], end]
    steps += [["touch", str(tmp_path / "done")]]
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(machine(*steps)), command.value, THING]
    ours = subprocess.Popen(program, cwd=ROOT)
    until((tmp_path / "begun").exists)

    ours.kill()
    ours.wait()

    (found,) = runner.leftovers(THING)
    assert found.at_work
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists)
    until(lambda: not runner.leftovers(THING)[0].at_work)
    (found,) = runner.leftovers(THING)
    assert found.verdict.ending is Ending.SUCCESS
    assert isinstance(found.made["key.pem"], Secret)


def test_our_limit_is_always_longer_than_vic_machines_own() -> None:
    assert all(runner.limit_s(line(command)) > 5.0 for command in Command)
    assert runner.limit_s(line(Command.UPGRADE)) > 2 * 5.0


def test_a_binary_that_can_not_be_run_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="vic-machine can't be started"):
        runner.run(tmp_path / "absent", line(), thing=THING)
