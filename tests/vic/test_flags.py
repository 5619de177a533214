"""The flag table: every flag of every version and command has its argument, and what lacks is told with its version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from providers.vic import flags
from providers.vic.command_line import Login, Options
from providers.vic.flags import Command, Place
from providers.vic.settings import Settings, fields_at

TOLD = json.loads(Path(flags.__file__).with_name("flags.json").read_text())
EVERY = [(version, command, one) for version in TOLD for command in TOLD[version] for one in TOLD[version][command]]
NEVER = {"force", "help", "extended-help", "rootpw"}


def test_the_table_is_the_one_of_the_facts() -> None:
    counts = {version: {command: len(rows) for command, rows in TOLD[version].items()} for version in TOLD}

    assert list(TOLD) == ["1.1.1", "1.2.1", "1.3.1", "1.4.3", "1.5.6"]
    assert counts["1.1.1"]["create"] == 57 and counts["1.5.6"]["create"] == 66 and counts["1.5.6"]["configure"] == 47


@pytest.mark.parametrize(
    ("version", "command", "told"),
    EVERY,
    ids=[f"{version} {command} --{one['name']}" for version, command, one in EVERY],
)
def test_every_flag_is_within_reach(version: str, command: str, told: dict[str, object]) -> None:
    name = str(told["name"])
    argument = flags.argument_of(name)

    assert flags.flags(version, Command(command))[name].takes_value == told["takes_value"]
    assert argument.name == argument.name.lower().replace("-", "_")
    assert (argument.place is Place.NEVER) == (name in NEVER) == bool(argument.why)
    fields = {
        Place.SETTINGS: lambda: fields_at(Settings, argument.path),
        Place.LOGIN: lambda: argument.path in Login.__dataclass_fields__,
        Place.PROMPT: lambda: argument.path in Login.__dataclass_fields__,
        Place.OPTION: lambda: argument.path in Options.__dataclass_fields__,
        Place.NEVER: lambda: True,
    }
    assert fields[argument.place](), argument.path


def test_no_argument_stands_for_nothing() -> None:
    in_the_table = {flags.RENAMED.get(str(one["name"]), str(one["name"])) for _, _, one in EVERY}

    assert {row.flag for row in flags.table()} == in_the_table


@pytest.mark.parametrize("row", flags.table(), ids=lambda row: row.flag)
def test_the_table_for_people_agrees_with_the_versions(row: flags.Row) -> None:
    words = {row.flag, *(old for old, new in flags.RENAMED.items() if new == row.flag)}
    expected: dict[str, tuple[str, ...]] = {}
    for version, command, one in EVERY:
        if one["name"] in words:
            expected[command] = (*expected.get(command, ()), version)

    assert {command: set(having) for command, having in row.commands.items()} == {
        command: set(having) for command, having in expected.items()
    }


@pytest.mark.parametrize(
    ("earlier", "later"), [("key", "tls-server-key"), ("cert", "tls-server-cert"), ("cert-path", "tls-cert-path")]
)
def test_the_words_of_1_1_1_lead_to_the_later_ones(earlier: str, later: str) -> None:
    assert flags.argument_of(earlier) == flags.argument_of(later)
    assert flags.spelled("1.1.1", Command.CREATE, later) == earlier
    assert flags.spelled("1.2.1", Command.CREATE, later) == later


@pytest.mark.parametrize(
    ("version", "command", "name", "says"),
    [
        ("1.1.1", Command.CREATE, "storage-quota", "1.5.6 brings it"),
        ("1.1.1", Command.CREATE, "syslog-address", "1.2.1 brings it"),
        ("1.3.1", Command.CREATE, "affinity-vm-group", "1.4.3 brings it"),
        ("1.4.3", Command.CONFIGURE, "syslog-address", "1.5.6 brings it"),
        ("1.5.6", Command.CREATE, "use-rp", "1.2.1 was the last with it"),
        ("1.5.6", Command.CONFIGURE, "insecure-registry", "doesn't take it in any version"),
    ],
)
def test_what_a_version_lacks_is_told_with_the_one_that_brings_it(
    version: str, command: Command, name: str, says: str
) -> None:
    assert says in (flags.lacking(version, command, name) or "")


@pytest.mark.parametrize(
    ("version", "like"), [("1.5.7", "1.5.6"), ("1.4.0", "1.3.1"), ("v1.5.6-21029-2be3feb", "1.5.6")]
)
def test_a_version_without_a_table_has_that_of_the_last_before_it(version: str, like: str) -> None:
    assert flags.flags(version, Command.CREATE) == flags.flags(like, Command.CREATE)


@pytest.mark.parametrize("text", ["1.1.0", "0.9.0", "2.0.0", "1.6.0", "latest", ""])
def test_a_version_that_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="version"):
        flags.Version.of(text)


def test_configure_and_the_configuration_come_after_1_1_1() -> None:
    lacking = [one for one in Command if not flags.has_command("1.1.1", one)]

    assert lacking == [Command.CONFIGURE, Command.INSPECT_CONFIG]
    assert all(flags.has_command("1.2.1", one) for one in Command)
