"""The variables of `lab env`: with them `pulumi` and any client of one's own can look at the site."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.parts.part import Part
from lab.passwords import kept_passwords
from ops.toolchain import pulumi_environment

# Protects nothing but the lab's stack, whose settings are public; fixed, so that the stack's salt can be committed.
PASSPHRASE = "drydock-lab"


def environment(state: Path, parts: Iterable[Part]) -> dict[str, str]:
    """Name → value.

    Args:
        state: the lab's state folder; Pulumi's state lies in its `pulumi`.
        parts: the lab's parts, each with its variables.
    """
    backend = state / "pulumi"
    backend.mkdir(parents=True, exist_ok=True)
    passwords = kept_passwords(state)
    variables = {
        **pulumi_environment(),
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "DRYDOCK_GOGS_DB_PASSWORD": passwords["gogs_db"],
        "DRYDOCK_GOGS_ADMIN_PASSWORD": passwords["gogs_admin"],
    }
    for part in parts:
        variables |= part.variables()
    return variables


def exports(variables: Mapping[str, str]) -> str:
    """Lines that a shell takes with `eval`, sorted by name."""
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in sorted(variables.items()))


def _quoted(value: str) -> str:
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"
