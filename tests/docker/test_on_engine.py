"""The docker providers on a real engine, with images from a real registry."""

from __future__ import annotations

import io
import shutil
import socket
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import pytest

from lab.images.image import image, write_layer
from lab.images.push import Pusher
from lab.parts.registry import USER
from lab.supervisor import Lab
from ops.toolchain import go_build
from providers.docker.client import Connection, Engine
from providers.docker.resources import ContainerProvider, NetworkProvider, VolumeProvider
from providers.kit.provider import Failed
from providers.kit.secrets import Settings
from providers.kit.sessions import SESSIONS
from tests.docker.fake_engine import Killed
from tests.site import eyes

pytestmark = pytest.mark.lab

OWNER = {"drydock.stack": "drydock/engine-test"}
PORT = 18080
NET = {"name": "berth_net", "labels": OWNER}
DATA = {"name": "berth_data", "labels": OWNER}
PARALLEL = 8


@pytest.fixture(scope="module")
def images(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tag → reference: `good` serves its volume's files, `next` too, `bad` ends at once."""
    variables = lab.environment()
    registry, folder = variables["REGISTRY"], tmp_path_factory.mktemp("probe")
    probe = Path(__file__).parents[1] / "lab" / "probe"
    root = folder / "root"
    (root / "data").mkdir(parents=True)
    shutil.copy(go_build("probe", "1", source=probe, usually="ten seconds"), root / "probe")
    identity = write_layer(root, folder / "layer.tar.gz")
    pusher = Pusher(registry, USER, variables["REGISTRY_PASSWORD"], Path(variables["REGISTRY_CA"]))
    commands = {"good": ["serve", "/data"], "next": ["serve", "/data"], "bad": ["sink", "the ship"]}
    for tag, command in commands.items():
        settings = {"Entrypoint": ["/probe"], "Cmd": command, "Env": ["HOME=/data", f"TAG={tag}"]}
        pusher.push("berth/probe", tag, image(folder / "layer.tar.gz", identity, settings))
    return {tag: f"{registry}/berth/probe:{tag}" for tag in commands}


class Berth:
    """Our resources on the lab's engine, and an eye of its own on it."""

    def __init__(self, engine: docker.DockerClient, images: dict[str, str]) -> None:
        self.engine, self.images = engine, images
        self.network, self.volume, self.container = NetworkProvider(), VolumeProvider(), ContainerProvider()

    def web(self, **changes: Any) -> dict[str, Any]:
        arguments = {
            "project": "berth",
            "service": "web",
            "container_name": "berth-web-1",
            "image": self.images["good"],
            "environment": {"MODE": "light"},
            "secret_environment": {"PASSWORD": "${berth_password}"},
            "ports": [{"published": PORT, "target": 80}],
            "mounts": [{"volume": "berth_data", "target": "/data"}],
            "networks": [{"name": "berth_net", "aliases": ["web"]}],
            "restart": "on-failure",
            "labels": OWNER,
            "stop_grace_period_s": 2,
            **changes,
        }
        return {name: value for name, value in arguments.items() if value is not None}

    def up(self, **changes: Any) -> dict[str, Any]:
        self.network.create(NET)
        self.volume.create(DATA)
        return dict(self.container.create(self.web(**changes)).outs or {})

    def update(self, outs: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return dict(self.container.update("id", outs, self.web(**changes)).outs or {})

    def drift(self, outs: dict[str, Any], **changes: Any) -> list[str]:
        seen = self.container.read("id", outs)
        if seen.id is None:
            return ["gone"]
        return [change.path for change in self.container.changes(seen.outs or {}, self.web(**changes))]

    def there(self, name: str = "berth-web-1") -> Any:
        return self.engine.containers.get(name)

    def names(self) -> list[str]:
        return sorted(str(one.name) for one in self._all())

    def clear(self) -> None:
        """Takes away all that a test has made."""
        for container in self._all():
            container.remove(force=True)
        for network in self.engine.networks.list(names=["berth"]):
            network.remove()
        for volume in self.engine.volumes.list(filters={"name": "berth"}):
            volume.remove()

    def _all(self) -> list[Any]:
        return [one for one in self.engine.containers.list(all=True) if str(one.name).startswith("berth")]

    def write(self, text: str) -> None:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("cargo.txt")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        assert self.there().put_archive("/data", packed.getvalue())

    def read(self) -> str:
        packed = io.BytesIO(b"".join(self.there().get_archive("/data/cargo.txt")[0]))
        with tarfile.open(fileobj=packed) as archive:
            content = archive.extractfile("cargo.txt")
            assert content is not None
            return content.read().decode()


@pytest.fixture
def berth(lab: Lab, images: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Berth]:
    variables = lab.environment()
    for name, value in variables.items():
        if name.startswith(("DOCKER_", "REGISTRY")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("DRYDOCK_BERTH_PASSWORD", "marker-of-the-berth")
    with eyes.engine(variables) as engine:
        one = Berth(engine, images)
        yield one
        one.clear()
    SESSIONS.close_all()


def test_a_second_up_and_a_refresh_find_nothing_to_do(berth: Berth) -> None:
    outs = berth.up()

    again = berth.up()

    assert again["container_id"] == outs["container_id"] == berth.there().id
    assert berth.container.changes(outs, berth.web()) == []
    assert berth.drift(outs) == []


def test_what_stands_in_dockers_own_settings_gets_into_no_container(
    berth: Berth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://proxy.example:3128"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    berth.up()

    assert "proxy.example" not in repr(berth.there().attrs["Config"]["Env"])


def test_it_runs_by_the_digest_of_the_index_that_its_tag_names(berth: Berth) -> None:
    outs = berth.up()

    registry, digest = berth.images["good"].partition("/")[0], outs["image"].partition("@")[2]
    assert outs["image"] == f"{registry}/berth/probe@{digest}"
    assert outs["image"] in berth.there().image.attrs["RepoDigests"]


def test_the_secret_is_in_the_container_and_not_in_state(berth: Berth) -> None:
    outs = berth.up()

    assert "PASSWORD=marker-of-the-berth" in berth.there().attrs["Config"]["Env"]
    assert "marker-of-the-berth" not in repr(outs)


def test_drift_is_named_by_its_field_and_healed(berth: Berth) -> None:
    outs = berth.up()

    berth.there().kill()
    assert berth.drift(outs) == ["running"]
    outs = berth.update(outs)

    berth.engine.networks.get("berth_net").disconnect("berth-web-1")
    assert berth.drift(outs) == ["networks.berth_net"]
    outs = berth.update(outs)

    berth.there().rename("berth-lost")
    assert berth.drift(outs) == ["container_name"]
    outs = berth.update(outs)

    berth.there().update(restart_policy={"Name": "always"})
    assert berth.drift(outs) == ["restart"]
    outs = berth.update(outs)

    assert berth.drift(outs) == [] and berth.names() == ["berth-web-1"]
    berth.there().remove(force=True)
    assert berth.drift(outs) == ["gone"]


def test_a_swap_keeps_the_volumes_data_and_only_changes_what_was_asked(berth: Berth) -> None:
    outs = berth.up()
    berth.write("forty crates\n")

    changed = berth.update(outs, image=berth.images["next"], environment={"MODE": "dark"})

    assert changed["container_id"] != outs["container_id"]
    assert berth.read() == "forty crates\n"
    assert "MODE=dark" in berth.there().attrs["Config"]["Env"]
    assert berth.names() == ["berth-web-1"]
    assert berth.drift(changed, image=berth.images["next"], environment={"MODE": "dark"}) == []


def test_a_new_one_that_ends_brings_the_old_one_back_with_its_last_words(
    berth: Berth, capfd: pytest.CaptureFixture[str]
) -> None:
    outs = berth.up()

    with pytest.raises(Failed):
        berth.update(outs, image=berth.images["bad"])

    told = capfd.readouterr().err
    assert "the old container runs again" in told and 'no command "sink"' in told
    assert berth.there().id == outs["container_id"] and berth.there().status == "running"
    assert berth.drift(outs) == []


@pytest.mark.parametrize("step", ["rename", "create_container", "stop", "start", "remove_container"])
def test_a_swap_that_is_killed_is_finished_by_the_next_run(
    berth: Berth, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = berth.up()
    berth.write("forty crates\n")
    real = getattr(Engine, step)

    def dies(self: Engine, *arguments: Any) -> None:
        real(self, *arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Engine, step, dies)
        with pytest.raises(Killed):
            berth.update(outs, image=berth.images["next"])

    finished = berth.update(outs, image=berth.images["next"])

    assert berth.names() == ["berth-web-1"] and berth.there().status == "running"
    assert berth.read() == "forty crates\n"
    assert berth.drift(finished, image=berth.images["next"]) == []


def test_a_port_that_is_taken_is_told_by_number_and_nothing_stays(
    berth: Berth, lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    address = urlsplit(lab.environment()["DOCKER_HOST"]).hostname
    with socket.create_server((address, PORT)), pytest.raises(Failed):
        berth.up()

    assert f"the port {PORT} is already taken" in capfd.readouterr().err
    assert berth.names() == []


def test_an_image_that_is_missing_is_told_with_near_tags(berth: Berth, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failed):
        berth.up(image=berth.images["good"] + "s")

    told = capfd.readouterr().err
    assert "the registry doesn't have it" in told and "good" in told.partition("has the tags")[2]


def test_a_container_that_somebody_made_is_refused_and_with_adopt_swapped(
    berth: Berth, capfd: pytest.CaptureFixture[str]
) -> None:
    outs = berth.up()
    berth.there().remove(force=True)
    labels = {"com.docker.compose.project": "blog"}
    theirs = berth.engine.containers.create(outs["image"], name="berth-web-1", labels=labels)

    with pytest.raises(Failed):
        berth.up()
    assert berth.there().id == theirs.id
    adopted = berth.up(adopt=True)

    assert "the compose project blog" in capfd.readouterr().err
    assert berth.there().id == adopted["container_id"] != theirs.id
    assert berth.names() == ["berth-web-1"]


def test_a_volume_stays_with_its_data_and_is_taken_over_again(berth: Berth) -> None:
    outs = berth.up()
    berth.write("forty crates\n")
    volume = dict(berth.volume.create(DATA).outs or {})

    berth.container.delete("id", outs)
    berth.volume.delete("id", volume)
    berth.up()

    assert berth.read() == "forty crates\n"


def test_several_at_once_do_not_disturb_each_other(berth: Berth) -> None:
    berth.network.create(NET)

    def one(number: int) -> str:
        name = f"berth-{number}"
        changes = {"service": name, "container_name": name, "ports": None, "mounts": None}
        outs = dict(berth.container.create(berth.web(**changes)).outs or {})
        return str(berth.update(outs, **changes, command=["serve", "/"])["container_name"])

    with ThreadPoolExecutor(PARALLEL) as crew:
        made = sorted(crew.map(one, range(PARALLEL)))

    assert berth.names() == made == [f"berth-{number}" for number in range(PARALLEL)]
    assert {berth.there(name).status for name in made} == {"running"}


def test_a_connection_by_texts_is_the_same_host(berth: Berth, lab: Lab) -> None:
    variables = lab.environment()
    folder = Path(variables["DOCKER_CERT_PATH"])
    texts = {name: (folder / f"{name}.pem").read_text() for name in ("ca", "cert", "key")}

    with closing(Engine(Connection.of(Settings(environ={}), {"host": variables["DOCKER_HOST"], **texts}))) as engine:
        assert engine.version().startswith("20.10")
