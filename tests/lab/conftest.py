"""Labs for tests of the lab itself: made in short folders, and always taken down."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import docker
import pytest
from docker.tls import TLSConfig

from lab.supervisor import Lab
from ops.toolchain import go_build

CHECKOUT = Path(__file__).parents[2]
COMMAND_LIMIT_S = 300
ENGINE_LIMIT_S = 60
ENGINE_VERSION = "1.41"
PROBE = "drydock-probe:1"


@pytest.fixture
def new_lab() -> Iterator[Callable[..., Lab]]:
    """Makes labs, each in a folder of its own, and takes them down when the test is over."""
    made: list[Lab] = []

    def make(passwords: Mapping[str, str] | None = None) -> Lab:
        made.append(Lab(Path(tempfile.mkdtemp(prefix="lab ")), passwords))
        return made[-1]

    try:
        yield make
    finally:
        for lab in made:
            lab.down()
            shutil.rmtree(lab.state)


@pytest.fixture(scope="module")
def running_lab() -> Iterator[Lab]:
    """A lab of the parts that need no long builds, for tests that leave it well."""
    lab = Lab(Path(tempfile.mkdtemp(prefix="lab ")))
    try:
        lab.up(["vcenter", "engine", "registry"])
        yield lab
    finally:
        lab.down()
        shutil.rmtree(lab.state)


def command(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m lab` on a lab."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "DRYDOCK_LAB_STATE": str(lab.state)},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
        check=False,
    )


def started_command(lab: Lab, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts `python -m lab` on a lab."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "DRYDOCK_LAB_STATE": str(lab.state)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def engine_of(lab: Lab) -> docker.DockerClient:
    """A client for a lab's engine, over verified TLS, with the image `PROBE` there."""
    variables = lab.part("engine").variables()
    folder = variables["DOCKER_CERT_PATH"]
    client = docker.DockerClient(
        base_url=variables["DOCKER_HOST"],
        version=ENGINE_VERSION,
        timeout=ENGINE_LIMIT_S,
        tls=TLSConfig(client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True),
    )
    client.api.trust_env = False  # REQUESTS_CA_BUNDLE would win over the lab's authority
    if not client.images.list(PROBE):
        _import_probe(client)
    return client


def _import_probe(client: docker.DockerClient) -> None:
    binary = go_build("probe", "1", source=Path(__file__).parent / "probe", usually="ten seconds")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add(binary, "probe")
        folder = tarfile.TarInfo("data")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
    name, _, tag = PROBE.partition(":")
    client.api.import_image_from_data(tar.getvalue(), repository=name, tag=tag)
