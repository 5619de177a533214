"""Shows what an application's compose files mean; needs no stack, no Docker and no docker compose."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from components.compose.located import ComposeError
from components.compose.project import escaped, read
from components.compose.sources import Request
from ops.exit_codes import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops app`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser(
        "config",
        help="the whole application as its files mean it",
        description="The whole application as its compose files mean it, in the shape of `docker compose config`: "
        "merged, interpolated, in long syntax, with defaults and absolute paths.",
    )
    one.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        type=Path,
        help="a compose file, later ones over earlier ones; else compose.yaml and its like, here or above",
    )
    one.add_argument(
        "--env-file", action="append", default=[], type=Path, help="a file of variables, in place of the project's .env"
    )
    one.add_argument("--profile", action="append", default=[], help="a profile to switch on; '*' is all of them")
    one.add_argument("-p", "--project-name", default="", help="else COMPOSE_PROJECT_NAME, the files' own, the folder's")
    one.add_argument("--json", action="store_true", help="JSON in place of YAML")


def run(args: argparse.Namespace) -> int:
    """Does it; returns an exit code by Pulumi's table."""
    try:
        return int(_ACTIONS[args.action](args))
    except ComposeError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIGURATION


def config(args: argparse.Namespace) -> int:
    """`app config`."""
    missing: list[str] = []

    def blank(name: str) -> str:
        missing.append(name)
        return ""

    request = Request(
        files=tuple(args.file),
        env_files=tuple(args.env_file),
        profiles=tuple(args.profile),
        name=args.project_name,
        folder=Path.cwd(),
        unset=blank,
    )
    model = escaped(read(request).config)
    for name in dict.fromkeys(missing):
        print(f"variable '{name}' has no value: it is left empty", file=sys.stderr)
    _print(json.dumps(model, indent=2, ensure_ascii=False) if args.json else _yaml(model))
    return Exit.OK


_ACTIONS = {"config": config}


def _yaml(model: Any) -> str:
    return str(yaml.safe_dump(json.loads(json.dumps(model)), sort_keys=False, allow_unicode=True, width=1000)).rstrip()


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read it, `head` for example, has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
