"""The program: ``python -m lab.stand_ins.vic_machine --version-is 1.5.6 COMMAND …``, in vic-machine-linux's place."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

from lab.stand_ins.vic_machine.builds import Build, named
from lab.stand_ins.vic_machine.command_line import PROGRAM, Options, WrongUsage, read, usage
from lab.stand_ins.vic_machine.log import FILE, Log
from lab.stand_ins.vic_machine.outcome import Crashed, Refused

MODULES = {
    "create": "create",
    "delete": "delete",
    "ls": "list",
    "inspect": "inspect",
    "inspect config": "inspect_config",
    "configure": "configure",
    "upgrade": "upgrade",
    "debug": "debug",
    "update firewall": "firewall",
}


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit code is the real one's, for good and bad."""
    build, beside, rest = _own(list(arguments))
    if rest[:1] == ["version"] or rest[:1] in (["--version"], ["-v"]):
        print(f"{PROGRAM} version {build.text}")
        return 0
    try:
        options = read(build, rest, {} if build.is_first else os.environ)
    except WrongUsage as error:
        complaint = f"{error}\n\n" if str(error) else ""
        sys.stdout.write(f"{complaint}{error.usage}")
        return 0
    if options.command not in MODULES or not options.flags:
        return _no_command(options.command)
    if options.yes("extended-help"):
        sys.stdout.write(usage(build, options, extended=True))
        return 0
    return _run(build, options, beside)


def _run(build: Build, options: Options, beside: str) -> int:
    # The commands speak to vSphere; nothing of that is loaded for usage and version.
    from lab.stand_ins.vic_machine.command import Command
    from lab.stand_ins.vic_machine.inventory import NotFound
    from lab.stand_ins.vic_machine.vsphere import Fault, NotThere

    silent = options.command == "inspect config" and options.text("format") == "raw"
    log = Log(first=build.is_first, debug=bool(options.number("debug")), silent=silent)
    module = importlib.import_module(f"lab.stand_ins.vic_machine.{MODULES[options.command]}")
    try:
        module.run(Command(build, options, log, beside))
    except Crashed:
        log.error("--------------------")
        log.error(f"{PROGRAM} failed, please check log file {FILE} for details")
        return 0
    except (Refused, Fault, NotThere, NotFound) as error:
        log.error("--------------------")
        shown = options.command
        if shown.startswith("inspect") and not build.is_first:
            shown = "inspect "  # the real one's words, two spaces and all
        log.error(f"{PROGRAM} {shown} failed: {error}\n")
        return 1
    finally:
        log.close()
    return 0


def _own(arguments: list[str]) -> tuple[Build, str, list[str]]:
    """What is for the stand-in itself, before the command."""
    version, beside = "", "."
    while arguments and arguments[0] in ("--version-is", "--beside"):
        flag = arguments.pop(0)
        value = arguments.pop(0) if arguments else ""
        version, beside = (value, beside) if flag == "--version-is" else (version, value)
    try:
        return named(version), beside, arguments
    except ValueError as error:
        sys.exit(f"--version-is: {error}")


def _no_command(command: str) -> int:
    if command:
        print(f"No help topic for '{command}'")
        return 3
    names = "\n".join(f"     {name}" for name in MODULES)
    print(f"NAME:\n   {PROGRAM} - Create and manage Virtual Container Hosts\n\nCOMMANDS:\n{names}")
    return 0


if __name__ == "__main__":
    # As a program in Go: an interrupt ends it at once, wherever it is.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
