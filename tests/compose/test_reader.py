"""What the reader promises beside what a file means: places, limits, and that it is our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from components.compose import document
from components.compose.located import ComposeError, Place
from components.compose.project import read
from components.compose.sources import Request
from tests.compose.corpus import CORPUS

BOMB = "\n".join(["x-0: &a0 [1, 1, 1, 1]", *(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 4)}]" for n in range(1, 20))])


def test_a_value_stands_where_the_last_file_wrote_it(tmp_path: Path) -> None:
    base, over, common = tmp_path / "base.yml", tmp_path / "over.yml", tmp_path / "common.yml"
    common.write_text("services:\n  app:\n    hostname: h\n    ports:\n      - '80:80'\n")
    base.write_text("services:\n  web:\n    extends: {file: common.yml, service: app}\n    image: x\n")
    over.write_text("services:\n  web:\n    image: y\n    ports:\n      - '81:81'\n")

    project = read(Request(files=(base, over), environment={}))

    assert project.place(("services", "web", "image")) == Place(over, 3, 5)
    assert project.place(("services", "web", "hostname")) == Place(common, 3, 5)
    assert project.place(("services", "web", "ports", 0)) == Place(common, 5, 9)
    assert project.place(("services", "web", "ports", 1)) == Place(over, 5, 9)


def test_reading_starts_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the reader started a program")

    monkeypatch.setattr(subprocess.Popen, "__init__", refused)
    monkeypatch.setattr(os, "system", refused)

    assert read(Request(folder=CORPUS / "smallest", environment={})).config["services"]["web"]["image"] == "nginx"


def test_aliases_that_make_endless_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_MOST_VALUES", 10_000)
    file = tmp_path / "compose.yml"
    file.write_text(f"{BOMB}\nservices: {{web: {{image: x}}}}\n")

    with pytest.raises(ComposeError, match="its aliases make more than 10000 values"):
        read(Request(files=(file,), environment={}))


def test_the_given_environment_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "of-the-shell")
    file = tmp_path / "compose.yml"
    file.write_text("services: {web: {image: 'x:${TAG:-default}'}}\n")

    given = read(Request(files=(file,), environment={})).config
    shell = read(Request(files=(file,))).config

    assert given["services"]["web"]["image"] == "x:default"
    assert shell["services"]["web"]["image"] == "x:of-the-shell"


@pytest.mark.parametrize(
    "text", ["PASSWORD=hunter2${", "PASSWORD=${hunter2 !}", "hunter2 hunter2=1", "hunter2*", "A='hunter2"]
)
def test_an_error_in_a_file_of_variables_repeats_nothing_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(f"{text}\n")
    (tmp_path / "compose.yml").write_text("services: {web: {image: x}}\n")

    with pytest.raises(ComposeError) as refused:
        read(Request(files=(tmp_path / "compose.yml",), environment={}))

    assert "hunter2" not in str(refused.value)
    assert f"{tmp_path / '.env'}:1:" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("include:\n  - oci://registry.example.com/app:1\nservices: {}\n", "2:5: include: "),
        ("include:\n  - {path: [a.yml, 'https://example.com/app.git']}\nservices: {}\n", "2:5: include: "),
        ("services:\n  a:\n    extends: {file: 'git@example.com:app.git', service: b}\n", "3:5: services.a.extends: "),
    ],
)
def test_remote_files_are_refused_without_a_look_at_the_network(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "compose.yml"
    file.write_text(text)

    with pytest.raises(ComposeError, match="is remote: only files of this machine are read") as refused:
        read(Request(files=(file,), environment={}))

    assert f"{file}:{place}" in str(refused.value)
