"""A compose project, read: which files, which variables, and the whole model that comes out of them.

Source: Docker's "Compose file reference" and `docker compose config --help`; the order in which file names, `.env`
files and project names are looked for is docker compose v2.40's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from components.compose import env_file, shapes
from components.compose.checks import check_references
from components.compose.document import documents
from components.compose.interpolation import Unset, blank, interpolate
from components.compose.loader import Loader
from components.compose.located import ComposeError, Map, Place, Seq, Wrong, dotted, located, pairs_of, place_at
from components.compose.normal import normal
from components.compose.plain import text_of

FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_EVERY_PROFILE = "*"


@dataclass(frozen=True)
class Request:
    """What is to be read.

    Attributes:
        files: compose files, later ones over earlier ones; none: those of the usual names in the folder or above it.
        env_files: files of variables; none: `.env` of the project's folder.
        profiles: which are on; none: those of COMPOSE_PROFILES.
        name: the project's; none: COMPOSE_PROJECT_NAME, the files' own, the folder's.
        environment: what variables mean; it goes before every file.
        folder: where the usual files are looked for and relative paths of this request start.
        unset: what a variable means that has no value.
    """

    files: tuple[FilePath, ...] = ()
    env_files: tuple[FilePath, ...] = ()
    profiles: tuple[str, ...] = ()
    name: str = ""
    environment: Mapping[str, str] | None = None
    folder: FilePath = FilePath()
    unset: Unset = blank


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
            return shapes.model(data)
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
    return _Reading(request).project()


class _Reading:
    def __init__(self, request: Request) -> None:
        self._request = request
        outside = os.environ if request.environment is None else request.environment
        self._variables = dict(outside)
        self._base = FilePath(os.path.abspath(request.folder))

    def project(self) -> Project:
        files = self._files()
        folder = files[0].parent
        self._read_env_files(folder)
        name = self._name(files, folder)
        self._variables["COMPOSE_PROJECT_NAME"] = name
        data = Loader(folder, self._variables, self._request.unset).model(files)
        if not data.keys() - {"name"}:
            raise ComposeError(Place(files[0], 1, 1), "the file is empty: it needs 'services'")
        written = {name: tuple(service or ()) for name, service in (data.get("services") or {}).items()}
        for service, keys in (data.get("services") or {}).items():
            if keys is None:
                data["services"][service] = located({}, data["services"].place_of(service))
        data = normal(data, name, self._variables)
        active = self._active(data)
        check_references(data, list(active))
        for one in active:
            self._add_files(one, data["services"][one])
            _scale(data["services"][one])
        return Project(name, tuple(files), data, written, active)

    def _files(self) -> list[FilePath]:
        request = self._request
        given = [FilePath(os.path.normpath(os.path.join(self._base, one))) for one in request.files]
        if not given:
            self._read_env_files(self._base)
            separator = self._variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
            named = self._variables.get("COMPOSE_FILE")
            given = [FilePath(os.path.join(self._base, one)) for one in named.split(separator)] if named else []
        return given or self._usual_files()

    def _usual_files(self) -> list[FilePath]:
        for folder in (self._base, *self._base.parents):
            found = [folder / name for name in FILE_NAMES if (folder / name).exists()]
            if found:
                overrides = [folder / name for name in OVERRIDE_NAMES if (folder / name).exists()]
                return found[:1] + overrides[:1]
        raise ComposeError(Place(self._base), f"there is no compose file ({', '.join(FILE_NAMES)}): name one with -f")

    def _read_env_files(self, folder: FilePath) -> None:
        """What is there already goes before what the files say."""
        found: dict[str, str] = {}
        for file in self._env_files(folder):
            found.update(env_file.read(file, self._variables, before=found))
        self._variables = {**found, **self._variables}

    def _env_files(self, folder: FilePath) -> list[FilePath]:
        given = [os.path.join(self._base, one) for one in self._request.env_files]
        named = given or [one for one in self._variables.get("COMPOSE_ENV_FILES", "").split(",") if one]
        if named:
            return [FilePath(os.path.join(self._base, one)) for one in named]
        off = self._variables.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "t", "true")
        usual = folder / ".env"
        return [usual] if usual.is_file() and not off else []

    def _name(self, files: list[FilePath], folder: FilePath) -> str:
        given = self._request.name or self._variables.get("COMPOSE_PROJECT_NAME", "")
        if given:
            if _project_name(given) != given:
                allowed = "lower-case letters, digits, '-' and '_', a letter or digit first"
                raise ComposeError("project name", f"'{given}' is not allowed: only {allowed}")
            return given
        name, place = self._own_name(files)
        if place is None:
            name = _project_name(folder.name)
        if not name:
            raise ComposeError(place or Place(folder), "no project name comes of this: give one with -p")
        return name

    def _own_name(self, files: list[FilePath]) -> tuple[str, Place | None]:
        found, place = "", None
        for file in files:
            for document in documents(file, lambda text, _: text):
                given = document.data.get("name") if isinstance(document.data, Map) else None
                if given:
                    found, place = text_of(given), document.data.place_of("name")
        if place is None:
            return "", None
        try:
            return _project_name(interpolate(found, self._variables, self._request.unset)), place
        except Wrong as error:
            raise ComposeError(place, f"name: {error.reason}") from None

    def _active(self, data: Map) -> tuple[str, ...]:
        on = self._request.profiles or tuple(
            one.strip() for one in self._variables.get("COMPOSE_PROFILES", "").split(",")
        )

        def is_on(service: Map) -> bool:
            own = service.get("profiles")
            return not own or _EVERY_PROFILE in on or bool(set(own) & set(on))

        return tuple(name for name, service in (data.get("services") or {}).items() if is_on(service))

    def _add_files(self, name: str, service: Map) -> None:
        """What `env_file` and `label_file` name goes behind what the service says itself."""
        found = self._of_env_files(name, service)
        own = _own_environment(name, service, self._variables)
        _put_behind(service, "environment", found, own)
        labels: dict[str, str] = {}
        for index, (file, place) in enumerate(pairs_of(service.pop("label_file", None) or ())):
            if not FilePath(file).exists():
                raise ComposeError(
                    place, f"services.{name}.label_file[{index}]: there is no file {Place(FilePath(file))}"
                )
            labels.update(env_file.read(FilePath(file), {}, before=labels))
        if labels:
            _put_behind(service, "labels", labels, shapes.texts_by_name(service.get("labels") or ()))

    def _of_env_files(self, name: str, service: Map) -> dict[str, str]:
        own = _own_environment(name, service, self._variables)
        outside = {**{key: value for key, value in own.items() if value is not None}, **self._variables}
        found: dict[str, str] = {}
        for index, (one, place) in enumerate(pairs_of(service.pop("env_file", None) or ())):
            at = f"services.{name}.env_file[{index}]"
            file, form = FilePath(one["path"]), one.get("format") or ""
            if form not in ("", "raw", ".env"):
                raise ComposeError(one.place_of("format") or place, f"{at}.format: '{form}' is not 'raw', the only one")
            if file.exists():
                raw = form == "raw"
                found.update(env_file.read_raw(file, outside) if raw else self._read_env_file(file, outside, found))
            elif one.get("required") not in (False, "false"):
                where = one.place_of("path") or place
                raise ComposeError(where, f"{at}: there is no file {Place(file)}; 'required: false' lets it be missing")
        return found

    def _read_env_file(self, file: FilePath, outside: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
        return env_file.read(file, outside, before=found, unset=self._request.unset)


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


def _scale(service: Map) -> None:
    deploy = service.get("deploy")
    if isinstance(deploy, Map) and service.get("scale") is not None:
        deploy["replicas"] = service["scale"]


def _project_name(text: str) -> str:
    """A text as compose makes a project's name of it."""
    return "".join(re.findall(r"[a-z0-9_-]", text.lower())).lstrip("_-")


def escaped(value: Any) -> Any:
    """A model whose texts can be read again: ``$`` is ``$$``."""
    if isinstance(value, dict):
        return {key.replace("$", "$$"): escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
