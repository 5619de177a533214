"""Container images made from a folder, always the same bytes for the same folder (OCI image specification 1.0)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_COMPRESSION = 6


@dataclass(frozen=True)
class Blob:
    """Bytes with their digest, in a file or in memory."""

    media_type: str
    digest: str
    size: int
    content: bytes | Path

    @classmethod
    def of(cls, media_type: str, content: bytes | Path) -> Blob:
        data = content.read_bytes() if isinstance(content, Path) else content
        return cls(media_type, "sha256:" + hashlib.sha256(data).hexdigest(), len(data), content)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    def read(self) -> bytes:
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True)
class Image:
    """One image for linux/amd64 under an index."""

    layer: Blob
    config: Blob
    manifest: Blob
    index: Blob


def write_layer(root: Path, target: Path) -> str:
    """Writes a folder as a gzipped layer, owned by root, without times; returns its diffID.

    Args:
        root: the image's file system.
        target: the file to write.
    """
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.GNU_FORMAT) as layer:
        for path in sorted(root.rglob("*")):
            _add(layer, root, path)
    plain = text.getvalue()
    target.write_bytes(gzip.compress(plain, _COMPRESSION, mtime=0))
    return "sha256:" + hashlib.sha256(plain).hexdigest()


def image(layer: Path, diff_id: str, settings: Mapping[str, Any]) -> Image:
    """An image of one layer.

    Args:
        layer: the gzipped layer.
        diff_id: the digest of its tar.
        settings: the config's `config`: Entrypoint, Env, ExposedPorts, StopSignal, …
    """
    only = Blob.of(LAYER, layer)
    config = Blob.of(
        CONFIG,
        _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": dict(settings),
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "drydock lab"}],
            }
        ),
    )
    manifest = Blob.of(
        MANIFEST,
        _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor,
                "layers": [only.descriptor],
            }
        ),
    )
    platform = {"architecture": "amd64", "os": "linux"}
    index = Blob.of(
        INDEX,
        _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**manifest.descriptor, "platform": platform}]}),
    )
    return Image(only, config, manifest, index)


def _add(layer: tarfile.TarFile, root: Path, path: Path) -> None:
    info = tarfile.TarInfo(str(path.relative_to(root)))
    found = path.lstat()
    info.mode = _mode(found.st_mode)
    if path.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        layer.addfile(info)
    elif path.is_dir():
        info.type = tarfile.DIRTYPE
        layer.addfile(info)
    elif path.is_file():
        info.size = found.st_size
        with path.open("rb") as content:
            layer.addfile(info, content)


def _mode(mode: int) -> int:
    """A file's mode without what the umask of whoever built it did to it: all may read, the owner may write."""
    special = stat.S_IMODE(mode) & ~0o777
    if stat.S_ISLNK(mode) or mode & stat.S_IWOTH:
        return special | 0o777
    return special | (0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()
