"""Reads a compose file into a typed model: interpolation, short syntax, and errors with file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from providers.kit.model import explain


class ComposeError(Exception):
    """What is wrong in a compose file, and where.

    Args:
        place: ``file:line:column``.
        reason: what is wrong and what is allowed.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Port(_Part):
    """A published port. Source: Compose specification, `ports`, short syntax."""

    published: int = Field(ge=1, le=65535)
    target: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return _port(value) if isinstance(value, (str, int)) else value


class Mount(_Part):
    """A named volume in a container. Source: Compose specification, `volumes`, short syntax."""

    volume: str
    target: str = Field(pattern=r"^/")
    read_only: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return _mount(value) if isinstance(value, str) else value


class Service(_Part):
    """One service; only keys that every Docker host and a VCH honour (facts/vch-docker-api.md)."""

    image: str = Field(min_length=1)
    container_name: str | None = None
    command: list[str] | str | None = None
    environment: dict[str, str] = {}
    ports: list[Port] = []
    volumes: list[Mount] = []
    networks: list[str] = []
    depends_on: list[str] = []
    restart: str = Field("no", pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$")
    labels: dict[str, str] = {}

    @field_validator("environment", "labels", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if isinstance(value, list):
            return dict(_pair(item) for item in value)
        if isinstance(value, Mapping):
            return {name: _scalar(item) for name, item in value.items()}
        return value

    @field_validator("networks", "depends_on", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            if any(value.values()):
                raise ValueError("options of the long syntax are not supported yet: give a list of names")
            return list(value)
        return value


class Network(_Part):
    """A network of the application."""

    driver: str = "bridge"
    name: str | None = None
    labels: dict[str, str] = {}


class Volume(_Part):
    """A named volume of the application."""

    driver: str | None = None
    driver_opts: dict[str, str] = {}
    name: str | None = None
    labels: dict[str, str] = {}


class ComposeFile(_Part):
    """A whole file. `version` is accepted, as compose does, and means nothing."""

    version: str | None = None
    name: str | None = None
    services: dict[str, Service] = Field(min_length=1)
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}

    @field_validator("networks", "volumes", mode="before")
    @classmethod
    def _empty_means_defaults(cls, value: Any) -> Any:
        return {name: item or {} for name, item in value.items()} if isinstance(value, Mapping) else value

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


def read(path: Path, variables: Mapping[str, str]) -> ComposeFile:
    """Reads one file.

    Args:
        path: the compose file.
        variables: what ``${NAME}`` means; a name that is missing and has no default is refused.

    Raises:
        ComposeError: with the line and column of what is wrong.
    """
    document = _Document(path)
    data = document.data(variables)
    try:
        model = ComposeFile.model_validate(data)
    except ValidationError as error:
        name, reason = explain(ComposeFile, error)[0]
        raise ComposeError(document.place(name), f"{name}: {reason}") from None
    for name, reason in _dangling(model):
        raise ComposeError(document.place(name), f"{name}: {reason}")
    return model


def _dangling(model: ComposeFile) -> Iterator[tuple[str, str]]:
    """References to what the file doesn't declare, and circles."""
    for name, service in model.services.items():
        here = f"services.{name}"
        for volume in (mount.volume for mount in service.volumes):
            if volume not in model.volumes:
                yield f"{here}.volumes", f"volume '{volume}' is not declared under the top-level 'volumes'"
        for network in service.networks:
            if network not in model.networks and network != "default":
                yield f"{here}.networks", f"network '{network}' is not declared under the top-level 'networks'"
        for other in service.depends_on:
            if other not in model.services:
                yield f"{here}.depends_on", f"there is no service '{other}'"
    yield from _circles(model)


def _circles(model: ComposeFile) -> Iterator[tuple[str, str]]:
    def reaches(start: str, goal: str, seen: frozenset[str]) -> bool:
        onward = [one for one in model.services[start].depends_on if one in model.services and one not in seen]
        return goal in model.services[start].depends_on or any(reaches(one, goal, seen | {one}) for one in onward)

    for name in model.services:
        if reaches(name, name, frozenset({name})):
            yield f"services.{name}.depends_on", "the service depends on itself in a circle"


@dataclass(frozen=True)
class _Document:
    """A YAML file with the place of everything in it."""

    path: Path

    def data(self, variables: Mapping[str, str]) -> Any:
        root = self._root()
        return {} if root is None else self._plain(root, variables)

    def place(self, dotted: str) -> str:
        """Where a path like ``services.web.ports`` stands; its nearest ancestor where it doesn't."""
        node = self._root()
        mark = node.start_mark if node is not None else None
        for part in dotted.split("."):
            key, child = _child(node, part)
            if child is None:
                break
            node, mark = child, (key or child).start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return f"{self.path}:{line}:{column}"

    def _root(self) -> yaml.Node | None:
        try:
            return yaml.compose(self.path.read_text(), Loader=yaml.SafeLoader)
        except FileNotFoundError:
            raise ComposeError(str(self.path), "there is no such file") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{self.path}:{mark.line + 1}:{mark.column + 1}" if mark else str(self.path)
            raise ComposeError(where, f"not YAML: {error.problem}") from None

    def _plain(self, node: yaml.Node, variables: Mapping[str, str]) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {str(key.value): self._plain(value, variables) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, variables) for item in node.value]
        if node.tag == "tag:yaml.org,2002:str":
            return self._interpolated(node, variables)
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node)
        finally:
            loader.dispose()

    def _interpolated(self, node: yaml.Node, variables: Mapping[str, str]) -> str:
        try:
            return interpolate(str(node.value), variables)
        except ValueError as error:
            raise ComposeError(
                f"{self.path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}", str(error)
            ) from None


_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<name>[A-Za-z_]\w*)(?:(?P<rule>:?[-?+])(?P<text>[^}]*))?\}|(?P<bad>))"
)


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Replaces ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME:?error}``, ``${NAME:+other}``; ``$$`` is ``$``.

    Source: Compose specification, interpolation. Unlike compose, a name without a value is an error here.
    """

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if match["bad"] is not None:
            raise ValueError(f"'$' in {text!r} starts no variable: write '$$' for the sign itself")
        name, rule, other = match["bare"] or match["name"], match["rule"] or "", match["text"] or ""
        found = variables.get(name)
        given = found is not None and (found != "" or not rule.startswith(":"))
        if rule.endswith("+"):
            return other if given else ""
        if given:
            return str(found)
        if rule.endswith("-"):
            return other
        reason = other if rule.endswith("?") and other else "has no value: set it under app.environment or app.secrets"
        raise ValueError(f"variable '{name}' {reason}")

    return _VARIABLE.sub(value, text)


def _child(node: yaml.Node | None, part: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), (None, None))
    if isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
        return None, node.value[int(part)]
    return None, None


def _scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _pair(item: Any) -> tuple[str, str]:
    name, sign, value = str(item).partition("=")
    if not sign:
        raise ValueError(f"'{name}' has no value: write '{name}=…' (values of the shell are not taken over)")
    return name, value


def _port(item: str | int) -> dict[str, str]:
    match = re.fullmatch(
        r"(?:(?P<ip>[\d.]+|\[[\da-fA-F:]+\]):)?(?P<out>\d+):(?P<into>\d+)(?:/(?P<kind>\w+))?", str(item)
    )
    if match is None:
        raise ValueError(f"port '{item}' is not of the form [IP:]PUBLISHED:TARGET[/tcp|udp]")
    given = {"published": match["out"], "target": match["into"], "protocol": match["kind"], "host_ip": match["ip"]}
    return {name: value for name, value in given.items() if value is not None}


def _mount(item: str) -> dict[str, Any]:
    name, _, rest = item.partition(":")
    target, _, mode = rest.partition(":")
    if not target or name.startswith((".", "/", "~")):
        raise ValueError(f"'{item}' is not a named volume: write NAME:/path[:ro] (a VCH has no host folders)")
    if mode not in ("", "rw", "ro"):
        raise ValueError(f"mode '{mode}' of '{item}' is not one of rw, ro")
    return {"volume": name, "target": target, "read_only": mode == "ro"}
