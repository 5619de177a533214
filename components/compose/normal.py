"""What is left out, filled in as `docker compose config` does: defaults, names, the network that all services share.

Source: Compose specification, the default of each key.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from components.compose.located import Map, Path, Seq, located, matches
from components.compose.plain import text_of


def with_defaults(data: Map) -> Map:
    """Defaults inside of what a file says, in place."""
    _fill(data, ())
    return data


def _fill(data: Any, path: Path) -> None:
    for pattern, default in _DEFAULTS:
        if matches(path, pattern) and isinstance(data, Map):
            default(data)
    pairs = data.items() if isinstance(data, Map) else enumerate(data) if isinstance(data, Seq) else ()
    for key, value in pairs:
        _fill(value, (*path, key))


def _devices(device: Map) -> None:
    if "count" not in device and "device_ids" not in device:
        device["count"] = "all"


def _build(build: Map) -> None:
    build.setdefault("context", ".")


def _port(port: Map) -> None:
    port.setdefault("protocol", "tcp")
    port.setdefault("mode", "ingress")


def _secret(secret: Map) -> None:
    secret.setdefault("target", f"/run/secrets/{secret.get('source')}")


_DEFAULTS: list[tuple[str, Callable[[Map], None]]] = [
    ("services.*.build", _build),
    ("services.*.secrets.[]", _secret),
    ("services.*.ports.[]", _port),
    ("services.*.deploy.resources.reservations.devices.[]", _devices),
    ("services.*.gpus.[]", _devices),
]


def normal(data: Map, name: str, variables: Mapping[str, str]) -> Map:
    """A model with everything that follows from it.

    Args:
        data: the model, changed in place.
        name: the project's.
        variables: what an environment's key without a value means.
    """
    data["name"] = name
    services = data.get("services") or Map(data.place)
    for service in services.values():
        _service(service, variables)
    if any("default" in (service.get("networks") or {}) for service in services.values()):
        networks = data.get("networks") or Map(data.place)
        networks.setdefault("default", None)
        data["networks"] = networks
    for part in ("networks", "volumes", "configs", "secrets"):
        _name_all(data.get(part) or {}, name)
    return data


def _service(service: Map, variables: Mapping[str, str]) -> None:
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    if "provider" not in service and "network_mode" not in service and not service.get("networks"):
        service["networks"] = located({"default": None}, None)
    _built(service, variables)
    if service.get("environment") is not None:
        service["environment"] = _resolved(service["environment"], variables, keep=True)
    for mount in service.get("volumes") or ():
        mount["target"] = posixpath.normpath(mount["target"]) if mount.get("target") else ""
    dependencies = _implied(service, service.get("depends_on") or Map(service.place))
    if dependencies:
        service["depends_on"] = dependencies


def _built(service: Map, variables: Mapping[str, str]) -> None:
    build = service.get("build")
    if build is None:
        return
    if build.get("dockerfile") is None and build.get("dockerfile_inline") is None:
        build["dockerfile"] = "Dockerfile"
    if build.get("args") is not None:
        build["args"] = _resolved(build["args"], variables, keep=False)


def _resolved(value: Any, variables: Mapping[str, str], *, keep: bool) -> Any:
    """Keys without a value take that of the variable of the same name."""
    if isinstance(value, Map):
        found = Map(value.place)
        for key, item in value.items():
            if item is not None or key in variables or keep:
                found.put(key, variables.get(key) if item is None else item, value.places.get(key))
        return found
    pairs = []
    for item, place in value.pairs():
        name = text_of(item)
        if "=" in name:
            pairs.append((item, place))
        elif name in variables:
            pairs.append((f"{name}={variables[name]}", place))
        elif keep:
            pairs.append((name, place))
    return Seq(pairs, value.place)


def _implied(service: Map, dependencies: Map) -> Map:
    """What a service needs beside what it says: those it links to, or shares a namespace or volumes with."""
    for name, restart in _needed(service):
        if name not in dependencies:
            dependencies[name] = located(
                {"condition": "service_started", "restart": restart, "required": True}, service.place
            )
    return dependencies


def _needed(service: Map) -> list[tuple[str, bool]]:
    links = [str(link).split(":") for link in service.get("links") or ()]
    found = [(parts[0] if len(parts) == 2 else ":".join(parts), True) for parts in links]
    for space in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        shared = str(service.get(space) or "")
        if shared.startswith("service:"):
            found.append((shared.removeprefix("service:"), True))
    for source in map(str, service.get("volumes_from") or ()):
        if not source.startswith("container:"):
            found.append((source.partition(":")[0], False))
    return found


def _name_all(part: Any, project: str) -> None:
    for key, value in part.items():
        resource = located({}, part.place_of(key)) if value is None else value
        if resource.get("name") is None:
            resource["name"] = key if resource.get("external") in (True, "true") else f"{project}_{key}"
        part[key] = resource
