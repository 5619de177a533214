"""`app config`: what is printed, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ops.__main__ import main
from ops.exit_codes import Exit

BASE = """\
services:
  web:
    image: "x:${TAG}"
    environment: {COST: "5$$"}
    profiles: [front]
  db: {image: db}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    here = tmp_path / "shop"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_FILE", "TAG"):
        monkeypatch.delenv(name, raising=False)
    (here / "compose.yml").write_text(BASE)
    return here


def test_the_usual_file_is_found_and_the_model_printed_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "config"]) == Exit.OK

    model = yaml.safe_load(capsys.readouterr().out)
    assert (model["name"], list(model["services"])) == ("shop", ["db"])


def test_every_option_has_its_effect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "over.yml").write_text("services: {web: {hostname: h}}\n")
    (folder / "my.env").write_text("TAG=1.2\n")
    options = ["-f", "compose.yml", "-f", "over.yml", "--env-file", "my.env", "--profile", "front", "-p", "other"]

    assert main(["app", "config", *options, "--json"]) == Exit.OK

    model = json.loads(capsys.readouterr().out)
    web = model["services"]["web"]
    assert (model["name"], web["image"], web["hostname"]) == ("other", "x:1.2", "h")
    assert web["environment"] == {"COST": "5$$"}


def test_what_is_printed_reads_as_the_same_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "config", "--profile", "*"]) == Exit.OK
    first = capsys.readouterr().out
    (folder / "compose.yml").write_text(first)
    assert main(["app", "config", "--profile", "*"]) == Exit.OK

    assert capsys.readouterr().out == first


def test_a_variable_without_a_value_is_named_once_and_left_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "config", "--profile", "front", "--json"]) == Exit.OK

    said = capsys.readouterr()
    assert json.loads(said.out)["services"]["web"]["image"] == "x:"
    assert said.err == "variable 'TAG' has no value: it is left empty\n"


def test_a_wrong_file_is_told_in_one_line_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "compose.yml").write_text("services:\n  web:\n    imagee: x\n")

    assert main(["app", "config"]) == Exit.CONFIGURATION

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "compose.yml:3:5: services.web.imagee: is not a known key; did you mean 'image'?\n"


def test_a_folder_without_a_compose_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    assert main(["app", "config"]) == Exit.CONFIGURATION

    assert "there is no compose file (compose.yaml, compose.yml, docker-compose.yml" in capsys.readouterr().err
