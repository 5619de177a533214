"""A registry over TLS on loopback, as small as the client's questions; it notes every login that it is shown."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.tls import certificate

USER, PASSWORD = "captain", 'pass"Zü'
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
DIGEST = "sha256:" + "b" * 64


@dataclass
class Fake:
    """What the registry has, how it wants to be asked, and what it was asked.

    Args:
        auth: ``basic``, or a bearer realm's URL with ``{host}`` for its own address.
        tells_digest: whether answers have the digest's header.
    """

    auth: str = "basic"
    tells_digest: bool = True
    manifests: dict[str, bytes] = field(default_factory=lambda: {"gogs/gogs:1.26": b"{}", "gogs/gogs:1.25": b"{}"})
    logins: list[tuple[str, str]] = field(default_factory=list)
    host: str = ""

    def answer(self, method: str, path: str, login: str) -> tuple[int, dict[str, str], bytes]:
        if login:
            self.logins.append((path, login))
        if path.startswith("/token"):
            granted = login == BASIC
            return (200, {}, b'{"token": "t0"}') if granted else (401, {}, b"")
        if login not in (BASIC if self.auth == "basic" else "Bearer t0",):
            return 401, {"WWW-Authenticate": self._challenge()}, b""
        return self._content(path)

    def _challenge(self) -> str:
        if self.auth == "basic":
            return 'Basic realm="here"'
        return f'Bearer realm="{self.auth.format(host=self.host)}",service="here"'

    def _content(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/v2/":
            return 200, {}, b"{}"
        repository, _, name = path.removeprefix("/v2/").partition("/manifests/")
        if path.endswith("/tags/list"):
            repository = path.removeprefix("/v2/").removesuffix("/tags/list")
            tags = [key.partition(":")[2] for key in self.manifests if key.startswith(f"{repository}:")]
            return (200, {}, json.dumps({"tags": tags}).encode()) if tags else (404, {}, b"")
        body = self.manifests.get(f"{repository}:{name}")
        if body is None:
            return 404, {}, b""
        return 200, {"Docker-Content-Digest": DIGEST} if self.tells_digest else {}, body


@contextmanager
def serving(fake: Fake, folder: Path) -> Iterator[Path]:
    """Serves it; yields the path of its CA."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            code, headers, body = fake.answer(
                self.command, self.path.partition("?")[0], self.headers["Authorization"] or ""
            )
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    ca, key = certificate(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.host = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield ca
    finally:
        server.shutdown()
        server.server_close()
