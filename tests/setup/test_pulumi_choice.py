"""Which Pulumi is used: the one on PATH when it is recent and whole, else one of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import toolchain
from ops.pulumi import install

Put = Callable[[str, str], Path]


def use_what_is_on_path() -> None:
    install._own_looked_at()


def test_nothing_is_ready_in_an_empty_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert not install.ready()
    assert toolchain.pulumi_environment() == {"PATH": str(tmp_path), "PULUMI_SKIP_UPDATE_CHECK": "true"}


def test_a_recent_one_on_path_is_used_and_its_home_left_alone(cache: Path, program: Put) -> None:
    command = program("pulumi", "echo v3.300.1")
    program("pulumi-language-python", "")
    use_what_is_on_path()

    found = install.find()

    assert found is not None
    assert found.bin == command.parent
    assert "PULUMI_HOME" not in toolchain.pulumi_environment()


@pytest.mark.parametrize("version", ["v3.226.0", "v4.0.0", "v2.9.1", "nonsense", ""])
def test_one_that_we_do_not_work_with_is_left_aside(
    cache: Path, program: Put, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = program("pulumi", f"echo {version}")
    program("pulumi-language-python", "")
    use_what_is_on_path()

    assert install.find() is None
    assert capsys.readouterr().err.startswith(f"Leaves {command} aside: version {version or 'unknown'}, ")


def test_one_that_was_upgraded_is_looked_at_again(cache: Path, program: Put) -> None:
    program("pulumi", "echo v3.100.0")
    program("pulumi-language-python", "")
    use_what_is_on_path()
    program("pulumi", "echo v3.300.0 # upgraded")

    use_what_is_on_path()

    assert install.find() is not None


def test_one_without_a_language_host_is_left_aside(
    cache: Path, program: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = program("pulumi", "echo v3.300.0")
    monkeypatch.setenv("PATH", str(command.parent))
    use_what_is_on_path()

    assert install.find() is None


def test_laying_the_variables_over_themselves_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = toolchain.pulumi_environment()
    for name, value in first.items():
        monkeypatch.setenv(name, value)

    assert toolchain.pulumi_environment() == first


def test_the_users_path_stays_behind_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"/one{os.pathsep}/two words")

    assert toolchain.pulumi_environment()["PATH"].endswith(f"/one{os.pathsep}/two words")


@pytest.fixture
def without_the_site(program: Put, tmp_path: Path) -> Path:
    """A Python that reaches no site, and writes down that it was asked."""
    program("python-without-site", f"echo asked >> '{tmp_path}/asked'; echo no route to host; exit 1")
    return tmp_path / "asked"


def ask_the_installer(tmp_path: Path) -> install.Pulumi | None:
    return install._installed_by_pulumi(tmp_path / "programs" / "python-without-site")


def test_an_installer_that_is_not_reached_is_not_tried_each_time(
    cache: Path, tmp_path: Path, without_the_site: Path
) -> None:
    assert ask_the_installer(tmp_path) is None
    assert ask_the_installer(tmp_path) is None

    assert without_the_site.read_text() == "asked\n"


def test_an_installer_that_was_not_reached_is_tried_again_after_a_day(
    cache: Path, tmp_path: Path, without_the_site: Path
) -> None:
    ask_the_installer(tmp_path)
    long_ago_s = time.time() - install.INSTALLER_TRIED_AGAIN_AFTER_S - 60
    os.utime(cache / "pulumi" / "installer-not-reached", (long_ago_s, long_ago_s))

    ask_the_installer(tmp_path)

    assert without_the_site.read_text() == "asked\nasked\n"


def test_beside_the_users_pulumi_a_built_plugin_goes_by_path_and_not_into_their_home(
    cache: Path, program: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "their home"))
    program("pulumi", '[ "$1" = version ] && echo v3.300.0 && exit 0; echo no route to host; exit 1')
    program("pulumi-language-python", "")
    program("go", 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo built > "$2"; shift; done')

    install.install(tmp_path / "no python needed")

    first = Path(toolchain.pulumi_environment()["PATH"].split(os.pathsep)[0])
    assert (first / "pulumi-resource-vsphere").read_text() == "built\n"
    assert not (tmp_path / "their home").exists()
    assert install.ready()
