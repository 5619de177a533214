"""`publish` builds each image once and pushes it once; a second call only looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.images import gitea, postgres, publish
from ops.toolchain import SetupError
from tests.images.registry_stand_in import PASSWORD, USER, StandIn, serving

NAMES = {"library/postgres:9.6", "gogs/gogs:1.26"}


class Site:
    """A registry, an empty cache, and recipes that fill an image with one file."""

    def __init__(self, registry: StandIn, authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registry = registry
        self.built: list[str] = []
        self._authority = authority
        for recipe in (postgres, gitea):
            monkeypatch.setattr(recipe, "fill", lambda root, name=recipe.REPOSITORY: self._fill(root, name))

    def publish(self) -> dict[str, str]:
        return publish(self.registry.address, USER, PASSWORD, self._authority)

    def _fill(self, root: Path, name: str) -> None:
        root.mkdir()
        (root / "file").write_text(name)
        (root.parent / "left-over").write_text("of a download")
        self.built.append(name)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("DRYDOCK_CACHE", str(tmp_path / "cache"))
    registry = StandIn()
    with serving(registry, tmp_path) as authority:
        yield Site(registry, authority, monkeypatch)


def test_both_images_are_in_the_registry_under_the_digests_that_are_said(site: Site) -> None:
    digests = site.publish()

    assert set(digests) == NAMES
    assert set(digests.values()) <= set(site.registry.manifests)
    assert len(set(digests.values())) == 2


def test_what_is_there_is_neither_built_nor_sent_again(site: Site) -> None:
    first = site.publish()
    site.registry.asked.clear()

    second = site.publish()

    assert second == first
    assert len(site.built) == 2
    assert {method for method, _ in site.registry.asked} == {"HEAD"}


def test_an_emptied_registry_is_filled_from_the_cache(site: Site) -> None:
    first = site.publish()
    site.registry.manifests.clear()
    site.registry.blobs.clear()

    assert site.publish() == first
    assert set(first.values()) <= set(site.registry.manifests)
    assert len(site.built) == 2


def test_a_build_that_failed_leaves_nothing_that_is_believed_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(root: Path) -> None:
        root.mkdir()
        raise SetupError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(postgres, "fill", fails)
        with pytest.raises(SetupError, match="the disk is full"):
            site.publish()

    assert set(site.publish()) == NAMES


def test_the_cache_keeps_of_a_build_only_what_the_next_push_needs(site: Site, tmp_path: Path) -> None:
    site.publish()

    kept = [path.name for path in (tmp_path / "cache/images").rglob("*") if path.is_file() and path.name[0] != "."]

    assert sorted(kept) == ["diff-id", "diff-id", "layer.tar.gz", "layer.tar.gz"]
