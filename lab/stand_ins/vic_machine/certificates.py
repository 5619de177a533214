"""The certificates that create makes or takes: authority, server and client, in files beside each other."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.stand_ins.vic_machine.log import Log
from lab.stand_ins.vic_machine.outcome import Refused

AUTHORITY, AUTHORITY_KEY = "ca.pem", "ca-key.pem"
SERVER, SERVER_KEY = "server-cert.pem", "server-key.pem"
CLIENT, CLIENT_KEY = "cert.pem", "key.pem"
BROWSER = "cert.pfx"

_VALID = datetime.timedelta(days=365)
_BEFORE = datetime.timedelta(days=1)
_OPENSSL_LIMIT_S = 30.0
_CNAME_HELP = (
    "  --tls-cname=<FQDN or static IP> # for the appliance VM",
    "  --tls-cname=<*.yourdomain.com>  # if DNS has entries in that form for DHCP addresses (less secure)",
    "  --no-tlsverify                  # disables client authentication (anyone can connect to the VCH)",
    "  --no-tls                        # disables TLS entirely",
    "",
)


@dataclass
class Asked:
    """What a command line says about certificates.

    Args:
        folder: where they are, or go.
        cname: the server's name or address.
        organization: what goes into their subjects.
        verify: whether clients have to show one.
        authorities: files of authorities for the clients' certificates.
        certificate: file of the server's, if it is given; with its key.
        first: whether it is 1.1 that asks; it words two lines differently.
    """

    folder: str
    cname: str = ""
    organization: list[str] = field(default_factory=list)
    verify: bool = True
    key_bits: int = 2048
    authorities: Sequence[str] = ()
    certificate: str = ""
    key: str = ""
    force: bool = False
    first: bool = False

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)


@dataclass
class Certificates:
    """What came of it: PEM, and the files of the client's if there are any."""

    certificate: bytes = b""
    key: bytes = b""
    authorities: bytes = b""
    authority_file: str = ""
    client_file: str = ""
    client_key_file: str = ""


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        kind = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())


def provide(log: Log, asked: Asked) -> Certificates:
    """Takes what is there, makes what isn't.

    Raises:
        Refused: neither is possible.
    """
    if bool(asked.certificate) != bool(asked.key):
        raise Refused("key and cert should be specified at the same time")
    found = Certificates()
    try:
        _load(log, asked, found)
    except Refused as error:
        log.error(f"Unable to load certificates: {error}")
        if not asked.force:
            raise
        log.warning("Ignoring error loading certificates due to --force")
        found = Certificates()
    server, client = not found.certificate, asked.verify and not found.authorities
    if server or client:
        try:
            _make(log, asked, found, server=server, client=client)
        except Refused:
            log.error(f"{'Create cannot' if asked.first else 'cannot'} continue: unable to generate certificates")
            raise
    if not asked.verify:
        found.authorities = b""
        log.warning("Configuring without TLS verify - certificate-based authentication disabled")
    return found


def is_issued_by(certificate: x509.Certificate, authorities: bytes) -> bool:
    """Whether one of some authorities signed a certificate."""
    return any(_signed(certificate, one) for one in loaded(authorities))


def loaded(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM text; none if there are none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    key, algorithm = by.public_key(), certificate.signature_hash_algorithm
    if certificate.issuer != by.subject:
        return False
    if not isinstance(key, rsa.RSAPublicKey) or algorithm is None:
        try:
            certificate.verify_directly_issued_by(by)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def _load(log: Log, asked: Asked, found: Certificates) -> None:
    for file in asked.authorities:
        try:
            found.authorities += Path(file).read_bytes()
        except OSError as error:
            raise Refused(f"Failed to load authority from file {file}: {_opening(file, error)}") from error
        log.info(f"Loaded CA from {file}")
    file, key = asked.certificate or asked.path(SERVER), asked.key or asked.path(SERVER_KEY)
    try:
        pem, key_pem = Path(file).read_bytes(), Path(key).read_bytes()
    except OSError as error:
        if asked.certificate or not isinstance(error, FileNotFoundError):
            log.error(f"Failed to load certificate: {_opening(str(error.filename), error)}")
            raise Refused(_opening(str(error.filename), error)) from error
        log.debug("Unable to locate existing server certificate in cert path")
        found.authorities = b""
        return
    _check_name(log, asked, pem)
    found.certificate, found.key = pem, key_pem
    log.info(f"Loaded server certificate {file}")
    if asked.verify and not found.authorities:
        _load_client(log, asked, found)


def _check_name(log: Log, asked: Asked, pem: bytes) -> None:
    try:
        names = x509.load_pem_x509_certificate(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        log.error("Failed to parse certificate: tls: failed to find any PEM data in certificate input")
        raise Refused("tls: failed to find any PEM data in certificate input") from error
    name = str(names[0].value) if names else ""
    if name != asked.cname:
        log.error(f"Provided cname does not match that in existing server certificate: {name}")
        raise Refused(f"cname option doesn't match existing server certificate in certificate path {asked.folder}")


def _load_client(log: Log, asked: Asked, found: Certificates) -> None:
    file = asked.path(AUTHORITY)
    if not Path(file).exists():
        log.debug("Unable to locate existing CA in cert path")
        return
    try:
        found.authorities = Path(file).read_bytes()
    except OSError as error:
        log.error(f"Failed to load authority from certificate path {asked.folder}: {_opening(file, error)}")
        raise Refused("failed to load certificate authority") from error
    log.info(f"Loaded CA with default name from certificate path {asked.folder}")
    found.authority_file = file
    client, key = asked.path(CLIENT), asked.path(CLIENT_KEY)
    try:
        pem = Path(client).read_bytes()
        Path(key).read_bytes()
    except OSError as error:
        said = "Unable to load client certificate - validation of API endpoint will be best effort only"
        log.warning(f"{said}: {_opening(str(error.filename), error)}")
        return
    if not any(is_issued_by(one, found.authorities) for one in loaded(pem)[:1]):
        log.warning("x509: certificate signed by unknown authority - continuing without client certificate")
        return
    found.client_file, found.client_key_file = client, key
    log.info(f"Loaded client certificate with default name from certificate path {asked.folder}")


def _make(log: Log, asked: Asked, found: Certificates, *, server: bool, client: bool) -> None:
    folder = Path(asked.folder)
    if folder.is_dir() and any(folder.iterdir()):
        flag = "--cert-path" if asked.first else "--tls-cert-path"
        raise Refused(
            "Specified directory to store certificates is not empty. Specify a new path in which to store generated"
            f' certificates using {flag} or remove the contents of "{asked.folder}" and run vic-machine again.'
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        log.error(f'Unable to make directory "{asked.folder}" to hold certificates (set via --tls-cert-path)')
        raise Refused(f"mkdir {asked.folder}: {(error.strerror or '').lower()}") from error
    if server and not client:
        log.info(f"Generating self-signed certificate/key pair - private key in {asked.path(SERVER_KEY)}")
        own = _server(asked, x509.Name(_self_signed(asked.cname)), None)
        _save(asked, own, SERVER, SERVER_KEY)
        found.certificate, found.key = own.pem, own.key_pem
        return
    _make_all(log, asked, found, server=server)


def _make_all(log: Log, asked: Asked, found: Certificates, *, server: bool) -> None:
    if not asked.cname:
        log.error("Common Name must be provided when generating certificates for client authentication:")
        for line in _CNAME_HELP:
            log.info(line)
        raise Refused("provide Common Name for server certificate")
    if not asked.organization:
        asked.organization.append("")
    if len(asked.organization) == 1 and not asked.cname.startswith("*"):
        asked.organization.append(asked.cname)
    subject = _organizations(asked.organization)
    log.info(f"Generating CA certificate/key pair - private key in {asked.path(AUTHORITY_KEY)}")
    authority = _authority(asked, x509.Name([subject]))
    _save(asked, authority, AUTHORITY, AUTHORITY_KEY)
    found.authorities, found.authority_file = authority.pem, asked.path(AUTHORITY)
    if server:
        log.info(f"Generating server certificate/key pair - private key in {asked.path(SERVER_KEY)}")
        name = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, asked.cname)])
        pair = _server(asked, x509.Name([subject, name]), authority)
        _save(asked, pair, SERVER, SERVER_KEY)
        found.certificate, found.key = pair.pem, pair.key_pem
    log.info(f"Generating client certificate/key pair - private key in {asked.path(CLIENT_KEY)}")
    pair = _client(asked, x509.Name([subject]), authority)
    _save(asked, pair, CLIENT, CLIENT_KEY)
    found.client_file, found.client_key_file = asked.path(CLIENT), asked.path(CLIENT_KEY)
    _for_browsers(log, asked)


def _for_browsers(log: Log, asked: Asked) -> None:
    folder = os.path.normpath(asked.folder)
    target = os.path.join(folder, BROWSER)
    command = ["openssl", "pkcs12", "-export", "-out", target, "-inkey", f"{folder}/key.pem"]
    command += ["-in", f"{folder}/cert.pem", "-certfile", f"{folder}/ca.pem", "-password", "pass:"]
    if shutil.which("openssl") is None:
        why = 'exec: "openssl": executable file not found in $PATH'
        log.warning(f"Failed to generate browser friendly PFX client certificate: {why}")
        return
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_OPENSSL_LIMIT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        log.warning("Failed to generate browser friendly PFX client certificate: exit status 1")
        return
    os.chmod(target, 0o600)
    shown = f"./{folder}" if asked.first and not os.path.isabs(folder) else folder
    log.info(f"Generated browser friendly PFX client certificate - certificate in {shown}/{BROWSER}")


def _organizations(values: Sequence[str]) -> x509.RelativeDistinguishedName:
    """All in one part, as Go writes several; an empty one is written, too."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, value, _validate=False) for value in values]
    return x509.RelativeDistinguishedName(dict.fromkeys(attributes))


def _self_signed(cname: str) -> list[x509.RelativeDistinguishedName]:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "default")]
    parts += [x509.NameAttribute(NameOID.COMMON_NAME, cname)] if cname else []
    return [x509.RelativeDistinguishedName([part]) for part in parts]


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(128) or 1)
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _VALID)
    )


def _usage(*, signs: bool = False, client: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not client,
        data_encipherment=False,
        key_agreement=not client,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key(asked: Asked) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=asked.key_bits)


def _authority(asked: Asked, subject: x509.Name) -> _Pair:
    key = _new_key(asked)
    builder = _builder(subject, subject, key).add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _server(asked: Asked, subject: x509.Name, authority: _Pair | None) -> _Pair:
    key = _new_key(asked)
    issuer, signer = (authority.certificate.subject, authority.key) if authority else (subject, key)
    builder = _builder(subject, issuer, key).add_extension(_usage(), critical=True)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(usage, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if authority is not None:
        by_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
        builder = builder.add_extension(by_key, critical=False)
    if asked.cname:
        builder = builder.add_extension(x509.SubjectAlternativeName(_other_names(asked.cname)), critical=False)
    return _Pair(builder.sign(signer, hashes.SHA256()), key)


def _client(asked: Asked, subject: x509.Name, authority: _Pair) -> _Pair:
    key = _new_key(asked)
    builder = _builder(subject, authority.certificate.subject, key).add_extension(_usage(client=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _other_names(cname: str) -> list[x509.GeneralName]:
    """An address with the names of its reverse lookup; or a name with the addresses that it resolves to."""
    try:
        address = ipaddress.ip_address(cname)
    except ValueError:
        return [x509.DNSName(cname), *(x509.IPAddress(ipaddress.ip_address(one)) for one in resolved(cname))]
    return [*(x509.DNSName(name) for name in names_of(cname)), x509.IPAddress(address)]


def resolved(name: str) -> list[str]:
    """The addresses of a name, as seen from here; none if it has none."""
    try:
        return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(name, None, socket.AF_INET)))
    except OSError:
        return []


def names_of(address: str) -> list[str]:
    """The names that an address has by reverse lookup; none if it has none."""
    try:
        name, others, _ = socket.gethostbyaddr(address)
    except OSError:
        return []
    return list(dict.fromkeys(one for one in (name, *others) if not one.replace(".", "").isdigit()))


def _save(asked: Asked, pair: _Pair, certificate: str, key: str) -> None:
    for name, content, mode in ((certificate, pair.pem, 0o644), (key, pair.key_pem, 0o600)):
        path = Path(asked.path(name))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        path.chmod(mode)


def _opening(file: str, error: OSError) -> str:
    return f"open {file}: {(error.strerror or '').lower()}"
