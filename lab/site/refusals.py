"""What a VCH's Docker API lacks, and the words in which it says so; for the front.

Words: the VCH's public sources (lib/apiservers/engine/backends: `… does not yet implement …`, all with status 500);
what is lacking: facts `vch-docker-api.md`.
"""

from __future__ import annotations

import re

PRODUCT = "vSphere Integrated Containers"
API_VERSION = "1.25"
OLDEST_API_VERSION = "1.19"

_LACKING = (
    ("POST", r"/build", "BuildFromContext"),
    ("POST", r"/images/.+/push", "PushImage"),
    ("GET", r"/images/search", "SearchRegistryForImages"),
    ("GET", r"/images/.+/history", "ImageHistory"),
    ("GET", r"/images/(.+/)?get", "ExportImage"),
    ("POST", r"/images/load", "LoadImage"),
    ("POST", r"/images/prune", "ImagesPrune"),
    ("GET", r"/containers/[^/]+/export", "ContainerExport"),
    ("GET", r"/containers/[^/]+/top", "ContainerTop"),
    ("GET", r"/containers/[^/]+/changes", "ContainerChanges"),
    ("POST", r"/containers/[^/]+/pause", "ContainerPause"),
    ("POST", r"/containers/[^/]+/unpause", "ContainerUnpause"),
    ("POST", r"/containers/[^/]+/update", "ContainerUpdate"),
    ("POST", r"/containers/[^/]+/copy", "ContainerCopy"),
    ("POST", r"/containers/prune", "ContainersPrune"),
    ("GET|POST", r"/containers/[^/]+/checkpoints", "checkpointing"),
    ("DELETE", r"/containers/[^/]+/checkpoints/.+", "checkpointing"),
    ("POST", r"/networks/[^/]+/disconnect", "DisconnectContainerFromNetwork"),
    ("POST", r"/networks/prune", "NetworksPrune"),
    ("POST", r"/volumes/prune", "VolumesPrune"),
    ("GET", r"/system/df", "SystemDiskUsage"),
    ("GET|POST|DELETE", r"/plugins(/.*)?", "plugins"),
)
_SWARM = re.compile(r"/(swarm|nodes|services|tasks|secrets)(/.*)?")


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP's.
        words: the text.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def refusal(method: str, path: str) -> tuple[int, str] | None:
    """Status and words if a VCH lacks a call.

    Args:
        method: HTTP's.
        path: without the API's version.
    """
    for methods, pattern, name in _LACKING:
        if method in methods.split("|") and re.fullmatch(pattern, path):
            return 500, not_implemented(name)
    if _SWARM.fullmatch(path):
        return 404, "Docker Swarm is not yet supported"
    return None


def not_implemented(name: str) -> str:
    """The words for a call that is lacking."""
    return f"{PRODUCT} does not yet implement {name}"


def wrong_version(version: str) -> str:
    """The words for an API version that isn't served; empty if it is."""
    if _numbers(version) > _numbers(API_VERSION):
        return f"client is newer than server (client API version: {version}, server API version: {API_VERSION})"
    if _numbers(version) < _numbers(OLDEST_API_VERSION):
        return (
            f"client version {version} is too old. Minimum supported API version is {OLDEST_API_VERSION}, "
            "please upgrade your client to a newer version"
        )
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
