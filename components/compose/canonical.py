"""Every short syntax as its long one.

Source: Compose specification, the short syntax of each key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.compose import short_syntax
from components.compose.located import ComposeError, Map, Path, Place, Seq, Wrong, dotted, located, matches
from components.compose.plain import text_of

Long = Callable[[Any, Place | None], Any]


def canonical(data: Any, path: Path = (), place: Place | None = None) -> Any:
    """The same in long syntax.

    Raises:
        ComposeError: a short syntax can't be understood.
    """
    for pattern, long in _LONG:
        if matches(path, pattern):
            try:
                data = long(data, place)
            except Wrong as error:
                raise ComposeError(place, f"{dotted((*path, *error.path))}: {error.reason}") from None
    if isinstance(data, Map):
        mapping = Map(data.place)
        for key, value in data.items():
            where = data.place_of(key)
            mapping.put(key, canonical(value, (*path, key), where), data.places.get(key))
        return mapping
    if isinstance(data, Seq):
        items = [(canonical(item, (*path, n), where), where) for n, (item, where) in enumerate(data.pairs())]
        return _ports(items, data, path) if matches(path, "services.*.ports") else Seq(items, data.place)
    return data


def _ports(items: list[tuple[Any, Place | None]], data: Seq, path: Path) -> Seq:
    """One entry may stand for many ports, so the list is made anew."""
    found: list[tuple[Any, Place | None]] = []
    for number, (item, where) in enumerate(items):
        if isinstance(item, Map):
            found.append((item, where))
            continue
        try:
            found += ((located(port, where), where) for port in short_syntax.ports(text_of(item)))
        except Wrong as error:
            raise ComposeError(where, f"{dotted((*path, number))}: {error.reason}") from None
    return Seq(found, data.place)


def _keyed(key: str) -> Long:
    """A text is the one key that matters."""
    return lambda value, place: located({key: value}, place) if isinstance(value, str) else value


def _listed(value: Any, place: Place | None) -> Any:
    return Seq([(value, place)], place) if isinstance(value, str) else value


def _mapped(entry: Callable[[Any], tuple[str, str | None]]) -> Long:
    """A list is a mapping, an entry an item."""

    def long(value: Any, place: Place | None) -> Any:
        if not isinstance(value, Seq):
            return value
        mapping = Map(value.place or place)
        for item, where in value.pairs():
            key, rest = entry(item)
            mapping.put(key, rest, where)
        return mapping

    return long


def _name(item: Any) -> tuple[str, None]:
    return text_of(item), None


def _pair(item: Any) -> tuple[str, str]:
    name, sign, rest = text_of(item).partition("=")
    if not sign:
        raise Wrong(f"'{item}' has no value: write NAME=VALUE")
    return name, rest


def _ssh_key(item: Any) -> tuple[str, str | None]:
    name, sign, rest = text_of(item).partition("=")
    if not sign and name != "default":
        raise Wrong(f"'{item}' has no key: write 'default' or ID=PATH")
    return name, rest if sign else None


def _depends_on(value: Any, place: Place | None) -> Any:
    mapping = Map(getattr(value, "place", None) or place)
    pairs = ((name, None, where) for name, where in value.pairs()) if isinstance(value, Seq) else ()
    for name, options, where in pairs or ((key, one, value.places.get(key)) for key, one in value.items()):
        one = located({}, where) if options is None else options
        one.setdefault("condition", "service_started")
        one.setdefault("required", True)
        mapping.put(text_of(name), one, where)
    return mapping


def _env_files(value: Any, place: Place | None) -> Any:
    listed = _listed(value, place)
    found = []
    for item, where in listed.pairs():
        one = located({"path": item}, where) if isinstance(item, str) else item
        one.setdefault("required", True)
        found.append((one, where))
    return Seq(found, listed.place)


def _mount(value: Any, place: Place | None) -> Any:
    return located(short_syntax.mount(value), place) if isinstance(value, str) else value


def _device(value: Any, place: Place | None) -> Any:
    return located(short_syntax.device(value), place) if isinstance(value, str) else value


def _gpus(value: Any, place: Place | None) -> Any:
    return Seq([(located({"count": "all"}, place), place)], place) if isinstance(value, str) else value


def _text(value: Any, _place: Place | None) -> Any:
    return text_of(value)


def _external(value: Any, place: Place | None) -> Any:
    """Version 2 named what is external inside of `external`."""
    if not isinstance(value, Map) or not isinstance(value.get("external"), Map):
        return value
    named = value["external"].get("name")
    value.put("external", True, value.places.get("external"))
    if named is not None and value.setdefault("name", named) != named:
        raise Wrong("'name' and 'external.name' differ: only use 'name'")
    return value


_LONG: list[tuple[str, Long]] = [
    ("services.*.build", _keyed("context")),
    ("services.*.build.additional_contexts", _mapped(_pair)),
    ("services.*.build.provenance", _text),
    ("services.*.build.sbom", _text),
    ("services.*.build.secrets.[]", _keyed("source")),
    ("services.*.build.ssh", _mapped(_ssh_key)),
    ("services.*.configs.[]", _keyed("source")),
    ("services.*.depends_on", _depends_on),
    ("services.*.develop.watch.[].ignore", _listed),
    ("services.*.develop.watch.[].include", _listed),
    ("services.*.devices.[]", _device),
    ("services.*.dns", _listed),
    ("services.*.env_file", _env_files),
    ("services.*.extends", _keyed("service")),
    ("services.*.gpus", _gpus),
    ("services.*.label_file", _listed),
    ("services.*.models", _mapped(_name)),
    ("services.*.networks", _mapped(_name)),
    ("services.*.secrets.[]", _keyed("source")),
    ("services.*.volumes.[]", _mount),
    ("volumes.*", _external),
    ("networks.*", _external),
    ("secrets.*", _external),
    ("configs.*", _external),
]


def without_empty(data: Map) -> Map:
    """DNS servers that a variable without a value has left empty are none."""
    for service in (data.get("services") or {}).values():
        if isinstance(service, Map) and isinstance(service.get("dns"), Seq):
            servers = service["dns"]
            service.put(
                "dns", Seq((pair for pair in servers.pairs() if pair[0]), servers.place), service.places.get("dns")
            )
    return data
