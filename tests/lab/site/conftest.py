"""A lab with a site, shared by the tests of a module that leave it well, and clients of its VCHs."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
import requests
from docker.tls import TLSConfig

from lab.parts.registry import USER
from lab.supervisor import Lab
from ops.toolchain import go_build
from tests.lab.site.machines import VCH, Papers, Site, make

API = "1.25"
LIMIT_S = 60.0

_PROBE_SOURCE = Path(__file__).parents[1] / "probe"


@pytest.fixture(scope="module")
def site_lab() -> Iterator[Lab]:
    lab = Lab(Path(tempfile.mkdtemp(prefix="site ")))
    try:
        lab.up(["site", "registry"])
        yield lab
    finally:
        lab.down()
        shutil.rmtree(lab.state)


@pytest.fixture
def new_vch(site_lab: Lab) -> Iterator[Callable[..., VCH]]:
    """Makes VCHs and powers them on; deletes them when the test is over."""
    made: list[VCH] = []

    def new(name: str = "", *, papers: Papers | None = None, store: str = "", **changes: str) -> VCH:
        name = name or f"vch-{uuid.uuid4().hex[:6]}"
        made.append(make(site_of(site_lab), name, store=store, papers=papers, changes=changes))
        return made[-1].power_on()

    yield new
    for vch in made:
        with suppress(StopIteration):
            vch.destroy()


def site_of(lab: Lab) -> Site:
    variables = lab.part("vcenter").variables()
    return Site(
        variables["VSPHERE_SERVER"],
        variables["VSPHERE_THUMBPRINT"],
        variables["VSPHERE_USER"],
        variables["VSPHERE_PASSWORD"],
        lab.part("site").premises.certificates.authority.read_text(),
    )


def client_of(vch: VCH, folder: Path | None = None) -> docker.DockerClient:
    """docker-py on a VCH that is up, with its client certificate if it has TLS."""
    address = vch.address()
    if vch.papers is None:
        client = docker.DockerClient(base_url=f"tcp://{address}:2375", version=API, timeout=60)
    else:
        assert folder is not None
        place = vch.papers.write(folder)
        tls = TLSConfig(
            client_cert=(str(place / "cert.pem"), str(place / "key.pem")), ca_cert=str(place / "ca.pem"), verify=True
        )
        client = docker.DockerClient(base_url=f"tcp://{address}:2376", version=API, tls=tls, timeout=60)
    client.api.trust_env = False
    return client


def asked(vch: VCH, method: str, path: str, **options: object) -> requests.Response:
    """A plain request to a VCH without TLS."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"http://{vch.address()}:2375{path}", timeout=60, **options)  # type: ignore[arg-type]


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def pull_probe(lab: Lab, client: docker.DockerClient) -> None:
    """Has a VCH pull the test's image from the lab's registry: it takes images no other way."""
    registry = lab.environment()["REGISTRY"]
    login = {"username": USER, "password": lab.environment()["REGISTRY_PASSWORD"]}
    _push_probe(lab)
    client.images.pull(f"{registry}/probe", tag="1", auth_config=login)


def probe_of(lab: Lab) -> str:
    return f"{lab.environment()['REGISTRY']}/probe:1"


def _push_probe(lab: Lab) -> None:
    variables = lab.environment()
    root = f"https://{variables['REGISTRY']}/v2/probe"
    layer = _probe_layer()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": _described("application/vnd.docker.container.image.v1+json", config),
        "layers": [_described("application/vnd.docker.image.rootfs.diff.tar", layer)],
    }
    with requests.Session() as session:
        session.trust_env = False
        session.auth = USER.encode(), variables["REGISTRY_PASSWORD"].encode()  # else it is taken for Latin 1
        session.verify = variables["REGISTRY_CA"]
        if session.head(f"{root}/manifests/1", headers={"Accept": kind}, timeout=30).status_code == 200:
            return
        for blob in (layer, config):
            place = session.post(f"{root}/blobs/uploads/", timeout=30).headers["Location"]
            assert session.put(f"{place}&digest={_digest(blob)}", data=blob, timeout=30).status_code == 201
        headers = {"Content-Type": kind}
        answer = session.put(f"{root}/manifests/1", data=json.dumps(manifest), headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text


def _described(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _probe_layer() -> bytes:
    binary = go_build("probe", "1", source=_PROBE_SOURCE, usually="ten seconds")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        file = tarfile.TarInfo("probe")
        file.size, file.mode = binary.stat().st_size, 0o755
        with binary.open("rb") as content:
            archive.addfile(file, content)
        folder = tarfile.TarInfo("data")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
    return tar.getvalue()
