"""A TLS server on loopback in a vCenter's place: shows a certificate, records what it is sent, answers by a table."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import tls

LIMIT_S = 20.0

CONTENT = """<RetrieveServiceContentResponse xmlns="urn:vim25"><returnval>
<rootFolder type="Folder">group-d1</rootFolder>
<propertyCollector type="PropertyCollector">propertyCollector</propertyCollector>
<about><name>stand-in</name><fullName>stand-in</fullName><vendor>none</vendor><version>8.0.2</version>
<build>1</build><osType>none</osType><productLineId>vpx</productLineId><apiType>VirtualCenter</apiType>
<apiVersion>8.0.2.0</apiVersion></about>
<sessionManager type="SessionManager">SessionManager</sessionManager>
</returnval></RetrieveServiceContentResponse>"""

LOGIN = """<LoginResponse xmlns="urn:vim25"><returnval><key>k</key><userName>ada</userName><fullName>Ada</fullName>
<loginTime>2026-01-01T00:00:00Z</loginTime><lastActiveTime>2026-01-01T00:00:00Z</lastActiveTime>
<locale>en</locale><messageLocale>en</messageLocale></returnval></LoginResponse>"""

LOGOUT = '<LogoutResponse xmlns="urn:vim25"/>'

HANG = "hang"
DROP = "drop"


def fault(name: str) -> str:
    """A SOAP fault as vSphere sends it."""
    return (
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>said</faultstring>"
        f'<detail><{name}Fault xmlns="urn:vim25" xsi:type="{name}"/></detail></soapenv:Fault>'
    )


@dataclass
class StandIn:
    """What was asked of it.

    Args:
        address: host and port, as VSPHERE_SERVER takes it.
        certificate: what it shows, DER.
        answers: SOAP method → body of the answer, ``hang``, ``drop``, or an HTTP status such as ``503 Busy``.
    """

    address: str
    certificate: bytes
    answers: dict[str, str]
    heard: bytes = b""
    calls: list[str] = field(default_factory=list)

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.certificate).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.certificate).hexdigest()


def certificate(folder: Path, *, expired: bool = False) -> tuple[Path, bytes]:
    """A self-signed certificate: the file with its key and itself (PEM), and the certificate (DER)."""
    cert, key = tls.certificate(folder, "stand-in", expired=expired)
    file = folder / "stand-in.pem"
    file.write_bytes(key.read_bytes() + cert.read_bytes())
    return file, ssl.PEM_cert_to_DER_cert(cert.read_text())


@contextmanager
def serving(folder: Path, answers: Mapping[str, str] | None = None, *, expired: bool = False) -> Iterator[StandIn]:
    """The server, as long as the block lasts; by default it lets everybody in."""
    file, der = certificate(folder, expired=expired)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    known = {"RetrieveServiceContent": CONTENT, "Login": LOGIN, "Logout": LOGOUT, **(answers or {})}
    one = StandIn(f"{host}:{port}", der, known)
    end = threading.Event()
    threading.Thread(target=_accept, args=(listening, context, one, end), daemon=True).start()
    try:
        yield one
    finally:
        end.set()
        listening.close()


def _accept(listening: socket.socket, context: ssl.SSLContext, one: StandIn, end: threading.Event) -> None:
    while not end.is_set():
        try:
            raw, _ = listening.accept()
        except OSError:
            return
        raw.settimeout(LIMIT_S)
        threading.Thread(target=_serve, args=(raw, context, one, end), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, one: StandIn, end: threading.Event) -> None:
    with suppress(OSError), context.wrap_socket(raw, server_side=True) as secured:
        while True:
            request = _request(secured, one)
            if not request or not _answer(secured, request, one, end):
                return


def _request(secured: ssl.SSLSocket, one: StandIn) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _length(data):
        part = secured.recv(65536)
        if not part:
            return b""
        one.heard += part
        data += part
    return data


def _length(data: bytes) -> int:
    found = re.search(rb"content-length: *(\d+)", data, re.I)
    return int(found[1]) if found else 0


def _answer(secured: ssl.SSLSocket, request: bytes, one: StandIn, end: threading.Event) -> bool:
    found = re.search(rb"<soapenv:Body>\s*<(\w+)", request)
    method = found[1].decode() if found else "?"
    one.calls.append(method)
    answer = one.answers.get(method, "404 Not Found")
    if answer == HANG:
        end.wait(LIMIT_S)
        return False
    if answer == DROP:
        return False
    if not answer.startswith("<"):
        secured.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        return True
    status = "500 Internal Server Error" if answer.startswith("<soapenv:Fault") else "200 OK"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{answer}</soapenv:Body></soapenv:Envelope>'
    ).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    secured.sendall(head + body)
    return True
