"""Bundles for tests: a small shell script in vic-machine's place, and ISOs of a few bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from providers.vic.bundle import ISOS, program


def script(version: str = "1.5.6-21029-2be3feb") -> bytes:
    return f"#!/bin/sh\necho 'vic-machine-linux version v{version}'\n".encode()


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o755
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def whole(version: str = "1.5.6-21029-2be3feb", padding: int = 0) -> list[tuple[tarfile.TarInfo, bytes]]:
    isos = [member(f"vic/{name}", b"iso" * 100) for name in ISOS]
    return [member("vic", type=tarfile.DIRTYPE), member(f"vic/{program()}", script(version)), *isos, *_padded(padding)]


def _padded(size: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    blocks = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(size // 32))
    return [member("vic/more", blocks)] if size else []


def archive(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
