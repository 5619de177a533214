"""A VM's extraConfig as a VCH's settings are kept in it: keys, encodings and secrets; for all commands."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from lab.stand_ins.vic_machine import secretbox

KEY = "guestinfo.ovfEnv"
IN_PROGRESS = "UpdateInProgress"
NOTHING = "<nil>"

_READ = "guestinfo.vice./"
_WRITTEN = "guestinfo.vice.."
_SECRET = "@secret"
_MAPPED = b"\0" * 10 + b"\xff" * 2


def read_only(path: str) -> str:
    """The key of what the appliance only reads: ``init/common/id``."""
    return _READ + path


def written(path: str) -> str:
    """The key of what the appliance may write: ``init/networks|client/assigned/IP``."""
    return _WRITTEN + path.replace("/", ".")


def secret(path: str) -> str:
    """The key of what is sealed."""
    return f"{_READ}{path}{_SECRET}"


def text(value: str) -> str:
    return value or NOTHING


def truth(value: bool) -> str:
    return "true" if value else "false"


def address(value: ipaddress.IPv4Address) -> str:
    """An address as 16 bytes, the way Go keeps it."""
    return base64.b64encode(_MAPPED + value.packed).decode()


def mask(prefix: int) -> str:
    """A network's mask as 4 bytes."""
    return base64.b64encode(ipaddress.IPv4Network(f"0.0.0.0/{prefix}").netmask.packed).decode()


def texts(key: str, values: Sequence[str]) -> dict[str, str]:
    """A list of texts: its highest index, and all of them in one."""
    return {key: str(len(values) - 1), f"{key}~": "|".join(values)} if values else {}


def names(values: Iterable[str]) -> str:
    """The keys of a map."""
    return "|".join(sorted(values))


def key_in(machine_file: str) -> bytes | None:
    """The key to the secrets in the text of a ``.vmx`` file; none if it isn't in there."""
    found = re.search(rf'^{re.escape(KEY)}\s*=\s*"([^"]*)"', machine_file, re.M)
    if found is None:
        return None
    # What isn't plain in such a file is written as a bar and two digits.
    plain = re.sub(r"\|([0-9A-Fa-f]{2})", lambda hidden: chr(int(hidden[1], 16)), found[1])
    try:
        return base64.b64decode(plain, validate=True)
    except ValueError:
        return None


def is_ours(key: str) -> bool:
    """Whether a key belongs to a VCH's settings: one that the guest sees, or one that is hidden from it."""
    return key.startswith((_READ, _WRITTEN)) or key.startswith(("init/", "network/container_networks"))


class Settings:
    """The settings of a VCH, as keys and values; secrets are open.

    Args:
        values: what is in the VM, without what isn't a VCH's.
        plain: the sealed ones, opened: path → content.
    """

    def __init__(self, values: Mapping[str, str], plain: Mapping[str, bytes] | None = None) -> None:
        self.values = dict(values)
        self.plain = dict(plain or {})

    @classmethod
    def of(cls, found: Mapping[str, str], key: bytes | None = None) -> Settings:
        """What a VM's extraConfig holds.

        Args:
            found: all of it.
            key: opens the secrets; without it they are left out.

        Raises:
            secretbox.WrongKey: it doesn't open them.
        """
        ours = {name: value for name, value in found.items() if is_ours(name) and not name.endswith(_SECRET)}
        sealed = {name: value for name, value in found.items() if name.endswith(_SECRET)} if key else {}
        return cls(
            ours,
            {
                name[len(_READ) : -len(_SECRET)]: secretbox.opened(base64.b64decode(value), key or b"")
                for name, value in sealed.items()
            },
        )

    def sealed(self) -> dict[str, str]:
        """All of it as it goes into a VM, under a new key, which is among it."""
        key = os.urandom(secretbox.KEY_BYTES)
        boxes = {
            secret(path): base64.b64encode(secretbox.seal(content, key)).decode()
            for path, content in self.plain.items()
        }
        return {**self.values, **boxes, KEY: base64.b64encode(key).decode()}

    def text(self, path: str) -> str:
        """What the appliance only reads; nothing if it isn't there."""
        return self._clean(read_only(path))

    def written(self, path: str) -> str:
        """What the appliance may write; nothing if it isn't there."""
        return self._clean(written(path))

    def hidden(self, path: str) -> str:
        return self._clean(path)

    def number(self, path: str) -> int:
        value = self.text(path)
        return int(value) if value.lstrip("-").isdigit() else 0

    def texts(self, path: str) -> list[str]:
        """A list of texts."""
        value = self.values.get(f"{read_only(path)}~")
        return [] if value is None else value.split("|")

    def names(self, path: str) -> list[str]:
        """The keys of a map."""
        return [name for name in self.text(path).split("|") if name]

    def content(self, path: str) -> bytes:
        """Bytes, such as a certificate."""
        return base64.b64decode(self.text(path))

    def address(self, path: str, *, is_written: bool = False) -> ipaddress.IPv4Address | None:
        """An address; none if it isn't set."""
        value = self.written(path) if is_written else self.text(path)
        packed = base64.b64decode(value) if value else b""
        found = ipaddress.IPv4Address(packed[-4:]) if len(packed) in (4, 16) else None
        return found if found and found != ipaddress.IPv4Address(0) else None

    def prefix(self, path: str) -> int:
        """How long a mask is."""
        packed = base64.b64decode(self.text(path))
        return bin(int.from_bytes(packed, "big")).count("1") if packed else 0

    def drop(self, path: str) -> None:
        """Takes what is below a path of what the appliance only reads out of it, emptied as it is in a VM."""
        start = read_only(path)
        for key in list(self.values):
            if key == start or key.startswith((f"{start}/", f"{start}|", f"{start}~")):
                self.values[key] = ""

    def _clean(self, key: str) -> str:
        value = self.values.get(key, "")
        return "" if value == NOTHING else value
