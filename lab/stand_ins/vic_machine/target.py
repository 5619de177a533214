"""The vSphere that a command is about: its address, who logs in, and whether its certificate is the right one."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import sys
import termios
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lab.stand_ins.vic_machine.command_line import Options, as_url
from lab.stand_ins.vic_machine.log import Log
from lab.stand_ins.vic_machine.outcome import Refused

HANDSHAKE_LIMIT_S = 30.0
HTTPS_PORT = 443

_EXPIRED = 10
_OTHER_NAME = (62, 64)


class NoConnection(Exception):
    """vSphere isn't there, shows another certificate, or refuses the login."""


@dataclass
class Target:
    """Where to log in, and as whom."""

    address: str
    datacenter: str
    user: str
    password: str
    thumbprint: str

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0] if _has_port(self.address) else self.address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2]) if _has_port(self.address) else HTTPS_PORT

    @property
    def url(self) -> str:
        """As it goes into a VCH's settings."""
        return f"https://{self.address}"


def read(log: Log, options: Options) -> Target:
    """The target of a command line; asks for a password that isn't given at the terminal.

    Raises:
        Refused: target or user are missing.
    """
    if not options.text("target"):
        raise Refused("--target argument must be specified")
    url = urlsplit(as_url(options.text("target")))
    user = options.text("user") or unquote(url.username or "")
    if not user:
        raise Refused("vSphere user must be specified, either with --user or as part of --target")
    if options.has("password"):
        password = options.text("password")
    elif url.password is not None:
        password = unquote(url.password)
    else:
        password = asked(log, user)
    address = url.netloc.rpartition("@")[2]
    return Target(address, url.path.strip("/"), user, password, options.text("thumbprint"))


def asked(log: Log, user: str) -> str:
    """A password, from the terminal; without one there is none, as with the real one."""
    log.info(f"vSphere password for {user}: ")
    if not sys.stdin.isatty():
        return ""
    return _without_echo(sys.stdin.fileno())


def check_certificate(log: Log, target: Target, *, force: bool) -> None:
    """Compares the thumbprint, unless the system trusts the certificate or it is all the same.

    Raises:
        NoConnection: it isn't the right one, or nobody answers.
    """
    shown = _thumbprint(target)
    why = _distrust(target)
    if why and shown != target.thumbprint and not force:
        log.error(f"Failed to verify certificate for target={target.address} (thumbprint={shown})")
        raise NoConnection(why)
    target.thumbprint = shown


def _without_echo(descriptor: int) -> str:
    """As Go's ReadPassword: from standard input itself, with nothing shown."""
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        read_so_far = b""
        while (one := os.read(descriptor, 1)) not in (b"", b"\n", b"\r"):
            read_so_far += one
        return read_so_far.decode("utf-8", "replace")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _thumbprint(target: Target) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((target.host, target.port), timeout=HANDSHAKE_LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=target.host) as channel,
        ):
            certificate = channel.getpeercert(binary_form=True) or b""
    except OSError as error:
        why = "connect: connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
        raise NoConnection(f"dial tcp {target.host}:{target.port}: {why}") from error
    digest = hashlib.sha1(certificate).hexdigest().upper()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


def _distrust(target: Target) -> str:
    """Why the system doesn't trust the certificate, in Go's words; nothing if it does."""
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection((target.host, target.port), timeout=HANDSHAKE_LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=target.host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return "x509: certificate has expired or is not yet valid"
        if error.verify_code in _OTHER_NAME:
            return f"x509: certificate is not valid for any names, but wanted to match {target.host}"
        return "x509: certificate signed by unknown authority"
    except OSError as error:
        raise NoConnection(str(error)) from error


def _has_port(address: str) -> bool:
    return address.rpartition(":")[2].isdigit() and ":" in address
