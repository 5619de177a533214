"""One call of the VCH's provider in a process of its own, as Pulumi's process for dynamic providers makes it.

``python -m bench.stage.one_call`` takes what to do as JSON from its standard input, and says how it went on its output.
The time is the call's alone; the memory is by how much the process's peak grew from right after the provider's
`configure` on.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from pulumi.dynamic import Config, ConfigureRequest

from providers.vic.resources import VchProvider


def main() -> None:
    told = json.load(sys.stdin)
    provider = VchProvider()
    provider.configure(ConfigureRequest(Config({}, "bench")))
    before_mb = _peak_mb()
    start_s = time.perf_counter()
    id_, outs = _called(provider, **told)
    wall_s = time.perf_counter() - start_s
    print(json.dumps({"wall_s": wall_s, "memory_mb": _peak_mb() - before_mb, "id": id_, "outs": outs}))


def _called(
    provider: VchProvider, operation: str, id_: str, olds: dict[str, Any], news: dict[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    if operation == "create":
        made = provider.create(news)
        return made.id, made.outs or {}
    if operation == "read":
        read = provider.read(id_, olds)
        return read.id, read.outs or {}
    if operation == "update":
        return id_, provider.update(id_, olds, news).outs or {}
    provider.delete(id_, olds)
    return None, {}


def _peak_mb() -> float:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
