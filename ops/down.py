"""Takes a stack down; the application's volumes stay, unless their deletion is asked for."""

from __future__ import annotations

import argparse
import sys

from ops import pulumi_command, runs, summary, unfinished, vch_stack
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.up import exists, progress, say
from ops.volumes import volumes_of
from providers.kit.errors import DrydockError

APPLICATION = "drydock:app"
CONTAINERS = "**docker:Container::**"


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
    if vch_stack.makes_one(stack):
        return _with_its_vch(stack, delete_data=delete_data)
    code = _destroy(stack)
    if code:
        return code
    if delete_data:
        _delete_data(stack)
    elif APPLICATION in stack.configured():
        _tell_of_data(stack)
    return Exit.OK


def _with_its_vch(stack: Stack, *, delete_data: bool) -> int:
    """The volumes are reached through the VCH only: whatever is to be known or done of them comes before its end."""
    if not _is_there(stack):
        if delete_data:
            up = summary.make("up", stack.name)
            say(f"The volumes of a VCH are deleted through it: `{up}` first, then this again.")
        return Exit.OK
    if delete_data:
        say("Takes the application's containers down, to delete its data")
        code = _run(stack, "--target", CONTAINERS)
        if code:
            return code
        _delete_data(stack)
    kept = "" if delete_data else _kept_data(stack)
    code = _destroy(stack)
    if code == Exit.OK and kept:
        print(kept, flush=True)
    return code


def _delete_data(stack: Stack) -> None:
    with volumes_of(stack) as volumes:
        for name in volumes.names():
            volumes.delete(name)
            say(f"  deleted volume {name}")


def _kept_data(stack: Stack) -> str:
    """What is said of the data in a VCH's volume stores once it is gone."""
    try:
        return _told_of_data(stack)
    except (DrydockError, StackError):
        return "The application's data stay in the VCH's volume stores."


def _told_of_data(stack: Stack) -> str:
    with volumes_of(stack) as volumes:
        return summary.kept_volumes(volumes.names(), host=volumes.host, stack=stack.name, stores=volumes.stores)


def _tell_of_data(stack: Stack) -> None:
    try:
        kept = _told_of_data(stack)
    except DrydockError as error:
        # The stack is down all the same; only where its data are can't be told.
        say(f"The application's data stay where they were. {error}")
        return
    if kept:
        print(kept, flush=True)


def _destroy(stack: Stack) -> int:
    if not _is_there(stack):
        return Exit.OK
    say(f"Takes stack '{stack.name}' down (usually half a minute)")
    return _run(stack)


def _is_there(stack: Stack) -> bool:
    """Whether there is something to take down; what an interrupted run left is settled then."""
    if not exists(stack):
        say(f"There is no stack '{stack.name}': nothing to take down.")
        return False
    interrupted = runs.settle(stack, say)
    unfinished.settle(stack, say, interrupted=interrupted)
    if is_empty(stack):
        say(f"Stack '{stack.name}' is empty: nothing to take down.")
        return False
    return True


def _run(stack: Stack, *options: str) -> int:
    """What somebody has removed by hand is noticed first."""
    result = pulumi_command.run(stack, "destroy", "--refresh", *options, progress=progress())
    if result.code == Exit.OK:
        say(summary.changes(result.changes, result.duration_s))
    return result.code


def is_empty(stack: Stack) -> bool:
    """Whether nothing is in its saved state; False where only Pulumi could tell."""
    checkpoint = stack.checkpoint()
    return checkpoint is not None and not (checkpoint.get("latest") or {}).get("resources")
