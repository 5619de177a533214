"""The answer: what `docker compose config --format json` prints of each key of a model.

Source: Compose specification for the keys; the output of docker compose v2.40 for how each is printed.
"""

from __future__ import annotations

from typing import Any

from components.compose.located import Map
from components.compose.shapes import (
    Field,
    Shape,
    anything_as_text,
    boolean,
    command,
    decimal,
    device_count,
    duration,
    duration_unless_zero,
    environment,
    health_test,
    hosts,
    listed,
    mapped,
    mode,
    number,
    optional,
    repeated_options,
    shaped,
    size,
    ssh_keys,
    struct,
    text,
    texts_by_name,
    ulimit,
)

_texts = listed(text)
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
_devices = listed(
    struct(capabilities=_texts, driver=text, count=device_count, device_ids=_texts, options=texts_by_name)
)
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
    entitlements=_texts,
    args=environment,
    provenance=text,
    sbom=text,
    ssh=ssh_keys,
    labels=texts_by_name,
    cache_from=_texts,
    cache_to=_texts,
    no_cache=boolean,
    additional_contexts=texts_by_name,
    pull=boolean,
    extra_hosts=hosts,
    isolation=text,
    network=text,
    target=text,
    secrets=_file_mounts,
    shm_size=size,
    tags=_texts,
    ulimits=_ulimits,
    platforms=_texts,
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
        struct(constraints=_texts, preferences=listed(struct(spread=text)), max_replicas_per_node=number), always=True
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
        aliases=_texts,
        driver_opts=texts_by_name,
        gw_priority=number,
        interface_name=text,
        ipv4_address=text,
        ipv6_address=text,
        link_local_ips=_texts,
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
    **dict.fromkeys(_LISTS.split(), _texts),
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
                include=_texts,
                ignore=_texts,
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
