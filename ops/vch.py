"""Shows a vCenter's Virtual Container Hosts, and what people need beside `up` to work with one.

`list` and `inspect` need no stack and no vic-machine: the vCenter or ESXi host is found by VSPHERE_SERVER,
VSPHERE_USER, VSPHERE_PASSWORD and VSPHERE_THUMBPRINT.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ops import site, vch_env, vch_logs, vch_stack
from ops.exit_codes import Exit
from ops.stack import StackError
from providers.kit.errors import Permanent
from providers.kit.secrets import Secret, Settings, UnknownSecret, redact

if TYPE_CHECKING:
    from providers.vic.certificates import Material

MOST_KEY_BYTES = 16 * 1024

_PUBLIC_KEY = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+( .*)?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops vch`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("list", help="every VCH of the vCenter")
    one.add_argument("--json", action="store_true", help="the same as JSON")

    one = actions.add_parser("inspect", help="all that can be seen of one VCH")
    one.add_argument("name", metavar="NAME", help="the VCH's name, or its VM's id")
    one.add_argument(
        "--stack", help="the stack that names the vCenter and knows the client certificate; else VSPHERE_…"
    )
    one.add_argument("--json", action="store_true", help="the same as JSON")

    one = actions.add_parser("logs", help="the kept logs of vic-machine, newest last")
    one.add_argument("name", metavar="NAME", help="the VCH's name")
    one.add_argument("--list", action="store_true", help="only which there are: when, what, how it ended, where")

    one = actions.add_parser("debug", help="lets a public key into the VCH's appliance by SSH")
    one.add_argument("name", metavar="NAME", help="the VCH's name, or its VM's id")
    one.add_argument("--stack", required=True, help="the stack that made it")
    one.add_argument("--authorized-key", required=True, metavar="FILE", type=Path, help="a public key, one line")

    one = actions.add_parser(
        "command",
        help="the vic-machine command lines that an `up` would run",
        description="The vic-machine command lines that an `up` would run: without secrets, ready to paste; runs none.",
    )
    one.add_argument("--stack", help="the stack; else the one that `pulumi stack select` has chosen")
    one.add_argument("--json", action="store_true", help="steps, commands and their arguments")

    one = actions.add_parser(
        "env",
        help="variables with which `docker` reaches the VCH, for a shell's `eval`",
        description="Writes the client's certificates (mode 600), prints variables for a shell's `eval`, and makes a "
        "docker context of the VCH's name where there is a docker command.",
    )
    one.add_argument("name", metavar="NAME", help="the VCH's name")
    one.add_argument("--stack", help="the stack that made it; else the one that `pulumi stack select` has chosen")
    one.add_argument("--folder", type=Path, help="where ca.pem, cert.pem and key.pem go; else in the state folder")


def run(args: argparse.Namespace) -> int:
    """Does it; returns an exit code by Pulumi's table.

    Raises:
        Authentication: the login was refused.
        DrydockError: the vCenter isn't reached, there is no such VCH, or vic-machine has failed.
    """
    try:
        return int(_ACTIONS[args.action](args))
    except StackError as error:
        print(redact(str(error)), file=sys.stderr)
        return error.code
    except site.WrongSettings as error:
        print(redact("\n".join(error.lines)), file=sys.stderr)
        return Exit.CONFIGURATION
    except UnknownSecret as error:
        print(error, file=sys.stderr)
        return Exit.CONFIGURATION


def list_them(args: argparse.Namespace) -> int:
    """`vch list`."""
    settings = _of_environment()
    from ops import vch_look

    with site.vcenter(settings) as session:
        where, found = session.endpoint.server, vch_look.site(session)
    rows = [vch_look.summary(one, found) for one in found.vchs]
    orphans = [one.name for one in found.stranded()]
    told = {"vchs": rows, "container_vms_without_vch": orphans}
    _print(json.dumps(told, indent=2) if args.json else vch_look.table(rows, orphans, where))
    return Exit.OK


def inspect(args: argparse.Namespace) -> int:
    """`vch inspect`."""
    stack = vch_stack.chosen(args.stack) if args.stack else None
    settings = site.settings_of(stack.config()) if stack else _of_environment()
    reached = vch_stack.reached(stack) if stack else None
    from ops import vch_look

    with site.vcenter(settings) as session:
        found = vch_look.site(session)
        vch = vch_look.one(found, args.name, session.endpoint.label)
    material = _material(reached) if reached and vch.id == reached.id else None
    told = vch_look.whole(vch, found, material)
    _print(json.dumps(told, indent=2) if args.json else vch_look.page(told))
    return Exit.OK


def logs(args: argparse.Namespace) -> int:
    """`vch logs`."""
    found = vch_logs.of(args.name)
    if not found:
        line = vch_stack.unknown(args.name, vch_logs.names(), "kept logs")
        raise StackError(line.replace("there is no VCH", "there is none of a VCH"), Exit.RESOURCE)
    if args.list:
        _print("\n".join(vch_logs.listed(found)))
        return Exit.OK
    for one in found:
        _print(f"==> {one.path} <==\n{redact(one.path.read_text(encoding='utf-8', errors='replace'))}")
    return Exit.OK


def debug(args: argparse.Namespace) -> int:
    """`vch debug`."""
    key = public_key(args.authorized_key)
    stack = vch_stack.chosen(args.stack)
    settings = site.settings_of(stack.config())
    from ops import vch_debug

    address = vch_debug.let_in(settings, stack, args.name, key, _say)
    _print(f"ssh root@{address}")
    return Exit.OK


def command(args: argparse.Namespace) -> int:
    """`vch command`."""
    stack = vch_stack.chosen(args.stack)
    declared = vch_stack.declared(stack)
    if not declared:
        raise StackError(f"stack '{stack.name}' has no VCH: give it one in {stack.file.name}, drydock:vch")
    settings = site.settings_of(stack.config())
    from ops import vch_command

    plans = [vch_command.plan(settings, one) for one in declared]
    if args.json:
        _print(json.dumps({"vchs": [one.as_values() for one in plans]}, indent=2))
    else:
        _print("\n\n".join(one.text() for one in plans))
    return Exit.OK


def env(args: argparse.Namespace) -> int:
    """`vch env`."""
    stack = vch_stack.chosen(args.stack)
    vch = vch_env.found_by_name(vch_stack.reached(stack, args.name))
    folder = args.folder or vch_env.default_folder(vch.name)
    vch_env.refuse_unusable(vch)
    if vch.ca:
        vch_env.write_certificates(vch, folder)
    said = vch_env.write_context(vch, stack.name)
    for line in filter(None, (said, vch_env.unknown_name(vch))):
        _say(line)
    _print(vch_env.exports(vch_env.variables(vch, folder)))
    return Exit.OK


def public_key(file: Path) -> str:
    """The public key in a file.

    Raises:
        StackError: it can't be read or is none; nothing of what it holds is said.
    """
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(MOST_KEY_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StackError(f"{file}: the key can't be read: {reason}") from error
    if "PRIVATE KEY" in text:
        raise StackError(f"{file} is a private key: give the public one, {file}.pub")
    if _PUBLIC_KEY.fullmatch(text) is None:
        raise StackError(f"{file} is no public key for SSH: one line such as 'ssh-ed25519 AAAA… comment' is expected")
    return text + "\n"


_ACTIONS = {"list": list_them, "inspect": inspect, "logs": logs, "debug": debug, "command": command, "env": env}


def _of_environment() -> Settings:
    """The environment, where it names a vCenter."""
    from providers.esxi.vsphere import Endpoint

    settings = Settings()
    try:
        Endpoint.of(settings)
    except Permanent as error:
        raise StackError(f"{error.on}: {error.what}. This command takes it from the environment.") from error
    return settings


def _material(reached: vch_stack.Reached) -> Material:
    from providers.vic.certificates import Material

    key: Secret | None = reached.key if reached.key.reveal() else None
    return Material(ca=reached.ca or None, client_cert=reached.cert or None, client_key=key)


def _say(text: str) -> None:
    print(redact(text), file=sys.stderr, flush=True)


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read it, `head` for example, has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
