"""Image references, taken apart as Docker does (distribution specification, and Docker's defaults)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")
_TAG = re.compile(r"\w[\w.-]{0,127}")


def is_digest(text: str) -> bool:
    """Whether it is a digest that we know how to check."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class Reference:
    """``registry/repository:tag@digest``.

    Args:
        registry: host, with its port where one is named.
        repository: path in the registry.
        tag: ``latest`` where neither tag nor digest is named; empty where only a digest is.
        digest: ``sha256:…`` or empty.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises ValueError that says what is wrong."""
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise ValueError(f"'{text}': '{digest}' is not a digest sha256:…")
        first, slash, remainder = rest.partition("/")
        if slash and (any(sign in first for sign in ".:") or first == "localhost"):
            registry, rest = first, remainder
            if not _REGISTRY.fullmatch(registry):
                raise ValueError(f"'{text}': '{registry}' is not a registry host[:port]")
        else:
            registry = DEFAULT_REGISTRY
        path, colon, tag = rest.partition(":")
        if registry == DEFAULT_REGISTRY and "/" not in path:
            path = f"library/{path}"
        if not _REPOSITORY.fullmatch(path):
            raise ValueError(f"'{text}': '{path}' is not a repository (lower-case letters, digits, separators)")
        if colon and not _TAG.fullmatch(tag):
            raise ValueError(f"'{text}': '{tag}' is not a tag")
        return cls(registry, path, tag or ("" if digest else DEFAULT_TAG), digest)

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def by_digest(self) -> str:
        """``name@digest``."""
        return f"{self.name}@{self.digest}"

    def at(self, digest: str) -> Reference:
        return replace(self, tag="", digest=digest)

    @property
    def familiar(self) -> str:
        """The name as engines tell it: without Docker's own registry, and without its ``library``."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        return self.repository.removeprefix("library/")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")
