"""Lists of allowed addresses and networks in one spelling, so that they are compared as networks and not as text."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

ALL = "all"

_ANSIBLE = ("all_ip", "ip_address", "ip_network")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# One of them alone is less than all: 0.0.0.0/0 must not open IPv6 as well.
_EVERYTHING: set[Network] = {ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")}


def normalised(allowed: str | Iterable[str]) -> str | tuple[str, ...]:
    """Addresses and networks in one spelling, sorted; a network of one address is that address.

    Raises:
        ValueError: names what is neither.
    """
    if isinstance(allowed, str):
        if allowed != ALL:
            raise ValueError(f"'{allowed}' is not '{ALL}' and not a list of addresses and networks")
        return ALL
    networks = {_network(one) for one in allowed}
    if networks >= _EVERYTHING:
        return ALL
    return tuple(str(one.network_address if one.num_addresses == 1 else one) for one in sorted(networks, key=_order))


def from_ansible(allowed: Mapping[str, Any]) -> str | list[str]:
    """The allowed hosts of Ansible's vmware_host_firewall_manager in our shape.

    Raises:
        ValueError: other keys, or everybody together with addresses.
    """
    other = allowed.keys() - _ANSIBLE
    if other:
        raise ValueError(f"'{min(other)}' is not one of {', '.join(_ANSIBLE)}")
    listed = [*(allowed.get("ip_address") or []), *(allowed.get("ip_network") or [])]
    if allowed.get("all_ip") and listed:
        raise ValueError("give either all_ip or addresses and networks")
    return listed if listed or allowed.get("all_ip") is False else ALL


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is not an address or a network such as 10.0.0.0/24") from None


def _order(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
