"""The Docker providers' worlds, over the fake host of `tests/docker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from providers.docker import resources, swap
from providers.docker.client import ContainerSpec, NetworkInfo, VolumeInfo
from providers.docker.resources import ContainerProvider, NetworkProvider, VolumeProvider
from tests.conformance.world import MARKER, World, register
from tests.docker.fake_engine import FakeEngine

REGISTRY = "registry.example.com"
OURS = {"drydock.stack": "drydock/test"}


class DockerWorld(World):
    """A fresh fake host; the registry names a digest after the tag's last letter."""

    config: ClassVar = {
        "drydock:registry": REGISTRY,
        "drydock:db_password": MARKER,
        "drydock:other_password": f"other {MARKER}",
    }

    def make(self) -> None:
        self.engine = FakeEngine()
        self.monkeypatch.setattr(self.provider, "connect", lambda provider, settings, desired: self.engine)
        self.monkeypatch.setattr(resources, "_resolved", lambda login, asked: _digest(asked.tag))
        self.monkeypatch.setattr(swap, "SETTLE_S", 0)


def _digest(tag: str) -> str:
    return "sha256:" + tag[-1] * 64


@register
class NetworkWorld(DockerWorld):
    """A network; nothing of it can be changed in place."""

    name = "docker.Network"
    provider = NetworkProvider
    arguments: ClassVar = {"name": "gogs_net", "driver": "overlay", "labels": OURS}
    changed: ClassVar = {}
    replacing: ClassVar = {"driver": "macvlan"}
    quiet: ClassVar = {"adopt": True, "labels": {**OURS, "more": "yes"}}
    own = frozenset({"owner"})
    wrong: ClassVar = {"name": "", "driver": 5, "labels": 5, "nam": "x", "connection": {"host": "here"}}

    def look(self) -> Any:
        return {name: one.driver for name, one in self.engine.networks.items()} or None

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return {arguments["name"]: arguments["driver"]}

    def disturb(self) -> str:
        self._set("macvlan", OURS)
        return "driver"

    def restore(self) -> None:
        self._set("overlay", OURS)

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        self._set(arguments["driver"], {})

    def take_away(self) -> None:
        self.engine.networks.clear()

    def _set(self, driver: str, labels: Mapping[str, str]) -> None:
        self.engine.networks["gogs_net"] = NetworkInfo("id-gogs_net", "gogs_net", driver, labels)


@register
class VolumeWorld(DockerWorld):
    """A volume; nothing of it can be changed, and only the flag deletes it."""

    name = "docker.Volume"
    provider = VolumeProvider
    arguments: ClassVar = {"name": "gogs_data", "driver_opts": {"size": "2G"}, "labels": OURS, "delete_data": True}
    changed: ClassVar = {}
    replacing: ClassVar = {"name": "gogs_more"}
    identity = frozenset({"name"})
    quiet: ClassVar = {"adopt": True, "labels": {**OURS, "more": "yes"}, "delete_data": False}
    own = frozenset({"owner"})
    wrong: ClassVar = {"name": "", "driver": 5, "delete_data": "perhaps", "nam": "x", "connection": {"host": "here"}}

    def look(self) -> Any:
        return {name: dict(one.options) for name, one in self.engine.volumes_there.items()} or None

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return {arguments["name"]: arguments["driver_opts"]}

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        name = arguments["name"]
        self.engine.volumes_there[name] = VolumeInfo(name, "local", dict(arguments["driver_opts"]), {})

    def take_away(self) -> None:
        self.engine.volumes_there.clear()


@register
class ContainerWorld(DockerWorld):
    """A container with everything that can be set."""

    name = "docker.Container"
    provider = ContainerProvider
    arguments: ClassVar = {
        "project": "gogs",
        "service": "web",
        "container_name": "gogsapp",
        "image": f"{REGISTRY}/gogs:1",
        "environment": {"MODE": "prod", "COLOUR": "red"},
        "secret_environment": {"URL": "postgres://u:${db_password}@db"},
        "ports": [{"published": 10080, "target": 3000}],
        "mounts": [{"volume": "data", "target": "/data"}],
        "networks": [{"name": "net", "aliases": ["web"]}],
        "restart": "always",
        "labels": {**OURS, "com.docker.compose.project": "gogs", "com.docker.compose.service": "web"},
    }
    changed: ClassVar = {
        "restart": "on-failure:3",
        "image": f"{REGISTRY}/gogs:2",
        "environment": {"MODE": "test"},
        "secret_environment": {"URL": "postgres://u:${other_password}@db"},
        "ports": [{"published": 10081, "target": 3000}],
    }
    replacing: ClassVar = {"project": "other"}
    quiet: ClassVar = {"adopt": True, "stop_grace_period_s": 3, "wait_timeout_s": 5}
    optional = "restart"
    own = frozenset({"container_id"})
    wrong: ClassVar = {
        "image": "Not/Good",
        "restart": "sometimes",
        "ports": [{"published": 0, "target": 1}],
        "networks": [],
        "mounts": [{"volume": "data", "target": "relative"}],
        "nework": [],
    }

    def look(self) -> Any:
        return {name: _seen(one) for name, one in self.engine.containers_there.items()} or None

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        password = MARKER if "${db_password}" in arguments["secret_environment"]["URL"] else f"other {MARKER}"
        environment = {**arguments["environment"], "URL": f"postgres://u:{password}@db"}
        port = arguments["ports"][0]
        seen = (
            f"{REGISTRY}/gogs@{_digest(arguments['image'])}",
            environment,
            {f"{port['published']}:{port['target']}/tcp"},
            arguments.get("restart") or "no",
            True,
        )
        return {"gogsapp": seen}

    def disturb(self) -> str:
        self.engine.change("gogsapp", running=False)
        return "running"

    def restore(self) -> None:
        self.engine.change("gogsapp", running=True)

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        image, environment, _, restart, _ = self.wanted(arguments)["gogsapp"]
        self.engine.create_container(
            ContainerSpec(
                name="gogsapp",
                image=image,
                command=None,
                environment=environment,
                ports=[(3000, "tcp", None, arguments["ports"][0]["published"])],
                mounts=["data:/data:rw"],
                networks={"net": ["web"]},
                restart=restart,
                labels={},
            )
        )
        self.engine.start("gogsapp")

    def take_away(self) -> None:
        self.engine.containers_there.clear()


def _seen(one: Any) -> Any:
    environment = {name: value for name, value in one.environment.items() if name != "PATH"}
    return one.image, environment, set(one.ports), one.restart, one.running
