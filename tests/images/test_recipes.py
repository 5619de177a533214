"""The recipes fetch what is pinned, and say in one line why they can't."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.images import gitea, postgres
from ops.toolchain import SetupError


class Answer:
    """What the web answers, in the place of `requests.get`; notes how it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.limits: list[Any] = []

    def __call__(self, url: str, **options: Any) -> Answer:
        self.limits.append(options.get("timeout"))
        return self

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def raise_for_status(self) -> None:
        """It is well."""

    def iter_content(self, chunk_size: int) -> list[bytes]:
        return [self.content]


def jar(member: str = "inner.txz") -> bytes:
    inner, outer = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("bin/postgres"))
    with zipfile.ZipFile(outer, "w") as archive_of_it:
        archive_of_it.writestr(member, inner.getvalue())
    return outer.getvalue()


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian packages are left out: that is apt's side."""
    monkeypatch.setattr(postgres.rootfs, "lay", lambda root, more, users: root.mkdir(parents=True))


@pytest.mark.usefixtures("no_packages")
def test_binaries_with_another_digest_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "get", Answer(jar()))

    with pytest.raises(SetupError, match="have the digest"):
        postgres.fill(tmp_path / "root")


@pytest.mark.usefixtures("no_packages")
def test_the_download_can_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(jar())
    monkeypatch.setattr(requests, "get", answer)

    with pytest.raises(SetupError):
        postgres.fill(tmp_path / "root")

    assert answer.limits
    assert all(answer.limits)


@pytest.mark.usefixtures("no_packages")
def test_a_machine_without_the_web_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(url: str, **_: Any) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", fails)

    with pytest.raises(SetupError, match=r"could not be downloaded") as told:
        postgres.fill(tmp_path / "root")

    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("no_packages")
def test_the_archive_is_unpacked_as_old_pythons_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python 3.11.2 has no `filter` for archives (it came with 3.11.4)."""
    content = jar()
    monkeypatch.setattr(requests, "get", Answer(content))
    monkeypatch.setattr(postgres, "SHA256", hashlib.sha256(content).hexdigest())
    unpack = tarfile.TarFile.extractall

    def without_filter(
        archive: tarfile.TarFile, path: str = ".", members: Any = None, *, numeric_owner: bool = False
    ) -> None:
        unpack(archive, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", without_filter)

    postgres.fill(tmp_path / "root")

    assert (tmp_path / "root/usr/local/pgsql/bin/postgres").exists()
    assert (tmp_path / "root/usr/local/bin/entrypoint").stat().st_mode & 0o777 == 0o755


def test_a_module_that_can_not_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "go"
    command.write_text('#!/bin/sh\necho \'{"Path": "x", "Error": "dial tcp: no route"}\'\nexit 1\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(SetupError, match=r"can't be had: dial tcp: no route"):
        gitea._module()


def test_the_entry_point_is_a_shell_script_without_mistakes() -> None:
    script = Path(postgres.__file__).with_name("postgres-entrypoint")

    checked = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, timeout=10)

    assert (checked.returncode, checked.stderr) == (0, "")
