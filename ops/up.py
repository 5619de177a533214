"""Makes a stack as its settings say, after a quick look that it can be done; ends with where it answers."""

from __future__ import annotations

import argparse
import shutil
import sys

from ops import page, preflight, pulumi_command, runs, summary, unfinished
from ops.exit_codes import Exit
from ops.progress import Progress
from ops.stack import Stack, StackError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops up`."""
    parser.add_argument("--stack", required=True, help="the stack; its settings are in Pulumi.<stack>.yaml")
    parser.add_argument("--look-hint", metavar="TEXT", help="what to type before one looks at the site by hand")


def run(args: argparse.Namespace) -> int:
    """Makes the stack; returns an exit code by Pulumi's table."""
    try:
        return make(Stack(args.stack), args.look_hint)
    except StackError as error:
        print(error, file=sys.stderr)
        return error.code


def make(stack: Stack, look_hint: str | None = None) -> int:
    """Looks first, puts right what a killed run left, makes the stack and tells.

    Args:
        stack: the stack.
        look_hint: what to type before one looks at the site by hand.

    Raises:
        StackError: something stands in the way.
    """
    stack.require_file()
    found = preflight.look(stack)
    if found.problems:
        print(found.text(), file=sys.stderr)
        return found.code
    interrupted = runs.settle(stack, say)
    unfinished.settle(stack, say, interrupted=interrupted)
    if not exists(stack):
        stack.ask("stack", "init")
    say(f"Makes stack '{stack.name}' (usually a minute the first time, seconds after that)")
    result = pulumi_command.run(stack, "up", "--refresh", progress=progress())
    if result.code:
        return result.code
    outputs = stack.outputs()
    if result.changed:
        say(summary.changes(result.changes, result.duration_s))
    if outputs.get("app_url") and not page.answers(str(outputs["app_url"])):
        say(
            f"{outputs['app_url']}: everything is made, but the page does not answer within "
            f"{page.WAIT_LIMIT_S:.0f} s. See what its container says (`docker logs`), then run it again."
        )
        return Exit.TIMEOUT
    if result.changed:
        print("\n" + summary.after_up(outputs, stack=stack.name, look_hint=look_hint), flush=True)
    else:
        print(summary.unchanged(outputs), flush=True)
    return Exit.OK


def say(text: str) -> None:
    """One line of progress for the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


def progress() -> Progress:
    """Shows a command's progress beside our own lines."""
    return Progress(sys.stderr, columns=shutil.get_terminal_size().columns)


def exists(stack: Stack) -> bool:
    """Whether the stack was ever made. Where its backend is a folder, a look at a file tells; else Pulumi is asked."""
    checkpoint = stack.checkpoint()
    if checkpoint is not None:
        return bool(checkpoint)
    try:
        stack.ask("stack", "select")
    except StackError as error:
        if error.code == Exit.NO_SUCH_STACK or "no stack named" in str(error):
            return False
        raise
    return True
