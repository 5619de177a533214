"""Certificates are read as they are, renewed in time, and ours are accepted where vic-machine's client's isn't."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from providers.kit.errors import Permanent
from providers.kit.secrets import Secret
from providers.vic import certificates
from providers.vic.certificates import Material, fingerprints, make, of_files, problems, renewal_due, shown
from tests.vic.given import pair

DAY = datetime.timedelta(days=1)


@lru_cache(maxsize=4)
def made(cname: str = "127.0.0.1", days: int = 365) -> Material:
    return make(cname, names=("vch.test",), organization=("sddc",), days=days)


def test_our_own_say_whom_they_are_for() -> None:
    server = shown(made().server_cert or "")

    assert server.names == ("vch.test", "127.0.0.1")
    assert server.subject == "CN=127.0.0.1,O=sddc" and server.issuer == "CN=127.0.0.1 CA,O=sddc"
    assert server.days_left() in (364, 365)
    assert problems(made()) == []


def _shaken(material: Material, tmp_path: Path, *, with_client: bool) -> str:
    """A TLS handshake with client verification by OpenSSL; what the server said to the client."""
    texts = {
        "server": (material.server_cert, material.server_key),
        "client": (material.client_cert, material.client_key),
    }
    for name, (cert, key) in texts.items():
        assert cert and key
        (tmp_path / f"{name}.pem").write_text(cert + key.reveal())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=material.ca)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=material.ca)
    if with_client:
        client.load_cert_chain(tmp_path / "client.pem")
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        raw, _ = listening.accept()
        try:
            with server.wrap_socket(raw, server_side=True) as one:
                one.sendall(b"welcome")
        except ssl.SSLError:
            raw.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listening.getsockname(), timeout=10) as raw,
            client.wrap_socket(raw, server_hostname="127.0.0.1") as one,
        ):
            return one.recv(100).decode()
    except (ssl.SSLError, ConnectionError) as error:
        return f"refused: {type(error).__name__}"
    finally:
        thread.join(10)
        listening.close()


def test_openssl_lets_our_client_in_and_nobody_without_a_certificate(tmp_path: Path) -> None:
    assert _shaken(made(), tmp_path, with_client=True) == "welcome"
    assert _shaken(made(), tmp_path, with_client=False).startswith("refused")


def test_what_vic_machine_left_is_read_with_its_keys_as_secrets() -> None:
    cert, key = pair("vch03")
    read = of_files(
        {"ca.pem": cert, "server-cert.pem": cert, "server-key.pem": key, "key.pem": Secret(key), "x.env": ""}
    )

    assert read.server_cert == cert and read.server_key == Secret(key) == read.client_key
    assert read.client_cert is None and key.splitlines()[1] not in repr(read)


@pytest.mark.parametrize(("days", "due"), [(0, False), (334, False), (336, True), (400, True)])
def test_renewal_is_due_a_while_before_the_first_one_ends(days: int, due: bool) -> None:
    now = datetime.datetime.now(datetime.timezone.utc) + days * DAY

    assert renewal_due(made(), renew_before_days=30, now=now) is due


def test_the_certificate_that_ends_first_decides() -> None:
    mixed = replace(made(), client_cert=made("127.0.0.1", 10).client_cert)

    assert renewal_due(mixed, renew_before_days=30) and not renewal_due(mixed, renew_before_days=5)


def test_without_certificates_nothing_is_due() -> None:
    assert not renewal_due(Material())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"client_cert": pair("other")[0]}, "client_cert is not signed by ca"),
        ({"server_key": Secret(pair("other")[1])}, "server_key is not the key of server_cert"),
    ],
)
def test_what_does_not_fit_together_is_told(wrong: dict[str, object], says: str) -> None:
    assert says in problems(replace(made(), **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(("days", "says"), [(366, "ended on"), (-3, "begins on")])
def test_what_has_ended_or_not_begun_is_told(days: int, says: str) -> None:
    now = datetime.datetime.now(datetime.timezone.utc) + days * DAY

    assert [says in one for one in problems(made(), now)] == [True] * 3


def test_sets_of_certificates_are_compared_by_fingerprint() -> None:
    one, two = pair("one")[0], pair("two")[0]

    assert fingerprints([one, two]) == fingerprints([f"a comment\n{two}{one}"])
    assert fingerprints([one]) != fingerprints([two])


def test_what_is_no_certificate_is_told_without_its_text() -> None:
    with pytest.raises(Permanent, match="holds no certificate") as told:
        shown("mk-no-certificate")

    assert "mk-no-certificate" not in str(told.value)


def test_a_broken_key_never_stands_in_the_error() -> None:
    broken = replace(made(), client_key=Secret("-----BEGIN PRIVATE KEY-----\nmk-broken-key\n"))

    with pytest.raises(Permanent, match="no private key") as told:
        problems(broken)

    assert "mk-broken-key" not in f"{told.value!r}{told.value.__cause__!r}"


def test_a_long_name_still_makes_certificates() -> None:
    assert certificates.make("a" * 60 + ".example.com").client_cert
