"""Casts texts where a key takes a number or a truth value, so that a variable may stand there.

Source: docker compose v2.40's own table of keys; which of them a file may hold at all is the schema's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.compose.located import Path, Wrong, matches

_TRUE, _FALSE = ("true", "y", "yes", "on"), ("false", "n", "no", "off")


def boolean(text: str) -> bool:
    """A truth value, YAML 1.1's words included."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise Wrong(f"'{text}' is no truth value: write true or false")


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text.strip() if text.strip() == text and "_" not in text else "")
    except ValueError:
        raise Wrong(f"'{text}' is no whole number") from None


def decimal(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise Wrong(f"'{text}' is no number") from None


_OF_SERVICES: dict[Callable[[str], Any], str] = {
    integer: """cpu_count cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares deploy.replicas
        deploy.update_config.parallelism deploy.rollback_config.parallelism deploy.restart_policy.max_attempts
        deploy.placement.max_replicas_per_node healthcheck.retries oom_score_adj pids_limit ports.[].target scale
        ulimits.* ulimits.*.hard ulimits.*.soft""",
    decimal: """cpu_percent cpus deploy.update_config.max_failure_ratio deploy.rollback_config.max_failure_ratio""",
    boolean: """init healthcheck.disable oom_kill_disable privileged read_only stdin_open tty volumes.[].read_only
        volumes.[].volume.nocopy""",
}
_OF_THE_REST: dict[Callable[[str], Any], str] = {
    boolean: """networks.*.external networks.*.internal networks.*.attachable networks.*.enable_ipv4
        networks.*.enable_ipv6 volumes.*.external secrets.*.external configs.*.external""",
}
_CASTS: list[tuple[str, Callable[[str], Any]]] = [
    *((f"services.*.{key}", cast) for cast, keys in _OF_SERVICES.items() for key in keys.split()),
    *((key, cast) for cast, keys in _OF_THE_REST.items() for key in keys.split()),
]


def cast(text: str, path: Path) -> Any:
    """A text as what its key takes.

    Raises:
        Wrong: it is none.
    """
    for pattern, to in _CASTS:
        if matches(path, pattern):
            return to(text)
    return text
