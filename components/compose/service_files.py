"""The files that a service's `env_file` and `label_file` name: their variables go behind what the service says itself.

Source: Compose specification, `env_file` and `label_file`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from components.compose import env_file, shapes
from components.compose.interpolation import Unset
from components.compose.located import ComposeError, Map, Place, Seq, Wrong, dotted, located, pairs_of, place_at
from components.compose.plain import text_of


def add_environment(name: str, service: Map, variables: Mapping[str, str], unset: Unset) -> None:
    """Puts the variables of `env_file` into `environment`, in place.

    Args:
        name: the service's.
        service: in long syntax.
        variables: what variables in the files mean, and keys without a value.
        unset: what a variable means that nobody has set.

    Raises:
        ComposeError: a file isn't there or can't be understood.
    """
    own = _own_environment(name, service, variables)
    outside = {**{key: value for key, value in own.items() if value is not None}, **variables}
    found: dict[str, str] = {}
    for index, (entry, place) in enumerate(pairs_of(service.pop("env_file", None) or ())):
        found.update(_env_file(entry, place, f"services.{name}.env_file[{index}]", (outside, found, unset)))
    _put_behind(service, "environment", found, own)


def add_labels(name: str, service: Map) -> None:
    """Puts the variables of `label_file` into `labels`, in place.

    Raises:
        ComposeError: a file isn't there or can't be understood.
    """
    found: dict[str, str] = {}
    for index, (path, place) in enumerate(pairs_of(service.pop("label_file", None) or ())):
        file = FilePath(path)
        if not file.exists():
            raise ComposeError(place, f"services.{name}.label_file[{index}]: there is no file {Place(file)}")
        found.update(env_file.read(file, {}, before=found))
    if found:
        _put_behind(service, "labels", found, shapes.texts_by_name(service.get("labels") or ()))


def _env_file(
    entry: Map, place: Place | None, at: str, known: tuple[Mapping[str, str], Mapping[str, str], Unset]
) -> dict[str, str]:
    outside, before, unset = known
    file, form = FilePath(entry["path"]), entry.get("format") or ""
    if form not in ("", "raw", ".env"):
        raise ComposeError(entry.place_of("format") or place, f"{at}.format: '{form}' is not 'raw', the only one")
    if file.exists():
        return (
            env_file.read_raw(file, outside)
            if form == "raw"
            else env_file.read(file, outside, before=before, unset=unset)
        )
    if entry.get("required") in (False, "false"):
        return {}
    where = entry.place_of("path") or place
    raise ComposeError(where, f"{at}: there is no file {Place(file)}; 'required: false' lets it be missing")


def _put_behind(service: Map, key: str, found: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    if not found and not own:
        return
    merged = located({**found, **own}, service.place_of(key))
    merged.places.update(_places_by_name(service.get(key)))
    service.put(key, merged, service.places.get(key))


def _places_by_name(value: Any) -> dict[str, Place]:
    """Where each key of a mapping or of a list of ``KEY=VALUE`` stands."""
    if isinstance(value, Seq):
        return {text_of(item).partition("=")[0]: place for item, place in value.pairs() if place}
    return dict(value.places) if isinstance(value, Map) else {}


def _own_environment(name: str, service: Map, variables: Mapping[str, str]) -> dict[str, str | None]:
    if service.get("environment") is None:
        return {}
    try:
        own = shapes.environment(service["environment"])
    except Wrong as error:
        path = ("environment", *error.path)
        where = place_at(service, path, service.place or Place(FilePath()))
        raise ComposeError(where, f"{dotted(('services', name, *path))}: {error.reason}") from None
    return {key: variables.get(key) if value is None else value for key, value in own.items()}
