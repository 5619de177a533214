"""The lab's engine runs containers as any other, and leaves the host as it found it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator

import docker
import pytest
import requests
from docker.models.containers import Container

from lab.parts.engine import Engine
from lab.supervisor import Lab
from tests.lab import host
from tests.lab.conftest import ENGINE_VERSION, PROBE, engine_of

pytestmark = pytest.mark.lab

PORT = 10080
PATIENCE_S = 15.0


@pytest.fixture
def engine(running_lab: Lab) -> Iterator[docker.DockerClient]:
    client = engine_of(running_lab)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.networks.prune()
    client.close()


def serve(engine: docker.DockerClient, network: str | None = None, port: int | None = None) -> Container:
    """A container that serves its volume's files, and runs again whenever it ended."""
    web = engine.containers.create(
        PROBE,
        ["/probe", "serve", "/data"],
        name="web",
        network=network,
        ports={"80/tcp": port} if port else {},
        volumes=["web:/data"],
        restart_policy={"Name": "always"},
    )
    web.start()
    web.reload()
    return web


def run(engine: docker.DockerClient, *command: str, network: str | None = None) -> tuple[int, str]:
    """Runs the probe to its end; its exit code and what it said."""
    container = engine.containers.create(PROBE, ["/probe", *command], network=network, volumes=["web:/data"])
    container.start()
    code = int(container.wait()["StatusCode"])
    said = container.logs().decode()
    container.remove()
    return code, said


def published(lab: Lab) -> str:
    return f"http://{lab.part('engine').address.partition(':')[0]}:{PORT}/"


def read(url: str) -> str:
    """The page; a container that was just started may not listen yet, though its published port does."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
                return str(answer.read().decode())
        except (OSError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_containers_find_each_other_by_name(engine: docker.DockerClient) -> None:
    engine.networks.create("inside")
    run(engine, "put", "/data/file")
    serve(engine, "inside")

    assert run(engine, "ask", "http://web/file", network="inside") == (0, "kept")


def test_another_network_is_not_reached(engine: docker.DockerClient) -> None:
    engine.networks.create("inside")
    engine.networks.create("outside")
    address = serve(engine, "inside").attrs["NetworkSettings"]["Networks"]["inside"]["IPAddress"]

    code, said = run(engine, "ask", f"http://{address}/", network="outside")

    assert run(engine, "ask", f"http://{address}/", network="inside")[0] == 0
    assert code == 1
    assert "Client.Timeout" in said or "no route" in said


def test_a_published_port_answers_on_the_labs_own_address(running_lab: Lab, engine: docker.DockerClient) -> None:
    run(engine, "put", "/data/file")
    serve(engine, port=PORT)

    assert read(published(running_lab) + "file") == "kept"


def test_two_labs_publish_the_same_port(
    running_lab: Lab, engine: docker.DockerClient, new_lab: Callable[..., Lab]
) -> None:
    other = new_lab()
    other.up(["engine"])
    serve(engine, port=PORT)
    serve(engine_of(other), port=PORT)

    assert "<pre>" in read(published(running_lab))
    assert "<pre>" in read(published(other))


def test_on_a_network_of_its_own_too_a_port_is_published_on_the_labs_address_only(
    running_lab: Lab, engine: docker.DockerClient
) -> None:
    engine.networks.create("inside")
    serve(engine, "inside", port=PORT)

    assert "<pre>" in read(published(running_lab))
    for address in (("127.0.0.1", PORT), ("::1", PORT)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5).close()


def test_networks_take_their_addresses_from_the_labs_own_range(running_lab: Lab, engine: docker.DockerClient) -> None:
    network = engine.networks.create("inside")
    network.reload()
    given = ipaddress.IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])

    assert given.subnet_of(running_lab.part("engine").premises.addresses.containers)


def test_a_client_without_our_certificate_is_refused(running_lab: Lab) -> None:
    variables = running_lab.part("engine").variables()
    stranger = docker.tls.TLSConfig(ca_cert=f"{variables['DOCKER_CERT_PATH']}/ca.pem", verify=True)

    client = docker.DockerClient(base_url=variables["DOCKER_HOST"], version=ENGINE_VERSION, tls=stranger, timeout=10)
    client.api.trust_env = False

    with pytest.raises(requests.exceptions.ConnectionError):
        client.ping()


def test_a_container_that_should_always_run_runs_again_after_a_crash(running_lab: Lab) -> None:
    client = engine_of(running_lab)
    serve(client, port=PORT)
    running_lab.kill("engine")

    running_lab.up(["engine"])

    web = client.containers.get("web")
    assert web.status == "running"
    assert "<pre>" in read(published(running_lab))
    web.remove(force=True)


def test_the_host_is_as_before_when_the_lab_is_down(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab()
    host.settle()
    before = host.links(), host.settings(), host.firewall(), host.places()
    lab.up(["engine"])
    client = engine_of(lab)
    client.networks.create("inside")
    client.networks.create(
        "elsewhere", ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.77.7.0/24")])
    )
    serve(client, "elsewhere", port=PORT)
    engine = lab.part("engine")
    assert isinstance(engine, Engine)

    lab.down()

    assert (host.links(), host.settings(), host.firewall(), host.places()) == before
    assert host.processes_naming(str(lab.state)) == []
    assert host.mounts_naming(str(lab.state)) == []
    assert host.control_groups(engine.premises.addresses.bridge) == []
    assert not engine.premises.addresses.short_folder.exists()


def test_nothing_is_mounted_or_made_on_the_host_while_it_runs(running_lab: Lab, engine: docker.DockerClient) -> None:
    places = host.places()
    serve(engine)

    assert host.places() == places == dict.fromkeys(host.PLACES, False)
    assert host.mounts_naming(str(running_lab.state)) == []
