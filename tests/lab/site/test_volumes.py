"""A VCH's volumes are disks on a datastore, and outlive the VCH."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from lab.supervisor import Lab
from tests.lab.site.conftest import client_of, probe_of, pull_probe, site_of, until
from tests.lab.site.machines import DATASTORE, VCH, make

pytestmark = pytest.mark.lab

NewVCH = Callable[..., VCH]


@pytest.fixture(scope="module")
def vch(site_lab: Lab) -> Iterator[VCH]:
    one = make(site_of(site_lab), "vch", store="stores/vch").power_on()
    one.wait()
    pull_probe(site_lab, client_of(one))
    yield one
    one.destroy()


@pytest.fixture
def client(vch: VCH) -> Iterator[docker.DockerClient]:
    client = client_of(vch)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True)
    for volume in client.volumes.list():
        volume.remove()


def stored(lab: Lab, path: str) -> Path:
    return lab.part("vcenter").folder / "state" / "datastores" / DATASTORE / path


def test_a_volume_is_a_disk_under_its_stores_path(site_lab: Lab, client: docker.DockerClient) -> None:
    client.volumes.create("web", driver="vsphere", driver_opts={"Capacity": "2GB", "VolumeStore": "default"})

    disk = stored(site_lab, "stores/vch/volumes/web/web.vmdk")
    assert "createType" in disk.read_text()
    assert f"RW {2000 * 1024 * 2} VMFS" in disk.read_text()


def test_a_volume_says_its_driver_labels_and_options(client: docker.DockerClient) -> None:
    made = client.volumes.create("web", driver_opts={"Capacity": "10"}, labels={"a": "b"})

    assert made.attrs["Driver"] == "vsphere"
    assert client.volumes.get("web").attrs["Labels"] == {"a": "b"}
    assert client.volumes.get("web").attrs["Options"] == {"capacity": "10"}
    assert [volume.name for volume in client.volumes.list(filters={"label": "a=b"})] == ["web"]
    assert client.volumes.list(filters={"label": "a=c"}) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"driver": "nfs"}, "error looking up volume plugin nfs: plugin not found"),
        ({"driver_opts": {"Size": "1"}}, "bad driver value - Size is not a supported option"),
        ({"driver_opts": {"VolumeStore": "other"}}, r"No volume store named (other) exists"),
        ({"driver_opts": {"Capacity": "0"}}, "bad driver value - Invalid size: 0"),
        ({"driver_opts": {"Capacity": "much"}}, "bad driver value - invalid size: 'much'"),
        ({"name": "a/b"}, 'volume name "a/b" includes invalid characters'),
    ],
)
def test_a_wrong_volume_is_refused_in_a_vchs_words(
    client: docker.DockerClient, options: dict[str, object], words: str
) -> None:
    with pytest.raises(docker.errors.APIError) as caught:
        client.volumes.create(**{"name": "web", **options})

    assert words in str(caught.value)
    assert client.volumes.list() == []


def test_a_second_volume_of_a_name_is_refused(client: docker.DockerClient) -> None:
    client.volumes.create("web")

    with pytest.raises(docker.errors.APIError, match="A volume named web already exists. Choose a different"):
        client.volumes.create("web")


def test_a_new_volume_holds_lost_and_found_only(site_lab: Lab, client: docker.DockerClient) -> None:
    client.volumes.create("web")

    said = listing(site_lab, client, "web")

    assert said.count("<a href=") == 1 and "lost+found/" in said


def test_a_folder_of_the_hosts_is_no_volume(site_lab: Lab, client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.APIError, match="mounting directories as a data volume is not supported."):
        client.containers.create(probe_of(site_lab), ["/probe", "serve", "/data"], volumes=["/tmp:/data"])


def test_a_volume_without_a_name_goes_with_its_container(site_lab: Lab, client: docker.DockerClient) -> None:
    web = client.containers.create(probe_of(site_lab), ["/probe", "serve", "/data"], volumes=["/data"])
    assert len(client.volumes.list()) == 1

    web.remove(v=True)

    assert client.volumes.list() == []


def test_a_volume_in_use_is_not_removed(site_lab: Lab, client: docker.DockerClient) -> None:
    web = client.containers.create(probe_of(site_lab), ["/probe", "serve", "/data"], volumes=["web:/data"])

    with pytest.raises(docker.errors.APIError, match=f"volume web in use by {web.id}"):
        client.volumes.get("web").remove()
    web.remove(v=True)
    client.volumes.get("web").remove()

    assert not stored(site_lab, "stores/vch/volumes/web").exists()


def test_volumes_outlive_their_vch(site_lab: Lab, new_vch: NewVCH) -> None:
    first = new_vch(store="stores/shop")
    first.wait()
    client = client_of(first)
    pull_probe(site_lab, client)
    client.containers.run(probe_of(site_lab), ["/probe", "put", "/data/kept"], volumes=["web:/data"], remove=True)
    first.destroy()

    second = new_vch(store="stores/shop")
    second.wait()
    client = client_of(second)
    pull_probe(site_lab, client)

    assert [volume.name for volume in client.volumes.list()] == ["web"]
    assert ">kept<" in listing(site_lab, client, "web")


def test_a_volume_whose_files_were_deleted_is_gone(site_lab: Lab, client: docker.DockerClient) -> None:
    client.volumes.create("web")

    shutil.rmtree(stored(site_lab, "stores/vch/volumes/web"))

    assert client.volumes.list() == []


def test_a_store_that_is_gone_is_no_longer_named(site_lab: Lab, new_vch: NewVCH) -> None:
    vch = new_vch(store="stores/lost")
    vch.wait()
    assert ["VolumeStores", "default"] in client_of(vch).info()["SystemStatus"]

    shutil.rmtree(stored(site_lab, "stores/lost"))

    assert ["VolumeStores", ""] in client_of(vch).info()["SystemStatus"]


def listing(lab: Lab, client: docker.DockerClient, volume: str) -> str:
    """A page with the names of the files in a volume."""
    name = "inside"
    network = next((one for one in client.networks.list() if one.name == name), None) or client.networks.create(name)
    web = client.containers.run(
        probe_of(lab),
        ["/probe", "serve", "/data"],
        name="reader",
        detach=True,
        network=network.name,
        volumes=[f"{volume}:/data"],
    )
    said: list[str] = []

    def answered() -> bool:
        try:
            command = ["/probe", "ask", "http://reader/"]
            said.append(client.containers.run(probe_of(lab), command, network=network.name).decode())
        except docker.errors.ContainerError:
            return False
        return True

    until(answered, "the reader doesn't answer")
    web.remove(force=True)
    return said[-1]
