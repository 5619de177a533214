"""`vch env`: a shell and a `docker` command reach a stack's VCH, and its key is nobody else's to read."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docker.context import ContextAPI

from ops import vch_env, vch_stack
from ops.__main__ import main
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.vch_stack import Reached
from providers.kit import journal
from providers.kit.secrets import Secret
from tests.vic.given import pair

CERT, KEY = pair()
CA, _ = pair("authority")
HOST = "tcp://vch02.domain.sddc:2376"

Calls = Callable[[], list[list[str]]]


def reached(**otherwise: Any) -> Reached:
    given = {"name": "vch02", "id": "vm-117", "docker_host": HOST, "ca": CA, "cert": CERT, "key": Secret(KEY)}
    return Reached(**{**given, **otherwise})


def outputs(**otherwise: Any) -> str:
    told = {"vch": {"name": "vch02", "id": "vm-117", "version": "1.5.6"}, "docker_host": HOST}
    return json.dumps({**told, "docker_ca": CA, "docker_cert": CERT, "docker_key": KEY, **otherwise})


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder for configuration, and a `docker` command that is only there."""
    folder, programs = tmp_path / "docker config", tmp_path / "docker command"
    programs.mkdir()
    (programs / "docker").write_text("#!/bin/sh\nexit 1\n")
    (programs / "docker").chmod(0o755)
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def made(stack: Stack, calls: Calls, tmp_path: Path, docker_config: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A stack `lab` whose VCH has been made, told by a stand-in for `pulumi`."""
    monkeypatch.setenv("STAND_IN_OUTPUTS", outputs())
    monkeypatch.setenv(journal.FOLDER, str(tmp_path / "state"))
    monkeypatch.setattr(vch_stack, "Stack", lambda name: stack)
    return calls


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_are_the_users_alone_and_the_lines_are_for_a_shell(
    made: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "its 'own' folder"

    code = main(["vch", "env", "vch02", "--stack", "lab", "--folder", str(folder)])

    said = capsys.readouterr()
    assert code == Exit.OK
    assert said.out.splitlines() == [
        f"export DOCKER_HOST={HOST}",
        f"export DOCKER_CERT_PATH={shlex.quote(str(folder))}",
        "export DOCKER_TLS_VERIFY=1",
        "export COMPOSE_TLS_VERSION=TLSv1_2",
    ]
    shell = subprocess.run(
        ["sh", "-c", f'{said.out}\nls $DOCKER_CERT_PATH >/dev/null 2>&1; printf %s "$DOCKER_CERT_PATH"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == str(folder)
    assert {one.name: one.read_text() for one in folder.iterdir()} == {"ca.pem": CA, "cert.pem": CERT, "key.pem": KEY}
    assert mode(folder) == 0o700 and {mode(one) for one in folder.iterdir()} == {0o600}


def test_secrets_are_neither_in_a_command_line_nor_in_what_is_said(
    made: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vch", "env", "vch02", "--stack", "lab"])

    said = capsys.readouterr()
    body = KEY.splitlines()[1]
    assert body not in said.out + said.err + json.dumps(made())
    assert made() == [
        ["stack", "output", "--show-secrets", "--json", "--stack", "lab", "--non-interactive", "--color", "never"]
    ]


def test_without_a_folder_they_lie_in_the_state_folder(
    made: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vch", "env", "vch02", "--stack", "lab"])

    folder = tmp_path / "state" / "vch" / "vch02"
    assert f"export DOCKER_CERT_PATH={folder}" in capsys.readouterr().out.splitlines()
    assert (mode(folder), mode(folder / "key.pem")) == (0o700, 0o600)


def test_dockers_own_reader_finds_the_context_with_its_certificates(
    made: Calls, docker_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vch", "env", "vch02", "--stack", "lab"])

    found: Any = ContextAPI.get_context("vch02")
    assert (found.Host, found.endpoints["docker"]["SkipTLSVerify"]) == (HOST, False)
    assert [Path(one).read_text() for one in (found.TLSConfig.ca_cert, *found.TLSConfig.cert)] == [CA, CERT, KEY]
    files = [one for one in (docker_config / "contexts" / "tls").rglob("*") if one.is_file()]
    folders = [one for one in (docker_config / "contexts" / "tls").rglob("*") if one.is_dir()]
    assert {mode(one) for one in files} == {0o600} and {mode(one) for one in folders} == {0o700}
    assert capsys.readouterr().err == "The docker context 'vch02' is there: docker --context vch02 ps\n"


def test_another_run_updates_it(made: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["vch", "env", "vch02", "--stack", "lab"])
    plain = outputs(docker_host="tcp://10.0.0.9:2375", docker_ca="", docker_cert="", docker_key="")
    monkeypatch.setenv("STAND_IN_OUTPUTS", plain)

    main(["vch", "env", "vch02", "--stack", "lab"])

    found: Any = ContextAPI.get_context("vch02")
    assert (found.Host, found.TLSConfig) == ("tcp://10.0.0.9:2375", None)


@pytest.mark.parametrize("meta", ['{"Name":"vch02","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://mine"}}}', "{"])
def test_a_context_of_somebody_elses_is_left_as_it_is(made: Calls, docker_config: Path, meta: str) -> None:
    identity = hashlib.sha256(b"vch02").hexdigest()
    file = docker_config / "contexts" / "meta" / identity / "meta.json"
    file.parent.mkdir(parents=True)
    file.write_text(meta)

    said = vch_env.write_context(reached(), "lab")

    assert said == "The docker context 'vch02' was not made by us and is left as it is."
    assert file.read_text() == meta and not (docker_config / "contexts" / "tls").exists()


@pytest.mark.parametrize("name", ["default", "a b", "x"])
def test_a_name_that_no_context_can_have_makes_none(docker_config: Path, name: str) -> None:
    assert "can't be the name of one" in vch_env.write_context(reached(name=name), "lab")
    assert not (docker_config / "contexts").exists()


def test_where_no_docker_command_is_nothing_is_written_for_it(
    docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))

    assert vch_env.write_context(reached(), "lab") == ""
    assert not (docker_config / "contexts").exists()


VARIABLES: dict[str, tuple[Reached, list[str]]] = {
    "no TLS": (
        reached(docker_host="tcp://10.0.0.9:2375", ca="", cert="", key=Secret("")),
        [
            "export DOCKER_HOST=tcp://10.0.0.9:2375",
            "unset DOCKER_CERT_PATH",
            "unset DOCKER_TLS_VERIFY",
            "unset COMPOSE_TLS_VERSION",
        ],
    ),
    "the server's certificate only": (
        reached(cert="", key=Secret("")),
        [
            f"export DOCKER_HOST={HOST}",
            "export DOCKER_CERT_PATH=/c",
            "export DOCKER_TLS_VERIFY=1",
            "export COMPOSE_TLS_VERSION=TLSv1_2",
        ],
    ),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_the_variables_of(case: str) -> None:
    vch, lines = VARIABLES[case]

    assert vch_env.exports(vch_env.variables(vch, Path("/c"))).splitlines() == lines


def test_what_there_is_no_more_is_removed(tmp_path: Path) -> None:
    vch_env.write_certificates(reached(), tmp_path / "c")

    vch_env.write_certificates(reached(cert="", key=Secret("")), tmp_path / "c")

    assert [one.name for one in (tmp_path / "c").iterdir()] == ["ca.pem"]


def test_a_folder_with_other_files_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "notes.txt").touch()

    with pytest.raises(StackError, match=r"is open to others and holds notes.txt: give --folder a folder of its own"):
        vch_env.write_certificates(reached(), folder)

    assert mode(folder) == 0o755 and [one.name for one in folder.iterdir()] == ["notes.txt"]


def test_an_open_folder_of_ours_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir(mode=0o755)
    (folder / "ca.pem").touch()

    vch_env.write_certificates(reached(), folder)

    assert mode(folder) == 0o700


REFUSALS: dict[str, tuple[dict[str, Any], str, Exit, str]] = {
    "another name": ({}, "vch20", Exit.RESOURCE, "stack 'lab': there is no VCH 'vch20'. Near names: vch02.\n"),
    "no VCH": ({"vch": {}}, "vch02", Exit.CONFIGURATION, "stack 'lab' has no VCH yet"),
    "no address": ({"docker_host": ""}, "vch02", Exit.RESOURCE, "VCH vch02 reports no address yet"),
    "no certificates": ({"docker_ca": ""}, "vch02", Exit.RESOURCE, "doesn't know its certificates"),
    "no key": ({"docker_key": ""}, "vch02", Exit.RESOURCE, "doesn't know its certificates"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_in_one_line(
    made: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    more, name, code, words = REFUSALS[case]
    monkeypatch.setenv("STAND_IN_OUTPUTS", outputs(**more))

    ended = main(["vch", "env", name, "--stack", "lab"])

    said = capsys.readouterr()
    assert (ended, said.out) == (code, "")
    assert words in said.err and said.err.count("\n") == 1


def test_a_name_that_leads_nowhere_is_told_with_the_line_for_the_hosts_file() -> None:
    vch = reached(docker_host="tcp://192.0.2.9:2376", server_name="vch02.invalid")

    assert vch_env.found_by_name(vch) == vch
    assert "add '192.0.2.9 vch02.invalid' to /etc/hosts" in vch_env.unknown_name(vch)
    assert vch_env.unknown_name(reached()) == ""


def test_a_name_that_leads_there_by_now_takes_the_addresss_place() -> None:
    vch = vch_env.found_by_name(reached(docker_host="tcp://127.0.0.1:2376", server_name="localhost"))

    assert (vch.docker_host, vch_env.unknown_name(vch)) == ("tcp://localhost:2376", "")
