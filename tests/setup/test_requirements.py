"""requirements.txt: everything is pinned and hashed, and agrees with what else names a version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops import toolchain

FILES = ["requirements.txt", "ops/pulumi/requirements.txt"]


def requirements(file: Path) -> list[str]:
    """The file's requirements, each with its hashes on one line, without comments."""
    text = re.sub(r"^\s*#.*\n?", "", file.read_text(), flags=re.M).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_and_hashed(checkout: Path, name: str) -> None:
    lines = requirements(checkout / name)

    assert lines
    assert [line for line in lines if not re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


@pytest.mark.parametrize("name", FILES)
def test_no_index_or_address_is_named(checkout: Path, name: str) -> None:
    assert re.findall(r"://|--index|--find-links|--extra-index", (checkout / name).read_text()) == []


def test_the_language_host_has_the_programs_packages(checkout: Path) -> None:
    program, host = ({line.partition(" ")[0] for line in requirements(checkout / name)} for name in FILES)

    assert host <= program


def test_engine_plugin_and_packages_have_the_same_versions(checkout: Path) -> None:
    pinned = {line.partition(" ")[0] for line in requirements(checkout / "requirements.txt")}
    plugin = (checkout / "ops/pulumi/vsphere/main.go").read_text()

    assert f"pulumi=={toolchain.PULUMI_VERSION}" in pinned
    assert f"pulumi-vsphere=={toolchain.VSPHERE_PLUGIN_VERSION}" in pinned
    assert f'const version = "{toolchain.VSPHERE_PLUGIN_VERSION}"' in plugin


def test_only_the_pulumi_packages_with_a_plugin_are_installed(checkout: Path) -> None:
    """A Pulumi SDK without its plugin costs seconds of failed downloads in every run."""
    names = {line.partition("==")[0] for line in requirements(checkout / "requirements.txt")}

    assert {name for name in names if name.startswith("pulumi")} == {"pulumi", "pulumi-vsphere"}
