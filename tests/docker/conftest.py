"""The docker providers over a fake host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers.docker import resources, swap
from providers.docker.resources import ContainerProvider, DockerProvider
from providers.kit.sessions import SESSIONS
from tests.docker.fake_engine import FakeEngine

REGISTRY = "registry.example.com"
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
