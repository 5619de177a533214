"""The lab's certificate authority, and the certificates that it gives to parts and clients.

Names in them are addresses. A certificate is renewed when it nears its end or its address changed; keys have mode 600.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lab.passwords import write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_LIFE_DAYS = 3650
CERTIFICATE_LIFE_DAYS = 365
RENEW_BEFORE_DAYS = 30
CLIENT = "client"

_CLOCK_SKEW_MINUTES = 10


class Certificates:
    """A lab's certificates, each in a folder of its own as `cert.pem`, `key.pem` and the authority's `ca.pem`.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def authority(self) -> Path:
        """The authority's certificate, what clients trust."""
        return self.folder / "ca.pem"

    def of(self, name: str) -> Path:
        """The folder of one server's or client's certificate; in the shape that `DOCKER_CERT_PATH` wants."""
        return self.folder / name

    def issue(self, servers: Mapping[str, str]) -> None:
        """Makes what is missing, near its end, or made for another address.

        Args:
            servers: server → its address. The one client certificate is made beside them.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {"": "", CLIENT: "", **servers}
        noted = self._noted()
        stale = {name for name, address in wanted.items() if not self._is_good(noted.get(name), name, address)}
        if not stale:
            return
        if "" in stale:
            stale = set(wanted)
        issuer = self._new_authority() if "" in stale else self._authority()
        for name in sorted(stale - {""}):
            self._new_certificate(issuer, name, wanted[name])
        ends = {name: noted[name]["ends"] for name in wanted if name not in stale}
        now = datetime.datetime.now(datetime.timezone.utc)
        for name in stale:
            days = CERTIFICATE_LIFE_DAYS if name else AUTHORITY_LIFE_DAYS
            ends[name] = (now + datetime.timedelta(days=days)).isoformat()
        note = {
            name: {"address": address, "ends": ends[name], "digest": self._digest(name)}
            for name, address in wanted.items()
        }
        write_private(self._note, json.dumps(note, indent=2) + "\n")

    @property
    def _note(self) -> Path:
        """What is noted about each, so that a quick start needn't read certificates."""
        return self.folder / "certificates.json"

    def _noted(self) -> dict[str, dict[str, str]]:
        try:
            return dict(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _is_good(self, noted: Mapping[str, str] | None, name: str, address: str) -> bool:
        if noted is None or noted["address"] != address or noted["digest"] != self._digest(name):
            return False
        left = datetime.datetime.fromisoformat(noted["ends"]) - datetime.datetime.now(datetime.timezone.utc)
        return left > datetime.timedelta(days=RENEW_BEFORE_DAYS)

    def _digest(self, name: str) -> str:
        """A digest over certificate, key and authority: none of them may have been changed or lost."""
        digest = hashlib.sha256()
        folder = self.of(name)
        files = [folder / file for file in ("cert.pem", "key.pem", "ca.pem")]
        for file in files if name else [self.authority, self._authority_key]:
            digest.update(file.read_bytes() if file.exists() else b"absent")
        return digest.hexdigest()

    @property
    def _authority_key(self) -> Path:
        return self.folder / "ca-key.pem"

    def _new_authority(self) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = _named("Drydock lab authority")
        certificate = (
            _builder(name, name, key, AUTHORITY_LIFE_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(self._authority_key, _pem(key))
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return name, key

    def _authority(self) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_private_key(self._authority_key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._authority_key} holds another kind of key than the lab makes")
        return x509.load_pem_x509_certificate(self.authority.read_bytes()).subject, key

    def _new_certificate(self, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey], name: str, address: str) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        issuer_name, issuer_key = issuer
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if address else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_named(f"Drydock lab {name}"), issuer_name, key, CERTIFICATE_LIFE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(names, critical=False)
        folder = self.of(name)
        folder.mkdir(exist_ok=True)
        write_private(folder / "key.pem", _pem(key))
        certificate = builder.sign(issuer_key, hashes.SHA256())
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "ca.pem").write_bytes(self.authority.read_bytes())


def thumbprint(certificate: Path) -> str:
    """The SHA-1 of a PEM certificate in capitals with colons, as vSphere writes it."""
    import ssl

    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificate.read_text()), usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _named(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life_days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=_CLOCK_SKEW_MINUTES))
        .not_valid_after(now + datetime.timedelta(days=life_days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
