"""A marker password, set everywhere, is nowhere to be seen after a whole life of a site."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab.supervisor import Lab
from ops.toolchain import cache_dir
from tests.site.conftest import Site
from tests.site.markers import ArgumentsWatch, Watch, spellings

pytestmark = pytest.mark.lab

WRONG = "-".join(("wrong", 'mk9"Zü+/%~Q7'))  # in two parts, so that this file itself isn't found


@pytest.fixture(scope="module")
def watch(marker_passwords: dict[str, str]) -> Watch:
    return Watch({**marker_passwords, "wrong": WRONG})


@pytest.fixture(scope="module")
def lived(site: Site, watch: Watch, marker_passwords: dict[str, str]) -> tuple[Site, ArgumentsWatch, str]:
    """A site after up, drift, errors, a changed password, and another up; with every command's output and events."""
    loud = {"PULUMI_DEBUG_COMMANDS": "true"}
    with ArgumentsWatch(watch) as arguments:
        site.secret("gogs_admin_password", marker_passwords["gogs_admin"])
        site.up(f"--event-log={site.project}/events-1.json", **loud)
        site.preview()
        site.up("--refresh", f"--event-log={site.project}/events-2.json", **loud)
        site.pulumi("refresh", "--yes", "--stack=lab", VSPHERE_PASSWORD=WRONG, expect=1)
        site.settings(app__images={"gogsdb": f"{site.environment['REGISTRY']}/library/postgres:9.7"})
        site.up("--refresh", expect=1, REGISTRY_PASSWORD=WRONG)
        site.pulumi("config", "rm", "--path", "drydock:app.images", "--stack=lab")
        export = site.pulumi("stack", "export", "--stack=lab")
    return site, arguments, export


def test_no_secret_in_the_exported_state(lived: tuple[Site, ArgumentsWatch, str], watch: Watch) -> None:
    assert "secret_environment" in lived[2]
    assert watch.in_text(lived[2]) == []


def test_no_secret_in_what_was_printed(lived: tuple[Site, ArgumentsWatch, str], watch: Watch) -> None:
    assert watch.in_text("\n".join(lived[0].said)) == []


def test_no_secret_in_any_command_line(lived: tuple[Site, ArgumentsWatch, str]) -> None:
    arguments = lived[1]

    assert arguments.processes > 10
    assert arguments.found == set()


def test_no_secret_in_a_file_that_stays(lived: tuple[Site, ArgumentsWatch, str], watch: Watch, lab: Lab) -> None:
    """Left out, by list: the lab's password files, what Docker Engines keep, and the application's own volumes."""
    private = {lab.state / "passwords.json", lab.state / "vcenter" / "credentials.json"}
    private |= {lab.state / "engine", lab.state / "site" / "vch"}
    private |= {lab.state / "vcenter" / "state" / "datastores" / "LocalDS_0" / "volumes"}
    roots = [lived[0].project.parent, lab.state, cache_dir() / "logs"]

    assert (lived[0].project / "events-1.json").stat().st_size > 1000
    assert watch.in_files(roots, lambda path: path in private or path.name == ".venv") == []


@pytest.mark.parametrize("spelling", sorted(spellings("x" * 8)))
def test_a_secret_planted_in_a_file_is_found(
    spelling: str, watch: Watch, marker_passwords: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "planted").write_bytes(b"before " + spellings(marker_passwords["vsphere"])[spelling] + b" after")

    assert any("vsphere" in one for one in watch.in_files([tmp_path]))


def test_a_secret_planted_on_a_command_line_is_found(watch: Watch, marker_passwords: dict[str, str]) -> None:
    with ArgumentsWatch(watch) as arguments:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)", marker_passwords["registry"]], check=True)

    assert any("registry as plain" in one for one in arguments.found)


def test_a_secret_planted_in_an_output_is_found(lived: tuple[Site, ArgumentsWatch, str], watch: Watch) -> None:
    program = lived[0].project / "__main__.py"
    with tempfile.TemporaryDirectory() as kept:
        before = Path(kept, "before")
        before.write_text(program.read_text())
        program.write_text(
            program.read_text()
            + '\nimport os\npulumi.export("planted", "login " + os.environ["DRYDOCK_GOGS_DB_PASSWORD"])\n'
        )
        lived[0].up()
        program.write_text(before.read_text())

    export = lived[0].pulumi("stack", "export", "--stack=lab")

    assert any("gogs_db" in one for one in watch.in_text(export))
