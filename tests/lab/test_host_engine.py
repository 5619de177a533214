"""Where the lab may not run an engine, the Docker that `DOCKER_HOST` names serves, and only what is ours is removed."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from lab.certificates import CLIENT
from lab.parts.engine import Engine
from lab.parts.host_engine import HostEngine
from lab.supervisor import Lab
from ops.toolchain import SetupError
from tests.lab.conftest import PROBE, engine_of

pytestmark = pytest.mark.lab

OURS = {"drydock.stack": "drydock/lab"}


@pytest.fixture
def host_engine(running_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> HostEngine:
    """The part over another lab's engine, as if that were the host's."""
    engine = running_lab.part("engine")
    assert isinstance(engine, Engine)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
    return HostEngine(engine.premises)


@pytest.fixture
def docker_client(running_lab: Lab) -> Iterator[docker.DockerClient]:
    client = engine_of(running_lab)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True)
    client.networks.prune()
    for volume in client.volumes.list():
        volume.remove()


def names(client: docker.DockerClient) -> set[str]:
    """The names of all that was made on it."""
    found = {one.name for one in client.containers.list(all=True)} | {one.name for one in client.volumes.list()}
    found |= {one.name for one in client.networks.list()}
    return {str(name) for name in found} - {"bridge", "host", "none"}


def make(client: docker.DockerClient, name: str, labels: dict[str, str]) -> None:
    client.volumes.create(f"{name}-volume", labels=labels)
    client.networks.create(f"{name}-network", labels=labels)
    client.containers.create(PROBE, ["/probe", "serve", "/"], name=f"{name}-container", labels=labels)


def test_down_removes_only_what_is_ours_and_no_volume(
    host_engine: HostEngine, docker_client: docker.DockerClient
) -> None:
    make(docker_client, "ours", OURS)
    make(docker_client, "theirs", {"drydock.stack": "drydock/production"})
    make(docker_client, "other", {})

    host_engine.stop()

    kept = {f"{name}-{kind}" for name in ("theirs", "other") for kind in ("volume", "network", "container")}
    assert names(docker_client) == kept | {"ours-volume"}


def test_data_deleted_removes_only_our_volumes(host_engine: HostEngine, docker_client: docker.DockerClient) -> None:
    docker_client.volumes.create("ours", labels=OURS)
    docker_client.volumes.create("other")

    host_engine.forget()

    assert names(docker_client) == {"other"}


def test_its_clients_use_what_the_user_uses(host_engine: HostEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = str(host_engine.premises.certificates.of(CLIENT))
    monkeypatch.setenv("DOCKER_CERT_PATH", certificates)

    assert host_engine.healthy()
    assert host_engine.variables()["DOCKER_CERT_PATH"] == certificates
    assert host_engine.variables()["DOCKER_HOST"] == host_engine.address


def test_a_docker_that_does_not_answer_gives_one_line(host_engine: HostEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")

    with pytest.raises(SetupError, match=r"tcp://127\.0\.0\.1:1 doesn't answer.*set DOCKER_HOST"):
        host_engine.start()
