"""What `firewall status` shows: its table and JSON for made-up hosts, and the command against the lab's vCenter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops import firewall
from ops.__main__ import main
from ops.exit_codes import Exit
from ops.firewall import Look
from providers.esxi.firewall import Ruleset
from providers.esxi.inventory import Host
from tests.esxi.simulator import PASSWORD, READER, USER, Simulator, running
from tests.ops.conftest import until

OLD, NEW, NEWEST = "DC0_C0_H0", "DC0_C0_H1", "DC0_C0_H2"
COMMAND = [sys.executable, "-m", "ops", "firewall", "status"]
CHECKOUT = Path(__file__).parents[2]
LATENCY_MS = 1000
LIMIT_S = 60.0

CLOSED = Ruleset("", False)
OPEN = Ruleset("", True)
NARROW = Ruleset("", True, ("10.0.0.0/8", "10.0.0.7"))
REQUIRED = Ruleset("", True, required=True)


def seen(name: str, *, version: str = "8.0.2", connected: bool = True, **rules: Ruleset) -> Look:
    """A host and its rulesets; `_` stands for `-` in their keys."""
    keys = {key.replace("_", "-"): rule for key, rule in rules.items()}
    rulesets = {key: Ruleset(key, rule.enabled, rule.allowed_hosts, rule.required) for key, rule in keys.items()}
    return Look(Host(None, name, f"/DC/host/C/{name}", version, connected, "", object()), rulesets)


TABLES = {
    "hosts that are alike share a line": (
        [seen("esx1", ssh=REQUIRED, vSPC=CLOSED), seen("esx2", ssh=REQUIRED, vSPC=CLOSED)],
        ["ssh", "vSPC"],
        """\
vc: 2 hosts, ESXi 8.0.2

RULESET  STATE            ALLOWED HOSTS  HOSTS
ssh      open (required)  all            all 2
vSPC     closed           all            all 2
""",
    ),
    "the odd ones out are named, as people count; the many are counted": (
        [seen(f"esx{number}", vSPC=NARROW if number in (2, 10) else OPEN) for number in range(10, 0, -1)],
        ["vSPC"],
        """\
vc: 10 hosts, ESXi 8.0.2

RULESET  STATE  ALLOWED HOSTS         HOSTS
vSPC     open   all                   8 of 10
         open   10.0.0.0/8, 10.0.0.7  2: esx2, esx10
""",
    ),
    "of many odd ones out some are named": (
        [seen(f"esx{number}", vSPC=OPEN if number < 9 else CLOSED) for number in range(1, 21)],
        ["vSPC"],
        """\
vc: 20 hosts, ESXi 8.0.2

RULESET  STATE   ALLOWED HOSTS  HOSTS
vSPC     closed  all            12 of 20
         open    all            8: esx1, esx2, esx3, esx4, esx5, esx6 and 2 more
""",
    ),
    "without a choice: what a host has open, and those of vic, which may be absent": (
        [seen("esx1", dns=OPEN, ntp=CLOSED, vic_engine=CLOSED, vSPC=CLOSED), seen("esx2", dns=CLOSED, vSPC=CLOSED)],
        [],
        """\
vc: 2 hosts, ESXi 8.0.2

RULESET     STATE   ALLOWED HOSTS  HOSTS
dns         closed  all            1: esx2
            open    all            1: esx1
vic-engine  absent  -              1: esx2
            closed  all            1: esx1
vSPC        closed  all            all 2

Left out, since open nowhere: 1 of 4 rulesets; --all shows them.
""",
    ),
    "vic is on each host what it means there": (
        [
            seen("esx1", version="6.5.0", vSPC=CLOSED),
            seen("esx2", vic_engine=OPEN, vSPC=OPEN),
            seen("esx3", vic_engine=OPEN, vSPC=CLOSED),
        ],
        ["vic"],
        """\
vc: 3 hosts, ESXi 8.0.2 on 2, 6.5.0 on 1

RULESET           STATE   ALLOWED HOSTS  HOSTS
vic (vSPC)        closed  all            1: esx1
vic (vic-engine)  open    all            2: esx2, esx3
""",
    ),
    "a host that is cut off is marked, and one of which nothing is known is left out by name": (
        [seen("esx1", vSPC=OPEN), seen("esx2", vSPC=CLOSED, connected=False), seen("esx3", connected=False)],
        ["vSPC"],
        """\
vc: 3 hosts, ESXi 8.0.2; 2 not connected

RULESET  STATE   ALLOWED HOSTS  HOSTS
vSPC     closed  all            1: esx2*
         open    all            1: esx1

* not connected, shown as the vCenter last knew it: esx2
Not in the table, since nothing is known of it: esx3 (not connected)
""",
    ),
    "a single host needs no column for hosts": (
        [seen("esx1", vSPC=NARROW, connected=False)],
        ["vSPC"],
        """\
vc: ESXi 8.0.2; not connected

RULESET  STATE  ALLOWED HOSTS
vSPC     open   10.0.0.0/8, 10.0.0.7

It is shown as the vCenter last knew it.
""",
    ),
    "where nothing is known there is no empty table": (
        [seen("esx1", connected=False)],
        ["vSPC"],
        """\
vc: ESXi 8.0.2; not connected

Not in the table, since nothing is known of it: esx1 (not connected)
""",
    ),
    "a ruleset that is open for nobody says so": (
        [seen("esx1", vSPC=Ruleset("", True, ()))],
        ["vSPC"],
        """\
vc: ESXi 8.0.2

RULESET  STATE  ALLOWED HOSTS
vSPC     open   none
""",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_the_table_of(case: str) -> None:
    looks, asked, expected = TABLES[case]

    assert firewall.table(looks, asked, where="vc") + "\n" == expected


def test_all_shows_what_no_host_has_open() -> None:
    looks = [seen("esx1", dns=OPEN, ntp=CLOSED, vSPC=CLOSED)]

    shown = firewall.table(looks, where="vc", everything=True)

    assert [line.split()[0] for line in shown.splitlines()[3:]] == ["dns", "ntp", "vSPC"]


@pytest.mark.parametrize("width", [80, 100])
def test_a_thousand_hosts_with_long_names_fit_the_width_and_no_address_is_lost(width: int) -> None:
    addresses = tuple(f"2001:db8:aaaa:{number:x}::/64" for number in range(16, 36))
    rules = [OPEN, CLOSED, Ruleset("", True, addresses)]
    looks = [seen(f"esx{number:04}.example.com", vSPC=rules[number % 3]) for number in range(1000)]

    shown = firewall.table(looks, where="vc", width=width)

    assert max(map(len, shown.splitlines())) <= width
    assert all(address in shown for address in addresses)
    assert len(shown.splitlines()) < 40


def test_json_tells_each_host_by_its_path_with_all_that_is_known() -> None:
    looks = [seen("esx1", vSPC=NARROW, ssh=REQUIRED), seen("esx2", version="6.5.0", connected=False)]

    assert json.loads(firewall.as_json(looks)) == {
        "/DC/host/C/esx1": {
            "name": "esx1",
            "connected": True,
            "version": "8.0.2",
            "rulesets": {
                "ssh": {"enabled": True, "required": True, "allowed_hosts": "all"},
                "vSPC": {"enabled": True, "required": False, "allowed_hosts": ["10.0.0.0/8", "10.0.0.7"]},
            },
        },
        "/DC/host/C/esx2": {"name": "esx2", "connected": False, "version": "6.5.0", "rulesets": {}},
    }


def test_an_environment_that_names_no_vcenter_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("VSPHERE_SERVER", "VSPHERE_USER", "VSPHERE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    code = main(["firewall", "status"])

    said = capsys.readouterr()
    assert code == Exit.CONFIGURATION and said.out == ""
    assert said.err == (
        "vCenter: VSPHERE_SERVER, VSPHERE_USER, VSPHERE_PASSWORD not set. This command takes it from the environment.\n"
    )


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The lab's vCenter: cluster DC0_C0 with hosts of ESXi 6.5, 7.0 and 8.0, and the host DC0_H0 beside it."""
    with running(tmp_path_factory.mktemp("vcenter")) as one:
        yield one


@pytest.fixture
def vcenter(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The same, as the environment names it; whatever a test did, no session of ours is left."""
    _enter(monkeypatch, simulator.environment)
    simulator.reset()
    yield simulator
    left = simulator.sessions()
    simulator.close_everywhere("vSPC")
    simulator.close_everywhere("vic-engine")
    assert left == []


@pytest.mark.lab
def test_what_another_client_sets_is_shown(vcenter: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    vcenter.set_allowed(NEWEST, "vSPC", ["10.0.0.7"])
    vcenter.set_ruleset(NEWEST, "vSPC", enabled=True)

    code = main(["firewall", "status", "--cluster", "DC0_C0", "--ruleset", "vSPC"])
    shown = capsys.readouterr().out
    vcenter.set_ruleset(NEWEST, "vSPC", enabled=False)
    vcenter.set_allowed(NEWEST, "vSPC", [])
    main(["firewall", "status", "--cluster", "DC0_C0", "--ruleset", "vSPC"])

    assert code == Exit.OK
    assert shown[shown.index("RULESET") :].splitlines() == [
        "RULESET  STATE   ALLOWED HOSTS  HOSTS",
        f"vSPC     closed  all            2: {OLD}, {NEW}",
        f"         open    10.0.0.7       1: {NEWEST}",
    ]
    assert capsys.readouterr().out.splitlines()[-1] == "vSPC     closed  all            all 3"


@pytest.mark.lab
def test_json_agrees_with_another_client_on_every_host(vcenter: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    vcenter.set_ruleset(NEW, "vic-engine", enabled=True)

    main(["firewall", "status", "--json"])

    told = json.loads(capsys.readouterr().out)
    for key in ("vic-engine", "sshServer", "nfsClient"):
        ours = {one["name"]: one["rulesets"][key]["enabled"] for one in told.values() if key in one["rulesets"]}
        assert ours == {name: enabled for name, (enabled, _) in vcenter.rulesets(key).items()}
    assert list(told) == [*(f"/DC0/host/DC0_C0/{name}" for name in (OLD, NEW, NEWEST)), "/DC0/host/DC0_H0/DC0_H0"]


@pytest.mark.lab
def test_a_disconnected_host_is_shown_as_such_with_what_was_last_known(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    vcenter.set_ruleset(NEW, "vSPC", enabled=True)
    vcenter.disconnect(NEW)

    main(["firewall", "status", "--ruleset", "vSPC"])
    shown = capsys.readouterr().out
    main(["firewall", "status", "--json", "--host", NEW])
    [told] = json.loads(capsys.readouterr().out).values()
    vcenter.reconnect(NEW)

    assert f"open    all            1: {NEW}*" in shown
    assert f"* not connected, shown as the vCenter last knew it: {NEW}" in shown
    assert told["connected"] is False and told["rulesets"]["vSPC"]["enabled"] is True


@pytest.mark.lab
@pytest.mark.parametrize("arguments", [["--host", OLD], ["--cluster", "DC0_C0"], [], ["--ruleset", "vic", "nfsClient"]])
def test_the_calls_are_the_same_whatever_the_number_of_hosts(vcenter: Simulator, arguments: list[str]) -> None:
    main(["firewall", "status", *arguments])

    assert vcenter.counts().ours() == {"RetrieveServiceContent": 1, "Login": 1, "RetrievePropertiesEx": 2, "Logout": 1}


@pytest.mark.lab
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cluster", "DC0_CO"], "there is no cluster 'DC0_CO'. Near names: DC0_C0."),
        (["--host", "DC0_H9"], "there is no host 'DC0_H9'. Near names: DC0_H0"),
        (["--ruleset", "vspc"], "no host has a ruleset 'vspc'. Near names: vSPC"),
        (["--json", "--ruleset", "vSPC", "qqqq"], "no host has a ruleset 'qqqq'. Give --all"),
    ],
)
def test_an_unknown_name_is_one_line_with_near_ones(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code = main(["firewall", "status", *arguments])

    said = capsys.readouterr()
    assert code == Exit.RESOURCE and said.out == ""
    assert words in said.err and said.err.count("\n") == 1
    assert vcenter.counts().open_sessions == 0


@pytest.mark.lab
def test_a_wrong_password_is_one_line_and_one_failed_login(
    vcenter: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VSPHERE_PASSWORD", "wrong-one-7")

    code = main(["firewall", "status"])

    said = capsys.readouterr()
    assert code == Exit.AUTHENTICATION and said.out == ""
    assert f"the login of '{USER}' was refused" in said.err and said.err.count("\n") == 1
    assert "wrong-one-7" not in said.err
    assert vcenter.counts().failed_logins == 1


@pytest.mark.lab
def test_a_user_who_may_only_look_sees_the_same(
    vcenter: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["firewall", "status", "--json"])
    before = capsys.readouterr().out
    _enter(monkeypatch, vcenter.environment_of(READER, PASSWORD))

    main(["firewall", "status", "--json"])

    assert capsys.readouterr().out == before


@pytest.mark.lab
def test_it_works_where_pulumi_is_not_installed(vcenter: Simulator) -> None:
    code = (
        "import sys; sys.modules['pulumi'] = None; from ops.__main__ import main; "
        "sys.exit(main(['firewall', 'status', '--host', 'DC0_H0']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert done.stdout.startswith(f"/DC0/host/DC0_H0/DC0_H0 on {vcenter.address}: ESXi 8.0.2\n")


@pytest.mark.lab
def test_ctrl_c_ends_the_session(vcenter: Simulator) -> None:
    vcenter.switch(latency_ms=LATENCY_MS)
    with subprocess.Popen(
        COMMAND, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_ctrl_c
    ) as command:
        reads = until(lambda: vcenter.counts().ours()["RetrievePropertiesEx"] > 0)
        was_open = vcenter.counts().open_sessions
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=LIMIT_S)
    vcenter.reset()

    assert reads and was_open == 1
    assert (command.returncode, out, err) == (Exit.CANCELLED, "", "Stopped.\n")
    assert vcenter.counts().open_sessions == 0


@pytest.mark.lab
def test_a_reader_that_has_seen_enough_ends_it_quietly(vcenter: Simulator) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        COMMAND, cwd=CHECKOUT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    assert vcenter.counts().open_sessions == 0


@pytest.mark.lab
def test_a_standalone_esxi_host_is_looked_at_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path, "-esx") as esxi:
        _enter(monkeypatch, esxi.environment)

        code = main(["firewall", "status", "--json", "--ruleset", "vSPC"])

        [told] = json.loads(capsys.readouterr().out).values()
        [(enabled, _)] = esxi.rulesets("vSPC").values()
        assert code == Exit.OK
        assert told["rulesets"] == {"vSPC": {"enabled": enabled, "required": False, "allowed_hosts": "all"}}
        assert esxi.sessions() == []


def _enter(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, Any]) -> None:
    monkeypatch.delenv("VSPHERE_THUMBPRINT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def _heed_ctrl_c() -> None:
    """A shell's background jobs, and so their children, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
