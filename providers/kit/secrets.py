"""Secrets: where they come from, how they are known in state, and how they stay out of every text.

A secret is referred to by its *name*. Its value is looked up when it is needed: in the stack's config
(``pulumi config set --secret NAME``), else in the environment (``DRYDOCK_NAME`` in capitals).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets as random_source
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
ENVIRONMENT_PREFIX = "DRYDOCK_"
_SHORTEST_REDACTED = 4
_SHORTEST_ENCODING_REDACTED = 8  # shorter ones stand in ordinary words

_known: set[str] = set()
_known_lock = threading.Lock()


class Secret:
    """A value that prints as ``***``; `reveal()` is the only way to it, and every reveal is easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= _SHORTEST_REDACTED:
            spellings = _spellings(value)
            with _known_lock:
                _known.update(spellings)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is never pickled")


def redact(text: str) -> str:
    """The text without any secret value that this process has seen: the last net under every error message."""
    with _known_lock:
        values = sorted(_known, key=len, reverse=True)
    for value in values:
        text = text.replace(value, HIDDEN)
    return text


def _spellings(value: str) -> set[str]:
    """The value as servers and libraries echo it: plain, JSON, repr, URL, hex, and base64 at its three alignments."""
    raw = value.encode(errors="surrogateescape")
    found = {value, repr(value)[1:-1], raw.hex(), raw.hex().upper(), quote(raw), quote(raw, safe=""), quote_plus(raw)}
    found |= {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(raw).decode().rstrip("="))
        # Inside a longer text ("user:password") the bytes at both ends share their letters with their neighbours.
        for shift in range(3):
            first, end = -(-8 * shift // 6), 8 * (shift + len(raw)) // 6
            found.add(encode(bytes(shift) + raw).decode()[first:end])
    return {one for one in found if one == value or len(one) >= _SHORTEST_ENCODING_REDACTED}


def new_key() -> str:
    """A key for `fingerprint`, made once per resource and kept encrypted in its state."""
    return random_source.token_hex(32)


def fingerprint(key: str, value: str) -> str:
    """How a secret is known in state: HMAC-SHA256 (RFC 2104); without the key it can't be guessed by trying words."""
    return "hmac-sha256:" + hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


class UnknownSecret(KeyError):
    """No value for a name, neither in the stack's config nor in the environment."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return (
            f"secret '{self.name}' has no value: `pulumi config set --secret {self.name}`, "
            f"or set {environment_name(self.name)}"
        )


def environment_name(name: str) -> str:
    """The environment variable of a secret's name: ``gogs_db_password`` -> ``DRYDOCK_GOGS_DB_PASSWORD``."""
    return ENVIRONMENT_PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


@dataclass(frozen=True)
class Settings:
    """What a provider may read of the stack: config values (decrypted) and the environment.

    Args:
        config: looks up a config key, ``key`` or ``namespace:key``.
        environ: the process environment.
    """

    config: Callable[[str], Any] = field(default=lambda key: None)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def value(self, key: str, *variables: str) -> str | None:
        """A plain setting: the config key, else the first environment variable that is set."""
        configured = self.config(key)
        if configured is not None:
            return str(configured)
        return next((self.environ[name] for name in variables if self.environ.get(name)), None)

    def credential(self, key: str, *variables: str) -> Secret | None:
        """As `value`, wrapped at once."""
        found = self.value(key, *variables)
        return None if found is None else Secret(found)

    def secret(self, name: str) -> Secret:
        """A secret of the stack by its name. Raises `UnknownSecret`."""
        found = self.credential(name, environment_name(name))
        if found is None:
            raise UnknownSecret(name)
        return found
