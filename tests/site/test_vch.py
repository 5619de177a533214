"""The whole program on a VCH: vic-machine's stand-in and the lab's site meet in vSphere only, as in life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
import pytest
import yaml
from pyVmomi import vim

from lab.supervisor import Lab
from tests.site import eyes
from tests.site.conftest import Site
from tests.tasks import finished

pytestmark = pytest.mark.lab

VCH = {
    "name": "vch1",
    "compute_resource": "DC0_C0",
    "image_store": "LocalDS_0/images",
    "volume_stores": {"default": "LocalDS_0/volumes"},
    "bridge_network": "DC0_DVPG0",
    "tls": {"cname": "vch1.example.com"},
    "bundle": {"version": "1.5.6"},
}
ADMIN = "captain"


@pytest.fixture(scope="module")
def on_vch(site: Site) -> Iterator[Site]:
    """The stack of the site, with a VCH for its application."""
    file = site.project / "Pulumi.lab.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    content["config"]["drydock:vch"] = VCH
    content["config"]["drydock:app"]["environment"] = {"VOLUME_DRIVER": "vsphere"}
    file.write_text(yaml.safe_dump(content))
    site.up()
    yield site
    site.destroy()
    file.write_text(before)


@contextmanager
def engine(site: Site, *, with_client_certificate: bool = True) -> Iterator[docker.APIClient]:
    """docker-py with nothing but the stack's outputs."""
    told = json.loads(site.pulumi("stack", "output", "--json", "--show-secrets", "--stack=lab"))
    folder = site.project.parent / "outputs"
    folder.mkdir(exist_ok=True)
    for name in ("ca", "cert", "key"):
        (folder / f"{name}.pem").write_text(told[f"docker_{name}"])
    pair = (str(folder / "cert.pem"), str(folder / "key.pem")) if with_client_certificate else None
    # Nobody's DNS knows the name in its certificate here.
    tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)
    client = docker.APIClient(told["docker_host"].replace("tcp://", "https://"), tls=tls, version="1.25", timeout=60)
    client.trust_env = False
    client.get_adapter("https://").init_poolmanager(4, 4, server_hostname=VCH["tls"]["cname"])  # type: ignore[index]
    try:
        yield client
    finally:
        client.close()


def machine(site: Site, name: str) -> Any:
    with eyes.vcenter(site.environment) as content:
        return eyes.every(content, vim.VirtualMachine).get(name)


def test_the_application_answers_on_the_vchs_own_address(on_vch: Site) -> None:
    told = on_vch.outputs()

    assert told["vch"]["docker_api"] == "RUNNING" and told["vch"]["version"] == "1.5.6"
    assert eyes.address_of(told["docker_host"]) in told["app_url"]
    assert eyes.address_of(told["docker_host"]) != eyes.address_of(on_vch.environment["DOCKER_HOST"])
    assert "Sign In" in eyes.page(told["app_url"])


def test_a_second_up_and_a_refresh_change_nothing(on_vch: Site) -> None:
    on_vch.up("--expect-no-changes")

    assert on_vch.is_clean()


def test_the_vch_and_its_containers_are_machines_of_the_cluster(on_vch: Site) -> None:
    with eyes.vcenter(on_vch.environment) as content:
        machines = eyes.every(content, vim.VirtualMachine)
        pool = machines["vch1"].resourcePool.name
        beside = [name for name, one in machines.items() if one.resourcePool and one.resourcePool.name == "vch1"]

    assert pool == "vch1"
    assert len(beside) == 3  # itself and the application's two


def test_a_client_without_a_certificate_is_turned_away(on_vch: Site) -> None:
    with engine(on_vch) as known:
        names = [one["Names"] for one in known.containers()]
    with engine(on_vch, with_client_certificate=False) as stranger, pytest.raises(Exception, match="(?i)certificate"):
        stranger.containers()

    assert sorted(names) == [["/gogsapp"], ["/gogsdb"]]


def test_a_vch_that_a_colleague_powers_off_is_drift_and_is_healed(on_vch: Site) -> None:
    with eyes.vcenter(on_vch.environment) as content:
        finished(eyes.every(content, vim.VirtualMachine)["vch1"].PowerOffVM_Task())

    # Its own resource alone: what runs on it can't be looked at while it is off.
    only_it = ("refresh", "--stack=lab", "--target=**::vch", "--diff")
    drift = on_vch.pulumi(*only_it, "--preview-only", "--expect-no-changes", expect=7)
    on_vch.pulumi(*only_it, "--yes", "--skip-preview")
    on_vch.up()

    assert "power: off → on" in drift
    assert "Sign In" in eyes.page(on_vch.outputs()["app_url"])


def test_the_dns_servers_are_changed_in_place(on_vch: Site) -> None:
    before = on_vch.outputs()["vch"]["id"]
    on_vch.pulumi("config", "set", "--path", "drydock:vch.dns_servers[0]", "10.10.10.3", "--stack=lab")

    plan = on_vch.preview()
    on_vch.up()

    assert "configure" in plan
    assert on_vch.outputs()["vch"]["id"] == before
    on_vch.up("--expect-no-changes")
    assert "Sign In" in eyes.page(on_vch.outputs()["app_url"])


def test_data_outlive_the_vch(on_vch: Site, lab: Lab) -> None:
    url = on_vch.outputs()["app_url"]
    password = on_vch.environment["DRYDOCK_GOGS_ADMIN_PASSWORD"]
    eyes.page(url)
    eyes.api(f"{url}api/v1/user/repos", ADMIN, password, "POST", {"name": "kept"})

    on_vch.destroy()
    gone = machine(on_vch, "vch1")
    on_vch.up()
    url = on_vch.outputs()["app_url"]
    eyes.page(url)
    found = eyes.api(f"{url}api/v1/repos/{ADMIN}/kept", ADMIN, password)

    assert gone is None
    assert found["name"] == "kept"
