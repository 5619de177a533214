"""The shape of the answer: what `docker compose config --format json` prints of each value, and what it leaves out.

Source: the output of docker compose v2.40. What is empty is left out, but for what the tables below say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.compose import casts, quantities, shell_words
from components.compose.located import Map, Seq, Wrong
from components.compose.plain import single_precision, text_of

Shape = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One key of a shape.

    Attributes:
        shape: what its value becomes.
        optional: whether only a key that isn't there is left out: 0 and `false` mean something.
        always: whether it is never left out.
        name: what it is called in the answer, where that differs.
    """

    shape: Shape
    optional: bool = False
    always: bool = False
    name: str = ""


def shaped(shape: Shape, value: Any, *path: str | int) -> Any:
    """A value in its shape; what is wrong with it is told with the path down to it."""
    try:
        return shape(value)
    except Wrong as error:
        raise Wrong(error.reason, (*path, *error.path)) from None


class struct:  # noqa: N801  it reads as the functions beside it
    """A mapping of known keys; others have no effect. One that is there but empty stays: that may mean something."""

    def __init__(self, **fields: Shape | Field) -> None:
        self._fields = {name: one if isinstance(one, Field) else Field(one) for name, one in fields.items()}

    def __call__(self, value: Any) -> dict[str, Any]:
        given = _mapping(value)
        answer = {}
        for name, field in self._fields.items():
            item = given.get(name)
            if item is None and not field.always:
                continue
            made = shaped(field.shape, item, name)
            if field.always or field.optional or not _is_empty(made, field.shape):
                answer[field.name or name] = made
        return answer


def _is_empty(made: Any, shape: Shape) -> bool:
    return made in (None, "", 0, [], {}) and not (made == {} and isinstance(shape, struct))


def listed(shape: Shape) -> Shape:
    def many(value: Any) -> Any:
        items = value if isinstance(value, (Seq, list)) else [value]
        return [shaped(shape, item, index) for index, item in enumerate(items)]

    return many


def mapped(shape: Shape) -> Shape:
    """A mapping whose keys are the user's."""
    return lambda value: {key: shaped(shape, item, key) for key, item in _mapping(value).items()}


def optional(shape: Shape) -> Shape:
    """A value that may be null."""
    return lambda value: None if value is None else shape(value)


def text(value: Any) -> str:
    if isinstance(value, (bool, float, Map, Seq)) or value is None:
        raise Wrong(f"must be a text (got {_said(value)}): put it in quotes")
    return str(value)


def anything_as_text(value: Any) -> str:
    return text_of(value)


def number(value: Any) -> int:
    if isinstance(value, str):
        return casts.integer(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise Wrong(f"must be a whole number (got {_said(value)})")
    return int(value)


def decimal(value: Any) -> float:
    """A number of 32 bits, whole ones as such."""
    given = casts.decimal(value) if isinstance(value, str) else value
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise Wrong(f"must be a number (got {_said(value)})")
    return single_precision(float(given))


def boolean(value: Any) -> bool:
    if isinstance(value, str):
        return casts.boolean(value)
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false (got {_said(value)})")
    return value


def size(value: Any) -> str:
    """An amount of memory as its bytes, in quotes."""
    count = quantities.size(value) if isinstance(value, str) else number(value)
    return str(count) if count else ""


def duration(value: Any) -> str:
    return quantities.duration_text(quantities.duration(text_of(value)))


def duration_unless_zero(value: Any) -> str:
    shown = duration(value)
    return "" if shown == "0s" else shown


def mode(value: Any) -> str:
    """A file's mode; a text is octal, a number is what YAML made of it."""
    try:
        return f"0{int(value, 8) if isinstance(value, str) else number(value):o}"
    except ValueError:
        raise Wrong(f"'{value}' is no octal mode such as \"0440\"") from None


def command(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return shell_words.split(value)
    return None if value is None else [text(item) for item in value]


def texts_by_name(value: Any) -> dict[str, str]:
    """A mapping, or a list of ``KEY=VALUE``; a key without a value has an empty one."""
    if isinstance(value, Map):
        return {key: text_of(item) for key, item in value.items()}
    return {key: rest for key, _, rest in (text_of(item).partition("=") for item in value)}


def environment(value: Any) -> dict[str, str | None]:
    """A mapping, or a list of ``KEY=VALUE``; a key without a value has none."""
    if isinstance(value, Map):
        return {key: None if item is None else text_of(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for index, item in enumerate(value):
        key, sign, rest = text_of(item).partition("=")
        if key != key.rstrip():
            raise Wrong(f"the name '{key}' ends with a space: write NAME=value", (index,))
        found[key] = rest if sign else None
    return found


def hosts(value: Any) -> list[str]:
    """Host names with their addresses, as ``NAME=ADDRESS``."""
    found: list[tuple[str, str]] = []
    if isinstance(value, Map):
        for name, item in value.items():
            found += [(name, text_of(one)) for one in (item if isinstance(item, Seq) else [item])]
    else:
        for index, item in enumerate(value):
            name, addresses = _host(text_of(item), index)
            found += [(name, one) for one in addresses.split(",")]
    for name, _ in found:
        if not name or ":" in name or "=" in name:
            raise Wrong(f"'{name}' is no host name")
    return sorted(f"{name}={_without_brackets(address)}" for name, address in found)


def _host(item: str, index: int) -> tuple[str, str]:
    for sign in ("=", ":"):
        name, found, addresses = item.partition(sign)
        if found:
            return name, addresses
    raise Wrong(f"'{item}' has no address: write NAME=ADDRESS", (index,))


def _without_brackets(address: str) -> str:
    return address[1:-1] if len(address) > 2 and address[0] == "[" and address[-1] == "]" else address


def health_test(value: Any) -> list[str]:
    return ["CMD-SHELL", value] if isinstance(value, str) else [text(item) for item in value]


def ulimit(value: Any) -> Any:
    if isinstance(value, Map):
        return struct(soft=number, hard=number)(value)
    return number(value) or {}


def device_count(value: Any) -> int:
    if isinstance(value, str) and value.lower() == "all":
        return -1
    return number(value)


def repeated_options(value: Any) -> dict[str, list[str]]:
    return {key: [text_of(one) for one in (item if isinstance(item, Seq) else [item])] for key, item in value.items()}


def ssh_keys(value: Any) -> list[str]:
    """A key's path has no place in compose's JSON; it is given as in its YAML."""
    return [f"{key}: {item}" if item else key for key, item in value.items()]


def _mapping(value: Any) -> Map | dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, (Map, dict)):
        raise Wrong(f"must be a mapping (got {_said(value)})")
    return value


def _said(value: Any) -> str:
    if isinstance(value, Map):
        return "a mapping"
    return "a list" if isinstance(value, Seq) else "nothing" if value is None else text_of(value)


texts = listed(text)
_hook = struct(
    command=Field(command, always=True), user=text, privileged=boolean, working_dir=text, environment=environment
)
_throttle = listed(
    struct(
        path=Field(anything_as_text, always=True, name="Path"),
        rate=Field(lambda value: size(value) or "0", always=True, name="Rate"),
    )
)
_weight = listed(
    struct(path=Field(anything_as_text, always=True, name="Path"), weight=Field(number, always=True, name="Weight"))
)
_file_mounts = listed(struct(source=text, target=text, uid=text, gid=text, mode=Field(mode, optional=True)))
_ulimits = mapped(ulimit)
_devices = listed(struct(capabilities=texts, driver=text, count=device_count, device_ids=texts, options=texts_by_name))
_update = struct(
    parallelism=Field(number, optional=True),
    delay=duration_unless_zero,
    failure_action=text,
    monitor=duration_unless_zero,
    max_failure_ratio=decimal,
    order=text,
)
_resource = struct(
    cpus=decimal,
    memory=size,
    pids=number,
    devices=_devices,
    generic_resources=listed(
        struct(
            discrete_resource_spec=struct(kind=Field(anything_as_text, always=True), value=Field(number, always=True))
        )
    ),
)

BUILD = struct(
    context=text,
    dockerfile=text,
    dockerfile_inline=text,
    entitlements=texts,
    args=environment,
    provenance=text,
    sbom=text,
    ssh=ssh_keys,
    labels=texts_by_name,
    cache_from=texts,
    cache_to=texts,
    no_cache=boolean,
    additional_contexts=texts_by_name,
    pull=boolean,
    extra_hosts=hosts,
    isolation=text,
    network=text,
    target=text,
    secrets=_file_mounts,
    shm_size=size,
    tags=texts,
    ulimits=_ulimits,
    platforms=texts,
    privileged=boolean,
)
DEPLOY = struct(
    mode=text,
    replicas=Field(number, optional=True),
    labels=texts_by_name,
    update_config=_update,
    rollback_config=_update,
    resources=Field(struct(limits=_resource, reservations=_resource), always=True),
    restart_policy=struct(
        condition=text,
        delay=Field(duration, optional=True),
        max_attempts=Field(number, optional=True),
        window=Field(duration, optional=True),
    ),
    placement=Field(
        struct(constraints=texts, preferences=listed(struct(spread=text)), max_replicas_per_node=number), always=True
    ),
    endpoint_mode=text,
)
HEALTHCHECK = struct(
    test=health_test,
    timeout=Field(duration, optional=True),
    interval=Field(duration, optional=True),
    retries=Field(number, optional=True),
    start_period=Field(duration, optional=True),
    start_interval=Field(duration, optional=True),
    disable=boolean,
)
PORTS = listed(
    struct(name=text, mode=text, host_ip=text, target=number, published=text, protocol=text, app_protocol=text)
)
MOUNTS = listed(
    struct(
        type=text,
        source=text,
        target=text,
        read_only=boolean,
        consistency=text,
        bind=struct(selinux=text, propagation=text, create_host_path=boolean, recursive=text),
        volume=struct(labels=texts_by_name, nocopy=boolean, subpath=text),
        tmpfs=struct(size=size, mode=number),
        image=struct(subpath=text),
    )
)
ATTACHED = optional(
    struct(
        aliases=texts,
        driver_opts=texts_by_name,
        gw_priority=number,
        interface_name=text,
        ipv4_address=text,
        ipv6_address=text,
        link_local_ips=texts,
        mac_address=text,
        priority=number,
    )
)
_TEXTS = """cgroup cgroup_parent container_name cpuset domainname hostname image ipc isolation mac_address network_mode
    pid platform pull_policy restart runtime stop_signal user userns_mode uts working_dir"""
_LISTS = """cap_add cap_drop device_cgroup_rules dns dns_opt dns_search external_links group_add links profiles
    security_opt tmpfs volumes_from"""
_NUMBERS = "cpu_count cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares oom_score_adj pids_limit"
_SIZES = "mem_limit mem_reservation memswap_limit mem_swappiness shm_size"
_TRUTHS = "oom_kill_disable privileged read_only stdin_open tty use_api_socket"
SERVICE = struct(
    **dict.fromkeys(_TEXTS.split(), text),
    **dict.fromkeys(_LISTS.split(), texts),
    **dict.fromkeys(_NUMBERS.split(), number),
    **dict.fromkeys(_SIZES.split(), size),
    **dict.fromkeys(_TRUTHS.split(), boolean),
    **dict.fromkeys(("attach", "init"), Field(boolean, optional=True)),
    **dict.fromkeys(("command", "entrypoint"), Field(command, always=True)),
    **dict.fromkeys(("cpus", "cpu_percent"), decimal),
    **dict.fromkeys(("annotations", "labels", "storage_opt", "sysctls"), texts_by_name),
    **dict.fromkeys(("configs", "secrets"), _file_mounts),
    **dict.fromkeys(("post_start", "pre_stop"), listed(_hook)),
    blkio_config=struct(
        weight=number,
        weight_device=_weight,
        device_read_bps=_throttle,
        device_read_iops=_throttle,
        device_write_bps=_throttle,
        device_write_iops=_throttle,
    ),
    build=BUILD,
    credential_spec=struct(config=text, file=text, registry=text),
    depends_on=mapped(struct(condition=text, restart=boolean, required=Field(boolean, always=True))),
    deploy=DEPLOY,
    develop=struct(
        watch=listed(
            struct(
                path=Field(text, always=True),
                action=Field(text, always=True),
                target=text,
                exec=Field(_hook, always=True),
                include=texts,
                ignore=texts,
                initial_sync=boolean,
            )
        )
    ),
    devices=listed(struct(source=text, target=text, permissions=text)),
    environment=environment,
    expose=listed(anything_as_text),
    extra_hosts=hosts,
    gpus=_devices,
    healthcheck=HEALTHCHECK,
    logging=struct(driver=text, options=texts_by_name),
    models=mapped(optional(struct(endpoint_var=text, model_var=text))),
    networks=mapped(ATTACHED),
    ports=PORTS,
    provider=struct(type=text, options=repeated_options),
    scale=Field(number, optional=True),
    stop_grace_period=Field(duration, optional=True),
    ulimits=_ulimits,
    volumes=MOUNTS,
)
NETWORK = struct(
    name=text,
    driver=text,
    driver_opts=texts_by_name,
    ipam=Field(
        struct(
            driver=text, config=listed(struct(subnet=text, gateway=text, ip_range=text, aux_addresses=texts_by_name))
        ),
        always=True,
    ),
    external=boolean,
    internal=boolean,
    attachable=boolean,
    labels=texts_by_name,
    enable_ipv4=Field(boolean, optional=True),
    enable_ipv6=Field(boolean, optional=True),
)
VOLUME = struct(name=text, driver=text, driver_opts=texts_by_name, external=boolean, labels=texts_by_name)
_file_object = struct(
    name=text,
    file=text,
    environment=text,
    content=text,
    external=boolean,
    labels=texts_by_name,
    driver=text,
    driver_opts=texts_by_name,
    template_driver=text,
)


def file_object(value: Any) -> Any:
    """A config's or secret's content never shows where it comes from a variable."""
    answer = _file_object(value)
    if "environment" in answer:
        answer.pop("content", None)
    return answer


def model(data: Map) -> dict[str, Any]:
    """A whole model in the answer's shape.

    Raises:
        Wrong: a value is none that its key takes; with the path down to it.
    """
    answer: dict[str, Any] = {"name": data["name"], "services": {}}
    for kind, shape in _PARTS.items():
        items = {name: shaped(shape, item, kind, name) for name, item in (data.get(kind) or {}).items()}
        if items or kind == "services":
            answer[kind] = items
    return answer


_PARTS: dict[str, Shape] = {
    "services": SERVICE,
    "networks": NETWORK,
    "volumes": VOLUME,
    "secrets": file_object,
    "configs": file_object,
}
