"""The TLS doors of a VCH, kept by a small Go program of ours; for the appliance."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OPEN_LIMIT_S = 10.0

_LIFE_DAYS = 365


class DoorError(Exception):
    """A door that doesn't open."""


@dataclass(frozen=True)
class Door:
    """One address with TLS.

    Attributes:
        listen: address and port.
        behind: the unix socket that it leads to.
        certificate: PEM.
        key: PEM.
        authorities: PEM of what clients are verified by; empty: they aren't.
    """

    listen: str
    behind: Path
    certificate: str
    key: str
    authorities: str = ""

    def __repr__(self) -> str:
        return f"Door(listen={self.listen!r})"


class Doors:
    """The doors of one VCH.

    Args:
        program: our Go program, `lab/site/door`.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: asyncio.subprocess.Process | None = None

    async def open(self, doors: Sequence[Door]) -> None:
        """Opens doors, after closing those that were open.

        Raises:
            DoorError: one doesn't open.
        """
        await self.close()
        # They close by themselves when we end, since their input does.
        self._process = await asyncio.create_subprocess_exec(
            str(self._program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        told = [
            {
                "Listen": door.listen,
                "Behind": str(door.behind),
                "Certificate": door.certificate,
                "Key": door.key,
                "Authorities": door.authorities,
            }
            for door in doors
        ]
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), OPEN_LIMIT_S)
        if line.strip() != b"open":
            await self.close()
            raise DoorError(f"the address {', '.join(door.listen for door in doors)} can't be served")

    async def close(self) -> None:
        """Closes them, with whoever is in them."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def own_certificate(name: str, address: str) -> tuple[str, str]:
    """A certificate that signs itself, and its key, PEM: for the portal of a VCH without TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_LIFE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
