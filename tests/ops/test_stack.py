"""A stack's files: settings, backend, outputs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.exit_codes import Exit
from ops.stack import Stack, StackError

Calls = Callable[[], list[list[str]]]


def test_missing_settings_are_one_line_that_names_the_example(stack: Stack) -> None:
    stack.file.unlink()

    with pytest.raises(StackError) as refused:
        stack.require_file()

    assert str(refused.value) == (
        "Pulumi.lab.yaml is missing, the settings of stack 'lab': copy Pulumi.dev.yaml to it and put your own names in"
    )
    assert refused.value.code == Exit.CONFIGURATION


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a/b/c/d"])
def test_what_can_be_no_stacks_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError, match="can't be a stack's name"):
        Stack(name, tmp_path)


def test_plain_settings_cost_no_command(stack: Stack, calls: Calls) -> None:
    assert stack.config() == {"drydock:registry": "registry.example.com"}
    assert calls() == []


def test_encrypted_settings_are_read_through_pulumi(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.file.write_text("config:\n  vsphere:password:\n    secure: v1:abc\n  drydock:vm: {name: photon}\n")
    pulumi = tmp_path / "pulumi"
    told = {"vsphere:password": {"value": "s3cret", "secret": True}}
    told["drydock:vm"] = {"value": '{"name":"photon"}', "objectValue": {"name": "photon"}, "secret": False}
    pulumi.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(told)}\nE\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert stack.config() == {"vsphere:password": "s3cret", "drydock:vm": {"name": "photon"}}


def test_a_file_that_is_no_yaml_is_told_with_its_line(stack: Stack) -> None:
    stack.file.write_text("config:\n  drydock:vm: {name\n")

    with pytest.raises(StackError, match=r"^Pulumi.lab.yaml:3: not YAML: "):
        stack.config()


def test_pulumis_own_line_and_code_are_told(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text("#!/bin/sh\necho 'warning: x' >&2; echo \"error: no stack named 'lab' found\" >&2; exit 6\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(StackError, match="^pulumi: no stack named 'lab' found$") as failed:
        stack.ask("stack", "select")

    assert failed.value.code == Exit.NO_SUCH_STACK


def test_the_state_of_a_backend_in_a_folder_is_read_from_its_file(stack: Stack) -> None:
    assert stack.backend_folder is not None
    file = stack.backend_folder / "stacks" / "drydock" / "lab.json"
    before = stack.checkpoint()
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 3, "checkpoint": {"latest": {"resources": [1]}}}')

    assert before == {}
    assert stack.checkpoint() == {"latest": {"resources": [1]}}


def test_a_compressed_state_is_read_as_well(stack: Stack) -> None:
    assert stack.backend_folder is not None
    file = stack.backend_folder / "stacks" / "drydock" / "lab.json.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(b'{"checkpoint": {"latest": {"resources": [1]}}}'))

    assert stack.checkpoint() == {"latest": {"resources": [1]}}


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///srv/a%20b", "/srv/a b/.pulumi"),
        ("file://~", str(Path("~").expanduser() / ".pulumi")),
        ("s3://bucket", None),
        ("https://api.pulumi.com", None),
    ],
)
def test_only_a_folder_is_looked_into(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, url: str, folder: str | None
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", url)

    assert stack.backend_folder == (folder and Path(folder))
    assert (stack.checkpoint() is None) == (folder is None)


def test_without_a_backend_in_the_environment_the_login_counts(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    (tmp_path / "credentials.json").write_text('{"current": "s3://state"}')

    assert stack.backend == "s3://state"
