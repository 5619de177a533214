"""The short syntax of ports, mounts and devices as the long one.

Source: Compose specification, `ports`, `volumes` and `devices`, short syntax.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Any

from components.compose.located import Wrong

_PORTS = "[IP:][PUBLISHED:]TARGET[/tcp|udp|sctp], each a port or a range"
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_HIGHEST_PORT = 65535
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


def ports(text: str) -> list[dict[str, Any]]:
    """The published ports that one entry stands for, one for each target."""
    given, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    parts = given.split(":")
    ip, published, target = ":".join(parts[:-2]), parts[-2] if len(parts) > 1 else "", parts[-1]
    if protocol not in ("tcp", "udp", "sctp") or not target:
        raise Wrong(f"port '{text}' is not of the form {_PORTS}")
    first, last = _range(target, text)
    if not first:
        raise Wrong(f"port '{text}': the container has no port 0")
    outside = _range(published, text) if published else None
    if outside and last - first not in (0, outside[1] - outside[0]):
        raise Wrong(f"port '{text}' publishes {published} for {target}: the two ranges must be of the same length")
    found = []
    for target_port in sorted(range(first, last + 1), key=str):
        port = {"mode": "ingress", "target": target_port, "protocol": protocol}
        if ip:
            port["host_ip"] = _address(ip, text)
        if outside:
            port["published"] = _published(outside, target_port - first, single=first == last)
        found.append(port)
    return found


def _published(outside: tuple[int, int], offset: int, *, single: bool) -> str:
    """One target may be published on whichever port of a range is free."""
    first, last = outside
    return f"{first}-{last}" if single and first != last else str(first + offset)


def _range(text: str, whole: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise Wrong(f"port '{whole}' is not of the form {_PORTS}")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise Wrong(f"port '{whole}': the range {text} ends before it begins; the form is {_PORTS}")
    if last > _HIGHEST_PORT:
        raise Wrong(f"port '{whole}': {text} is no port or range between 0 and {_HIGHEST_PORT}")
    return first, last


def _address(ip: str, whole: str) -> str:
    bare = ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise Wrong(f"port '{whole}': '{ip}' is no IP address") from None
    return bare


def mount(text: str) -> dict[str, Any]:
    """A mount of a volume or a host's path."""
    if not text:
        raise Wrong("a volume is empty: write [SOURCE:]TARGET[:OPTIONS]")
    if len(text) <= 2:
        return {"type": "volume", "target": posixpath.normpath(text)}
    parts = _sections(text)
    if "" in parts:
        raise Wrong(f"'{text}' has an empty part between colons: write [SOURCE:]TARGET[:OPTIONS]")
    if len(parts) > 3:
        raise Wrong(f"'{text}' has too many colons: write [SOURCE:]TARGET[:OPTIONS]")
    source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
    found: dict[str, Any] = {"type": "bind" if is_host_path(source) else "volume", "target": posixpath.normpath(target)}
    if source:
        found["source"] = source
    for option in parts[2].split(",") if len(parts) > 2 else []:
        _set_option(found, option)
    if found["type"] == "bind":
        # Unlike with the long syntax, a missing folder is made.
        found["bind"] = {**found.get("bind", {}), "create_host_path": True}
    else:
        found.setdefault("volume", {})
    return found


def _set_option(found: dict[str, Any], option: str) -> None:
    """Options that compose doesn't know it lets pass; they have no effect."""
    if option == "ro":
        found["read_only"] = True
    elif option == "rw":
        found.pop("read_only", None)
    elif option == "nocopy":
        found["volume"] = {"nocopy": True}
    elif option in _PROPAGATIONS:
        found["bind"] = {**found.get("bind", {}), "propagation": option}
    elif option in ("z", "Z"):
        found["bind"] = {**found.get("bind", {}), "selinux": option}


def _sections(text: str) -> list[str]:
    """The parts between colons, where ``C:`` is no part of its own."""
    parts: list[str] = []
    for part in text.split(":"):
        if parts and len(parts[-1]) == 1 and parts[-1].isalpha():
            parts[-1] += ":" + part
        else:
            parts.append(part)
    return parts


def is_host_path(source: str) -> bool:
    """Whether a mount's source is a path of the host, Windows' own included, and not a volume's name."""
    return source.startswith((".", "/", "~", "\\\\")) or (source[1:2] == ":" and source[:1].isalpha())


def device(text: str) -> dict[str, str]:
    """A device of the host in a container."""
    source, *rest = text.split(":")
    if len(rest) > 2:
        raise Wrong(f"'{text}' has too many colons: write SOURCE[:TARGET[:PERMISSIONS]]")
    target = (rest[0] if rest else "") or source
    return {"source": source, "target": target, "permissions": rest[1] if len(rest) > 1 else "rwm"}
