"""`python -m bench NAME [--json]`: runs one bench, prints its rows and bars; exit 1 if a bar fails."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

from bench.report import Report


def main() -> int:
    names = sorted(one.name for one in pkgutil.iter_modules([str(Path(__file__).parent)]))
    benches = [name for name in names if name not in ("__main__", "report")]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=benches, help="the bench")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args()
    report: Report = importlib.import_module(f"bench.{args.name}").run()
    print(report.as_json() if args.json else report.as_text())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
