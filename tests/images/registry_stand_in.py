"""A registry over TLS on loopback that takes pushes, and refuses what a real one refuses; for the pusher's tests."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.tls import certificate

USER, PASSWORD = "captain", 'pass"Zü+/% '
_LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_UPLOADS = "/blobs/uploads/"

Answer = tuple[int, dict[str, str]]


@dataclass
class StandIn:
    """What the registry holds and what it was asked.

    Attributes:
        blobs: digest → content.
        manifests: name → content; a name is a tag or a digest.
        kinds: name → the media type that it was pushed with.
        asked: method and path, in order.
        spoils: forgets a blob as soon as it has it, as a registry with a full disk may.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    spoils: bool = False
    address: str = ""

    def answer(self, method: str, target: str, login: str, kind: str, body: bytes) -> Answer:
        url = urlsplit(target)
        self.asked.append((method, url.path))
        if login != _LOGIN:
            return 401, {"WWW-Authenticate": 'Basic realm="here"'}
        if "/manifests/" in url.path:
            return self._manifest(method, url.path.rpartition("/")[2], kind, body)
        if _UPLOADS in url.path:
            return self._upload(method, url.path, parse_qs(url.query), body)
        return (200 if url.path.rpartition("/")[2] in self.blobs else 404), {}

    def _upload(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer:
        if method == "POST":
            # Relative and with a query of its own: both are allowed, and distribution does the second.
            return 202, {"Location": f"{path}one?_state=abc"}
        digest = query.get("digest", [""])[0]
        if query.get("_state") != ["abc"] or digest != digest_of(body):
            return 400, {}
        if not self.spoils:
            self.blobs[digest] = body
        return 201, {"Docker-Content-Digest": digest}

    def _manifest(self, method: str, name: str, kind: str, body: bytes) -> Answer:
        if method != "PUT":
            held = self.manifests.get(name)
            return (404, {}) if held is None else (200, {"Docker-Content-Digest": digest_of(held)})
        content = json.loads(body)
        needed = [part["digest"] for part in content.get("layers", [])] + [content.get("config", {}).get("digest")]
        missing = [one for one in needed if one and one not in self.blobs]
        missing += [one["digest"] for one in content.get("manifests", []) if one["digest"] not in self.manifests]
        if missing or content["mediaType"] != kind or (":" in name and name != digest_of(body)):
            return 400, {}
        for key in (name, digest_of(body)):
            self.manifests[key], self.kinds[key] = body, kind
        return 201, {"Docker-Content-Digest": digest_of(body)}


def digest_of(content: bytes) -> str:
    """A content's digest as registries write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@contextmanager
def serving(registry: StandIn, folder: Path) -> Iterator[Path]:
    """Serves it; yields the path of its CA."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            login, kind = self.headers["Authorization"] or "", self.headers["Content-Type"] or ""
            code, headers = registry.answer(self.command, self.path, login, kind, body)
            self.send_response(code)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_HEAD = do_GET = do_POST = do_PUT = _answer  # noqa: N815 (the library's names)

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    authority, _ = certificate(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
