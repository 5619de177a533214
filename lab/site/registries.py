"""Whether a VCH lets its daemon near a registry: its lists, and the authorities that it trusts; for the front.

The daemon itself would trust every registry on loopback without looking.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence

CONNECT_LIMIT_S = 5.0

_HTTPS_PORT = 443


def is_allowed(registry: str, allowed: Sequence[str]) -> bool:
    """Whether a registry may be used.

    Args:
        registry: `host[:port]`.
        allowed: hosts with or without port, or networks; none: all may.
    """
    return not allowed or is_among(registry, allowed)


def is_among(registry: str, listed: Sequence[str]) -> bool:
    """Whether a list of hosts, with or without port, and networks names a registry."""
    host = registry.partition(":")[0]
    return any(entry in (registry, host) or _is_in(host, entry) for entry in listed)


def distrust(registry: str, authorities: str) -> str:
    """Why a registry's certificate isn't trusted; empty if it is, or if none answers.

    Args:
        registry: `host[:port]`.
        authorities: PEM, trusted beside the system's.
    """
    host, _, port = registry.partition(":")
    context = ssl.create_default_context()
    try:
        if authorities:
            context.load_verify_locations(cadata=authorities)
        with (
            socket.create_connection((host, int(port or _HTTPS_PORT)), timeout=CONNECT_LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"Get https://{registry}/v2/: x509: {_WORDS.get(error.verify_code, error.verify_message)}"
    except (OSError, ValueError):
        return ""  # the daemon tries, and says what is wrong


# Go's words for OpenSSL's codes.
_UNKNOWN_AUTHORITY = "certificate signed by unknown authority"
_WORDS = {
    10: "certificate has expired or is not yet valid",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
}


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
