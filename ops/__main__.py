"""Runs `python -m ops COMMAND`: finds the command's module by its name, and turns our errors into one line.

Standard library only, and nothing but the named command is imported: `setup` runs before the packages are there.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.exit_codes import Exit
from ops.toolchain import SetupError, end_with_parent, pulumi_environment

HERE = Path(__file__).resolve().parent
OURS = {"__main__", "components", "lab", "ops", "providers", "settings"}
SETUP = "setup"
"""The one command that makes what the others find on PATH."""


def main(argv: Sequence[str]) -> int:
    """Runs a command.

    Args:
        argv: its name and arguments.

    Returns:
        The exit code, by Pulumi's table (`ops.exit_codes`).
    """
    known = commands(HERE)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview(known))
        return Exit.OK
    name, *rest = argv
    if name not in known:
        print(unknown(name, known), file=sys.stderr)
        return Exit.CONFIGURATION
    try:
        return run(name, rest)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return Exit.CANCELLED
    except SetupError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIGURATION
    except Exception as error:
        code = code_of(error)
        if code is None:
            raise
        print(error, file=sys.stderr)
        return code


def commands(folder: Path) -> dict[str, str]:
    """Name → first line of what it does, for every module with `add_arguments` and `run`; imports none of them."""
    found = {}
    for file in sorted(folder.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if {"add_arguments", "run"} <= functions:
            found[file.stem.replace("_", "-")] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def overview(known: dict[str, str]) -> str:
    """The text of `--help`."""
    width = max(map(len, known), default=0)
    lines = [f"  {name:<{width}}  {what}" for name, what in known.items()]
    return "\n".join(
        ["usage: python -m ops COMMAND [arguments]", "", *lines, "", "python -m ops COMMAND --help says more."]
    )


def unknown(name: str, known: dict[str, str]) -> str:
    """The line for a command that doesn't exist, with the nearest that do."""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    if near:
        return f"There is no command '{name}'. Did you mean {' or '.join(repr(one) for one in near)}?"
    return f"There is no command '{name}'. There are: {', '.join(known)}."


def run(name: str, arguments: Sequence[str]) -> int:
    """Imports a command's module and runs it."""
    try:
        module = importlib.import_module(f"ops.{name.replace('-', '_')}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OURS:
            raise
        raise SetupError(
            f"'{error.name}' isn't installed in {sys.executable}: run `python3 -m ops setup`, "
            f"then `.venv/bin/python -m ops {name}`"
        ) from error
    if name != SETUP:
        os.environ.update(pulumi_environment())
    parser = argparse.ArgumentParser(prog=f"python -m ops {name}", description=module.__doc__)
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(arguments)))


def code_of(error: Exception) -> Exit | None:
    """The exit code for an error of the kit's; None for any other. The kit is only asked if it is loaded already."""
    kit = sys.modules.get("providers.kit.errors")
    if kit is None or not isinstance(error, kit.DrydockError):
        return None
    return Exit.AUTHENTICATION if isinstance(error, kit.Authentication) else Exit.RESOURCE


if __name__ == "__main__":
    if "MAKELEVEL" in os.environ:
        end_with_parent()
    sys.exit(main(sys.argv[1:]))
