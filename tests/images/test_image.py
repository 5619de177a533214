"""Images are the same bytes for the same folder, and everything in them is named by its true digest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from lab.images.image import INDEX, MANIFEST, Blob, Image, image, write_layer

SETTINGS = {"Entrypoint": ["/app"], "StopSignal": "SIGINT"}


def laid(root: Path, names: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """A small file system: files, a program, an empty folder for everyone, links."""
    (root / "bin").mkdir(parents=True)
    for name in names:
        (root / name).write_text("content of " + name)
    (root / "bin/app").write_text("#!/bin/sh\n")
    (root / "bin/app").chmod(0o755)
    (root / "bin/link").symlink_to("app")
    (root / "gone").symlink_to("/nowhere")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


@pytest.fixture
def one(tmp_path: Path) -> Image:
    diff_id = write_layer(laid(tmp_path / "root"), tmp_path / "layer")
    return image(tmp_path / "layer", diff_id, SETTINGS)


def test_the_same_files_give_the_same_layer_whenever_and_in_whatever_order_they_were_made(tmp_path: Path) -> None:
    first = laid(tmp_path / "first")
    second = laid(tmp_path / "second", ("c", "a", "b"))
    for path in second.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)

    said = [write_layer(root, tmp_path / f"{root.name}.tar.gz") for root in (first, second)]

    assert said[0] == said[1]
    assert (tmp_path / "first.tar.gz").read_bytes() == (tmp_path / "second.tar.gz").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a").write_text("another"),
        lambda root: (root / "bin/app").chmod(0o644),
        lambda root: (root / "more").mkdir(),
        lambda root: ((root / "bin/link").unlink(), (root / "bin/link").symlink_to("a")),
    ],
    ids=["content", "mode", "folder", "link"],
)
def test_a_change_of_the_files_gives_another_layer(tmp_path: Path, change: object) -> None:
    root = laid(tmp_path / "root")
    before = write_layer(root, tmp_path / "before")

    assert callable(change)
    change(root)

    assert write_layer(root, tmp_path / "after") != before


def test_a_layer_has_all_files_in_order_with_modes_and_links_owned_by_root_and_without_times(tmp_path: Path) -> None:
    write_layer(laid(tmp_path / "root"), tmp_path / "layer")

    with tarfile.open(tmp_path / "layer") as layer:
        found = {one.name: one for one in layer}

    assert list(found) == ["a", "b", "bin", "bin/app", "bin/link", "c", "gone", "tmp"]
    assert (found["bin/app"].mode, found["a"].mode, found["tmp"].mode) == (0o755, 0o644, 0o1777)
    assert (found["bin/link"].linkname, found["gone"].linkname) == ("app", "/nowhere")
    assert found["tmp"].isdir()
    assert {(one.uid, one.gid, one.mtime) for one in found.values()} == {(0, 0, 0)}


def test_the_diff_id_is_the_digest_of_the_layer_unpacked_and_packing_leaves_no_time_in_it(tmp_path: Path) -> None:
    diff_id = write_layer(laid(tmp_path / "root"), tmp_path / "layer")

    packed = (tmp_path / "layer").read_bytes()
    unpacked = gzip.decompress(packed)

    assert int.from_bytes(packed[4:8], "little") == 0, "the time of packing is in it (RFC 1952, MTIME)"
    assert diff_id == "sha256:" + hashlib.sha256(unpacked).hexdigest()


def test_the_chain_from_index_to_layer_holds(one: Image) -> None:
    index, manifest, config = (json.loads(blob.read()) for blob in (one.index, one.manifest, one.config))

    assert index["manifests"] == [
        {**one.manifest.descriptor, "platform": {"architecture": "amd64", "os": "linux"}},
    ]
    assert (index["mediaType"], manifest["mediaType"]) == (INDEX, MANIFEST)
    assert (manifest["config"], manifest["layers"]) == (one.config.descriptor, [one.layer.descriptor])
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(gzip.decompress(one.layer.read())).hexdigest()]
    assert (config["architecture"], config["os"], config["config"]) == ("amd64", "linux", SETTINGS)


def test_each_part_is_named_by_the_digest_and_size_of_its_bytes(one: Image) -> None:
    for blob in (one.layer, one.config, one.manifest, one.index):
        content = blob.read()
        assert (blob.digest, blob.size) == ("sha256:" + hashlib.sha256(content).hexdigest(), len(content))


def test_a_blob_is_the_same_from_a_file_and_from_memory(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"content")

    in_a_file, in_memory = Blob.of("kind", tmp_path / "blob"), Blob.of("kind", b"content")

    assert (in_a_file.descriptor, in_a_file.read()) == (in_memory.descriptor, in_memory.read())
