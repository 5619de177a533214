"""A compose project, read: the whole model that comes out of its files.

Source: Compose specification, "profiles"; what no service uses is left out, as `docker compose config` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from components.compose import answer
from components.compose.checks import check_references
from components.compose.loader import Loader
from components.compose.located import ComposeError, Map, Place, Wrong, dotted, located, place_at
from components.compose.normal import normal
from components.compose.service_files import add_environment, add_labels
from components.compose.sources import Request, Sources, find

_EVERY_PROFILE = "*"


@dataclass(frozen=True)
class Project:
    """A project as its files mean it.

    Attributes:
        name: its name.
        files: the files that it was read from.
        data: the whole model in long syntax, with places.
        written: per service the keys that its files have, before anything was filled in.
        active: the services whose profiles are on.
    """

    name: str
    files: tuple[FilePath, ...]
    data: Map
    written: Mapping[str, tuple[str, ...]]
    active: tuple[str, ...]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model in the shape of `docker compose config --format json`, its ``$`` not doubled.

        Raises:
            ComposeError: a value is none that its key takes.
        """
        extensions = {key: value for key, value in self.data.items() if key.startswith("x-")}
        return {**self._shaped(self._used()), **extensions}

    @cached_property
    def everything(self) -> dict[str, Any]:
        """The same with what no active service uses, and services that are off.

        Raises:
            ComposeError: a value is none that its key takes.
        """
        return self._shaped(self.data)

    def _shaped(self, data: Map) -> dict[str, Any]:
        try:
            return answer.model(data)
        except Wrong as error:
            raise ComposeError(self.place(error.path), f"{dotted(error.path)}: {error.reason}") from None

    def place(self, path: Iterable[str | int]) -> Place:
        """Where something stands; its nearest ancestor where it doesn't."""
        return place_at(self.data, path, Place(self.files[0], 1, 1))

    def _used(self) -> Map:
        """What the active services use, as compose makes nothing else."""
        used = Map(self.data.place)
        used["name"] = self.name
        services = self.data.get("services") or Map()
        used["services"] = _only(services, self.active)
        running = [services[name] for name in self.active]
        for part, names in _references(running).items():
            used[part] = _only(self.data.get(part) or Map(), names)
        return used


def _only(part: Map, names: Iterable[str]) -> Map:
    wanted = set(names)
    kept = Map(part.place)
    for name, value in part.items():
        if name in wanted:
            kept.put(name, value, part.places.get(name))
    return kept


def _references(services: list[Map]) -> dict[str, list[str]]:
    mounts = [mount for service in services for mount in service.get("volumes") or ()]
    builds = [service.get("build") or {} for service in services]
    return {
        "networks": [name for service in services for name in service.get("networks") or ()],
        "volumes": [mount.get("source") for mount in mounts if mount.get("type") == "volume"],
        "secrets": [one["source"] for holder in (*services, *builds) for one in holder.get("secrets") or ()],
        "configs": [one["source"] for service in services for one in service.get("configs") or ()],
    }


def read(request: Request) -> Project:
    """Reads a project.

    Raises:
        ComposeError: with the file, line and column of what is wrong.
    """
    sources = find(request)
    data = Loader(sources.folder, sources.variables, request.unset).model(sources.files)
    if not data.keys() - {"name"}:
        raise ComposeError(Place(sources.files[0], 1, 1), "the file is empty: it needs 'services'")
    written = _keys_of_services(data)
    normal(data, sources.name, sources.variables)
    active = _active(data, request, sources)
    check_references(data, list(active))
    for name in active:
        service = data["services"][name]
        add_environment(name, service, sources.variables, request.unset)
        add_labels(name, service)
        _scale(service)
    return Project(sources.name, sources.files, data, written, active)


def _keys_of_services(data: Map) -> dict[str, tuple[str, ...]]:
    """What the files say of each service; one of which they say nothing is empty from here on."""
    services = data.get("services") or Map()
    for name, service in services.items():
        if service is None:
            services[name] = located({}, services.place_of(name))
    return {name: tuple(service) for name, service in services.items()}


def _active(data: Map, request: Request, sources: Sources) -> tuple[str, ...]:
    """The services without profiles, and those of which one is on."""
    on = set(request.profiles or map(str.strip, sources.variables.get("COMPOSE_PROFILES", "").split(",")))

    def is_on(service: Map) -> bool:
        own = service.get("profiles")
        return not own or _EVERY_PROFILE in on or not on.isdisjoint(own)

    return tuple(name for name, service in (data.get("services") or {}).items() if is_on(service))


def _scale(service: Map) -> None:
    deploy = service.get("deploy")
    if isinstance(deploy, Map) and service.get("scale") is not None:
        deploy["replicas"] = service["scale"]


def escaped(value: Any) -> Any:
    """A model whose texts can be read again: ``$`` is ``$$``."""
    if isinstance(value, dict):
        return {key.replace("$", "$$"): escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
