"""The lab's registry: distribution 3.1.2 with TLS and a password login, its blobs in the lab's state folder."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from lab.parts.part import Command, Server, write_settings
from lab.passwords import write_private
from ops.toolchain import go_build

VERSION = "3.1.2"
USER = "drydock"

# Logins are checked at every request; the lab's random passwords don't need slow hashes to stand against guessing.
_BCRYPT_ROUNDS = 5


class Registry(Server):
    """A container registry that speaks the distribution protocol, deletes included."""

    name = "registry"
    member = 4
    preferred_port = 5000
    program = "registry-"
    start_limit_s = 30.0

    def install(self) -> None:
        self._binary()
        write_settings(self._settings, json.dumps(self._configuration(), indent=2) + "\n")
        self._write_login()

    def command(self) -> Command:
        return Command(
            [str(self._binary()), "serve", str(self._settings)],
            {"OTEL_TRACES_EXPORTER": "none", "HOME": str(self.folder)},
            [self._settings, self._login, self.certificate / "cert.pem"],
        )

    def healthy(self) -> bool:
        return self.asked("/v2/", {"Authorization": f"Basic {self._basic()}"}).status == 200

    def holds(self, digests: Mapping[str, str], accept: str) -> bool:
        """Whether it holds all of these.

        Args:
            digests: `repository:tag` → the digest that the tag must name.
            accept: the kinds of manifests that are asked for.
        """
        headers = {"Authorization": f"Basic {self._basic()}", "Accept": accept}
        for name, digest in digests.items():
            repository, _, tag = name.rpartition(":")
            answer = self.asked(f"/v2/{repository}/manifests/{tag}", headers, method="HEAD")
            if answer.status != 200 or answer.headers.get("docker-content-digest") != digest:
                return False
        return True

    def variables(self) -> dict[str, str]:
        return {
            "REGISTRY": self.address,
            "REGISTRY_USER": USER,
            "REGISTRY_PASSWORD": self.premises.passwords["registry"],
            "REGISTRY_CA": str(self.premises.certificates.authority),
        }

    @property
    def _settings(self) -> Path:
        return self.folder / "config.json"

    @property
    def _login(self) -> Path:
        return self.folder / "htpasswd"

    def _basic(self) -> str:
        return base64.b64encode(f"{USER}:{self.premises.passwords['registry']}".encode()).decode()

    def _configuration(self) -> dict[str, object]:
        """Its settings; JSON is YAML too."""
        return {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "cache": {"blobdescriptor": "inmemory"},
                "delete": {"enabled": True},
            },
            "auth": {"htpasswd": {"realm": "drydock", "path": str(self._login)}},
            # Without this list, manifests with foreign layers are refused.
            "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
            "http": {
                "addr": self.address,
                "tls": {
                    "certificate": str(self.certificate / "cert.pem"),
                    "key": str(self.certificate / "key.pem"),
                },
            },
        }

    def _write_login(self) -> None:
        import bcrypt

        password = self.premises.passwords["registry"].encode()
        if self._login.exists():
            known = self._login.read_bytes().strip().partition(b":")[2]
            if known and bcrypt.checkpw(password, known):
                return
        hashed = bcrypt.hashpw(password, bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()
        write_private(self._login, f"{USER}:{hashed}\n")

    def _binary(self) -> Path:
        return go_build(
            "registry",
            VERSION,
            module="github.com/distribution/distribution/v3",
            package="github.com/distribution/distribution/v3/cmd/registry",
            usually="one to two minutes",
        )
