"""What a bench reports: rows that were measured, and bars that they must reach."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Bar:
    """A bound: `value` may be at most `limit`; a value of `None` (the peer is missing) fails."""

    name: str
    value: float | None
    limit: float

    @property
    def ok(self) -> bool:
        return self.value is not None and self.value <= self.limit


@dataclass
class Report:
    """One bench's result."""

    bench: str
    rows: list[dict[str, object]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(bar.ok for bar in self.bars)

    def row(self, name: str, times_s: list[float]) -> float:
        """Adds a row of one measurement; returns its median in seconds."""
        median = statistics.median(times_s)
        self.rows.append({"name": name, "median_s": round(median, 3), "runs_s": [round(one, 3) for one in times_s]})
        return median

    def figure(self, name: str, value: float, unit: str) -> None:
        """Adds a row of something that isn't a time."""
        self.rows.append({"name": name, "value": value, "unit": unit})

    def bar(self, name: str, value: float | None, limit: float) -> None:
        self.bars.append(Bar(name, None if value is None else round(value, 3), limit))

    def as_json(self) -> str:
        bars = [{**asdict(bar), "ok": bar.ok} for bar in self.bars]
        return json.dumps({"bench": self.bench, "rows": self.rows, "bars": bars}, indent=2)

    def as_text(self) -> str:
        rows = [_line(row) for row in self.rows]
        bars = [
            f"  {'ok  ' if bar.ok else 'FAIL'} {bar.name:46} {bar.value!s:>9}   at most {bar.limit}"
            for bar in self.bars
        ]
        return "\n".join([self.bench, *rows, "bars", *bars])


def _line(row: Mapping[str, object]) -> str:
    if "unit" in row:
        return f"  {row['name']!s:44} {row['value']!s:>9} {row['unit']}"
    return f"  {row['name']!s:44} {row['median_s']!s:>9} s   {row['runs_s']}"


def timed(work: Callable[[], object], runs: int = 1) -> list[float]:
    """How long the work takes, in seconds, once per run."""
    times_s = []
    for _ in range(runs):
        start_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - start_s)
    return times_s
