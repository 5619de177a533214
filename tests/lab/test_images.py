"""Images are ready only while the registry holds what they are named to be; else `lab up` publishes again."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import requests

from lab.supervisor import Lab

pytestmark = pytest.mark.lab

KIND = "application/vnd.oci.image.index.v1+json"
NAME = "drydock/empty:1"


class Publisher:
    """In the place of `lab.images`: pushes one index without images, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def publish(self, registry: str, user: str, password: str, ca: Path) -> dict[str, str]:
        self.calls += 1
        content = json.dumps({"schemaVersion": 2, "mediaType": KIND, "manifests": []}).encode()
        repository, _, tag = NAME.partition(":")
        with requests.Session() as session:
            session.trust_env = False
            answer = session.put(
                f"https://{registry}/v2/{repository}/manifests/{tag}",
                data=content,
                headers={"Content-Type": KIND},
                auth=(user, password),
                verify=str(ca),
                timeout=10,
            )
        answer.raise_for_status()
        return {NAME: f"sha256:{hashlib.sha256(content).hexdigest()}"}


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    stand_in = ModuleType("lab.images")
    publisher = Publisher()
    stand_in.__dict__["publish"] = publisher.publish
    monkeypatch.setitem(sys.modules, "lab.images", stand_in)
    return publisher


def state_of_images(lab: Lab) -> str:
    return next(part.state for part in lab.status() if part.name == "images")


def test_images_are_published_once(new_lab: Callable[..., Lab], publisher: Publisher) -> None:
    lab = new_lab()

    lab.up(["images"])
    lab.up(["images"])

    assert state_of_images(lab) == "ready"
    assert publisher.calls == 1


def test_an_image_that_the_registry_lost_is_published_again(new_lab: Callable[..., Lab], publisher: Publisher) -> None:
    lab = new_lab()
    lab.up(["images"])
    (link,) = lab.part("registry").folder.glob("data/**/_manifests/tags/*/current/link")
    link.unlink()
    seen = state_of_images(lab)

    lab.up(["images"])

    assert seen == "unhealthy"
    assert state_of_images(lab) == "ready"
    assert publisher.calls == 2


def test_images_are_not_crashed_but_stopped_when_the_lab_is_down(
    new_lab: Callable[..., Lab], publisher: Publisher
) -> None:
    lab = new_lab()
    lab.up(["images"])

    lab.down()

    assert state_of_images(lab) == "stopped"
