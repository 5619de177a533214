"""Several files as one: what a later one adds, replaces, and takes away.

Source: Compose specification, "Merge", "Exceptions" and "Unique resources"; where it is silent, docker compose v2.40.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from components.compose.located import ComposeError, Map, Path, Place, Seq, Wrong, copied, dotted, located, matches
from components.compose.plain import text_of
from components.compose.short_syntax import mount

Merger = Callable[[Any, Any, Path], Any]
Index = Callable[[Any], str]


def merge(base: Map, over: Map, path: Path = ()) -> Map:
    """Both as one; the second wins.

    Raises:
        ComposeError: a list stands over a mapping, or the other way round.
    """
    merged: Map = copied(base)
    for key, value in over.items():
        if key in merged:
            merged.put(key, _merged(merged[key], value, (*path, key), over.places.get(key)), over.places.get(key))
        else:
            merged.put(key, value, over.places.get(key))
    return merged


def merge_services(base: Map, over: Map) -> Map:
    """A service and what extends it."""
    return merge(base, over, ("services", "x"))


def _merged(base: Any, over: Any, path: Path, place: Place | None) -> Any:
    for pattern, special in _SPECIAL:
        if matches(path, pattern):
            return special(base, over, path)
    if over is None:
        return base
    for kind, words in ((Map, "a mapping"), (Seq, "a list")):
        if isinstance(base, kind) and not isinstance(over, kind):
            where = place or getattr(over, "place", None)
            raise ComposeError(where, f"{dotted(path)}: must be {words}, as in the file before")
    if isinstance(base, Map):
        return merge(base, over, path)
    return Seq([*base.pairs(), *over.pairs()], over.place) if isinstance(base, Seq) else over


def _replaced(_base: Any, over: Any, _path: Path) -> Any:
    return over


def _as_lists(base: Any, over: Any, path: Path) -> Seq:
    return Seq(
        [*_entries(base, path), *_entries(over, path)], getattr(over, "place", None) or getattr(base, "place", None)
    )


def _as_lists_without_repeats(base: Any, over: Any, path: Path) -> Seq:
    known = [value for value, _ in _entries(base, path)]
    new = Seq(
        ((value, place) for value, place in _entries(over, path) if value not in known), getattr(over, "place", None)
    )
    return _as_lists(base, new, path)


def _entries(value: Any, path: Path) -> list[tuple[Any, Place | None]]:
    """A list's items, a mapping as ``KEY=VALUE`` in the keys' order, or one text."""
    if isinstance(value, Map):
        for key, item in value.items():
            if isinstance(item, Map):
                where = value.place_of(key)
                raise ComposeError(
                    where, f"{dotted((*path, key))}: must be a text, a number or nothing (got a mapping)"
                )
        pairs = [
            (key if one is None else f"{key}={text_of(one)}", value.places.get(key))
            for key, item in value.items()
            for one in (item if isinstance(item, Seq) else [item])
        ]
        return sorted(pairs, key=lambda pair: pair[0])
    if isinstance(value, Seq):
        return value.pairs()
    return [(value, None)] if isinstance(value, str) else []


def _as_mappings(default: dict[str, Any] | None) -> Merger:
    def merged(base: Any, over: Any, path: Path) -> Map:
        return merge(_keyed(base, default), _keyed(over, default), path)

    return merged


def _keyed(value: Any, default: dict[str, Any] | None) -> Map:
    if isinstance(value, Map):
        return value
    mapping = Map(getattr(value, "place", None))
    for name, place in value.pairs() if isinstance(value, Seq) else []:
        mapping.put(str(name), located(default, place) if default else None, place)
    return mapping


def _builds(base: Any, over: Any, path: Path) -> Map:
    return merge(_build(base), _build(over), path)


def _build(value: Any) -> Map:
    if isinstance(value, Map):
        return value
    return located({"context": value} if isinstance(value, str) else {}, None)  # type: ignore[no-any-return]


def _logging(base: Any, over: Any, path: Path) -> Any:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return base if over is None else over
    if "driver" in base and "driver" in over and base["driver"] != over["driver"]:
        return over
    return merge(base, over, path)


def _address_pools(base: Any, over: Any, path: Path) -> Any:
    """Pools of the same subnet become one; a file's own are otherwise added, as docker compose does."""
    if not isinstance(base, Seq) or not isinstance(over, Seq):
        return base if over is None else over
    if not all(isinstance(pool, Map) for pool in (*base, *over)):
        return Seq([*base.pairs(), *over.pairs()], over.place)
    pools: list[tuple[Map, Place | None]] = []

    def put(pool: Map, place: Place | None, *, replace: bool) -> None:
        same = next((i for i, (one, _) in enumerate(pools) if one.get("subnet") == pool.get("subnet")), None)
        if same is None:
            pools.append((pool, place))
        elif replace:
            pools[same] = (pool, place)

    for first, first_place in base.pairs():
        for second, place in over.pairs():
            if first.get("subnet") == second.get("subnet"):
                put(merge(first, second, path), place or first_place, replace=True)
            elif not any(one.get("subnet") == second.get("subnet") for one, _ in pools):
                put(second, place, replace=False)
            else:
                put(merge(first, second, path), place, replace=True)
    return Seq(pools, over.place)


_STARTED = {"condition": "service_started", "required": True}
_LISTS = """networks.*.labels volumes.*.labels services.*.annotations services.*.build.args
    services.*.build.additional_contexts services.*.build.labels services.*.deploy.labels services.*.dns
    services.*.dns_opt services.*.dns_search services.*.env_file services.*.label_file services.*.environment
    services.*.labels services.*.sysctls services.*.tmpfs"""
_SPECIAL: list[tuple[str, Merger]] = [
    *((pattern, _as_lists) for pattern in _LISTS.split()),
    ("networks.*.ipam.config", _address_pools),
    ("services.*.build", _builds),
    ("services.*.build.extra_hosts", _as_lists_without_repeats),
    ("services.*.extra_hosts", _as_lists_without_repeats),
    ("services.*.command", _replaced),
    ("services.*.entrypoint", _replaced),
    ("services.*.healthcheck.test", _replaced),
    ("services.*.ulimits.*", _replaced),
    ("services.*.depends_on", _as_mappings(_STARTED)),
    ("services.*.models", _as_mappings(None)),
    ("services.*.networks", _as_mappings(None)),
    ("services.*.logging", _logging),
]


def without(data: Any, resets: Iterable[Path], path: Path = ()) -> Any:
    """What is left where paths tagged ``!reset`` or ``!override`` are taken away."""
    patterns = list(resets)
    if not isinstance(data, Map) or not patterns:
        return data
    kept = Map(data.place)
    for key, value in data.items():
        here = (*path, key)
        if here not in patterns:
            kept.put(key, without(value, patterns, here), data.places.get(key))
    return kept


def unique(data: Any, path: Path = ()) -> Any:
    """Of list items that mean the same thing the last one, in the first one's place.

    Raises:
        ComposeError: an item doesn't say what it is about.
    """
    if isinstance(data, Map):
        found = Map(data.place)
        for key, value in data.items():
            found.put(key, unique(value, (*path, key)), data.places.get(key))
        return found
    if isinstance(data, Seq):
        index = next((index for pattern, index in _UNIQUE if matches(path, pattern)), None)
        return _unique(data, index, path) if index else data
    return data


def _unique(items: Seq, index: Index, path: Path) -> Seq:
    kept: dict[str, tuple[Any, Place | None]] = {}
    for number, (item, place) in enumerate(items.pairs()):
        try:
            kept[index(item)] = (item, place)
        except Wrong as error:
            raise ComposeError(place, f"{dotted((*path, number))}: {error.reason}") from None
    return Seq(kept.values(), items.place)


def _name(item: Any) -> str:
    return text_of(item).partition("=")[0]


def _target(item: Any) -> str:
    if isinstance(item, Map):
        if not isinstance(item.get("target"), str):
            raise Wrong("has no 'target': the path in the container")
        return str(item["target"])
    return str(mount(item)["target"]) if isinstance(item, str) else ""


def _device(item: Any) -> str:
    if isinstance(item, Map):
        return _target(item)
    source, _, rest = text_of(item).partition(":")
    return rest.partition(":")[0] if rest else source


def _env_file(item: Any) -> str:
    if isinstance(item, Map):
        if not isinstance(item.get("path"), str):
            raise Wrong("has no 'path': the file's path")
        return str(item["path"])
    return text_of(item)


def _port(item: Any) -> str:
    if not isinstance(item, Map):
        return text_of(item)
    if "target" not in item:
        raise Wrong("has no 'target': the port in the container")
    parts = (item.get("host_ip", "0.0.0.0"), item.get("published"), item["target"], item.get("protocol", "tcp"))
    return ":".join(map(str, parts))


def _file_under(folder: str) -> Index:
    def index(item: Any) -> str:
        if isinstance(item, Map):
            return text_of(item.get("target", f"{folder}/{item.get('source')}"))
        return f"{folder}/{item}"

    return index


_NAMED = """networks.*.labels networks.*.ipam.options services.*.annotations services.*.build.args
    services.*.build.additional_contexts services.*.build.tags services.*.build.labels services.*.cap_add
    services.*.cap_drop services.*.deploy.labels services.*.dns services.*.dns_opt services.*.dns_search
    services.*.environment services.*.labels services.*.links services.*.networks.*.aliases
    services.*.networks.*.link_local_ips services.*.profiles services.*.sysctls services.*.tmpfs"""
_UNIQUE: list[tuple[str, Index]] = [
    *((pattern, _name) for pattern in _NAMED.split()),
    ("services.*.configs", _file_under("")),
    ("services.*.secrets", _file_under("/run/secrets")),
    ("services.*.devices", _device),
    ("services.*.volumes", _target),
    ("services.*.env_file", _env_file),
    ("services.*.expose", lambda item: text_of(item)),
    ("services.*.ports", _port),
]
