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
    """Any Docker host: an engine, or later a VCH.

    Args:
        address: ``unix:///path`` or ``tcp://address:port``.
        cert_path: folder with ca.pem, cert.pem and key.pem, where the host wants TLS.
    """

    address: str
    cert_path: str | None = None

    @classmethod
    def of(cls, address: str | None, cert_path: str | None) -> DockerHost:
        """As the settings say, else as DOCKER_HOST and DOCKER_CERT_PATH do."""
        return cls(
            address or os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS,
            cert_path or os.environ.get("DOCKER_CERT_PATH") or None,
        )

    @property
    def reached_at(self) -> str:
        """The name or address under which published ports answer."""
        return urlsplit(self.address).hostname or "localhost"

    def outputs(self) -> dict[str, Any]:
        """The stack outputs; the key is a secret one, encrypted in state."""
        return {
            "docker_host": self.address,
            "docker_ca": self._pem("ca.pem"),
            "docker_cert": self._pem("cert.pem"),
            "docker_key": pulumi.Output.secret(self._pem("key.pem")),
        }

    def _pem(self, name: str) -> str:
        file = Path(self.cert_path, name) if self.cert_path else None
        return file.read_text() if file and file.is_file() else ""
