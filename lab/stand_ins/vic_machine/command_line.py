"""Reads a command line as vic-machine does, with the flags that each version has; for the program's entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.stand_ins.vic_machine import durations
from lab.stand_ins.vic_machine.builds import Build

PROGRAM = "vic-machine-linux"
COMMANDS = ("create", "configure", "delete", "ls", "inspect", "upgrade", "version", "debug", "update")

# 1.1 calls the same things by other names; within the program they have the later ones.
_LATER = {"key": "tls-server-key", "cert": "tls-server-cert", "cert-path": "tls-cert-path"}
_DESCRIPTIONS = {
    "create": "Deploy VCH",
    "configure": "Configure VCH",
    "delete": "Delete VCH and associated resources",
    "ls": "List VCHs",
    "inspect": "Inspect VCH",
    "inspect config": "Inspect VCH configuration",
    "upgrade": "Upgrade VCH to latest version",
    "debug": "Debug VCH",
    "update firewall": "Modify host firewall on target machine or cluster",
}
_WHOLE_NUMBERS = frozenset(
    {
        "memory",
        "memory-reservation",
        "endpoint-memory",
        "cpu",
        "cpu-reservation",
        "endpoint-cpu",
        "storage-quota",
        "containers",
        "certificate-key-size",
        "debug",
        "bridge-network-width",
    }
)
_BOOLEANS_WITH_VALUE = frozenset({"ops-grant-perms"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class WrongUsage(Exception):
    """A command line that isn't one: the real one shows its usage and ends with 0.

    Args:
        complaint: the first line.
        usage: all that follows.
    """

    def __init__(self, complaint: str, usage: str) -> None:
        super().__init__(complaint)
        self.usage = usage


@dataclass(frozen=True)
class Flag:
    """A flag that a command takes."""

    name: str
    aliases: tuple[str, ...]
    takes_value: bool
    repeatable: bool
    default: str | None
    env: str | None
    usage: str
    hidden: bool

    @property
    def heading(self) -> str:
        value = " value" if self.takes_value else ""
        names = [f"--{name}" if len(name) > 1 else f"-{name}" for name in (self.name, *self.aliases)]
        return ", ".join(name + value for name in names)


@dataclass
class Options:
    """What a command line says.

    Args:
        command: its words, such as ``update firewall``.
        values: flag's later name → its values, given or by environment; without those that say nothing.
        rest: what isn't a flag.
    """

    command: str
    flags: tuple[Flag, ...]
    values: dict[str, list[str]] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether a value was given."""
        return name in self.values

    def text(self, name: str) -> str:
        """A flag's value, its default, or nothing."""
        if name in self.values:
            return self.values[name][-1]
        return next((flag.default or "" for flag in self.flags if _later(flag.name) == name), "")

    def every(self, name: str) -> list[str]:
        """All values of a flag that may be given more than once."""
        return list(self.values.get(name, ()))

    def yes(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) in _TRUE

    def number(self, name: str) -> int | None:
        """A flag's whole number; none if there is none."""
        text = self.text(name)
        return int(text, 0) if text else None

    @property
    def timeout_s(self) -> float:
        return durations.seconds(self.text("timeout") or "3m0s")


def flags_of(build: Build, command: str) -> tuple[Flag, ...]:
    """The flags of a command, in the order in which its usage shows them."""
    known = _table()[build.flags].get(command, [])
    return tuple(
        Flag(
            name=one["name"],
            aliases=tuple(one.get("aliases", ())),
            takes_value=one.get("takes_value", False),
            repeatable=one.get("repeatable", False),
            default=one.get("default"),
            env=one.get("env"),
            usage=one.get("usage", ""),
            hidden=one.get("hidden", False),
        )
        for one in known
    )


def read(build: Build, arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """A command line, read.

    Args:
        build: whose flags count.
        arguments: what follows the program's name.
        environment: where 1.5 looks for the target and its credentials.

    Raises:
        WrongUsage: a flag that isn't known, or a value that isn't one.
    """
    command, left = _command(build, list(arguments))
    flags = flags_of(build, command)
    options = Options(command, flags)
    by_name = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
    for flag in flags:
        if flag.env and environment.get(flag.env):
            options.values[_later(flag.name)] = [environment[flag.env]]
    given: dict[str, list[str]] = {}
    while left:
        word = left.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            options.rest += [word] if word != "--" else []
            options.rest += left if word == "--" else []
            left = [] if word == "--" else left
            continue
        _take(build, options, by_name, given, word, left)
    return options


def usage(build: Build, options: Options, *, extended: bool = False) -> str:
    """What ``--help`` shows: the flags with what was given so far as their defaults."""
    shown = [flag for flag in options.flags if extended or not flag.hidden]
    width = max((len(flag.heading) for flag in shown), default=0) + 2
    lines = [f"   {flag.heading:{width}}{_explained(build, options, flag)}" for flag in shown if flag.name != "help"]
    return "\n".join(
        [
            "NAME:",
            f"   {PROGRAM} {options.command} - {_DESCRIPTIONS.get(options.command, '')}",
            "",
            "USAGE:",
            f"   {PROGRAM} {options.command} [command options] [arguments...]",
            "",
            "OPTIONS:",
            *lines,
            "   ",
            "",
        ]
    )


def _command(build: Build, arguments: list[str]) -> tuple[str, list[str]]:
    first = arguments.pop(0) if arguments else ""
    if first == "update" and arguments[:1] == ["firewall"]:
        return "update firewall", arguments[1:]
    if first == "inspect" and arguments[:1] == ["config"] and not build.is_first:
        return "inspect config", arguments[1:]
    if first == "inspect" and arguments[:1] == ["config"]:
        return "inspect", arguments[1:]
    return first, arguments


def _take(
    build: Build,
    options: Options,
    by_name: Mapping[str, Flag],
    given: dict[str, list[str]],
    word: str,
    left: list[str],
) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    flag = by_name.get(name)
    if flag is None:
        if name in ("help", "h"):
            raise WrongUsage("", usage(build, options))
        raise _wrong(build, options, f"flag provided but not defined: -{name}")
    if flag.takes_value and not equals:
        if not left:
            raise _wrong(build, options, f"flag needs an argument: -{name}")
        value = left.pop(0)
    elif not flag.takes_value:
        value = value if equals else "true"
        if value not in _TRUE | _FALSE:
            raise _wrong(build, options, f'invalid boolean value "{value}" for -{name}: {_parsing("Bool", value)}')
        value = "true" if value in _TRUE else "false"
    _check(build, options, flag, name, value)
    known = given.setdefault(flag.name, [])
    known.append(value)
    options.values[_later(flag.name)] = list(known)


def _check(build: Build, options: Options, flag: Flag, name: str, value: str) -> None:
    complaint = ""
    if flag.name in _WHOLE_NUMBERS:
        try:
            int(value, 0)
        except ValueError:
            complaint = _parsing("ParseInt", value)
    elif flag.name in _BOOLEANS_WITH_VALUE and value not in _TRUE | _FALSE:
        complaint = _parsing("ParseBool", value)
    elif flag.name == "timeout":
        try:
            durations.seconds(value)
        except ValueError as error:
            complaint = str(error)
    if complaint:
        raise _wrong(build, options, f'invalid value "{value}" for flag -{name}: {complaint}')


def _parsing(how: str, value: str) -> str:
    return f'strconv.{how}: parsing "{value}": invalid syntax'


def _wrong(build: Build, options: Options, complaint: str) -> WrongUsage:
    return WrongUsage(f"Incorrect Usage: {complaint}", usage(build, options))


def _explained(build: Build, options: Options, flag: Flag) -> str:
    shown = f"{flag.usage}{_default(build, options, flag)}"
    return f"{shown} [${flag.env}]" if flag.env else shown


def _default(build: Build, options: Options, flag: Flag) -> str:
    if flag.name == "target" and options.has("target"):
        return f" (default: {as_url(options.text('target'))})"
    if flag.name == "password" and options.has("password"):
        return f" (default: {options.text('password')})"
    if flag.name in _WHOLE_NUMBERS and flag.default is None and not build.is_first:
        return " (default: <nil>)"
    if flag.default is None:
        return ""
    return f" (default: {flag.default})" if _is_bare(flag) else f' (default: "{flag.default}")'


def _is_bare(flag: Flag) -> bool:
    return flag.name in _WHOLE_NUMBERS or flag.name == "timeout"


def as_url(target: str) -> str:
    """A target as a URL, whether it was given as one or not."""
    return target if urlsplit(target).scheme in ("http", "https") else f"https://{target}"


def _later(name: str) -> str:
    return _LATER.get(name, name)


@cache
def _table() -> Any:
    return json.loads((Path(__file__).parent / "flags.json").read_text(encoding="utf-8"))
