"""The client's connection: which API it speaks, whom it trusts, and that no key stays in a file."""

from __future__ import annotations

import http.server
import json
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from providers.docker.client import NEWEST_API, Connection, Engine
from providers.kit.errors import Permanent, Temporary
from providers.kit.retry import CONNECT_TIMEOUT_S, PULL_TIMEOUT_S
from providers.kit.secrets import Settings
from tests.registry.fake_registry import Fake, certificate, serving

Serve = Callable[[dict[str, str]], Connection]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A daemon on a socket that tells its version and nothing else."""
    with ExitStack() as stack:

        def served(version: dict[str, str]) -> Connection:
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    body = json.dumps(version).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def address_string(self) -> str:
                    return "socket"

                def log_message(self, *_: object) -> None:
                    """Nothing is said."""

            path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "docker.sock")
            server = stack.enter_context(socketserver.ThreadingUnixStreamServer(str(path), Handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return Connection(f"unix://{path}")

        yield served


@pytest.mark.parametrize(
    ("told", "spoken"),
    [
        ({"ApiVersion": "1.25", "MinAPIVersion": "1.19"}, "1.25"),
        ({"ApiVersion": "1.24"}, "1.24"),
        ({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}, "1.41"),
        ({"ApiVersion": "1.52", "MinAPIVersion": "1.44"}, f"{NEWEST_API[0]}.{NEWEST_API[1]}"),
    ],
)
def test_the_newest_version_that_both_speak_is_spoken(serve: Serve, told: dict[str, str], spoken: str) -> None:
    assert Engine(serve({"Version": "x", **told}))._version == spoken


@pytest.mark.parametrize("told", [{"ApiVersion": "1.23"}, {"ApiVersion": "1.60", "MinAPIVersion": "1.50"}])
def test_a_host_of_another_age_is_refused_with_both_ranges(serve: Serve, told: dict[str, str]) -> None:
    with pytest.raises(Permanent, match=r"it speaks API .* to 1\.\d+\. Drydock speaks 1.24 to 1.44"):
        Engine(serve(told))


def test_a_daemon_that_is_down_is_named_with_a_question(tmp_path: Path) -> None:
    for host in (f"unix://{tmp_path}/nothing.sock", "tcp://127.0.0.1:9"):
        with pytest.raises(Temporary) as down:
            Engine(Connection(host))

        assert str(down.value).startswith(f"Docker host {host}: it can't be reached (")
        assert "Is the Docker Engine running there?" in str(down.value)


def test_a_certificate_of_somebody_else_is_told_and_other_authorities_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").mkdir()
    fake = Fake()
    with serving(fake, tmp_path / "theirs") as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority))
        ours, _ = certificate(tmp_path / "ours", "another authority")

        with pytest.raises(Permanent, match="its certificate is not trusted. Correct DOCKER_CERT_PATH"):
            Engine(Connection(f"tcp://{fake.host}", ca=ours.read_text()))


def test_a_clients_key_is_used_from_texts_and_no_file_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    connection = Connection("tcp://127.0.0.1:9", ca=cert.read_text(), cert=cert.read_text(), key=key.read_text())

    connection.open("1.41").close()
    monkeypatch.delattr("os.memfd_create")
    connection.open("1.41").close()

    assert list(scratch.iterdir()) == []
    assert "PRIVATE KEY" not in repr(connection)


def test_no_call_waits_for_ever_though_docker_py_asks_for_pulls_without_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[Any] = []
    monkeypatch.setattr("requests.Session.request", lambda self, *_, **named: limits.append(named["timeout"]))
    client = Connection("tcp://127.0.0.1:9").open("1.41")

    client.request("POST", "http://127.0.0.1:9/images/create", timeout=None)
    client.request("GET", "http://127.0.0.1:9/info", timeout=3)

    assert limits == [(CONNECT_TIMEOUT_S, PULL_TIMEOUT_S), (3, 3)]


@pytest.mark.parametrize("texts", [{"ca": "no PEM"}, {"key": "no PEM"}])
def test_tls_material_that_is_none_is_told(tmp_path: Path, texts: dict[str, str]) -> None:
    cert, key = certificate(tmp_path)
    good = {"ca": cert.read_text(), "cert": cert.read_text(), "key": key.read_text()}

    with pytest.raises(Permanent, match="its TLS material can't be used"):
        Engine(Connection("tcp://127.0.0.1:9", **{**good, **texts}))


def test_a_folder_without_its_files_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="has no ca.pem"):
        Engine(Connection("tcp://127.0.0.1:9", cert_path=str(tmp_path)))


@pytest.mark.parametrize(
    ("environ", "host", "folder"),
    [
        ({}, "unix:///var/run/docker.sock", None),
        ({"DOCKER_HOST": "tcp://a:2376", "DOCKER_CERT_PATH": "/certs"}, "tcp://a:2376", "/certs"),
        ({"DOCKER_HOST": "tcp://a:2376", "DOCKER_TLS_VERIFY": "1"}, "tcp://a:2376", "~/.docker"),
    ],
)
def test_the_environment_means_what_it_means_to_dockers_own_command_line(
    environ: dict[str, str], host: str, folder: Any
) -> None:
    found = Connection.of(Settings(environ=environ))

    assert found.host == host
    assert found.cert_path == (folder and str(Path(folder).expanduser()))
