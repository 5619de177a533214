"""Runs `python -m lab up | status | down | env | tool` for the person at the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.toolchain import SetupError

OK = 0
FAILED = 1
NOT_WELL = 4
INTERRUPTED = 8


def main(argv: Sequence[str]) -> int:
    """Runs a command.

    Args:
        argv: its name and arguments.

    Returns:
        0 if all is well; 4 if a part isn't; 1 for another failure; 8 if it was interrupted.
    """
    arguments = _parser().parse_args(argv)
    from lab.supervisor import LabError

    try:
        return int(arguments.run(arguments))
    except LabError as error:
        print(error, file=sys.stderr)
        return NOT_WELL
    except SetupError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("Stopped. The next `python -m lab up` goes on from here.", file=sys.stderr)
        return INTERRUPTED


def _up(arguments: argparse.Namespace) -> int:
    from lab.supervisor import Lab, default_state

    Lab(default_state()).up(arguments.part or None, tell=lambda line: print(line, flush=True))
    return OK


def _status(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lab.supervisor import Lab, default_state

    parts = Lab(default_state()).status()
    if arguments.json:
        import json

        print(json.dumps([asdict(part) for part in parts], indent=2))
    elif not parts:
        print(f"No lab was ever started in {default_state()}. `python -m lab up` does.")
    else:
        for part in parts:
            process = f"pid {part.pid}" if part.pid else ""
            print(f"{part.name:<9} {part.state:<9} {part.address:<21} {process}".rstrip())
        for part in parts:
            if part.state in ("crashed", "unhealthy"):
                log = f": see {part.log}" if Path(part.log).exists() else ""
                print(f"\n{part.name} is {part.state}{log}\n`python -m lab up` starts it again.")
    return OK if parts and all(part.state == "ready" for part in parts) else NOT_WELL


def _down(arguments: argparse.Namespace) -> int:
    from lab.supervisor import Lab, default_state

    Lab(default_state()).down(delete_data=arguments.data == "delete")
    kept = "The application's data is gone." if arguments.data else f"Its state stays in {default_state()}."
    print(f"The lab is down. {kept}")
    return OK


def _env(arguments: argparse.Namespace) -> int:
    from lab.environment import exports
    from lab.supervisor import Lab, default_state

    sys.stdout.write(exports(Lab(default_state()).environment()))
    return OK


def _tool(arguments: argparse.Namespace) -> int:
    from lab.tools import tool

    print(tool(arguments.name))
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="The embedded site.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start what doesn't run, put right what isn't well")
    up.add_argument("part", nargs="*", help="only these parts and what they need")
    up.set_defaults(run=_up)
    status = commands.add_parser("status", help="how every part is; exit code 4 unless all are ready")
    status.add_argument("--json", action="store_true", help="name, state, address, pid and log of every part")
    status.set_defaults(run=_status)
    down = commands.add_parser("down", help="stop every part; the state stays")
    down.add_argument("--data", choices=["delete"], help="also delete the application's data")
    down.set_defaults(run=_down)
    env = commands.add_parser("env", help="print the variables by which clients find the lab, for `eval`")
    env.set_defaults(run=_env)
    tool = commands.add_parser("tool", help="print the path of a peer, built on first use")
    tool.add_argument("name", help="for example docker-compose")
    tool.set_defaults(run=_tool)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
