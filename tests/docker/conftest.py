"""The docker providers over a fake host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from providers.docker import resources, swap
from providers.docker.resources import ContainerProvider, DockerProvider
from providers.docker.swap import Swap
from providers.kit.errors import Permanent
from providers.kit.provider import Provider
from providers.kit.sessions import SESSIONS
from tests.docker.fake_engine import FakeEngine

REGISTRY = "registry.example.com"
V1, V2 = (f"{REGISTRY}/shop/web@sha256:{digit * 64}" for digit in "12")
STACK = "drydock/lab"
OWNER = {"drydock.stack": "drydock/test"}
IDENTITY = {
    "com.docker.compose.project": "gogs",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
}
WEB: dict[str, Any] = {
    "project": "gogs",
    "service": "web",
    "container_name": "gogsapp",
    "image": f"{REGISTRY}/gogs:1",
    "environment": {"MODE": "prod"},
    "secret_environment": {"URL": "postgres://u:${db_password}@db?x=$$1"},
    "ports": [{"published": 10080, "target": 3000}],
    "mounts": [{"volume": "data", "target": "/data"}],
    "networks": [{"name": "net", "aliases": ["web"]}],
    "restart": "on-failure",
    "labels": {**OWNER, **IDENTITY},
}


class Host:
    """A fake host, and the container provider on it."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.provider = ContainerProvider()

    def create(self, **changes: Any) -> dict[str, Any]:
        return dict(self.provider.create({**WEB, **changes}).outs or {})

    def update(self, before: dict[str, Any], **changes: Any) -> dict[str, Any]:
        self.engine.calls.clear()
        return dict(self.provider.update("gogs/web/1", before, {**WEB, **changes}).outs or {})

    def read(self, before: dict[str, Any]) -> dict[str, Any]:
        return dict(self.provider.read("gogs/web/1", before).outs or {})

    def changes(self, before: dict[str, Any], **changes: Any) -> list[str]:
        return [change.path for change in self.provider.changes(before, {**WEB, **changes})]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    one = Host()
    monkeypatch.setenv("DRYDOCK_DB_PASSWORD", "hunter2-marker")
    monkeypatch.setenv("REGISTRY", REGISTRY)
    monkeypatch.setattr(DockerProvider, "endpoint", lambda self, settings, desired: id(one))
    monkeypatch.setattr(DockerProvider, "connect", lambda self, settings, desired: one.engine)
    monkeypatch.setattr(resources, "_resolved", lambda login, asked: "sha256:" + asked.tag[-1] * 64)
    monkeypatch.setattr(swap, "SETTLE_S", 0)
    yield one
    SESSIONS.close_all()


@dataclass
class Bench:
    """Pulumi's side of one resource.

    Args:
        engine: the Docker host.
        provider: the provider.
        tags: what the registry's tags name.
    """

    engine: FakeEngine
    provider: Provider[Any, Any, Any]
    tags: dict[str, str]
    said: list[str]

    def create(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(self.provider.create(arguments).outs or {})

    def update(self, olds: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(self.provider.update("id", olds, arguments).outs or {})

    def read(self, olds: dict[str, Any]) -> dict[str, Any] | None:
        found = self.provider.read("id", olds)
        return dict(found.outs or {}) if found.id is not None else None

    def drift(self, olds: dict[str, Any], arguments: dict[str, Any]) -> list[str]:
        """What a refresh and a preview find, one text a field."""
        seen = self.read(olds)
        return ["gone"] if seen is None else [str(one) for one in self.provider.changes(seen, arguments)]

    def delete(self, olds: dict[str, Any]) -> None:
        self.provider.delete("id", olds)

    def calls_of(self, do: Callable[[], object]) -> list[str]:
        """The changes that something makes on the Docker host."""
        before = len(self.engine.calls)
        do()
        return self.engine.calls[before:]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    now = [0.0]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def swap(self: ContainerProvider, call: Any, desired: Any) -> Swap:
        name, grace_s, proof_s = desired.container_name, desired.stop_grace_period_s, desired.wait_timeout_s
        return Swap(call.client, name, grace_s, proof_s, sleep=sleep, clock=lambda: now[0])

    def make(kind: type[Provider[Any, Any, Any]], engine: FakeEngine | None = None) -> Bench:
        engine = engine if engine is not None else FakeEngine()
        tags = {f"{REGISTRY}/shop/web:1": V1, f"{REGISTRY}/shop/web:2": V2}

        def resolved(login: Any, asked: Any) -> str:
            if str(asked) not in tags:
                raise Permanent("the registry doesn't have it", on=f"image {asked}", remedy="It has 1, 2.")
            return tags[str(asked)].partition("@")[2]

        monkeypatch.setattr(DockerProvider, "endpoint", lambda self, settings, desired: id(engine))
        monkeypatch.setattr(DockerProvider, "connect", lambda self, settings, desired: engine)
        monkeypatch.setattr(resources, "_resolved", resolved)
        return Bench(engine, kind(), tags, said)

    monkeypatch.setattr(ContainerProvider, "_swap", swap)
    monkeypatch.setattr("pulumi.log.error", lambda text: said.append(text))
    monkeypatch.setenv("REGISTRY", REGISTRY)
    monkeypatch.setenv("REGISTRY_USER", "captain")
    monkeypatch.setenv("REGISTRY_PASSWORD", "the registry's password")
    monkeypatch.setenv("DRYDOCK_DB_PASSWORD", "first-password")
    yield make
    SESSIONS.close_all()


def web(**changes: Any) -> dict[str, Any]:
    """The arguments of a container; `None` takes one out."""
    arguments = {
        "project": "shop",
        "service": "web",
        "container_name": "web",
        "image": f"{REGISTRY}/shop/web:1",
        "networks": [{"name": "shop_net", "aliases": ["web"]}],
        "labels": {"drydock.stack": STACK},
        **changes,
    }
    return {name: value for name, value in arguments.items() if value is not None}
