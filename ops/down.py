"""Takes a stack down; the application's volumes stay, unless their deletion is asked for."""

from __future__ import annotations

import argparse
import sys

from ops import pulumi_command, runs, summary, unfinished
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.up import exists, progress, say
from ops.volumes import volumes_of
from providers.kit.errors import DrydockError

APPLICATION = "drydock:app"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops down`."""
    parser.add_argument("--stack", required=True, help="the stack to take down; its settings and history stay")
    parser.add_argument("--data", choices=["delete"], help="also delete the application's volumes, for good")


def run(args: argparse.Namespace) -> int:
    """Takes the stack down; returns an exit code by Pulumi's table."""
    try:
        return take_down(Stack(args.stack), delete_data=args.data == "delete")
    except StackError as error:
        print(error, file=sys.stderr)
        return error.code


def take_down(stack: Stack, *, delete_data: bool) -> int:
    """Destroys what the stack has made; a stack that isn't there or is empty is fine.

    Args:
        stack: the stack.
        delete_data: whether its volumes are deleted as well.

    Raises:
        StackError: something stands in the way.
    """
    if not stack.file.is_file():
        say(f"There is no stack '{stack.name}' here ({stack.file.name}): nothing to take down.")
        return Exit.OK
    code = _destroy(stack)
    if code:
        return code
    if delete_data:
        _delete_data(stack)
    elif APPLICATION in stack.configured():
        _tell_of_data(stack)
    return Exit.OK


def _delete_data(stack: Stack) -> None:
    with volumes_of(stack) as volumes:
        for name in volumes.names():
            volumes.delete(name)
            say(f"  deleted volume {name}")


def _tell_of_data(stack: Stack) -> None:
    try:
        with volumes_of(stack) as volumes:
            kept = summary.kept_volumes(volumes.names(), host=volumes.host, stack=stack.name)
    except DrydockError as error:
        # The stack is down all the same; only where its data are can't be told.
        say(f"The application's data stay where they were. {error}")
        return
    if kept:
        print(kept, flush=True)


def _destroy(stack: Stack) -> int:
    if not exists(stack):
        say(f"There is no stack '{stack.name}': nothing to take down.")
        return Exit.OK
    interrupted = runs.settle(stack, say)
    unfinished.settle(stack, say, interrupted=interrupted)
    if is_empty(stack):
        say(f"Stack '{stack.name}' is empty: nothing to take down.")
        return Exit.OK
    say(f"Takes stack '{stack.name}' down (usually half a minute)")
    result = pulumi_command.run(stack, "destroy", progress=progress())
    if result.code == Exit.OK:
        say(summary.changes(result.changes, result.duration_s))
    return result.code


def is_empty(stack: Stack) -> bool:
    """Whether nothing is in its saved state; False where only Pulumi could tell."""
    checkpoint = stack.checkpoint()
    return checkpoint is not None and not (checkpoint.get("latest") or {}).get("resources")
