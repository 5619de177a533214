"""What no schema can say: values that exclude each other, and references to what isn't there.

Source: Compose specification, each key; which of its rules are enforced is docker compose v2.40's.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from components.compose import quantities
from components.compose.located import ComposeError, Map, Place, dotted, place_at

Problem = tuple[tuple[str | int, ...], str]
"""A path, and what is wrong there."""


def check_values(data: Map) -> None:
    """Refuses values that can't be, each looked at on its own.

    Raises:
        ComposeError: with the place of what is wrong.
    """
    _refuse(data, _wrong_values(data))


def check_references(data: Map, active: list[str]) -> None:
    """Refuses services that refer to what isn't there.

    Args:
        data: a whole model, normal.
        active: the services whose profiles are on.

    Raises:
        ComposeError: with the place of what is wrong.
    """
    _refuse(data, _wrong_references(data, active))


def _refuse(data: Map, problems: Iterator[Problem]) -> None:
    for path, reason in problems:
        raise ComposeError(place_at(data, path, data.place or Place(FilePath())), f"{dotted(path)}: {reason}")


def _wrong_values(data: Map) -> Iterator[Problem]:
    for part, keys in (("secrets", ("file", "environment")), ("configs", ("file", "environment", "content"))):
        for name, one in (data.get(part) or {}).items():
            yield from _wrong_source((part, name), one, keys)
    for name, volume in (data.get("volumes") or {}).items():
        if isinstance(volume, Map) and volume.get("external") is True:
            for key in volume:
                if key not in ("name", "external") and not key.startswith("x-"):
                    yield ("volumes", name, key), "can't be set: the volume is external, so it isn't made here"
    for name, service in (data.get("services") or {}).items():
        if isinstance(service, Map):
            yield from _wrong_service(("services", name), service)


def _wrong_source(path: tuple[str, ...], one: Any, keys: tuple[str, ...]) -> Iterator[Problem]:
    given = [key for key in keys if isinstance(one, Map) and key in one]
    if len(given) > 1:
        yield (*path, given[1]), f"only one of {', '.join(keys)} can be set; {given[0]} is there already"
    if not given and not (isinstance(one, Map) and one.get("external") is True):
        yield path, f"needs one of {', '.join(keys)}, or external: true"


def _wrong_service(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    for number, port in enumerate(service.get("ports") or ()):
        if "host_ip" in port and not _is_address(str(port["host_ip"])):
            yield (*path, "ports", number, "host_ip"), f"'{port['host_ip']}' is no IP address"
    reserved = ("deploy", "resources", "reservations", "devices")
    for keys in (("gpus",), reserved):
        for number, device in enumerate(_at(service, keys) or ()):
            if "count" in device and "device_ids" in device:
                yield (*path, *keys, number), "only one of count and device_ids can be set"


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = (value or {}).get(key)
    return value


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _wrong_references(data: Map, active: list[str]) -> Iterator[Problem]:
    services: Map = data.get("services") or Map()
    for name in active:
        path, service = ("services", name), services[name]
        yield from _wrong_image(path, service)
        yield from _wrong_contexts(path, service, services, active)
        yield from _wrong_networks(path, service, data)
        yield from _wrong_health(path, service)
        yield from _wrong_dependencies(path, service, services, active)
        yield from _wrong_mounts(path, service, data)
        yield from _wrong_limits(path, service)
        yield from _wrong_scale(path, service)
        yield from _mounted_twice(path, service)
    yield from _same_container_names(services, active)
    yield from _circles(services, active)


def _wrong_image(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    build = service.get("build")
    if build is None and not service.get("image") and service.get("provider") is None:
        yield path, "needs an 'image' or a 'build'"
    if build is None:
        return
    if build.get("dockerfile") and build.get("dockerfile_inline"):
        yield (*path, "build", "dockerfile_inline"), "only one of dockerfile and dockerfile_inline can be set"
    platforms = build.get("platforms")
    if platforms and service.get("platform") and service["platform"] not in platforms:
        yield (*path, "build", "platforms"), f"must hold the service's own platform, '{service['platform']}'"


def _wrong_contexts(path: tuple[str, ...], service: Map, services: Map, active: list[str]) -> Iterator[Problem]:
    contexts = (service.get("build") or {}).get("additional_contexts") or {}
    for name, context in contexts.items():
        kind, _, other = str(context).partition(":")
        if kind == "service" and (other not in active or services[other].get("build") is None):
            here = (*path, "build", "additional_contexts", name)
            yield here, f"there is no service '{other}' that is built{_near(other, active)}"


def _wrong_networks(path: tuple[str, ...], service: Map, data: Map) -> Iterator[Problem]:
    networks = service.get("networks") or {}
    if service.get("network_mode") and networks:
        yield (*path, "network_mode"), "only one of network_mode and networks can be set"
    declared = data.get("networks") or {}
    for network in networks:
        if network not in declared:
            yield (*path, "networks", network), _undeclared("network", network, declared)


def _wrong_health(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    test = (service.get("healthcheck") or {}).get("test")
    if isinstance(test, list) and test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
        yield (*path, "healthcheck", "test"), f"a list must begin with CMD, CMD-SHELL or NONE (got '{test[0]}')"


def _wrong_dependencies(path: tuple[str, ...], service: Map, services: Map, active: list[str]) -> Iterator[Problem]:
    for other, options in (service.get("depends_on") or {}).items():
        if other not in services:
            yield (*path, "depends_on", other), f"there is no service '{other}'{_near(other, services)}"
        elif other not in active and options.get("required") not in (False, "false"):
            profiles = ", ".join(services[other].get("profiles") or ())
            yield (*path, "depends_on", other), f"service '{other}' is off: none of its profiles is on ({profiles})"


def _wrong_mounts(path: tuple[str, ...], service: Map, data: Map) -> Iterator[Problem]:
    volumes = data.get("volumes") or {}
    for number, mount in enumerate(service.get("volumes") or ()):
        source = mount.get("source")
        if mount.get("type") == "volume" and source and source not in volumes:
            yield (*path, "volumes", number), _undeclared("volume", source, volumes)
    for kind, holder, where in (
        ("config", service, path),
        ("secret", service, path),
        ("secret", service.get("build") or {}, (*path, "build")),
    ):
        declared = data.get(f"{kind}s") or {}
        for number, one in enumerate(holder.get(f"{kind}s") or ()):
            if one.get("source") not in declared:
                yield (*where, f"{kind}s", number), _undeclared(kind, str(one.get("source")), declared)


def _undeclared(kind: str, name: str, declared: Any) -> str:
    return f"{kind} '{name}' is not declared under the top-level '{kind}s'{_near(name, declared)}"


def _near(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""


_TWICE = (
    ("cpus", "limits", "cpus"),
    ("mem_limit", "limits", "memory"),
    ("mem_reservation", "reservations", "memory"),
    ("pids_limit", "limits", "pids"),
)


def _wrong_limits(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    resources = (service.get("deploy") or {}).get("resources") or {}
    for key, kind, name in _TWICE:
        if service.get(key) and resources.get(kind) is not None:
            other = resources[kind].get(name)
            if _differ(key, service[key], other):
                yield (*path, key), f"differs from deploy.resources.{kind}.{name}: only set one"


def _differ(key: str, one: Any, other: Any) -> bool:
    try:
        return _amount(key, one) != _amount(key, other)
    except ValueError:
        return False  # One is no amount at all, which its own shape says better.


def _amount(key: str, value: Any) -> float:
    if key.startswith("mem") and isinstance(value, str):
        return quantities.size(value)
    return float(value or 0)


def _wrong_scale(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    scale, replicas = service.get("scale"), (service.get("deploy") or {}).get("replicas")
    if scale is not None and replicas is not None and scale != replicas:
        yield (*path, "scale"), "differs from deploy.replicas: only set one"
    for key, number in ((("scale",), scale), (("deploy", "replicas"), replicas)):
        if number is not None and int(number) < 0:
            yield (*path, *key), f"must be at least 0 (got {number})"
        if number is not None and int(number) > 1 and service.get("container_name"):
            yield (*path, "container_name"), f"can't be set for {number} containers: a name is unique"
    for number, watch in enumerate((service.get("develop") or {}).get("watch") or ()):
        if not watch.get("target") and watch.get("action") not in ("rebuild", "restart"):
            yield (*path, "develop", "watch", number), f"the action '{watch.get('action')}' needs a 'target'"


def _mounted_twice(path: tuple[str, ...], service: Map) -> Iterator[Problem]:
    tmpfs = service.get("tmpfs") or ()
    taken: dict[str, str] = {}
    targets = [
        ("tmpfs", number, str(one).partition(":")[0])
        for number, one in enumerate([tmpfs] if isinstance(tmpfs, str) else tmpfs)
    ]
    targets += [("volumes", number, str(one.get("target"))) for number, one in enumerate(service.get("volumes") or ())]
    for key, number, target in targets:
        if target in taken:
            yield (*path, key, number), f"something is mounted at {target} already: {taken[target]}"
        taken[target] = f"{key}[{number}]"


def _same_container_names(services: Map, active: list[str]) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for name in active:
        container = services[name].get("container_name")
        if container and container in taken:
            yield (
                ("services", name, "container_name"),
                f"service '{taken[container]}' has the name '{container}' already",
            )
        if container:
            taken[container] = name


def _circles(services: Map, active: list[str]) -> Iterator[Problem]:
    done: set[str] = set()

    def circle(way: tuple[str, ...]) -> tuple[str, ...]:
        for other in services[way[-1]].get("depends_on") or ():
            if other in way:
                return (*way[way.index(other) :], other)
            if other in active and other not in done and (found := circle((*way, other))):
                return found
        done.add(way[-1])
        return ()

    for name in active:
        if name not in done and (found := circle((name,))):
            reason = f"the service depends on itself in a circle: {' → '.join(found)}"
            yield ("services", found[0], "depends_on"), reason
            return
