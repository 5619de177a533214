"""Where a project comes from: which files, which variables, and its name.

Source: Docker's "Compose file reference" and `docker compose config --help`; the order in which file names, `.env`
files and project names are looked for is docker compose v2.40's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from components.compose import env_file
from components.compose.document import documents
from components.compose.interpolation import Unset, blank, interpolate
from components.compose.located import ComposeError, Map, Place, Wrong
from components.compose.plain import text_of

FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


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
class Sources:
    """What a request comes to.

    Attributes:
        files: the compose files, in the order in which they are merged.
        variables: what a variable means.
        name: the project's.
    """

    files: tuple[FilePath, ...]
    variables: Mapping[str, str]
    name: str

    @property
    def folder(self) -> FilePath:
        """Where relative paths start."""
        return self.files[0].parent


def find(request: Request) -> Sources:
    """Finds the files, variables and name that a request means.

    Raises:
        ComposeError: there is no compose file, a file of variables can't be read, or no name comes of it all.
    """
    search = _Search(request)
    files = search.files()
    search.read_env_files(files[0].parent)
    name = search.name(files)
    return Sources(tuple(files), {**search.variables, "COMPOSE_PROJECT_NAME": name}, name)


class _Search:
    def __init__(self, request: Request) -> None:
        self._request = request
        self.variables = dict(os.environ if request.environment is None else request.environment)
        self._base = FilePath(os.path.abspath(request.folder))

    def files(self) -> list[FilePath]:
        request = self._request
        given = [FilePath(os.path.normpath(os.path.join(self._base, one))) for one in request.files]
        if not given:
            self.read_env_files(self._base)
            separator = self.variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
            named = self.variables.get("COMPOSE_FILE")
            given = [FilePath(os.path.join(self._base, one)) for one in named.split(separator)] if named else []
        return given or self._usual_files()

    def _usual_files(self) -> list[FilePath]:
        for folder in (self._base, *self._base.parents):
            found = [folder / name for name in FILE_NAMES if (folder / name).exists()]
            if found:
                overrides = [folder / name for name in OVERRIDE_NAMES if (folder / name).exists()]
                return found[:1] + overrides[:1]
        raise ComposeError(Place(self._base), f"there is no compose file ({', '.join(FILE_NAMES)}): name one with -f")

    def read_env_files(self, folder: FilePath) -> None:
        """What is there already goes before what the files say."""
        found: dict[str, str] = {}
        for file in self._env_files(folder):
            found.update(env_file.read(file, self.variables, before=found))
        self.variables = {**found, **self.variables}

    def _env_files(self, folder: FilePath) -> list[FilePath]:
        given = [os.path.join(self._base, one) for one in self._request.env_files]
        named = given or [one for one in self.variables.get("COMPOSE_ENV_FILES", "").split(",") if one]
        if named:
            return [FilePath(os.path.join(self._base, one)) for one in named]
        off = self.variables.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in ("1", "t", "true")
        usual = folder / ".env"
        return [usual] if usual.is_file() and not off else []

    def name(self, files: list[FilePath]) -> str:
        given = self._request.name or self.variables.get("COMPOSE_PROJECT_NAME", "")
        if given:
            if _project_name(given) != given:
                allowed = "lower-case letters, digits, '-' and '_', a letter or digit first"
                raise ComposeError("project name", f"'{given}' is not allowed: only {allowed}")
            return given
        name, place = self._own_name(files)
        if place is None:
            name = _project_name(files[0].parent.name)
        if not name:
            raise ComposeError(place or Place(files[0].parent), "no project name comes of this: give one with -p")
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
            return _project_name(interpolate(found, self.variables, self._request.unset)), place
        except Wrong as error:
            raise ComposeError(place, f"name: {error.reason}") from None


def _project_name(text: str) -> str:
    """A text as compose makes a project's name of it."""
    return "".join(re.findall(r"[a-z0-9_-]", text.lower())).lstrip("_-")
