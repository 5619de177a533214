"""Asks a VCH's Docker API whether it runs, as Go's client would; for all commands that start one."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.stand_ins.vic_machine.certificates import Certificates, is_issued_by, loaded, names_of, resolved
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.vch_settings import PLAIN_PORT, TLS_PORT
from lab.stand_ins.vic_machine.vsphere import Clock

LOOK_S = 1.0
NO_LIMIT_S = 3600.0
DEADLINE = "context deadline exceeded"

_ALERTS = {
    "CERTIFICATE_REQUIRED": "tls: certificate required",
    "BAD_CERTIFICATE": "tls: bad certificate",
    "UNKNOWN_CA": "tls: unknown certificate authority",
    "HANDSHAKE_FAILURE": "tls: handshake failure",
    "CERTIFICATE_EXPIRED": "tls: expired certificate",
}


class Failed(Exception):
    """The API doesn't answer as it should, and asking again wouldn't help."""


class _Mismatch(Exception):
    """The server's certificate isn't the right one.

    Args:
        of_name: whether it is only its name that doesn't fit.
    """

    def __init__(self, why: str, *, of_name: bool) -> None:
        super().__init__(why)
        self.of_name = of_name


class _Again(Exception):
    """Not yet."""


@dataclass
class Endpoint:
    """Where a VCH's API is, and how it is reached."""

    host: str
    port: int
    is_tls: bool
    authorities: bytes

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def endpoint(settings: Settings, address: str) -> Endpoint:
    """The API of a VCH with these settings, at its client address."""
    is_tls = bool(settings.text("cert/HostCertificate/Cert"))
    return Endpoint(
        address, TLS_PORT if is_tls else PLAIN_PORT, is_tls, settings.content("cert/CertificateAuthorities")
    )


def host_certificate(settings: Settings) -> x509.Certificate | None:
    """The server's certificate in a VCH's settings."""
    return next(iter(loaded(settings.content("cert/HostCertificate/Cert"))), None)


def name_by_lookup(certificate: x509.Certificate, authorities: bytes, address: str) -> str:
    """The name that the address has by reverse lookup and the certificate is for, or else the address; or nothing."""
    for name in (*names_of(address), address):
        if not _distrust(certificate, authorities, name):
            return name
    return ""


def name_by_certificate(certificate: x509.Certificate, address: str) -> str:
    """A name of the certificate that resolves to the address, or else the address if it is for that; or nothing."""
    names, addresses = _names(certificate)
    for name in names:
        if "*" not in name and address in resolved(name):
            return name
    return address if address in addresses else ""


def wait(log: Log, where: Endpoint, settings: Settings, client: Certificates | None, clock: Clock) -> None:
    """Asks every second until it says that it runs.

    Args:
        client: whose client certificate to show; none if there is none.

    Raises:
        Failed: it never will.
        TimedOut: the time is up.
    """
    shows = client if client is not None and client.client_file else None
    expected = False
    if where.is_tls and where.authorities:
        expected = shows is None
        certificate = host_certificate(settings)
        if shows is not None and certificate is not None:
            name = name_by_lookup(certificate, where.authorities, where.host)
            name = name or name_by_certificate(certificate, where.host)
            expected = not name
            where.host = name or where.host
    while True:
        clock.check()
        try:
            if _runs(log, where, settings, shows, clock):
                return
        except _Again as error:
            log.debug(f"Error received from endpoint: {error}")
        except _Mismatch as error:
            _say_mismatch(log, error, expected=expected)
            return
        except ssl.SSLError as error:
            _say_alert(log, where, error, expected=expected)
            return
        log.debug("Components not yet initialized, retrying")
        clock.sleep(LOOK_S)


def _say_mismatch(log: Log, error: _Mismatch, *, expected: bool) -> None:
    what = "Server certificate hostname doesn't match"
    if not error.of_name:
        what = "Unable to validate server certificate with configured CAs (unknown CA)"
    if expected:
        log.warning(f"{what}: {error}")
        return
    log.error(f"{what}: {error}")
    raise Failed(str(error))


def _say_alert(log: Log, where: Endpoint, error: ssl.SSLError, *, expected: bool) -> None:
    reason = error.reason or str(error)
    said = next((text for part, text in _ALERTS.items() if part in reason), f"tls: {reason.lower().replace('_', ' ')}")
    if expected:
        log.warning(f"Expected TLS error without access to client certificate, received error: {said}")
        return
    if said == _ALERTS["BAD_CERTIFICATE"]:
        log.error('Connection failed with TLS error "bad certificate" - check for clock skew on the host')
    else:
        log.error(f"Connection failed with error: {said}")
    raise Failed(f"failed to connect to https://{where.address}/info: {said}")


def _runs(log: Log, where: Endpoint, settings: Settings, client: Certificates | None, clock: Clock) -> bool:
    connection = http.client.HTTPConnection(where.host, where.port, timeout=_left(clock))
    try:
        _open(connection, where, client)
        connection.request("GET", "/info")
        answer = connection.getresponse()
        content = answer.read()
    except http.client.RemoteDisconnected as error:
        raise Failed("EOF") from error
    except http.client.BadStatusLine as error:
        broken = "net/http: HTTP/1.x transport connection broken"
        raise Failed(f"{broken}: malformed HTTP response {quoted(str(error).strip())}") from error
    except ssl.SSLError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _Again(str(error)) from error
    finally:
        connection.close()
    return answer.status == http.client.OK and _is_running(log, content, settings)


def _left(clock: Clock) -> float:
    return NO_LIMIT_S if clock.end is None else max(0.01, clock.end - time.monotonic())


def _open(connection: http.client.HTTPConnection, where: Endpoint, client: Certificates | None) -> None:
    """Connects, and looks at the certificate before anything is said."""
    plain = socket.create_connection((where.host, where.port), timeout=connection.timeout)
    if not where.is_tls:
        connection.sock = plain
        return
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.client_file, client.client_key_file)
    channel = context.wrap_socket(plain, server_hostname=where.host)
    connection.sock = channel
    if where.authorities:
        shown = x509.load_der_x509_certificate(channel.getpeercert(binary_form=True) or b"")
        why = _distrust(shown, where.authorities, where.host)
        if why:
            raise _Mismatch(why, of_name="unknown authority" not in why)


def _distrust(certificate: x509.Certificate, authorities: bytes, name: str) -> str:
    """Why Go wouldn't trust a server with this certificate under this name; nothing if it would."""
    if not is_issued_by(certificate, authorities) and certificate.public_bytes(_PEM) not in authorities:
        return "x509: certificate signed by unknown authority"
    names, addresses = _names(certificate)
    if _is_address(name):
        if name in addresses:
            return ""
        if not addresses:
            return f"x509: cannot validate certificate for {name} because it doesn't contain any IP SANs"
        return f"x509: certificate is valid for {', '.join(addresses)}, not {name}"
    if any(_fits(name, one) for one in names):
        return ""
    if not names:
        return f"x509: certificate is not valid for any names, but wanted to match {name}"
    return f"x509: certificate is valid for {', '.join(names)}, not {name}"


def _names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    try:
        other = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    return other.get_values_for_type(x509.DNSName), [str(one) for one in other.get_values_for_type(x509.IPAddress)]


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return name.lower() == pattern.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_running(log: Log, content: bytes, settings: Settings) -> bool:
    try:
        told: Any = json.loads(content)
        status: Sequence[Sequence[str]] = told.get("SystemStatus") or []
        driver = told.get("Driver", "")
    except (ValueError, AttributeError):
        return False
    online = next((pair[1] for pair in status if pair[0] == "VolumeStores"), "").split(" ")
    missing = [label for label in settings.names("storage/VolumeLocations") if label not in online]
    for label in missing:
        what = "check network, nfs server, and --volume-store configurations"
        log.error(f"VolumeStore ({label}) cannot be brought online - {what}")
    if missing:
        log.error("Not all configured volume stores are online - check port layer log via vicadmin")
    return next((pair[1] == "RUNNING" for pair in status if pair[0] == driver), False)


_PEM = serialization.Encoding.PEM
