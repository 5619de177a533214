"""Peers: other people's programs that benches and tests hold ours against, built on demand into the cache."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from ops.toolchain import SetupError, go_build


@dataclass(frozen=True)
class Tool:
    """A published Go program.

    Attributes:
        version: the one that is built.
        module: its module.
        package: the package with its main function.
        usually: how long a cold build takes.
        ldflags: flags for Go's linker.
    """

    version: str
    module: str
    package: str
    usually: str
    ldflags: str = ""


TOOLS = {
    "crane": Tool(
        "0.22.1",
        "github.com/google/go-containerregistry",
        "github.com/google/go-containerregistry/cmd/crane",
        "half a minute",
    ),
    "docker-compose": Tool(
        "2.40.3",
        "github.com/docker/compose/v2",
        "github.com/docker/compose/v2/cmd",
        "two minutes",
        "-X github.com/docker/compose/v2/internal.Version=v2.40.3",
    ),
    "gitleaks": Tool(
        "8.30.1", "github.com/zricethezav/gitleaks/v8", "github.com/zricethezav/gitleaks/v8", "one minute"
    ),
    "regctl": Tool(
        "0.11.7", "github.com/regclient/regclient", "github.com/regclient/regclient/cmd/regctl", "half a minute"
    ),
    "toxiproxy": Tool(
        "2.5.0", "github.com/Shopify/toxiproxy/v2", "github.com/Shopify/toxiproxy/v2/cmd/server", "half a minute"
    ),
}


def tool(name: str) -> Path:
    """The path of a peer, built if it wasn't.

    Raises:
        SetupError: no such peer, or it can't be built.
    """
    spec = TOOLS.get(name)
    if spec is None:
        near = difflib.get_close_matches(name, TOOLS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(sorted(TOOLS))}."
        raise SetupError(f"the lab knows no tool '{name}': {hint}")
    return go_build(
        name, spec.version, module=spec.module, package=spec.package, ldflags=spec.ldflags, usually=spec.usually
    )
