"""A lab's life: up, up again, status, down, and up with the same state; two of them side by side."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from lab.parts.registry import USER
from lab.passwords import FILE
from lab.supervisor import Lab, LabError
from tests.lab import host
from tests.lab.conftest import command, engine_of

pytestmark = pytest.mark.lab

PARTS = ["vcenter", "engine", "registry"]


def login(lab: Lab) -> tuple[str, str]:
    return USER, lab.environment()["REGISTRY_PASSWORD"]


def registry_status(lab: Lab, user_and_password: tuple[str, str]) -> int:
    variables = lab.environment()
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"https://{variables['REGISTRY']}/v2/", auth=user_and_password, verify=variables["REGISTRY_CA"], timeout=10
        )
    return answer.status_code


def upload(lab: Lab, content: bytes) -> str:
    """Puts a blob into the registry and says its digest."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    variables = lab.environment()
    root = f"https://{variables['REGISTRY']}"
    with requests.Session() as session:
        session.trust_env = False
        session.auth, session.verify = login(lab), variables["REGISTRY_CA"]
        place = session.post(f"{root}/v2/test/blobs/uploads/", timeout=10).headers["Location"]
        answer = session.put(f"{place}&digest={digest}", data=content, timeout=10)
    assert answer.status_code == 201
    return digest


def has_blob(lab: Lab, digest: str) -> bool:
    variables = lab.environment()
    with requests.Session() as session:
        session.trust_env = False
        answer = session.head(
            f"https://{variables['REGISTRY']}/v2/test/blobs/{digest}",
            auth=login(lab),
            verify=variables["REGISTRY_CA"],
            timeout=10,
        )
    return answer.status_code == 200


def pids(lab: Lab) -> dict[str, int | None]:
    return {part.name: part.pid for part in lab.status() if part.name in PARTS}


def test_up_again_leaves_every_process_alone(running_lab: Lab) -> None:
    before = pids(running_lab)
    lines: list[str] = []

    running_lab.up(PARTS, lines.append)

    assert pids(running_lab) == before
    assert [line.endswith("as before") for line in lines] == [True] * len(PARTS)


def test_up_from_another_shell_leaves_every_process_alone(running_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pids(running_lab)
    monkeypatch.setenv("PATH", f"/nonexistent:{os.environ['PATH']}")
    monkeypatch.setenv("LANG", "xx_YY")

    running_lab.up(PARTS)

    assert pids(running_lab) == before


def test_status_lists_every_part(running_lab: Lab) -> None:
    parts = {part["name"]: part for part in json.loads(command(running_lab, "status", "--json").stdout)}

    assert all(set(part) == {"name", "state", "address", "pid", "log"} for part in parts.values())
    assert {name: parts[name]["state"] for name in PARTS} == dict.fromkeys(PARTS, "ready")
    assert all(parts[name]["pid"] for name in PARTS)


def test_a_part_that_does_not_exist_is_refused_by_name(running_lab: Lab) -> None:
    with pytest.raises(LabError, match="no part warehouse: it has vcenter"):
        running_lab.up(["warehouse"])


def test_env_of_a_lab_that_was_never_started_says_what_to_do(new_lab: Callable[..., Lab]) -> None:
    done = command(new_lab(), "env")

    assert done.returncode == 4
    assert "python -m lab up" in done.stderr
    assert done.stdout == ""


def test_no_password_is_in_any_command_line(running_lab: Lab) -> None:
    passwords = json.loads((running_lab.state / FILE).read_text()).values()

    seen = list(host.argvs())

    assert any(str(running_lab.state) in argv for argv in seen), "the parts' own command lines must be among them"
    assert [argv for argv in seen if any(password in argv for password in passwords)] == []


def test_files_with_a_password_are_for_their_owner_only(running_lab: Lab) -> None:
    passwords = [password.encode() for password in json.loads((running_lab.state / FILE).read_text()).values()]
    engine = running_lab.part("engine").folder
    files = [file for file in running_lab.state.rglob("*") if file.is_file() and engine not in file.parents]

    holding = {file: file.stat().st_mode & 0o777 for file in files if any(p in file.read_bytes() for p in passwords)}

    assert running_lab.state / FILE in holding
    assert {file: mode for file, mode in holding.items() if mode != 0o600} == {}


def test_all_parts_listen_on_the_labs_own_loopback_network(running_lab: Lab) -> None:
    network = running_lab.part("registry").address.rpartition(".")[0]

    addresses = [part.address for part in running_lab.status()]

    assert network.startswith("127.64.")
    assert all(address.startswith(f"{network}.") for address in addresses)


def test_given_passwords_are_the_ones_that_open(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab({"registry": 'mk"Zü+/% '})

    lab.up(["registry"])

    assert registry_status(lab, (USER, "another")) == 401
    assert registry_status(lab, (f"{USER}", 'mk"Zü+/% '.encode().decode("latin-1"))) == 200


def test_two_labs_live_side_by_side(new_lab: Callable[..., Lab], running_lab: Lab) -> None:
    other = new_lab()
    other.up(PARTS)

    assert registry_status(other, login(other)) == registry_status(running_lab, login(running_lab)) == 200
    assert registry_status(other, login(running_lab)) == 401
    assert not {part.address for part in other.status()} & {part.address for part in running_lab.status()}


def test_taking_one_lab_down_leaves_the_other_alone(new_lab: Callable[..., Lab], running_lab: Lab) -> None:
    before = pids(running_lab)
    other = new_lab()
    other.up(PARTS)

    other.down()

    assert pids(running_lab) == before
    assert {part.state for part in running_lab.status() if part.name in PARTS} == {"ready"}


def test_state_and_addresses_survive_down_and_up(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(PARTS)
    digest = upload(lab, b"a layer")
    volume = engine_of(lab).volumes.create("kept")
    before = {name: lab.part(name).address for name in PARTS}, lab.environment()

    lab.down()
    lab.up(PARTS)

    assert ({name: lab.part(name).address for name in PARTS}, lab.environment()) == before
    assert has_blob(lab, digest)
    assert [one.name for one in engine_of(lab).volumes.list()] == [volume.name]


def test_down_with_data_deleted_takes_the_volumes_too(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["engine"])
    engine_of(lab).volumes.create("unwanted")

    lab.down(delete_data=True)
    lab.up(["engine"])

    assert engine_of(lab).volumes.list() == []


def test_down_with_data_deleted_takes_what_lies_on_datastores_too(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["vcenter"])
    datastore = lab.state / "vcenter" / "state" / "datastores" / "LocalDS_0"
    (datastore / "volumes").mkdir()

    lab.down(delete_data=True)
    lab.up(["vcenter"])

    assert [one.name for one in datastore.iterdir()] == ["iso"]


def test_down_of_a_lab_that_is_down_is_fine(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["registry"])

    assert [command(lab, "down").returncode for _ in range(2)] == [0, 0]
    assert {part.state for part in lab.status()} == {"stopped"}


def test_a_changed_setting_starts_only_that_part_anew(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["vcenter", "registry"])
    before = pids(lab)

    changed = Lab(lab.state, {"registry": "another"})
    changed.up(["vcenter", "registry"])

    assert pids(changed)["vcenter"] == before["vcenter"]
    assert registry_status(changed, (USER, "another")) == 200


def test_a_port_that_a_stranger_took_is_left_to_it(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    lab.up(["registry"])
    lab.down()
    before = lab.part("registry").address
    name, _, port = before.partition(":")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((name, int(port)))
        stranger.listen()

        lab.up(["registry"])

        assert lab.part("registry").address != before
        assert registry_status(lab, login(lab)) == 200


def test_the_isos_place_holds_a_real_image(running_lab: Lab) -> None:
    image = next(Path(running_lab.part("vcenter").folder).rglob("photon.iso")).read_bytes()

    assert image[32769:32774] == b"CD001"
