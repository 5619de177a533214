"""What real vic-machines printed, and what it means: verdict and first cause of every transcript, in a table."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest

from providers.vic.flags import Command
from providers.vic.output import Ending, Kind, Line, Listed, Reading, listed, parse, told, version_told

FOLDER = Path(__file__).parents[1] / "vic_machine" / "transcripts"
NO_RUN = {"1.5.6-create-ok-tls.files"}

# Transcript, how it ended, how its cause begins.
TABLE = [
    ("1.1.1-create-bad-network", Ending.FAILED, "Error checking network for --public-network: network 'VM_Network' "),
    (
        "1.1.1-create-bad-password",
        Ending.REFUSED_LOGIN,
        "Failed to log in to 127.0.0.1:8996: ServerFaultCode: Login failure",
    ),
    (
        "1.1.1-create-iso-version-mismatch",
        Ending.FAILED,
        'iso file "app.iso" version "" inconsistent with installer version ',
    ),
    ("1.1.1-create-no-bridge", Ending.FAILED, "An existing distributed port group must be specified for bridge ne"),
    ("1.1.1-create-ok-no-tls", Ending.SUCCESS, ""),
    ("1.1.1-create-ok-tls", Ending.SUCCESS, ""),
    (
        "1.1.1-create-times-out-waiting-for-ip",
        Ending.CRASHED,
        "vic-machine-linux failed, please check log file vic-machine.log fo",
    ),
    ("1.1.1-create-twice", Ending.FAILED, 'Appliance "vch07" exists, to install with same name, please delete'),
    ("1.1.1-create-unknown-flag", Ending.USAGE, "flag provided but not defined: -nmae"),
    ("1.1.1-create-with-force", Ending.FAILED, 'Appliance "vch07" exists, to install with same name, please delete'),
    ("1.1.1-delete-force-ok", Ending.SUCCESS, ""),
    ("1.1.1-delete-missing", Ending.FAILED, 'Didn\'t find VM "vch02.domain.sddc" in resource pool "VirtualApp:re'),
    ("1.1.1-delete-ok", Ending.SUCCESS, ""),
    (
        "1.1.1-delete-without-force",
        Ending.FAILED,
        'Didn\'t find VM "vch02.domain.sddc" in resource pool "VirtualApp:re',
    ),
    ("1.1.1-firewall-allow-and-deny", Ending.FAILED, "Only one of --allow and --deny can be set"),
    ("1.1.1-firewall-allow", Ending.SUCCESS, ""),
    ("1.1.1-firewall-bad-cluster", Ending.FAILED, "compute resource 'NOPE' not found"),
    ("1.1.1-firewall-deny", Ending.SUCCESS, ""),
    ("1.1.1-firewall-neither", Ending.FAILED, "No command selected"),
    (
        "1.1.1-firewall-no-thumbprint",
        Ending.REFUSED_CERTIFICATE,
        "Failed to verify certificate for target=127.0.0.1:8996 (thumbprint",
    ),
    ("1.1.1-inspect-ok", Ending.SUCCESS, ""),
    ("1.1.1-inspect", Ending.FAILED, 'Didn\'t find VM "vch02.domain.sddc" in resource pool "VirtualApp:re'),
    ("1.1.1-ls-with-one-vch", Ending.SUCCESS, ""),
    ("1.1.1-ls", Ending.SUCCESS, ""),
    ("1.1.1-upgrade-same-version", Ending.FAILED, '"vch07" has same or newer version v1.1.1-10711-56a309f than instal'),
    ("1.1.1-version", Ending.SUCCESS, ""),
    ("1.5.6-configure-dns", Ending.SUCCESS, ""),
    (
        "1.5.6-configure-fails-rolled-back",
        Ending.ROLLED_BACK,
        "Docker API endpoint check failed: net/http: HTTP/1.x transport con",
    ),
    ("1.5.6-configure-in-progress", Ending.ANOTHER_AT_WORK, "another upgrade/configure operation is in progress"),
    ("1.5.6-configure-memory", Ending.SUCCESS, ""),
    ("1.5.6-configure-nothing", Ending.SUCCESS, ""),
    ("1.5.6-configure-reset-progress", Ending.SUCCESS, ""),
    (
        "1.5.6-configure-times-out",
        Ending.LEFT_IN_PROGRESS,
        "Upgrading VCH exceeded time limit of 5s. Please increase the timeo",
    ),
    ("1.5.6-configure-volume-store", Ending.SUCCESS, ""),
    ("1.5.6-create-bad-cidr", Ending.FAILED, "Failed to parse the provided public network IP address 10.0.0.5: i"),
    ("1.5.6-create-bad-datastore", Ending.FAILED, "datastore 'NoSuch' not found"),
    ("1.5.6-create-bad-name", Ending.FAILED, '--name contains unsupported characters: unsupported character "%" '),
    ("1.5.6-create-bad-network", Ending.FAILED, "Error checking network for --public-network: network 'VM_Network' "),
    (
        "1.5.6-create-bad-password",
        Ending.REFUSED_LOGIN,
        "Failed to log in to 127.0.0.1:8996: ServerFaultCode: Login failure",
    ),
    (
        "1.5.6-create-iso-version-mismatch",
        Ending.FAILED,
        'iso file "app.iso" version "" inconsistent with installer version ',
    ),
    ("1.5.6-create-long-name", Ending.FAILED, "Display name a23456789012345678901234567890123 exceeds the permitt"),
    ("1.5.6-create-no-bridge", Ending.FAILED, "An existing distributed port group or opaque network must be speci"),
    ("1.5.6-create-no-image-store", Ending.SUCCESS, ""),
    ("1.5.6-create-ok-no-tls", Ending.SUCCESS, ""),
    ("1.5.6-create-ok-no-tlsverify", Ending.SUCCESS, ""),
    ("1.5.6-create-ok-tls-name", Ending.SUCCESS, ""),
    ("1.5.6-create-ok-tls", Ending.SUCCESS, ""),
    (
        "1.5.6-create-other-with-force",
        Ending.FAILED,
        'A VCH with the name "vch04" already exists. Please choose a differ',
    ),
    ("1.5.6-create-times-out-waiting-for-ip", Ending.TIMED_OUT, "Failed to obtain IP address for client interface"),
    (
        "1.5.6-create-tls-without-cname",
        Ending.FAILED,
        "Common Name must be provided when generating certificates for clie",
    ),
    ("1.5.6-create-twice", Ending.FAILED, 'A VCH with the name "vch02.domain.sddc" already exists. Please cho'),
    ("1.5.6-create-unknown-flag", Ending.USAGE, "flag provided but not defined: -nmae"),
    ("1.5.6-debug", Ending.FAILED, 'Failed to decode VM configuration "VirtualMachine:vm-100": unable '),
    ("1.5.6-delete-force-ok", Ending.SUCCESS, ""),
    ("1.5.6-delete-missing", Ending.FAILED, 'Didn\'t find VM "vch02.domain.sddc" in resource pool "ResourcePool:'),
    ("1.5.6-delete-ok", Ending.SUCCESS, ""),
    ("1.5.6-delete-without-force", Ending.SUCCESS, ""),
    ("1.5.6-firewall-allow-and-deny", Ending.FAILED, "Only one of --allow and --deny can be set"),
    ("1.5.6-firewall-allow", Ending.SUCCESS, ""),
    ("1.5.6-firewall-bad-cluster", Ending.FAILED, "compute resource 'NOPE' not found"),
    ("1.5.6-firewall-deny", Ending.SUCCESS, ""),
    ("1.5.6-firewall-neither", Ending.FAILED, "No command selected"),
    (
        "1.5.6-firewall-no-thumbprint",
        Ending.REFUSED_CERTIFICATE,
        "Failed to verify certificate for target=127.0.0.1:8996 (thumbprint",
    ),
    ("1.5.6-inspect-config-after-configure", Ending.SUCCESS, ""),
    ("1.5.6-inspect-config-tls", Ending.SUCCESS, ""),
    ("1.5.6-inspect-config", Ending.SUCCESS, ""),
    ("1.5.6-inspect-newer", Ending.SUCCESS, ""),
    ("1.5.6-inspect-ok-tls-name", Ending.SUCCESS, ""),
    ("1.5.6-inspect-ok-tls", Ending.SUCCESS, ""),
    ("1.5.6-inspect-ok", Ending.SUCCESS, ""),
    ("1.5.6-inspect", Ending.FAILED, "No client IP address assigned"),
    ("1.5.6-ls-empty", Ending.SUCCESS, ""),
    ("1.5.6-ls-with-one-vch", Ending.SUCCESS, ""),
    ("1.5.6-ls", Ending.SUCCESS, ""),
    ("1.5.6-upgrade-downgrade", Ending.FAILED, '"vch05" has same or newer version v1.5.7-21700-0000000 than instal'),
    ("1.5.6-upgrade-in-progress", Ending.ANOTHER_AT_WORK, "another upgrade/configure operation is in progress"),
    ("1.5.6-upgrade-same-version-force", Ending.SUCCESS, ""),
    ("1.5.6-upgrade-same-version", Ending.FAILED, '"vch02.domain.sddc" has same or newer version v1.5.6-21029-2be3feb'),
    ("1.5.6-version", Ending.SUCCESS, ""),
    ("1.5.7-ls-after-upgrade", Ending.SUCCESS, ""),
    ("1.5.7-upgrade-ok", Ending.SUCCESS, ""),
    ("1.5.7-upgrade-rollback-ok", Ending.SUCCESS, ""),
    ("1.5.7-upgrade-rollback", Ending.FAILED, "it ended with exit code 0 and without its success line, after 'Rev"),
    (
        "1.5.7-upgrade-times-out-rolled-back",
        Ending.ROLLED_BACK,
        "Upgrading VCH exceeded time limit of 5s. Please increase the timeo",
    ),
]


@lru_cache(maxsize=200)
def replayed(name: str) -> tuple[Reading, int]:
    """A transcript fed line by line, and its exit code."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    command = re.match(r"\$ \S+ (inspect config|update firewall|\w+)", lines[0])
    code = re.fullmatch(r"\[exit (\d+)\]", lines[-1])
    assert command and code
    reading = Reading(Command(command[1]), reset="--reset-progress" in lines[0])
    for one in lines[1:-1]:
        reading.feed(one)
    return reading, int(code[1])


def test_every_transcript_is_in_the_table() -> None:
    assert {one for one, _, _ in TABLE} == {one.stem for one in FOLDER.glob("*.txt")} - NO_RUN


@pytest.mark.parametrize(("name", "ending", "begins"), TABLE, ids=[one for one, _, _ in TABLE])
def test_a_real_run_is_judged_and_its_cause_found(name: str, ending: Ending, begins: str) -> None:
    reading, code = replayed(name)

    verdict = reading.verdict(code)

    assert verdict.ending is ending
    assert verdict.cause[: len(begins)] == begins
    assert bool(verdict.cause) != verdict.succeeded


@pytest.mark.parametrize("name", [one for one, ending, _ in TABLE if ending is Ending.SUCCESS])
def test_a_success_needs_both_the_line_and_exit_0(name: str) -> None:
    reading, _ = replayed(name)

    command = re.match(r"\$ \S+ (inspect config|update firewall|\w+)", (FOLDER / f"{name}.txt").read_text())
    assert command
    cut = Reading(Command(command[1]))
    for line in reading.lines:
        if not re.search(r"ompleted successfully|UPGRADE STATUS|^--target=|version v|^Reset Update", line.text):
            cut.feed(line.text)

    assert not reading.verdict(1).succeeded
    assert not cut.verdict(0).succeeded


def test_nobody_is_tempted_to_use_force() -> None:
    reading = Reading(Command.DELETE)
    reading.feed(
        'time="x" level=error msg="VCH version \\"v1.5.7\\" is different than installer version \\"v1.5.6\\". '
        'Upgrade VCH before deleting or specify --force to force delete" '
    )

    assert reading.verdict(1).cause == (
        'VCH version "v1.5.7" is different than installer version "v1.5.6". Upgrade VCH before deleting'
    )
    assert not any("--force" in replayed(name)[0].verdict(1).cause for name, _, _ in TABLE)


def test_exit_0_on_failure_never_passes_for_success() -> None:
    traps = [name for name, ending, _ in TABLE if ending is not Ending.SUCCESS and replayed(name)[1] == 0]

    assert traps == [
        "1.1.1-create-times-out-waiting-for-ip",
        "1.1.1-create-unknown-flag",
        "1.5.6-configure-fails-rolled-back",
        "1.5.6-create-unknown-flag",
        "1.5.6-upgrade-downgrade",
        "1.5.6-upgrade-same-version",
        "1.5.7-upgrade-rollback",
        "1.5.7-upgrade-times-out-rolled-back",
    ]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("Nov 24 2026 03:45:44.758Z INFO  text", Line(Kind.PROGRESS, "text")),
        ('Nov 24 2026 03:45:44.758Z WARN  \t"host"', Line(Kind.WARNING, '\t"host"')),
        ("Nov 24 2026 03:45:44.758Z ERROR text", Line(Kind.ERROR, "text")),
        ("Nov 24 2026 03:45:44.758Z INFO  ", Line(Kind.PROGRESS, "")),
        ('time="2026-11-24T09:21:52Z" level=info msg="a \\"b\\"\\n\\tc\\\\" ', Line(Kind.PROGRESS, 'a "b"\n\tc\\')),
        ('time="2026-11-24T09:21:52Z" level=warning msg=127.0.0.1 ', Line(Kind.WARNING, "127.0.0.1")),
        ('time="2026-11-24T09:21:52Z" level=info ', Line(Kind.PROGRESS, "")),
        ('time="2026-11-24T09:21:52Z" level=error msg="\\u00fc" op=1', Line(Kind.ERROR, "ü")),
        ("vm-76  /DC0/host", Line(Kind.PLAIN, "vm-76  /DC0/host")),
    ],
)
def test_both_formats_are_understood_line_by_line(raw: str, line: Line) -> None:
    assert parse(raw) == line


def test_a_message_of_several_lines_is_one_warning_in_both_formats() -> None:
    early = replayed("1.1.1-delete-ok")[0].verdict(0).warnings
    later = replayed("1.5.6-delete-ok")[0].verdict(0).warnings

    assert any("will not be removed" in one and "[LocalDS_0] VCHPOOL/vch07" in one for one in early)
    assert any("will not be removed" in one and "[LocalDS_0] VCHPOOL/more" in one for one in later)


def test_the_hosts_of_a_warning_stand_in_it() -> None:
    warnings = replayed("1.5.6-create-ok-tls")[0].verdict(0).warnings

    assert any(
        one.startswith("Firewall configuration will be incorrect") and one.count("/DC0/host/DC0_C0/DC0_C0_H") == 3
        for one in warnings
    )


@pytest.mark.parametrize(
    ("name", "stores"),
    [
        ("1.1.1-delete-ok", {"default": "[LocalDS_0] VCHPOOL/vch07"}),
        ("1.5.6-delete-ok", {"archive": "[LocalDS_0] VCHPOOL/more", "default": "[LocalDS_0] VCHPOOL/vch02"}),
        ("1.5.6-delete-force-ok", {}),
    ],
)
def test_delete_says_which_volume_stores_it_kept(name: str, stores: dict[str, str]) -> None:
    assert told(replayed(name)[0].lines).kept_volume_stores == stores


@pytest.mark.parametrize(
    ("name", "docker_host", "portal"),
    [
        ("1.1.1-create-ok-no-tls", "127.0.0.1:2375", "https://127.0.0.1:2378"),
        ("1.5.6-create-ok-tls", "localhost:2376", "https://localhost:2378"),
        ("1.5.6-inspect-ok-tls-name", "127.0.0.1:2376", "https://127.0.0.1:2378"),
    ],
)
def test_where_the_vch_answers_is_told(name: str, docker_host: str, portal: str) -> None:
    found = told(replayed(name)[0].lines)

    assert (found.docker_host, found.portal) == (docker_host, portal)


def test_inspect_tells_versions_and_whether_there_is_an_upgrade() -> None:
    found = told(replayed("1.5.6-inspect-newer")[0].lines)

    assert (found.id, found.vch_version) == ("vm-76", "v1.5.7-21700-0000000")
    assert found.installer_version == "v1.5.6-21029-2be3feb"
    assert found.upgrade_status == "Installer has older version than VCH"


def test_the_table_of_ls_is_read_by_its_columns() -> None:
    rows = listed(replayed("1.5.6-ls-with-one-vch")[0].lines)

    assert rows == [
        Listed("vm-76", "/DC0/host/DC0_C0/Resources", "vch02.domain.sddc", "v1.5.6-21029-2be3feb", "Up to date")
    ]
    assert listed(replayed("1.1.1-ls")[0].lines) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("vic-machine-linux version v1.5.6-21029-2be3feb", ("1.5.6", "21029", "2be3feb")),
        ("vic-machine-linux version v1.1.1-0-", ("1.1.1", "0", "")),
        ("anything else", ("", "", "")),
    ],
)
def test_a_binary_says_its_version_build_and_commit(text: str, version: tuple[str, str, str]) -> None:
    assert version_told([parse(text)]) == version


@pytest.mark.parametrize(("code", "says"), [(-9, "ended by signal 9"), (0, "exit code 0")])
def test_a_run_that_says_nothing_is_told_as_such(code: int, says: str) -> None:
    reading = Reading(Command.CONFIGURE)
    reading.feed('time="x" level=info msg="Setting VM configuration" ')

    verdict = reading.verdict(code)

    assert says in verdict.cause and "after 'Setting VM configuration'" in verdict.cause


def test_an_error_about_a_part_does_not_undo_a_success() -> None:
    reading = Reading(Command.CREATE)
    reading.feed('time="x" level=error msg="VolumeStore (archive) cannot be brought online" ')
    reading.feed('time="x" level=info msg="Installer completed successfully" ')

    verdict = reading.verdict(0)

    assert verdict.succeeded and verdict.errors == ("VolumeStore (archive) cannot be brought online",)
