"""What a shell and a `docker` command need for a stack's VCH, for `vch env`: certificate files, variables, a context.

A context is Docker's own store of endpoints: ``contexts/meta/ID/meta.json`` and ``contexts/tls/ID/docker/*.pem`` below
its folder for configuration, ID being the SHA-256 of the name (docs.docker.com, "Docker contexts").
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ops.exit_codes import Exit
from ops.stack import StackError
from ops.vch_stack import Reached
from providers.kit import journal

TLS_PORT = 2376
FILES = ("ca.pem", "cert.pem", "key.pem")
TLS_VARIABLES = ("DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "COMPOSE_TLS_VERSION")
OURS = "Drydock: VCH"

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")


def default_folder(name: str) -> Path:
    """Where a VCH's certificates lie unless somebody says otherwise."""
    return journal.folder() / "vch" / re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def write_certificates(vch: Reached, folder: Path) -> None:
    """Writes what there is of `FILES`, mode 600, into a folder of mode 700; what there is no more is removed.

    Raises:
        StackError: the folder can't be made or holds other files and is open to others.
    """
    try:
        _make_private(folder)
        for name, text in zip(FILES, (vch.ca, vch.cert, vch.key.reveal()), strict=True):
            if text:
                _write(folder / name, text)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise StackError(
            f"{error.filename or folder}: certificates can't be written ({error.strerror}): give another --folder",
            Exit.RESOURCE,
        ) from error


def refuse_unusable(vch: Reached) -> None:
    """Refuses what no client could use.

    Raises:
        StackError: it speaks TLS, and the stack knows no certificate to know it by, or only half of the client's.
    """
    if vch.docker_host.endswith(f":{TLS_PORT}") and (not vch.ca or bool(vch.cert) != bool(vch.key.reveal())):
        raise StackError(
            f"VCH {vch.name} speaks TLS and the stack doesn't know its certificates: run `up`, or renew them",
            Exit.RESOURCE,
        )


def variables(vch: Reached, folder: Path) -> dict[str, str | None]:
    """Name → value of what `docker` and `docker compose` read; `None` is to be unset."""
    found: dict[str, str | None] = {"DOCKER_HOST": vch.docker_host, **dict.fromkeys(TLS_VARIABLES)}
    if vch.ca:
        found |= {
            "DOCKER_CERT_PATH": str(folder.absolute()),
            "DOCKER_TLS_VERIFY": "1",
            "COMPOSE_TLS_VERSION": "TLSv1_2",
        }
    return found


def unknown_name(vch: Reached) -> str:
    """The line for a name in its certificate that leads nowhere: `docker` would refuse the certificate."""
    if not vch.server_name:
        return ""
    address = urlsplit(vch.docker_host).hostname
    return (
        f"Its certificate is for {vch.server_name}, which no DNS knows here, so that `docker` refuses it: "
        f"add '{address} {vch.server_name}' to /etc/hosts, then run this again."
    )


def found_by_name(vch: Reached) -> Reached:
    """With the name in its certificate in place of the address, where that name leads there by now."""
    place = urlsplit(vch.docker_host)
    with suppress(OSError, UnicodeError):
        if vch.server_name and place.hostname in {one[4][0] for one in socket.getaddrinfo(vch.server_name, None)}:
            return replace(vch, docker_host=f"tcp://{vch.server_name}:{place.port}", server_name="")
    return vch


def exports(values: Mapping[str, str | None]) -> str:
    """Lines that a shell takes with `eval`."""
    lines = [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}" for name, value in values.items()
    ]
    return "\n".join(lines)


def docker_folder() -> Path:
    """Docker's own folder for configuration."""
    given = os.environ.get("DOCKER_CONFIG")
    return Path(given) if given else Path.home() / ".docker"


def write_context(vch: Reached, stack: str) -> str:
    """Creates or updates the `docker context` of a VCH's name; says in one line what came of it.

    A context of that name that isn't ours is left alone, and nothing is written where there is no `docker` command.
    """
    if shutil.which("docker") is None:
        return ""
    if _NAME.fullmatch(vch.name) is None or vch.name == "default":
        return f"No docker context is made: '{vch.name}' can't be the name of one."
    identity = hashlib.sha256(vch.name.encode()).hexdigest()
    contexts = docker_folder() / "contexts"
    meta, tls = contexts / "meta" / identity / "meta.json", contexts / "tls" / identity
    try:
        if meta.exists() and not _is_ours(meta):
            return f"The docker context '{vch.name}' was not made by us and is left as it is."
        _write_context(vch, stack, meta, tls)
    except OSError as error:
        return f"No docker context is made: {error.filename or contexts}: {error.strerror}."
    return f"The docker context '{vch.name}' is there: docker --context {vch.name} ps"


def _write_context(vch: Reached, stack: str, meta: Path, tls: Path) -> None:
    """The certificates first: a context whose key is missing would be refused."""
    shutil.rmtree(tls, ignore_errors=True)
    texts = dict(zip(FILES, (vch.ca, vch.cert, vch.key.reveal()), strict=True))
    if vch.ca:
        for folder in (tls.parent, tls, tls / "docker"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in texts.items():
            if text:
                _write(tls / "docker" / name, text)
    meta.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "Name": vch.name,
        "Metadata": {"Description": f"{OURS} of stack {stack}"},
        "Endpoints": {"docker": {"Host": vch.docker_host, "SkipTLSVerify": False}},
    }
    _write(meta, json.dumps(told), 0o644)


def _is_ours(meta: Path) -> bool:
    try:
        told = json.loads(meta.read_text(encoding="utf-8"))
        return str(told["Metadata"]["Description"]).startswith(OURS)
    except (ValueError, KeyError, TypeError):
        return False


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0:
        return
    others = sorted(one.name for one in folder.iterdir() if one.name not in FILES)
    if others:
        raise StackError(f"{folder} is open to others and holds {others[0]}: give --folder a folder of its own")
    folder.chmod(0o700)


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    """Whole or not at all, and never readable for others in between."""
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(new, mode)
        os.replace(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new)
        raise
