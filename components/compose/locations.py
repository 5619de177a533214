"""Paths of the machine that reads the files, made absolute: relative ones start at the file's project folder.

Source: Compose specification, each key that holds a path; `~` is the user's home.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

from components.compose.located import ComposeError, Map, Path, Place, Seq, Wrong, dotted, matches

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@", "service:")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def absolute(path: str, folder: FilePath) -> str:
    """A path as seen from a folder; one that is absolute already stays as it is written."""
    if path.startswith("~"):
        return os.path.normpath(os.path.join(os.path.expanduser("~"), path[1:].lstrip("/")))
    if not path or os.path.isabs(path):
        return path
    return os.path.normpath(os.path.join(folder, path))


def is_remote(path: str) -> bool:
    """Whether a path of `include` or `extends` is of a Git repository or a registry, which docker compose can read."""
    return "://" in path or path.startswith("git@")


def resolve(data: Any, folder: FilePath, path: Path = ()) -> Any:
    """Makes all relative paths in a model absolute, in place.

    Raises:
        ComposeError: a mount of the host has no path.
    """
    for pattern, step in _STEPS:
        if matches(path, pattern):
            return step(data, folder)
    if isinstance(data, Map):
        for key, value in data.items():
            data[key] = _placed(value, folder, (*path, key), data.place_of(key))
    elif isinstance(data, Seq):
        for number, value in enumerate(data):
            data[number] = _placed(value, folder, (*path, number), data.place_of(number))
    return data


def _placed(value: Any, folder: FilePath, path: Path, place: Place | None) -> Any:
    try:
        return resolve(value, folder, path)
    except Wrong as error:
        raise ComposeError(place, f"{dotted(path)}: {error.reason}") from None


def _path(value: Any, folder: FilePath) -> Any:
    return absolute(value, folder) if isinstance(value, str) else value


def _any_system(value: Any, folder: FilePath) -> Any:
    """A path that may be one of Windows' own."""
    if not isinstance(value, str) or _WINDOWS.match(value):
        return value
    if value.startswith("/"):
        return value
    return absolute(value, folder) if value else str(folder)


def _context(value: Any, folder: FilePath) -> Any:
    remote = isinstance(value, str) and ("://" in value or value.startswith(_REMOTE))
    return value if remote else _path(value, folder)


def _mount(value: Any, folder: FilePath) -> Any:
    if isinstance(value, Map) and value.get("type") == "bind":
        if "source" not in value:
            raise Wrong("a mount of the type 'bind' needs a 'source': the path on the host")
        value["source"] = _any_system(value["source"], folder)
    return value


def _volume(value: Any, folder: FilePath) -> Any:
    """The local driver can mount a folder of the host."""
    options = value.get("driver_opts") if isinstance(value, Map) and value.get("driver") == "local" else None
    if isinstance(options, Map) and options.get("o") == "bind" and "device" in options:
        options["device"] = _any_system(options["device"], folder)
    return value


def _watched(value: Any, folder: FilePath) -> Any:
    return os.path.realpath(absolute(value, folder)) if isinstance(value, str) else value


_STEPS: list[tuple[str, Callable[[Any, FilePath], Any]]] = [
    ("services.*.build.context", _context),
    ("services.*.build.additional_contexts.*", _context),
    ("services.*.build.ssh.*", _any_system),
    ("services.*.env_file.[].path", _path),
    ("services.*.label_file.[]", _path),
    ("services.*.extends.file", _path),
    ("services.*.develop.watch.[].path", _watched),
    ("services.*.volumes.[]", _mount),
    ("configs.*.file", _any_system),
    ("secrets.*.file", _any_system),
    ("volumes.*", _volume),
]
