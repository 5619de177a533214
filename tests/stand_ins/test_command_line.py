"""The stand-in takes the flags of each version, and only those."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.stand_ins.vic_machine import command_line, durations
from lab.stand_ins.vic_machine.builds import named
from lab.stand_ins.vic_machine.command_line import WrongUsage, flags_of, read

FLAGS = json.loads((Path(command_line.__file__).parent / "flags.json").read_text())
NUMBERS = command_line._WHOLE_NUMBERS
LATER = command_line._LATER


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Version, command, flag by each of its names, and the name that counts."""
    for version, commands in FLAGS.items():
        for command, flags in commands.items():
            for flag in flags:
                for name in (flag["name"], *flag.get("aliases", ())):
                    yield version, command, name, flag["name"]


def value_of(flag: str) -> str:
    """A value that a flag takes."""
    return "7" if flag in NUMBERS else {"timeout": "90s", "ops-grant-perms": "true"}.get(flag, "some value")


@pytest.mark.parametrize(("version", "command", "name", "flag"), list(cases()))
def test_every_flag_is_taken_by_each_of_its_names(version: str, command: str, name: str, flag: str) -> None:
    build = named(version)
    known = next(one for one in flags_of(build, command) if one.name == flag)
    later = LATER.get(flag, flag) if version == "1.1.1" else flag
    words = command.split()
    if not known.takes_value:
        assert read(build, [*words, f"--{name}"], {}).yes(later)
        assert not read(build, [*words, f"--{name}=false"], {}).yes(later)
        return
    value = value_of(flag)
    for given in ([f"--{name}", value], [f"--{name}={value}"], [f"-{name}", value]):
        assert read(build, [*words, *given], {}).every(later) == [value]
    twice = read(build, [*words, f"--{name}", value, f"--{name}", value], {})
    assert twice.every(later) == [value, value]


@pytest.mark.parametrize(
    ("version", "command", "flag"),
    [
        ("1.1.1", "create", "tls-server-key"),
        ("1.1.1", "create", "whitelist-registry"),
        ("1.5.6", "create", "container-store"),
        ("1.5.6", "create", "use-rp"),
        ("1.5.6", "configure", "insecure-registry"),
        ("1.5.6", "delete", "image-store"),
        ("1.1.1", "upgrade", "reset-progress"),
    ],
)
def test_a_flag_of_another_version_or_command_is_wrong_usage(version: str, command: str, flag: str) -> None:
    with pytest.raises(WrongUsage, match=f"flag provided but not defined: -{flag}"):
        read(named(version), [command, f"--{flag}", "x"], {})


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--memory", "much"],
            'invalid value "much" for flag -memory: strconv.ParseInt: parsing "much": invalid syntax',
        ),
        (["--timeout", "soon"], 'invalid value "soon" for flag -timeout: time: invalid duration soon'),
        (["--force=perhaps"], 'invalid boolean value "perhaps" for -force'),
        (["--name"], "flag needs an argument: -name"),
    ],
)
def test_a_value_that_is_none_is_wrong_usage(arguments: list[str], complaint: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        read(named("1.5.6"), ["create", *arguments], {})
    assert complaint in str(caught.value)


def test_1_5_takes_target_and_login_from_the_environment_and_flags_count_more() -> None:
    environment = {"VIC_MACHINE_TARGET": "here", "VIC_MACHINE_USER": "ada", "VIC_MACHINE_PASSWORD": "secret"}
    options = read(named("1.5.6"), ["ls", "--user", "bob"], environment)
    assert (options.text("target"), options.text("user"), options.text("password")) == ("here", "bob", "secret")
    assert not read(named("1.1.1"), ["ls"], environment).has("target")


@pytest.mark.parametrize(
    ("text", "length_s"), [("3m0s", 180), ("40s", 40), ("1h2m3s", 3723), ("500ms", 0.5), ("1.5m", 90), ("0", 0)]
)
def test_durations_are_read_as_go_reads_them(text: str, length_s: float) -> None:
    assert durations.seconds(text) == length_s


@pytest.mark.parametrize(
    ("length_s", "text"), [(20, "20s"), (180, "3m0s"), (3600, "1h0m0s"), (0.5, "500ms"), (90.5, "1m30.5s")]
)
def test_durations_are_written_as_go_writes_them(length_s: float, text: str) -> None:
    assert durations.text_of(length_s) == text
