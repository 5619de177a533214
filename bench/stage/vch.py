"""A lab in which VCHs live, with bundles whose vic-machine notes its runs; and the same vic-machine run by hand.

The notes are the binary's own, so that whoever runs it is measured alike, and nothing of ours has to tell.
"""

from __future__ import annotations

import hashlib
import io
import os
import ssl
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from bench.stage.program import call
from bench.stage.vcenter import VCenter, log_in, properties
from lab.parts.vcenter import VCenter as VCenterPart
from lab.supervisor import Lab
from ops.toolchain import say

VERSIONS = ("1.5.6", "1.5.7")
PARTS = ("site", "bundles")

_BINARY = "vic/vic-machine-linux"
_VERSION_KEY = "guestinfo.vice./init/version/Version"
_DNS_KEY = "guestinfo.vice./init/networks|client/network/dns"
_NOTING = """#!/bin/sh
began=$(date +%s.%N)
(
{launcher}
)
code=$?
{{ echo "$began $(date +%s.%N)"; printf '%s\\n' "$@"; }} > "$(mktemp '{notes}/XXXXXXXX')"
exit $code
"""


@dataclass(frozen=True)
class Run:
    """A run of vic-machine, by its own note.

    Args:
        arguments: what it was given.
        began_s: when, by the clock on the wall.
        wall_s: how long it took.
    """

    arguments: tuple[str, ...]
    began_s: float
    wall_s: float

    @property
    def command(self) -> str:
        return " ".join(takewhile(lambda word: not word.startswith("-"), self.arguments))


@dataclass(frozen=True)
class Seen:
    """A VCH as a client of the bench's own sees it.

    Args:
        id: the VM's managed object id.
        version: vic-machine's, that it was made or upgraded by.
        has_dns: whether it was told name servers.
    """

    id: str
    version: str
    has_dns: bool


@dataclass(frozen=True)
class Stage:
    """The lab and its bundles.

    Args:
        vcenter: with its control port.
        variables: by which ours finds the vCenter; its cache and notes lie in the bench's folder.
        thumbprint: SHA-1 of the vCenter's certificate, as vic-machine wants it.
        folder: for bundles, notes and what runs leave.
    """

    vcenter: VCenter
    variables: Mapping[str, str]
    thumbprint: str
    folder: Path

    def archive(self, version: str) -> Path:
        return self.folder / f"vic_{version}.tar.gz"

    def sha256(self, version: str) -> str:
        return hashlib.sha256(self.archive(version).read_bytes()).hexdigest()

    def runs(self) -> list[Run]:
        """vic-machine's runs since this was asked last, whoever ran it."""
        found = []
        for note in _notes(self.folder).iterdir():
            times, *arguments = note.read_text().splitlines()
            began_s, ended_s = map(float, times.split())
            found.append(Run(tuple(arguments), began_s, ended_s - began_s))
            note.unlink()
        return sorted(found, key=lambda one: one.began_s)

    def by_hand(self, version: str, arguments: tuple[str, ...]) -> None:
        """Runs it as a shell script does, with the login in the environment."""
        place = self.folder / "by-hand" / version
        if not place.exists():
            with tarfile.open(self.archive(version)) as archive:
                archive.extractall(place, filter="data")
        login = {
            "VIC_MACHINE_TARGET": self.vcenter.address,
            "VIC_MACHINE_USER": self.vcenter.user,
            "VIC_MACHINE_PASSWORD": self.vcenter.password,
            "VIC_MACHINE_THUMBPRINT": self.thumbprint,
        }
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), **login}
        call([str(place / _BINARY), *arguments], place, environment)

    def seen(self, name: str) -> Seen | None:
        """A VCH by its VM's name; None where there is none."""
        from pyVim.connect import Disconnect
        from pyVmomi import vim

        service = log_in(self.vcenter)
        try:
            content = service.RetrieveContent()
            view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
            paths = ["name", "config.extraConfig"]
            found = properties(content, vim.VirtualMachine, list(view.view), paths) if view.view else []
        finally:
            Disconnect(service)
        return next((_seen(one, known) for one, known in found if known["name"] == name), None)


@contextmanager
def staged(base: Path) -> Iterator[Stage]:
    """A lab of the bench's own as long as the block lasts.

    Args:
        base: a folder for all of it.
    """
    lab = Lab(base / "lab", control=True)
    folder = base / "bundles"
    _notes(folder).mkdir(parents=True)
    try:
        lab.up(PARTS, tell=say)
        part = lab.part("vcenter")
        assert isinstance(part, VCenterPart)
        found = lab.environment()
        vcenter = VCenter(part.address, part.control, found["VSPHERE_USER"], found["VSPHERE_PASSWORD"])
        shown = ssl.PEM_cert_to_DER_cert((part.certificate / "cert.pem").read_text())
        digest = hashlib.sha1(shown).hexdigest().upper()
        thumbprint = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
        cache = {"DRYDOCK_CACHE": str(base / "cache"), "DRYDOCK_STATE": str(base / "notes")}
        stage = Stage(vcenter, {**vcenter.variables, **cache}, thumbprint, folder)
        for version in VERSIONS:
            _make_noting(lab.part("bundles").folder / f"vic_{version}.tar.gz", stage.archive(version), _notes(folder))
        yield stage
    finally:
        lab.down()


def _notes(folder: Path) -> Path:
    return folder / "notes"


def _make_noting(source: Path, target: Path, notes: Path) -> None:
    """The same bundle, with a launcher that notes when it began and ended, and with what arguments."""
    with tarfile.open(source) as given, tarfile.open(target, "w:gz") as made:
        for member in given.getmembers():
            file = given.extractfile(member)
            content = b"" if file is None else file.read()
            if member.name == _BINARY:
                content = _NOTING.format(launcher=content.decode(), notes=notes).encode()
                member.size = len(content)
            made.addfile(member, io.BytesIO(content))


def _seen(one: Any, known: Mapping[str, Any]) -> Seen:
    extra = {option.key: str(option.value) for option in known["config.extraConfig"]}
    version = extra.get(_VERSION_KEY, "").removeprefix("v")
    return Seen(one._moId, version, any(key.startswith(_DNS_KEY) for key in extra))
