"""A VCH's Docker API: what it does, as a VCH does it, and what it refuses, in a VCH's words."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

import docker
import pytest
import requests

from lab.supervisor import Lab
from tests.lab.site.conftest import asked, client_of, probe_of, pull_probe, site_of, until
from tests.lab.site.machines import VCH, looking, machine, machines, make
from tests.tasks import finished

pytestmark = pytest.mark.lab

PORT = 10080
CONVENTION = "guestinfo.vice./container/ContainerNameConvention"


@pytest.fixture(scope="module")
def vch(site_lab: Lab) -> Iterator[VCH]:
    one = make(site_of(site_lab), "vch").power_on()
    one.wait()
    client = client_of(one)
    pull_probe(site_lab, client)
    client.close()
    yield one
    one.destroy()


@pytest.fixture
def client(vch: VCH) -> Iterator[docker.DockerClient]:
    client = client_of(vch)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    for network in client.networks.list():
        if network.name != "bridge":
            network.remove()
    for volume in client.volumes.list():
        volume.remove()
    client.close()


@pytest.fixture
def image(site_lab: Lab) -> str:
    return probe_of(site_lab)


def serve(client: docker.DockerClient, image: str, **options: Any) -> Any:
    return client.containers.run(image, ["/probe", "serve", "/data"], detach=True, **options)


def refusal(vch: VCH, method: str, path: str, **options: object) -> tuple[int, str]:
    answer = asked(vch, method, path, **options)
    return answer.status_code, answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/build", "BuildFromContext"),
        ("POST", "/images/a/b/push", "PushImage"),
        ("POST", "/images/create?fromSrc=-", "ImportImage"),
        ("GET", "/images/a/b/history", "ImageHistory"),
        ("GET", "/images/a/b/get", "ExportImage"),
        ("POST", "/images/load", "LoadImage"),
        ("GET", "/images/search?term=a", "SearchRegistryForImages"),
        ("GET", "/containers/web/export", "ContainerExport"),
        ("GET", "/containers/web/top", "ContainerTop"),
        ("GET", "/containers/web/changes", "ContainerChanges"),
        ("POST", "/containers/web/pause", "ContainerPause"),
        ("POST", "/containers/web/unpause", "ContainerUnpause"),
        ("POST", "/containers/web/update", "ContainerUpdate"),
        ("POST", "/containers/prune", "ContainersPrune"),
        ("POST", "/networks/a/disconnect", "DisconnectContainerFromNetwork"),
        ("POST", "/volumes/prune", "VolumesPrune"),
        ("GET", "/system/df", "SystemDiskUsage"),
        ("GET", "/v1.25/plugins", "plugins"),
    ],
)
def test_what_a_vch_lacks_is_refused_in_its_words(vch: VCH, method: str, path: str, name: str) -> None:
    assert refusal(vch, method, path) == (500, f"vSphere Integrated Containers does not yet implement {name}")


def test_swarm_is_not_there(vch: VCH) -> None:
    assert refusal(vch, "POST", "/swarm/init") == (404, "Docker Swarm is not yet supported")


def test_what_nobody_knows_is_not_there(vch: VCH) -> None:
    assert refusal(vch, "GET", "/v1.25/session") == (404, "page not found")


def test_a_refused_call_with_a_long_body_gets_its_answer(vch: VCH) -> None:
    assert refusal(vch, "POST", "/build", data=b"x" * 3_000_000)[0] == 500


@pytest.mark.parametrize("version", ["1.19", "1.24", "1.25"])
def test_api_versions_up_to_a_vchs_are_served(vch: VCH, version: str) -> None:
    answer = asked(vch, "GET", f"/v{version}/containers/json")

    assert answer.status_code == 200
    assert answer.headers["Api-Version"] == "1.25"


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.26", "client is newer than server (client API version: 1.26, server API version: 1.25)"),
        (
            "1.18",
            "client version 1.18 is too old. Minimum supported API version is 1.19, "
            "please upgrade your client to a newer version",
        ),
    ],
)
def test_other_api_versions_are_refused_in_the_engines_words(vch: VCH, version: str, words: str) -> None:
    assert refusal(vch, "GET", f"/v{version}/info") == (400, words)


def test_docker_py_of_its_own_accord_finds_the_version(vch: VCH) -> None:
    client = docker.DockerClient(base_url=f"tcp://{vch.address()}:2375", version="auto")

    assert client.api._version == "1.25"


def test_a_container_is_a_vm_with_cpus_and_memory(vch: VCH, client: docker.DockerClient, image: str) -> None:
    usual = serve(client, image, name="usual")
    small = serve(client, image, name="small", mem_limit="64m", cpuset_cpus="1")

    found = machines(vch.site)
    assert found[f"usual-{usual.id[:12]}"][:3] == ("poweredOn", 2, 2048)
    assert found[f"small-{small.id[:12]}"][:3] == ("poweredOn", 1, 512)


def test_the_vm_goes_with_the_container(vch: VCH, client: docker.DockerClient, image: str) -> None:
    web = serve(client, image, name="web")
    name = f"web-{web.id[:12]}"

    web.stop(timeout=1)
    assert machines(vch.site)[name][0] == "poweredOff"
    web.start()
    assert machines(vch.site)[name][0] == "poweredOn"
    web.rename("other")
    assert name not in machines(vch.site) and f"other-{web.id[:12]}" in machines(vch.site)
    web.remove(force=True)
    assert set(machines(vch.site)) == {"vch"}


def test_a_container_that_ends_by_itself_powers_its_vm_off(vch: VCH, client: docker.DockerClient, image: str) -> None:
    done = client.containers.run(image, ["/probe", "put", "/data/file"], name="done", detach=True)

    assert done.wait()["StatusCode"] == 0
    until(lambda: machines(vch.site)[f"done-{done.id[:12]}"][0] == "poweredOff", "the VM stays on")


def test_a_vm_that_is_powered_off_in_vsphere_stops_its_container(
    vch: VCH, client: docker.DockerClient, image: str
) -> None:
    web = serve(client, image, name="web", restart_policy={"Name": "always"})
    reference = machines(vch.site)[f"web-{web.id[:12]}"][3]

    switch(vch, reference, on=False)
    until(lambda: client.containers.get("web").status == "exited", "the container runs on")
    switch(vch, reference, on=True)

    until(lambda: client.containers.get("web").status == "running", "the container stays off")


def test_a_vm_that_is_deleted_in_vsphere_takes_its_container_along(
    vch: VCH, client: docker.DockerClient, image: str
) -> None:
    web = serve(client, image, name="web")
    reference = machines(vch.site)[f"web-{web.id[:12]}"][3]

    switch(vch, reference, on=False)
    with looking(vch.site) as content:
        finished(machine(content, reference).Destroy_Task())

    until(lambda: client.containers.list(all=True) == [], "the container stays")


def test_containers_go_on_while_the_appliance_reboots(site_lab: Lab, image: str) -> None:
    other = make(site_of(site_lab), "rebooted").power_on()
    other.wait()
    client = client_of(other)
    pull_probe(site_lab, client)
    web = serve(client, image, ports={"80/tcp": PORT}, restart_policy={"Name": "always"})
    web.reload()
    since = web.attrs["State"]["StartedAt"]

    other.power_off()
    until(lambda: page(other) is None, "the port stays")
    other.forget_started()
    other.power_on()
    other.wait()

    web.reload()
    assert web.attrs["State"]["StartedAt"] == since
    until(lambda: page(other) is not None, "the port doesn't come back")
    web.remove(force=True)
    other.destroy()


def test_vms_are_named_by_the_name_convention(site_lab: Lab, image: str) -> None:
    other = make(site_of(site_lab), "named", changes={CONVENTION: "shop-{name}"}).power_on()
    other.wait()
    client = client_of(other)
    pull_probe(site_lab, client)
    serve(client, image, name="web")

    assert "shop-web" in machines(other.site)
    client.containers.get("web").remove(force=True)
    other.destroy()


def test_a_published_port_answers_on_the_vchs_address_only(vch: VCH, client: docker.DockerClient, image: str) -> None:
    web = serve(client, image, ports={"80/tcp": PORT})

    until(lambda: page(vch) is not None, "the port doesn't answer")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PORT), timeout=5).close()
    web.stop(timeout=1)
    assert page(vch) is None


def test_containers_find_each_other_by_name(client: docker.DockerClient, image: str) -> None:
    client.networks.create("inside")
    serve(client, image, name="web", network="inside", volumes=["web:/data"])

    said = client.containers.run(image, ["/probe", "ask", "http://web/"], network="inside")

    assert b"lost+found" in said


def test_networks_come_from_the_bridge_range_one_16_each(client: docker.DockerClient) -> None:
    network = client.networks.create("inside")
    network.reload()

    given = ipaddress.IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])
    assert given.subnet_of(ipaddress.IPv4Network("172.16.0.0/12")) and given.prefixlen == 16
    assert {one.name for one in client.networks.list()} == {"bridge", "inside"}


def test_a_second_network_of_a_name_is_refused(client: docker.DockerClient) -> None:
    client.networks.create("inside")

    with pytest.raises(docker.errors.APIError, match="network inside already exists"):
        client.networks.create("inside")


def test_a_running_container_is_connected_to_no_further_network(client: docker.DockerClient, image: str) -> None:
    network = client.networks.create("inside")
    web = serve(client, image)

    with pytest.raises(docker.errors.APIError, match="does not yet implement ConnectContainerToNetwork"):
        network.connect(web)
    web.stop(timeout=1)
    network.connect(web)


def test_output_is_attached_while_it_comes(client: docker.DockerClient, image: str) -> None:
    client.networks.create("inside")
    serve(client, image, name="web", network="inside", volumes=["web:/data"])
    asks = client.containers.create(image, ["/probe", "ask", "http://web/"], network="inside")

    stream = asks.attach(stream=True, logs=True)
    asks.start()

    assert b"lost+found" in b"".join(stream)


def test_commands_run_in_a_container(client: docker.DockerClient, image: str) -> None:
    web = serve(client, image)

    assert web.exec_run(["/probe", "put", "/data/file"]) == (0, b"")
    code, said = web.exec_run(["/probe", "nothing", "x"])
    assert code == 1 and b'no command "nothing"' in said


def test_an_input_reaches_an_attached_command(vch: VCH, client: docker.DockerClient, image: str) -> None:
    web = serve(client, image, stdin_open=True)

    pipe = web.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    pipe._sock.sendall(b"hello\n")
    pipe._sock.shutdown(socket.SHUT_WR)
    web.stop(timeout=1)

    assert pipe._sock.recv(64) == b""


def test_followed_logs_end_with_the_container(client: docker.DockerClient, image: str) -> None:
    web = serve(client, image)
    ended = threading.Event()

    def follow() -> None:
        for _ in web.logs(follow=True, stream=True):
            continue
        ended.set()

    reader = threading.Thread(target=follow)
    reader.start()
    web.stop(timeout=1)
    reader.join(30)

    assert ended.is_set()


def test_files_go_into_a_container_and_out_of_it(client: docker.DockerClient, image: str) -> None:
    web = serve(client, image)
    web.exec_run(["/probe", "put", "/data/file"])

    pieces, told = web.get_archive("/data/file")

    assert told["size"] == 4
    assert web.put_archive("/data", b"".join(pieces))


def test_an_image_that_isnt_there_is_named(client: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ImageNotFound, match="No such image: nothing:1"):
        client.containers.create("nothing:1")


def test_a_registry_that_isnt_allowed_is_refused(site_lab: Lab) -> None:
    place = "guestinfo.vice./registry/whitelist_registries"
    other = make(site_of(site_lab), "strict", changes={place: "0", f"{place}~": "registry.example"}).power_on()
    other.wait()

    with pytest.raises(docker.errors.APIError, match="while VCH is in whitelist mode"):
        pull_probe(site_lab, client_of(other))
    other.destroy()


def test_a_registry_of_an_unknown_authority_is_refused(site_lab: Lab) -> None:
    place = "guestinfo.vice./cert/RegistryCertificateAuthorities"
    other = make(site_of(site_lab), "distrustful", changes={place: "<nil>"}).power_on()
    other.wait()

    with pytest.raises(docker.errors.APIError, match="x509: certificate signed by unknown authority"):
        pull_probe(site_lab, client_of(other))
    other.destroy()


def test_an_insecure_registry_needs_no_known_authority(site_lab: Lab) -> None:
    place = "guestinfo.vice./registry/insecure_registries"
    registry = site_lab.environment()["REGISTRY"]
    changes = {"guestinfo.vice./cert/RegistryCertificateAuthorities": "<nil>", place: "0", f"{place}~": registry}
    other = make(site_of(site_lab), "trustful", changes=changes).power_on()
    other.wait()

    pull_probe(site_lab, client_of(other))
    other.destroy()


def page(vch: VCH) -> str | None:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(f"http://{vch.address()}:{PORT}/", timeout=5).text
        except requests.exceptions.ConnectionError:
            return None


def switch(vch: VCH, reference: str, *, on: bool) -> None:
    with looking(vch.site) as content:
        one = machine(content, reference)
        finished(one.PowerOnVM_Task() if on else one.PowerOffVM_Task())
