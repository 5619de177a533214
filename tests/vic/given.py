"""Settings, a login and certificates that the tests of this folder start from."""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers.kit.secrets import Secret
from providers.vic.command_line import Login
from providers.vic.settings import Settings

THUMBPRINT = "3F:6E:2F:16:FA:76:53:74:18:3F:26:9D:1A:58:40:AD:E5:D8:3E:52"
LOGIN = Login("sddcvcs.domain.sddc", "orcunuso", Secret("mk-admin-Zu~7"), THUMBPRINT, Secret("mk-ops-Zu~8"))


@lru_cache(maxsize=8)
def pair(called: str = "vch02.domain.sddc") -> tuple[str, str]:
    """A certificate and its key, as PEM texts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=300))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def minimal(**more: Any) -> dict[str, Any]:
    """The least that makes a VCH, and what a test adds."""
    return {
        "name": "vch02.domain.sddc",
        "compute_resource": "SDDC.Container",
        "image_store": "VMFS01/VCHPOOL/vch02",
        "bridge_network": "LSW10_Bridge",
        "tls": {"mode": "none"},
        **more,
    }


def settings(**more: Any) -> Settings:
    return Settings.model_validate(minimal(**more))


def blog() -> dict[str, Any]:
    """The blog's VCH; what its text has lost (addresses, the last line) is filled in."""
    return minimal(
        datacenter="SDDC.Datacenter",
        volume_stores={"default": "VMFS01/VCHPOOL/vch02"},
        public_network={"name": "LSW10_Mgmt", "ip": "10.10.10.20/24", "gateway": "10.10.10.1"},
        client_network={"name": "LSW10_Mgmt"},
        management_network={"name": "LSW10_Mgmt"},
        dns_servers=["10.10.10.2"],
        registry_cas=[pair("sddcvic")[0]],
    )
