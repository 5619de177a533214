"""The look at a VCH's Docker API: in the clear, with TLS, and what it says where something is wrong."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from providers.vic import docker_api
from providers.vic.certificates import Material, make
from providers.vic.docker_api import Entrance, look

DRIVER = "vSphere Integrated Containers v1.5.6 Backend Engine"
ANSWERS: dict[str, Any] = {
    "/info": {"Driver": DRIVER, "SystemStatus": [[DRIVER, "RUNNING"], ["VolumeStores", "default archive"]]},
    "/version": {"ApiVersion": "1.25"},
    "/containers/json": [{"Id": "c1", "Names": ["/web"]}],
    "/volumes": {"Volumes": [{"Name": "data", "Options": {"VolumeStore": "archive"}}, {"Name": "x", "Options": None}]},
}


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], material: Material | None = None, folder: Path = Path()
) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(200 if found is not None else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if material is not None:
        server.socket = _context(material, folder).wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(docker_api, "PLAIN_PORT", server.server_address[1])
    monkeypatch.setattr(docker_api, "TLS_PORT", server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _context(material: Material, folder: Path) -> ssl.SSLContext:
    assert material.server_cert and material.server_key and material.ca
    (folder / "cert.pem").write_text(material.server_cert)
    (folder / "key.pem").write_text(material.server_key.reveal())
    (folder / "ca.pem").write_text(material.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_in_the_clear_it_tells_status_stores_volumes_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, ANSWERS):
        view = look(Entrance("127.0.0.1"))

    assert (view.status, view.api_version, view.stores) == ("RUNNING", "1.25", ("archive", "default"))
    assert view.volumes == {"data": "archive", "x": "default"} and view.names == {"c1": "web"}


def test_with_tls_it_knows_the_server_by_its_certificate_whatever_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    material = make("vch.example.com")
    with serving(monkeypatch, ANSWERS, material, tmp_path):
        view = look(Entrance("127.0.0.1", material.server_cert, material.client_cert, material.client_key))

    assert view.status == "RUNNING"


def test_another_servers_certificate_is_not_spoken_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    material, other = make("vch.example.com"), make("vch.example.com")
    with serving(monkeypatch, ANSWERS, material, tmp_path):
        view = look(Entrance("127.0.0.1", other.server_cert, material.client_cert, material.client_key))

    assert "doesn't answer" in view.status or "no secured connection" in view.status


def test_without_a_client_certificate_it_is_turned_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    material = make("vch.example.com")
    with serving(monkeypatch, ANSWERS, material, tmp_path):
        view = look(Entrance("127.0.0.1", material.server_cert))

    assert view.status != "RUNNING" and view.volumes is None


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({}, "its Docker API answers with an error"),
        ({"/info": {"Driver": DRIVER, "SystemStatus": [[DRIVER, "STARTING"]]}}, "STARTING"),
        ({"/info": {"Driver": DRIVER, "SystemStatus": None}}, "its Docker API doesn't say how it is"),
        ({"/info": {"Driver": DRIVER, "SystemStatus": [["odd"]]}}, "its Docker API doesn't say how it is"),
        ({"/info": []}, "its Docker API answers with an error"),
    ],
)
def test_what_is_no_running_vch_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], status: str
) -> None:
    with serving(monkeypatch, answers):
        assert look(Entrance("127.0.0.1")).status == status


def test_nobody_there_is_told_with_address_and_port() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(docker_api, "PLAIN_PORT", 1)
        assert look(Entrance("127.0.0.1")).status.startswith("its Docker API at 127.0.0.1:1 doesn't answer")
