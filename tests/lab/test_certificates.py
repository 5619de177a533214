"""Certificates are made once, renewed in time, and their keys are their owner's only."""

from __future__ import annotations

import datetime
import ipaddress
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.verification import PolicyBuilder, Store

from lab.certificates import CLIENT, RENEW_BEFORE_DAYS, Certificates, thumbprint

ADDRESS = "127.64.7.4"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path / "certificates")
    made.issue({"registry": ADDRESS})
    return made


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def serial(certificates: Certificates, name: str) -> int:
    return read(certificates.of(name) / "cert.pem").serial_number


def test_a_strict_verifier_accepts_the_server_at_its_address(certificates: Certificates) -> None:
    verifier = (
        PolicyBuilder()
        .store(Store([read(certificates.authority)]))
        .build_server_verifier(x509.IPAddress(ipaddress.ip_address(ADDRESS)))
    )

    chain = verifier.verify(read(certificates.of("registry") / "cert.pem"), [])

    assert chain[-1] == read(certificates.authority)


def test_keys_are_for_their_owner_only(certificates: Certificates) -> None:
    keys = list(certificates.folder.rglob("*key.pem"))

    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len(keys) == 3


def test_a_good_certificate_stays(certificates: Certificates) -> None:
    before = serial(certificates, "registry")

    certificates.issue({"registry": ADDRESS})

    assert serial(certificates, "registry") == before


@pytest.mark.parametrize("name", ["registry", CLIENT])
def test_a_certificate_near_its_end_is_renewed_alone(certificates: Certificates, name: str) -> None:
    before = {one: serial(certificates, one) for one in ("registry", CLIENT)}
    note = certificates.folder / "certificates.json"
    noted = json.loads(note.read_text())
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=RENEW_BEFORE_DAYS - 1)
    noted[name]["ends"] = soon.isoformat()
    note.write_text(json.dumps(noted))

    certificates.issue({"registry": ADDRESS})

    assert {one for one, number in before.items() if serial(certificates, one) != number} == {name}


def test_a_new_address_gives_a_new_certificate(certificates: Certificates) -> None:
    certificates.issue({"registry": "127.64.8.4"})

    names = read(certificates.of("registry") / "cert.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name) for name in names.value.get_values_for_type(x509.IPAddress)] == ["127.64.8.4"]


def test_a_lost_key_gives_a_new_certificate(certificates: Certificates) -> None:
    before = serial(certificates, "registry")
    (certificates.of("registry") / "key.pem").unlink()

    certificates.issue({"registry": ADDRESS})

    assert serial(certificates, "registry") != before


def test_a_new_authority_signs_all_anew(certificates: Certificates) -> None:
    (certificates.folder / "ca-key.pem").unlink()

    certificates.issue({"registry": ADDRESS})

    read(certificates.of("registry") / "cert.pem").verify_directly_issued_by(read(certificates.authority))
    read(certificates.of(CLIENT) / "cert.pem").verify_directly_issued_by(read(certificates.authority))
    assert (certificates.of(CLIENT) / "ca.pem").read_bytes() == certificates.authority.read_bytes()


def test_the_thumbprint_is_the_certificates_sha1(certificates: Certificates) -> None:
    file = certificates.of("registry") / "cert.pem"

    assert thumbprint(file).replace(":", "").lower() == read(file).fingerprint(hashes.SHA1()).hex()
