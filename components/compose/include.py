"""`include`: other compose files' services, volumes, networks, secrets and configs beside a file's own.

Source: Compose specification, "include".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from components.compose import env_file
from components.compose.located import ComposeError, Map, Place, Seq
from components.compose.locations import absolute, is_remote

_PARTS = ("services", "volumes", "networks", "secrets", "configs", "models")


@dataclass(frozen=True)
class Included:
    """One entry of `include`.

    Attributes:
        files: the compose files, merged in this order.
        folder: where their relative paths start.
        variables: what their variables mean.
        place: where the entry stands.
    """

    files: list[FilePath]
    folder: FilePath
    variables: Mapping[str, str]
    place: Place


def included(data: Map, folder: FilePath, variables: Mapping[str, str], load: Callable[[Included], Map]) -> Map:
    """A file's model with what it includes.

    Args:
        data: the file's own model.
        folder: where its relative paths start.
        variables: what its variables mean; they go before those of the included files' own.
        load: reads an entry's files as one model.

    Raises:
        ComposeError: an entry can't be read, or two files mean different things by one name.
    """
    entries = data.pop("include", None)
    if entries is None:
        return data
    if not isinstance(entries, Seq):
        raise ComposeError(data.place_of("include"), "include: must be a list of files")
    for item, place in entries.pairs():
        one = _entry(item, folder, variables, place or Place(folder))
        _put(load(one), data, one.place)
    return data


def _entry(item: Any, folder: FilePath, variables: Mapping[str, str], place: Place) -> Included:
    given = item if isinstance(item, Map) else {"path": item}
    paths = _texts(given, "path", place)
    for path in filter(is_remote, paths):
        raise ComposeError(place, f"include: '{path}' is remote: only files of this machine are read")
    files = [FilePath(absolute(path, folder)) for path in paths]
    if not files:
        raise ComposeError(place, "include: an entry needs a 'path': the compose file")
    for file in files:
        if not file.exists():
            raise ComposeError(place, f"include: there is no file {Place(file)}")
    own = given.get("project_directory")
    inside = FilePath(absolute(own, folder)) if isinstance(own, str) and own else files[0].parent
    found: dict[str, str] = {}
    for file in _env_files(given, folder, inside, place):
        found.update(env_file.read(file, variables, before=found))
    return Included(files, inside, {**found, **variables}, place)


def _env_files(given: Any, folder: FilePath, inside: FilePath, place: Place) -> list[FilePath]:
    named = [FilePath(absolute(one, folder)) for one in _texts(given, "env_file", place)]
    usual = inside / ".env"
    return named or ([usual] if usual.is_file() else [])


def _texts(given: Any, key: str, place: Place) -> list[str]:
    value = given.get(key)
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ComposeError(place, f"include.{key}: must be a path or a list of paths")
    return list(texts)


def _put(source: Map, target: Map, place: Place) -> None:
    for part in _PARTS:
        for name, value in (source.get(part) or {}).items():
            into = target.get(part)
            if not isinstance(into, Map):
                into = Map(place)
                target.put(part, into, place)
            if name in into and into[name] != value:
                where = into.place_of(name) or place
                raise ComposeError(where, f"{part}.{name}: the file that is included means something else by this name")
            if name not in into:
                into.put(name, value, source[part].places.get(name))
