"""A VCH's certificates: reading what vic-machine made or what was given, when to renew, and making our own."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from providers.kit.errors import Permanent
from providers.kit.secrets import Secret

DEFAULT_DAYS = 365
DEFAULT_RENEW_BEFORE_DAYS = 30
DEFAULT_KEY_BITS = 2048

# What vic-machine calls its files (facts/vic-machine.md).
FILES: Mapping[str, str] = {
    "ca": "ca.pem",
    "ca_key": "ca-key.pem",
    "server_cert": "server-cert.pem",
    "server_key": "server-key.pem",
    "client_cert": "cert.pem",
    "client_key": "key.pem",
}

_LONGEST_NAME = 64  # of a common name (RFC 5280, ub-common-name)


@dataclass(frozen=True)
class Shown:
    """What one certificate says of itself.

    Args:
        subject, issuer: as RFC 4514 text.
        not_before, not_after: with their time zone.
        fingerprint: SHA-256 in colon form.
        names: DNS names and addresses that it is for; the common name where it has none of them.
    """

    subject: str
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    fingerprint: str
    names: tuple[str, ...]

    def days_left(self, now: datetime.datetime | None = None) -> int:
        """Whole days until it ends; negative when it has."""
        return (self.not_after - (now or _now())).days


@dataclass(frozen=True)
class Material:
    """What belongs to one VCH, as PEM texts; what there isn't is `None`."""

    ca: str | None = None
    ca_key: Secret | None = None
    server_cert: str | None = None
    server_key: Secret | None = None
    client_cert: str | None = None
    client_key: Secret | None = None

    def first_end(self) -> datetime.datetime | None:
        """When the first of its certificates ends."""
        there = [one for one in (self.ca, self.server_cert, self.client_cert) if one]
        return min((shown(one).not_after for one in there), default=None)


def shown(certificate: str, what: str = "certificate") -> Shown:
    """Reads the first certificate of a PEM text.

    Raises:
        Permanent: it holds none.
    """
    one = _loaded(certificate, what)[0]
    return Shown(
        subject=one.subject.rfc4514_string(),
        issuer=one.issuer.rfc4514_string(),
        not_before=one.not_valid_before_utc,
        not_after=one.not_valid_after_utc,
        fingerprint=_fingerprint(one),
        names=_names(one),
    )


def fingerprints(certificates: Iterable[str]) -> tuple[str, ...]:
    """SHA-256 of all certificates in PEM texts, sorted: two sets are the same where these are."""
    return tuple(sorted({_fingerprint(one) for text in certificates for one in _loaded(text, "certificate")}))


def of_files(files: Mapping[str, str | Secret]) -> Material:
    """What vic-machine left in its certificate folder: name → content."""
    return Material(
        ca=_public_file(files, "ca"),
        ca_key=_key_file(files, "ca_key"),
        server_cert=_public_file(files, "server_cert"),
        server_key=_key_file(files, "server_key"),
        client_cert=_public_file(files, "client_cert"),
        client_key=_key_file(files, "client_key"),
    )


def renewal_moment(material: Material, renew_before_days: int = DEFAULT_RENEW_BEFORE_DAYS) -> datetime.datetime | None:
    """When the certificates are due for renewal: so many days before the first of them ends."""
    end = material.first_end()
    return None if end is None else end - datetime.timedelta(days=renew_before_days)


def renewal_due(
    material: Material,
    renew_before_days: int = DEFAULT_RENEW_BEFORE_DAYS,
    now: datetime.datetime | None = None,
) -> bool:
    """Whether that moment has come."""
    moment = renewal_moment(material, renew_before_days)
    return moment is not None and (now or _now()) >= moment


def problems(material: Material, now: datetime.datetime | None = None) -> list[str]:
    """Why certificates can't work together, each in words: ended, of another authority, or with another key."""
    found = [f"{field} {what}" for field, what in ended(material, now).items()]
    if material.client_cert and material.ca and not _signed_by(material.client_cert, material.ca):
        found.append("client_cert is not signed by ca")
    for cert, key in (("ca", "ca_key"), ("server_cert", "server_key"), ("client_cert", "client_key")):
        text, secret = getattr(material, cert), getattr(material, key)
        if text and secret and not _fit(text, secret, key):
            found.append(f"{key} is not the key of {cert}")
    return found


def ended(material: Material, now: datetime.datetime | None = None) -> dict[str, str]:
    """Which certificates aren't valid, by field: ``ended on 2026-11-22``."""
    found = {}
    for field in ("ca", "server_cert", "client_cert"):
        text = getattr(material, field)
        what = _ended(shown(text, field), now or _now()) if text else ""
        if what:
            found[field] = what
    return found


def make(
    cname: str,
    *,
    names: Iterable[str] = (),
    organization: Iterable[str] = (),
    days: int = DEFAULT_DAYS,
    key_bits: int = DEFAULT_KEY_BITS,
) -> Material:
    """An authority of its own, a server's certificate and a client's.

    Unlike vic-machine's, the client's has another subject than its issuer, so that OpenSSL-based verifiers accept it
    (facts/vic-machine.md).

    Args:
        cname: the server's name or address, or ``*.DOMAIN``.
        names: more names and addresses that the server is reached by.
        organization: what all three hold as organisation.
        days: how long they are valid, from now on.
        key_bits: of each RSA key.
    """
    units = tuple(organization)
    authority_key, server_key, client_key = (_new_key(key_bits) for _ in range(3))
    authority_name = _subject(f"{cname} CA", units)
    authority = _signed(authority_name, authority_name, authority_key, authority_key, days, _of_authority())
    server = _signed(
        _subject(cname, units), authority_name, server_key, authority_key, days, _of_server([cname, *names])
    )
    client = _signed(_subject(f"{cname} client", units), authority_name, client_key, authority_key, days, _of_client())
    return Material(
        _pem(authority), _key_pem(authority_key), _pem(server), _key_pem(server_key), _pem(client), _key_pem(client_key)
    )


def _public_file(files: Mapping[str, str | Secret], field: str) -> str | None:
    found = files.get(FILES[field])
    return found if isinstance(found, str) else None


def _key_file(files: Mapping[str, str | Secret], field: str) -> Secret | None:
    found = files.get(FILES[field])
    return Secret(found) if isinstance(found, str) else found


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _loaded(text: str, what: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise Permanent("it holds no certificate", on=what, remedy="Give its PEM text.") from error


def _fingerprint(one: x509.Certificate) -> str:
    return one.fingerprint(hashes.SHA256()).hex(":").upper()


def _names(one: x509.Certificate) -> tuple[str, ...]:
    try:
        told = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(name.value) for name in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    addresses = [str(address) for address in told.get_values_for_type(x509.IPAddress)]
    return (*told.get_values_for_type(x509.DNSName), *addresses)


def _ended(one: Shown, now: datetime.datetime) -> str:
    if now > one.not_after:
        return f"ended on {one.not_after:%Y-%m-%d}"
    return f"begins on {one.not_before:%Y-%m-%d} only" if now < one.not_before else ""


def _signed_by(certificate: str, authority: str) -> bool:
    one = _loaded(certificate, "certificate")[0]
    return any(_issued(one, issuer) for issuer in _loaded(authority, "ca"))


def _issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _fit(certificate: str, key: Secret, what: str) -> bool:
    try:
        private = serialization.load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause: that could hold the key.
        raise Permanent("it is no private key in PEM form", on=what, remedy="Give it, not encrypted.") from None
    return _public(private.public_key()) == _public(_loaded(certificate, what)[0].public_key())


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]  # every kind of public key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _new_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _subject(name: str, organization: tuple[str, ...]) -> x509.Name:
    units = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organization]
    return x509.Name([*units, x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME])])


Extensions = list[tuple[x509.ExtensionType, bool]]


def _of_authority() -> Extensions:
    return [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(signs=True), True)]


def _of_server(names: Iterable[str]) -> Extensions:
    told = [_general_name(one) for one in dict.fromkeys(names)]
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(told), False),
    ]


def _of_client() -> Extensions:
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
    ]


def _usage(*, signs: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    days: int,
    extensions: Extensions,
) -> x509.Certificate:
    now = _now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: rsa.RSAPrivateKey) -> Secret:
    # The form that vic-machine itself writes.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return Secret(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())
