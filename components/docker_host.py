"""The Docker host that an application runs on: its address, and the TLS material that goes with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulumi

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class DockerHost:
    """Any Docker host: an engine that is there, or a VCH that the same program makes.

    Args:
        address: ``unix:///path`` or ``tcp://address:port``.
        ca, cert, key: PEM texts, where the host wants TLS.
        server_name: the name in its certificate, where it isn't the address.
        made: whether this program makes it, so that its resources must be told of it.
    """

    address: pulumi.Output[str]
    ca: pulumi.Output[str]
    cert: pulumi.Output[str]
    key: pulumi.Output[str]
    server_name: pulumi.Output[str | None] | None = None
    made: bool = False

    @classmethod
    def of(cls, address: str | None, cert_path: str | None) -> DockerHost:
        """As the settings say, else as DOCKER_HOST and DOCKER_CERT_PATH do."""
        folder = cert_path or os.environ.get("DOCKER_CERT_PATH") or None
        ca, cert = (pulumi.Output.from_input(_pem(folder, name)) for name in ("ca.pem", "cert.pem"))
        found = address or os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS
        return cls(pulumi.Output.from_input(found), ca, cert, pulumi.Output.secret(_pem(folder, "key.pem")))

    @classmethod
    def reached(
        cls,
        address: pulumi.Output[str],
        ca: pulumi.Output[str | None],
        cert: pulumi.Output[str | None],
        key: pulumi.Output[str | None],
        server_name: pulumi.Output[str | None],
    ) -> DockerHost:
        """One that this program makes."""
        return cls(address, _text(ca), _text(cert), _text(key), server_name.apply(lambda name: name or None), made=True)

    @property
    def reached_at(self) -> pulumi.Output[str]:
        """The name or address under which published ports answer."""
        return self.address.apply(lambda address: urlsplit(address).hostname or "localhost")

    @property
    def connection(self) -> dict[str, Any] | None:
        """What resources on it take; the stack's own Docker host needs nothing said."""
        if not self.made:
            return None
        texts: dict[str, Any] = {"ca": self.ca, "cert": self.cert, "key": pulumi.Output.secret(self.key)}
        return {"host": self.address, **texts, "server_name": self.server_name}

    def outputs(self) -> dict[str, Any]:
        """The stack outputs; the key is a secret one, encrypted in state."""
        return {
            "docker_host": self.address,
            "docker_ca": self.ca,
            "docker_cert": self.cert,
            "docker_key": pulumi.Output.secret(self.key),
        }


def _text(one: pulumi.Output[str | None]) -> pulumi.Output[str]:
    return one.apply(lambda text: text or "")


def _pem(folder: str | None, name: str) -> str:
    file = Path(folder, name) if folder else None
    return file.read_text() if file and file.is_file() else ""
