"""`extends`: a service takes over another one, of its own file or of another.

Source: Compose specification, "extends".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from components.compose.located import ComposeError, Map, Path, Place, copied
from components.compose.locations import absolute, is_remote
from components.compose.merge import merge_services, without


@dataclass(frozen=True)
class Base:
    """A file that services are taken from.

    Attributes:
        file: which one.
        services: name → service; those of another file in long syntax, with absolute paths.
        resets: what the file takes away of what its own services extend.
    """

    file: FilePath
    services: Map
    resets: list[Path]


Load = Callable[[FilePath], Base]
"""Reads another file."""

Seen = tuple[tuple[FilePath, str], ...]


def extended(base: Base, folder: FilePath, load: Load) -> Map:
    """All services of a file, each with what it extends.

    Args:
        base: the file.
        folder: where its relative paths start.
        load: reads another file.

    Raises:
        ComposeError: there is no such service, or one extends itself in a circle.
    """
    done = Map(base.services.place)
    for name in base.services:
        done.put(name, _service(base, name, folder, load, ()), base.services.places.get(name))
    return done


def _service(base: Base, name: str, folder: FilePath, load: Load, seen: Seen) -> Any:
    service = base.services[name]
    extends = service.get("extends") if isinstance(service, Map) else None
    if extends is None:
        return service
    place = service.place_of("extends") or Place(base.file)
    if (base.file, name) in seen:
        way = " extends ".join(f"'{one}'" for _, one in (*seen[seen.index((base.file, name)) :], (base.file, name)))
        raise ComposeError(place, f"services.{name}.extends: the services extend each other in a circle: {way}")
    wanted, file = _reference(extends, name, place)
    if is_remote(file):
        raise ComposeError(place, f"services.{name}.extends: '{file}' is remote: only files of this machine are read")
    other = _other(FilePath(absolute(file, folder)), name, place, load) if file else base
    if wanted not in other.services:
        raise ComposeError(place, f"services.{name}.extends: {_missing(wanted, other)}")
    source = _service(other, wanted, folder, load, (*seen, (base.file, name)))
    return _merged(source, service, base, name)


def _other(file: FilePath, name: str, place: Place, load: Load) -> Base:
    if not file.exists():
        raise ComposeError(place, f"services.{name}.extends: there is no file {Place(file)}")
    return load(file)


def _merged(source: Any, service: Map, base: Base, name: str) -> Any:
    if not isinstance(source, Map):
        return service
    kept = without(copied(source), base.resets, ("services", name))
    merged = merge_services(kept, service)
    merged.pop("extends", None)
    return merged


def _reference(extends: Any, name: str, place: Place) -> tuple[str, str]:
    if isinstance(extends, str):
        return extends, ""
    service, file = (extends.get("service"), extends.get("file") or "") if isinstance(extends, Map) else (None, "")
    if not isinstance(service, str) or not isinstance(file, str):
        raise ComposeError(
            place, f"services.{name}.extends: must be a service's name, or a mapping of 'service' and 'file'"
        )
    return service, file


def _missing(wanted: str, other: Base) -> str:
    near = difflib.get_close_matches(wanted, other.services, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(sorted(other.services))}"
    return f"{Place(other.file)} has no service '{wanted}'{hint}"
