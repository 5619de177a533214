"""Certificates of the user's own, as a company's authority makes them: what a program gives as `certificates`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def given(name: str, *, days: float = 300, ended: str = "") -> dict[str, str]:
    """An authority, a server of a name and a client.

    Args:
        name: the server's.
        days: how long all of them are valid, from now on.
        ended: which one ended two days ago: ``server_cert``, ``client_cert`` or ``ca``.
    """
    ends = {one: -2.0 if one == ended else days for one in ("ca", "server_cert", "client_cert")}
    authority = _signed("an authority", None, ends["ca"])
    server = _signed(name, authority, ends["server_cert"], names=[name])
    client = _signed("a client", authority, ends["client_cert"])
    return {
        "ca": _pem(authority),
        "server_cert": _pem(server),
        "server_key": _key(server),
        "client_cert": _pem(client),
        "client_key": _key(client),
    }


def shown_fingerprint(certificate: str) -> str:
    """As the program shows it: SHA-256 with colons."""
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex(":").upper()


def ends(certificate: str) -> datetime.datetime:
    """When it ends."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def keys_of(papers: Mapping[str, str]) -> list[str]:
    """A line out of the middle of each private key: in an encoding that breaks lines, too, it stays whole."""
    return [text.splitlines()[1] for name, text in papers.items() if name.endswith("_key")]


def _signed(name: str, issuer: Pair | None, days: float, names: list[str] | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key if issuer is None else issuer[1]
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(alternatives, False).add_extension(purposes, False)
    elif issuer is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    return builder.sign(signer, hashes.SHA256()), key


def _pem(one: Pair) -> str:
    return one[0].public_bytes(serialization.Encoding.PEM).decode()


def _key(one: Pair) -> str:
    form = serialization.PrivateFormat.PKCS8
    return one[1].private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
