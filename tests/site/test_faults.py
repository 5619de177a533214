"""What goes wrong is told in one clear line, and the next run finishes the job."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from lab.supervisor import Lab
from tests.site import eyes
from tests.site.conftest import Site

pytestmark = pytest.mark.lab
# On a Docker host that is there, so that it can be another one, or have a taken port.
STACK = "lab-docker"


@contextmanager
def changed(site: Site, path: str, value: object) -> Iterator[None]:
    """The stack's file with one setting changed, as long as the block lasts; `None` takes it out."""
    file = site.project / f"Pulumi.{site.stack}.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    part, *keys = path.split(".")
    target = content["config"]
    names = [f"drydock:{part}", *keys]
    for name in names[:-1]:
        target = target.setdefault(name, {})
    if value is None:
        del target[names[-1]]
    else:
        target[names[-1]] = value
    file.write_text(yaml.safe_dump(content))
    try:
        yield
    finally:
        file.write_text(before)


def line(said: str, *words: str) -> str:
    """The one line that says all of it."""
    lines = [one.strip() for one in said.splitlines() if all(word in one for word in words)]
    assert lines, f"no line with {words} in:\n{said}"
    assert "Traceback" not in said
    return lines[0]


def test_a_wrong_vcenter_password_is_one_line_and_one_login(site: Site) -> None:
    said = site.up(expect=1, VSPHERE_PASSWORD="not this one")

    assert line(said, "vCenter", "login")


def test_a_wrong_thumbprint_is_told_before_any_password_is_sent(site: Site) -> None:
    with changed(site, "vm", None):
        said = site.up(expect=1, VSPHERE_THUMBPRINT="AA:" * 19 + "AA")

    assert line(said, "thumbprint", "AA:AA")


def test_a_mistyped_cluster_is_told_with_near_names(site: Site) -> None:
    with changed(site, "firewall.cluster", "DC0_CO"):
        said = site.up(expect=1)

    assert line(said, "DC0_CO", "DC0_C0")


def test_a_docker_daemon_that_is_down_is_named(site: Site) -> None:
    said = site.up(expect=1, DOCKER_HOST="tcp://127.0.0.1:9")

    assert line(said, "tcp://127.0.0.1:9")


def test_an_unknown_registry_certificate_is_told(site: Site, tmp_path: Path, lab: Lab) -> None:
    other = tmp_path / "other.pem"
    other.write_text(Path(site.environment["DOCKER_CERT_PATH"], "cert.pem").read_text())

    said = site.up(expect=1, REGISTRY_CA=str(other))

    assert line(said, "certificate", site.environment["REGISTRY"])


def test_an_image_that_the_registry_lacks_is_told(site: Site) -> None:
    registry = site.environment["REGISTRY"]
    with changed(site, "app.images", {"gogsdb": f"{registry}/library/postgres:9.7"}):
        said = site.up(expect=1)

    assert line(said, "library/postgres:9.7")


def test_a_port_that_is_taken_is_told(site: Site) -> None:
    address = eyes.address_of(site.environment["DOCKER_HOST"])
    with socket.create_server((address, 10080)):
        said = site.up(expect=1)

    assert line(said, "10080")


def test_a_compose_key_that_is_not_supported_is_told_with_its_place(site: Site) -> None:
    file = site.project / "apps" / "gogs" / "compose.yml"
    before = file.read_text()
    file.write_text(before.replace("    restart: on-failure\n", "    restart: on-failure\n    privileged: true\n", 1))
    said = site.preview(expect=1)
    file.write_text(before)

    assert line(said, "compose.yml:", "privileged")


def test_an_unknown_setting_is_told_with_the_nearest_one(site: Site) -> None:
    with changed(site, "firewal", {}):
        said = site.preview(expect=1)

    assert line(said, "firewal", "did you mean 'firewall'?")


def test_after_all_these_errors_up_finishes_the_job(site: Site) -> None:
    site.up("--refresh")

    assert site.is_clean()
    assert "Sign In" in eyes.page(site.outputs()["app_url"])
    assert eyes.sessions_of(site.environment, "Drydock") == []
