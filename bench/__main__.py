"""`python -m bench NAME [--json]`: runs one bench, prints its rows and bars; exit 1 if a bar fails."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path

from bench.report import Report


def main() -> int:
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    benches = sorted(one.name for one in found if not one.ispkg and one.name not in ("__main__", "report"))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for name in benches:
        bench = importlib.import_module(f"bench.{name}")
        own = names.add_parser(name, help=(bench.__doc__ or "").partition("\n")[0], description=bench.__doc__)
        own.add_argument("--json", action="store_true", help="print the report as JSON")
        if hasattr(bench, "add_arguments"):
            bench.add_arguments(own)
        own.set_defaults(run=bench.run)
    options = vars(parser.parse_args())
    run, as_json = options.pop("run"), options.pop("json")
    del options["name"]
    report: Report = run(**options)
    print(report.as_json() if as_json else report.as_text())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
