"""The pusher sends what the registry lacks, over TLS that it verifies, and says in one line what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lab.images.image import INDEX, MANIFEST, Image, image, write_layer
from lab.images.push import Pusher
from ops.toolchain import SetupError
from tests.images.registry_stand_in import PASSWORD, USER, StandIn, certificate, serving

REPOSITORY, TAG = "gogs/gogs", "1.26"


@pytest.fixture
def one(tmp_path: Path) -> Image:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").write_text("content")
    diff_id = write_layer(tmp_path / "root", tmp_path / "layer")
    return image(tmp_path / "layer", diff_id, {"Entrypoint": ["/file"]})


@pytest.fixture
def registry() -> StandIn:
    return StandIn()


@pytest.fixture
def authority(registry: StandIn, tmp_path: Path) -> Iterator[Path]:
    with serving(registry, tmp_path) as path:
        yield path


@pytest.fixture
def pusher(registry: StandIn, authority: Path) -> Pusher:
    return Pusher(registry.address, USER, PASSWORD, authority)


def test_a_push_leaves_the_whole_image_under_its_digest_and_its_tag(
    registry: StandIn, pusher: Pusher, one: Image
) -> None:
    said = pusher.push(REPOSITORY, TAG, one)

    assert said == one.index.digest
    assert registry.blobs == {blob.digest: blob.read() for blob in (one.layer, one.config)}
    assert registry.manifests[one.manifest.digest] == one.manifest.read()
    assert registry.manifests[TAG] == registry.manifests[one.index.digest] == one.index.read()
    assert (registry.kinds[one.manifest.digest], registry.kinds[TAG]) == (MANIFEST, INDEX)


def test_a_blob_that_is_there_is_not_sent_again(registry: StandIn, pusher: Pusher, one: Image) -> None:
    registry.blobs[one.layer.digest] = one.layer.read()

    pusher.push(REPOSITORY, TAG, one)

    assert [method for method, path in registry.asked if "/blobs/uploads/" in path] == ["POST", "PUT"]
    assert set(registry.blobs) == {one.layer.digest, one.config.digest}


def test_the_digest_of_a_tag_is_known_after_a_push_and_empty_before(pusher: Pusher, one: Image) -> None:
    before = pusher.digest(REPOSITORY, TAG)
    pusher.push(REPOSITORY, TAG, one)

    assert (before, pusher.digest(REPOSITORY, TAG)) == ("", one.index.digest)


def test_a_registry_that_lost_a_blob_is_told_as_refusing_the_manifest(
    registry: StandIn, pusher: Pusher, one: Image
) -> None:
    registry.spoils = True

    with pytest.raises(SetupError, match="refused PUT with 400"):
        pusher.push(REPOSITORY, TAG, one)
    assert TAG not in registry.manifests


def test_a_wrong_password_is_refused_without_the_password_in_the_text(
    registry: StandIn, authority: Path, one: Image
) -> None:
    with pytest.raises(SetupError, match="401") as caught:
        Pusher(registry.address, USER, "wrong-marker", authority).push(REPOSITORY, TAG, one)

    assert "wrong-marker" not in str(caught.value)
    assert registry.manifests == registry.blobs == {}


def test_nothing_is_said_to_a_registry_of_another_authority(
    registry: StandIn, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Image
) -> None:
    # The variable would replace the authority that was asked for; here it would let the stranger in.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    another, _ = certificate(tmp_path / "another")

    with pytest.raises((SetupError, requests.exceptions.SSLError)):
        Pusher(registry.address, USER, PASSWORD, another).push(REPOSITORY, TAG, one)

    assert registry.asked == []


def test_a_proxy_in_the_environment_is_not_asked(
    registry: StandIn, pusher: Pusher, one: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    pusher.push(REPOSITORY, TAG, one)

    assert TAG in registry.manifests
