"""How a Docker host is reached: its address, and TLS that trusts nobody but the given CA; for the client."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.tls
import requests
import requests.adapters

from providers.kit.errors import Permanent
from providers.kit.retry import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S, PULL_TIMEOUT_S
from providers.kit.secrets import Settings
from providers.kit.tls import as_file

DEFAULT_HOST = "unix:///var/run/docker.sock"
DEFAULT_CERT_PATH = "~/.docker"
_CONNECTIONS = 16


@dataclass(frozen=True)
class Connection:
    """How a Docker host is reached.

    Args:
        host: ``unix:///path`` or ``tcp://address:port``.
        ca, cert, key: PEM texts; without `cert` and `key` no client certificate is shown.
        server_name: the name in the host's certificate, where it isn't the address; a VCH's may be one without DNS.
        cert_path: a folder with ca.pem and, for a client certificate, cert.pem and key.pem, where no texts are given.
    """

    host: str
    ca: str | None = None
    cert: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    cert_path: str | None = None
    server_name: str | None = None

    @classmethod
    def of(cls, settings: Settings, given: Mapping[str, Any] | None = None) -> Connection:
        """As given, else as the stack's config or the environment says, in the way of Docker's own command line."""
        if given:
            texts = (given.get("ca"), given.get("cert"), given.get("key"))
            return cls(given["host"], *texts, server_name=given.get("server_name"))
        host = settings.value("docker_host", "DOCKER_HOST") or DEFAULT_HOST
        folder = settings.value("docker_cert_path", "DOCKER_CERT_PATH")
        if folder is None and settings.value("docker_tls_verify", "DOCKER_TLS_VERIFY"):
            folder = str(Path(DEFAULT_CERT_PATH).expanduser())
        return cls(host, cert_path=folder)

    @property
    def label(self) -> str:
        """How errors call it."""
        return f"Docker host {self.host}"

    @property
    def uses_tls(self) -> bool:
        return self.host.startswith("tcp://") and bool(self.ca or self.cert_path)

    def open(self, version: str) -> docker.APIClient:
        """A client of docker-py that speaks one API version; it has asked nothing yet.

        Raises:
            Permanent: the TLS material can't be used.
        """
        tls = _Tls(self._context(), self.server_name) if self.uses_tls else None
        base = self.host.replace("tcp://", "https://", 1) if tls else self.host
        client = _Client(base_url=base, tls=tls or False, version=version, timeout=int(CALL_TIMEOUT_S))
        client.trust_env = False  # REQUESTS_CA_BUNDLE would replace our CA (facts/lab.md)
        return client

    def _context(self) -> ssl.SSLContext:
        ca, cert, key = self._material()
        try:
            # Not the default context: Python 3.13's refuses authorities that engines have been set up with for years.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=ca)
            if cert and key:
                with as_file(cert) as cert_file, as_file(key) as key_file:
                    context.load_cert_chain(cert_file, key_file, password="")  # an encrypted key must not ask
        except (ssl.SSLError, ValueError) as error:
            remedy = "Give PEM texts of the CA, the client certificate and its unencrypted key (DOCKER_CERT_PATH)."
            raise Permanent("its TLS material can't be used", on=self.label, remedy=remedy) from error
        return context

    def _material(self) -> tuple[str, str | None, str | None]:
        if self.ca:
            return self.ca, self.cert, self.key
        folder = Path(self.cert_path or "")
        names = ["ca.pem"]
        if (folder / "cert.pem").exists() or (folder / "key.pem").exists():
            names += ["cert.pem", "key.pem"]
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise Permanent(f"{folder} has no {', '.join(missing)}", on=self.label, remedy="Correct DOCKER_CERT_PATH.")
        texts = [(folder / name).read_text() for name in names]
        return texts[0], *(texts[1:] if len(texts) > 1 else (None, None))


class _Client(docker.APIClient):
    """docker-py asks for pulls without any timeout, and waits for a connection as long as for an answer."""

    def request(self, method: Any, url: Any, **arguments: Any) -> requests.Response:  # type: ignore[override]
        limit_s = arguments.get("timeout") or PULL_TIMEOUT_S
        if not isinstance(limit_s, tuple):
            arguments["timeout"] = (min(CONNECT_TIMEOUT_S, limit_s), limit_s)
        return super().request(method, url, **arguments)


class _Tls(docker.tls.TLSConfig):
    """docker-py takes paths of files and reads them at every new connection; this needs no file."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self._context = context
        self._server_name = server_name

    def configure_client(self, client: Any) -> None:
        client.mount("https://", _Adapter(self._context, self._server_name))


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections that trust what the context trusts, whatever requests would add."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self._context = context
        self._server_name = server_name
        super().__init__(pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, ssl_context=self._context)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        place, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        named = {"server_hostname": self._server_name} if self._server_name else {}
        return place, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED", **named}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"
