"""What of a compose file ComposeApp can honour, as a typed model; everything else is refused with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.compose.interpolation import interpolate, refused
from components.compose.located import ComposeError, Map, dotted
from components.compose.project import Project
from components.compose.project import read as read_project
from components.compose.sources import Request
from providers.kit.model import explain

__all__ = ["ComposeError", "ComposeFile", "Mount", "Network", "Port", "Service", "Volume", "interpolate", "read"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Port(_Part):
    """A published port. Source: Compose specification, `ports`."""

    published: int = Field(ge=1, le=65535)
    target: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str | None = None


class Mount(_Part):
    """A named volume in a container. Source: Compose specification, `volumes`."""

    volume: str
    target: str = Field(pattern=r"^/")
    read_only: bool = False


class Service(_Part):
    """One service; only keys that every Docker host and a VCH honour (facts/vch-docker-api.md)."""

    image: str = Field(min_length=1)
    container_name: str | None = None
    command: list[str] | None = None
    environment: dict[str, str] = {}
    ports: list[Port] = []
    volumes: list[Mount] = []
    networks: list[str] = []
    depends_on: list[str] = []
    restart: str = Field("no", pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$")
    labels: dict[str, str] = {}


class Network(_Part):
    """A network of the application."""

    driver: str = "bridge"
    name: str
    labels: dict[str, str] = {}


class Volume(_Part):
    """A named volume of the application."""

    driver: str | None = None
    driver_opts: dict[str, str] = {}
    name: str
    labels: dict[str, str] = {}


class ComposeFile(_Part):
    """A whole application; its name is the project's."""

    name: str
    services: dict[str, Service] = Field(min_length=1)
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}

    def in_start_order(self) -> list[str]:
        """The services' names, each after those it depends on."""
        done: list[str] = []

        def visit(name: str) -> None:
            for other in self.services[name].depends_on:
                if other not in done:
                    visit(other)
            if name not in done:
                done.append(name)

        for name in self.services:
            visit(name)
        return done


def read(path: Path, variables: Mapping[str, str], name: str | None = None) -> ComposeFile:
    """Reads a file with all that it refers to.

    Args:
        path: the compose file.
        variables: what ``${NAME}`` means, before `.env` beside the file; a name that is in neither and has no default
            is refused.
        name: the project's; else compose's own: `name` in the file, or its folder.

    Raises:
        ComposeError: with the line and column of what is wrong, or can't be honoured.
    """
    request = Request(files=(path,), environment=variables, name=name or "", unset=refused)
    project = read_project(request)
    for where, reason in _not_honoured(project):
        raise ComposeError(project.place(where), f"{dotted(where)}: {reason}")
    return _model(project)


def _model(project: Project) -> ComposeFile:
    values = {
        "name": project.name,
        "services": {name: _service(service) for name, service in project.everything["services"].items()},
        "networks": {name: _kept(one, Network) for name, one in project.everything.get("networks", {}).items()},
        "volumes": {name: _kept(one, Volume) for name, one in project.everything.get("volumes", {}).items()},
    }
    try:
        return ComposeFile.model_validate(values)
    except ValidationError as error:
        where = error.errors(include_url=False)[0]["loc"]
        name, reason = explain(ComposeFile, error)[0]
        raise ComposeError(project.place(where), f"{name}: {reason}") from None


def _kept(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in model.model_fields}


def _service(values: Mapping[str, Any]) -> dict[str, Any]:
    """A service as compose prints it in our model's words."""
    return {
        **_kept(values, Service),
        "ports": [_kept(port, Port) for port in values.get("ports", ())],
        "volumes": [{**_kept(mount, Mount), "volume": mount["source"]} for mount in values.get("volumes", ())],
        "networks": list(values.get("networks", ())),
        "depends_on": list(values.get("depends_on", ())),
    }


_READ_AWAY = {"env_file", "extends", "label_file"}
"""Keys of a service that the reader has turned into others."""

_TOP_LEVEL = {"name", "networks", "services", "volumes"}

_Where = tuple[str | int, ...]


def _not_honoured(project: Project) -> Iterator[tuple[_Where, str]]:
    """What the file says and we can't do; it is never dropped silently."""
    for key in project.data:
        if key not in _TOP_LEVEL and not key.startswith("x-"):
            yield (key,), _unsupported(_TOP_LEVEL)
    for name, keys in project.written.items():
        for key in keys:
            if key not in Service.model_fields.keys() | _READ_AWAY and not key.startswith("x-"):
                yield ("services", name, key), _unsupported(Service.model_fields.keys() | _READ_AWAY)
    for name, service in (project.data.get("services") or {}).items():
        for part, problems in _PARTS.items():
            for where, reason in problems(service.get(part) or {}):
                yield ("services", name, part, *where), reason
    for part, model in (("networks", Network), ("volumes", Volume)):
        for name, values in (project.data.get(part) or {}).items():
            for key in values:
                if key not in model.model_fields and not key.startswith("x-"):
                    yield (part, name, key), _unsupported(model.model_fields)


def _unsupported(supported: Any) -> str:
    return f"is not supported yet; supported: {', '.join(sorted(supported))}"


def _of_ports(ports: Any) -> Iterator[tuple[_Where, str]]:
    for index, port in enumerate(ports):
        if not str(port.get("published") or "").isdigit():
            given = f"published: {port['published']}" if port.get("published") else f"'{port['target']}'"
            yield (index,), f"{given} leaves the published port open: write [IP:]PUBLISHED:TARGET[/tcp|udp]"
        for key, value in port.items():
            if key not in Port.model_fields and (key, value) != ("mode", "ingress") and not key.startswith("x-"):
                yield (index, key), _unsupported(Port.model_fields)


def _of_mounts(mounts: Any) -> Iterator[tuple[_Where, str]]:
    for index, mount in enumerate(mounts):
        if mount.get("type") != "volume" or not mount.get("source"):
            given = mount.get("source") or mount.get("target")
            yield (index,), f"'{given}' is not a named volume: write NAME:/path[:ro] (a VCH has no host folders)"
        for key, value in mount.items():
            if key not in ("type", "source", "target", "read_only") and value not in (None, {}):
                yield (index, key), "is not supported yet; supported: type, source, target, read_only"


def _of_dependencies(dependencies: Any) -> Iterator[tuple[_Where, str]]:
    usual = {"condition": "service_started", "required": True}
    for name, options in dependencies.items():
        for key, value in options.items():
            if usual.get(key) != value and not key.startswith("x-"):
                yield (name, key), f"'{value}' is not supported yet: a service waits until the others are started"


def _of_networks(networks: Any) -> Iterator[tuple[_Where, str]]:
    for name, options in networks.items():
        if options:
            yield (name,), "options of the long syntax are not supported yet: give a list of names"


def _of_environment(environment: Any) -> Iterator[tuple[_Where, str]]:
    for name, value in environment.items() if isinstance(environment, Map) else ():
        if value is None:
            yield (name,), f"'{name}' has no value: write '{name}=…' (values of the shell are not taken over)"


_PARTS: dict[str, Callable[[Any], Iterator[tuple[_Where, str]]]] = {
    "environment": _of_environment,
    "ports": _of_ports,
    "volumes": _of_mounts,
    "networks": _of_networks,
    "depends_on": _of_dependencies,
}
