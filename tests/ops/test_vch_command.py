"""`vch command`: what the program wants is read from a preview, and the provider's own code says what would be run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from ops import vch_command, vch_stack
from ops.__main__ import main
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.vch_command import plan
from ops.vch_stack import Declared
from providers.kit import journal
from providers.kit.errors import Permanent
from providers.kit.secrets import Settings
from providers.kit.sessions import SESSIONS
from providers.vic.resources import VchProvider
from providers.vic.resources.session import VicSession
from tests.ops.conftest import script
from tests.vic.fake_site import FakeContainer, FakeSite

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGN = "4dabf18193072939515e22adb298388d"
URN = "urn:pulumi:lab::drydock::drydock:components:Vch$pulumi-python:dynamic/vic:VirtualContainerHost::vch"
BUNDLE = "urn:pulumi:lab::drydock::drydock:components:Vch$pulumi-python:dynamic/vic:Bundle::vch-bundle"
PASSWORD = "mk-admin-Zu~7"
ENVIRONMENT = {"VSPHERE_SERVER": "vc.domain.sddc", "VSPHERE_USER": "admin", "VSPHERE_PASSWORD": PASSWORD}


def arguments(**more: Any) -> dict[str, Any]:
    return {
        "name": "vch02",
        "bundle": {"version": "1.5.6", "source": "/bundles/vic_1.5.6.tar.gz"},
        "compute_resource": "SDDC.Container",
        "image_store": "VMFS01/VCHPOOL/vch02",
        "volume_stores": {"default": "VMFS01/VCHPOOL/volumes"},
        "bridge_network": "LSW10_Bridge",
        "tls": {"mode": "none"},
        **more,
    }


def preview(inputs: Mapping[str, Any], bundle: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As `pulumi preview --json` tells it."""
    steps = [
        {
            "op": "create",
            "urn": BUNDLE,
            "newState": {"type": "pulumi-python:dynamic/vic:Bundle", "inputs": bundle or {}},
        },
        {
            "op": "create",
            "urn": URN,
            "newState": {
                "type": "pulumi-python:dynamic/vic:VirtualContainerHost",
                "inputs": {"__name": "vch/vch", "__provider": "gASV", "memory": None, **inputs},
                "propertyDependencies": {"bundle": [BUNDLE], "name": []},
            },
        },
    ]
    return {"steps": steps}


def test_the_programs_arguments_come_without_what_pulumi_adds() -> None:
    assert vch_stack.wanted_by(preview(arguments())) == {URN: arguments()}


def test_before_the_bundle_is_made_its_own_arguments_stand_for_it() -> None:
    outputs = {"version": "1.5.6", "source": "/b", "sha256": UNKNOWN, "thumbprint": UNKNOWN}

    told = vch_stack.wanted_by(preview(arguments(bundle=outputs), {"version": "1.5.6", "source": "/b", "sha256": "5a"}))

    assert told[URN]["bundle"] == {"version": "1.5.6", "source": "/b", "sha256": "5a"}


def test_a_bundle_of_which_nothing_is_known_is_the_one_that_the_program_makes() -> None:
    told = vch_stack.wanted_by(preview(arguments(bundle=UNKNOWN), {"version": "1.5.6", "source": "/b"}))

    assert told[URN]["bundle"] == {"version": "1.5.6", "source": "/b"}


def test_what_is_only_known_later_is_refused_by_name() -> None:
    with pytest.raises(StackError, match=r"^VCH vch02: dns_servers is only known once"):
        vch_stack.wanted_by(preview(arguments(dns_servers=[UNKNOWN])))


def test_secrets_of_the_program_are_opened_for_the_provider() -> None:
    sealed = {"server_key": {SIGN: "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"mk-key"'}}

    assert vch_stack.wanted_by(preview(arguments(certificates=sealed)))[URN]["certificates"] == {"server_key": "mk-key"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeSite]:
    """The provider's session, with a vCenter and a vic-machine in memory behind it."""
    site = FakeSite(PASSWORD)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(journal.FOLDER, str(tmp_path / "notes"))
    monkeypatch.setattr(pulumi.log, "info", lambda *_, **__: None)
    monkeypatch.setattr(VchProvider, "connect", lambda *_: site)
    monkeypatch.setattr(vch_command, "VSphere", lambda endpoint: site)
    monkeypatch.setattr(VicSession, "close", lambda self: site.close())
    for name in (
        "site",
        "login",
        "thumbprint",
        "at_work_on",
        "remains",
        "missing_files",
        "leftovers",
        "look",
        "run",
    ):
        monkeypatch.setattr(VicSession, name, _handing_on(site, name))
    monkeypatch.setattr("providers.vic.bundle.cached", lambda source: site.bundle(source, lambda text: None))
    yield site
    SESSIONS.close_all()


def _handing_on(site: FakeSite, name: str) -> Callable[..., Any]:
    return lambda self, *given, **named: getattr(site, name)(*given, **named)


@pytest.fixture
def made(fake: FakeSite) -> dict[str, Any]:
    """The outputs of a VCH that an `up` has made."""
    return dict(VchProvider().create(arguments()).outs or {})


def notes(tmp_path: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in (tmp_path / "notes").rglob("*.json")}


CHANGES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "nothing": ({}, ["nothing"], []),
    "only ours to know": ({"replace_protection": False}, ["nothing"], []),
    "configure": ({"dns_servers": ["10.0.0.2"]}, ["configure"], ["configure"]),
    "upgrade": ({"bundle": {"version": "1.5.7", "source": "/b"}}, ["upgrade"], ["upgrade"]),
    "both": (
        {"bundle": {"version": "1.5.7", "source": "/b"}, "memory": 4096},
        ["upgrade", "configure"],
        ["upgrade", "configure"],
    ),
    "replace": ({"bridge_network": "LSW11_Bridge"}, ["replace"], ["delete", "create"]),
    "resize": ({"endpoint_cpu": 2}, ["resize"], []),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_of_the_program_is_told_as_the_provider_would_do_it(
    fake: FakeSite, made: dict[str, Any], tmp_path: Path, case: str
) -> None:
    more, steps, commands = CHANGES[case]
    before, runs, calls = notes(tmp_path), len(fake.commands), list(fake.calls)

    told = plan(Settings(), Declared(URN, arguments(**more), made))

    assert told.steps == steps
    assert [one.command.value for one in told.lines] == commands
    assert [one for one in fake.commands[runs:] if one[0] not in ("inspect",)] == [], "nothing is run"
    assert (fake.calls, notes(tmp_path)) == (calls, before), "nothing is done and nothing noted"


@pytest.mark.parametrize("case", [name for name in CHANGES if CHANGES[name][2] or name == "resize"])
def test_what_is_told_is_what_an_update_then_runs(fake: FakeSite, made: dict[str, Any], case: str) -> None:
    more, _, commands = CHANGES[case]
    if commands == ["delete", "create"]:
        told = plan(Settings(), Declared(URN, arguments(**more), made))
        runs = len(fake.commands)
        VchProvider().delete("id", made)
        VchProvider().create(arguments(**more))
    else:
        told = plan(Settings(), Declared(URN, arguments(**more), made))
        runs = len(fake.commands)
        VchProvider().update("id", made, arguments(**more))

    ran = [one for one in fake.commands[runs:] if one[0] != "inspect"]
    assert ran == [list(one.arguments) for one in told.lines]


def test_a_new_vch_is_a_create_that_notes_nothing(fake: FakeSite, tmp_path: Path) -> None:
    told = plan(Settings(), Declared(URN, arguments()))

    assert told.steps == ["create"] and [one.command.value for one in told.lines] == ["create"]
    assert (fake.commands, fake.vchs, notes(tmp_path)) == ([], [], {})


def test_one_that_somebody_deleted_by_hand_is_made_again(fake: FakeSite, made: dict[str, Any]) -> None:
    fake.take_away("vch02")

    assert plan(Settings(), Declared(URN, arguments(), made)).steps == ["create"]


def test_one_that_the_program_has_no_more_is_deleted_and_its_data_named(fake: FakeSite, made: dict[str, Any]) -> None:
    told = plan(Settings(), Declared(URN, None, made))

    assert [one.command.value for one in told.lines] == ["delete"]
    assert "'default' at VMFS01/VCHPOOL/volumes stay" in told.told
    assert "--force" not in told.text()


def test_somebody_elses_vch_of_the_name_is_refused_as_by_up(
    fake: FakeSite, made: dict[str, Any], tmp_path: Path
) -> None:
    for one in (tmp_path / "notes").rglob("*.json"):
        one.unlink()

    with pytest.raises(Permanent, match="exists already and was not made by this stack"):
        plan(Settings(), Declared(URN, arguments()))


def test_a_refused_replacement_is_refused_here_as_well(fake: FakeSite, made: dict[str, Any]) -> None:
    fake.by_name("vch02").containers = [FakeContainer("web")]
    seen = VchProvider().read("id", made).outs

    with pytest.raises(Permanent, match="can only be changed by a replacement"):
        plan(Settings(), Declared(URN, arguments(bridge_network="LSW11_Bridge"), seen))


def test_the_text_can_be_pasted_and_holds_no_secret(fake: FakeSite) -> None:
    told = plan(Settings(), Declared(URN, arguments()))

    lines = told.text().splitlines()
    first = next(place for place, line in enumerate(lines) if not line.startswith("#"))
    assert lines[first:-1] == [line for line in lines[first:] if line.endswith("\\")]
    assert lines[first].startswith("./vic-machine-linux create") and "    --name=vch02 \\" in lines
    assert PASSWORD not in told.text() + json.dumps(told.as_values())
    assert told.as_values()["commands"][0]["asks_for_passwords"] == 1


def test_the_files_that_a_line_needs_are_named(fake: FakeSite) -> None:
    from tests.vic.given import pair

    told = plan(Settings(), Declared(URN, arguments(registry_cas=[pair()[0]])))

    assert "# vic-machine 1.5.6, with these files beside it: registry-ca-1.pem" in told.text().splitlines()
    assert told.as_values()["commands"][0]["files"] == {"registry-ca-1.pem": "644"}


@pytest.fixture
def pulumi_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: Stack) -> Callable[..., None]:
    """A `pulumi` that answers by the command's first two words; the stack is made."""
    monkeypatch.setattr("ops.up.exists", lambda stack: True)
    monkeypatch.setattr(vch_stack, "Stack", lambda name: stack)
    programs = tmp_path / "programs"
    programs.mkdir()

    def tell(preview: Any, code: int = 0, export: Any = None) -> None:
        answers = {"preview": preview, "stack": export or {"deployment": {}}}
        text = f"import json, sys\nsys.stdout.write(json.dumps({answers!r}[sys.argv[1]]))\nsys.exit({code})\n"
        (programs / "pulumi").write_text(script(text))
        (programs / "pulumi").chmod(0o755)

    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return tell


def test_the_command_prints_the_line_of_a_stack(
    fake: FakeSite, pulumi_tells: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi_tells(preview(arguments()))

    code = main(["vch", "command", "--stack", "lab"])
    shown = capsys.readouterr()
    main(["vch", "command", "--stack", "lab", "--json"])

    assert (code, shown.err) == (Exit.OK, "")
    assert shown.out.startswith("# VCH vch02: create\n# vic-machine 1.5.6\n./vic-machine-linux create \\\n")
    [told] = json.loads(capsys.readouterr().out)["vchs"]
    assert (told["name"], told["steps"]) == ("vch02", ["create"])


def test_a_preview_that_fails_is_its_own_line(
    fake: FakeSite, pulumi_tells: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    said = [("error", "error: Exception calling application: nothing more\n"), ("info#err", "error: vic: too long\n")]
    pulumi_tells({"steps": [], "diagnostics": [{"severity": one, "message": text} for one, text in said]}, code=1)

    with pytest.raises(StackError, match="^vic: too long$"):
        vch_stack._preview(vch_stack.chosen("lab"))


def test_a_stack_without_a_vch_says_what_to_set(
    fake: FakeSite, pulumi_tells: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi_tells({"steps": [], "diagnostics": []})

    code = main(["vch", "command", "--stack", "lab"])

    assert code == Exit.CONFIGURATION
    assert capsys.readouterr().err == "stack 'lab' has no VCH: give it one in Pulumi.lab.yaml, drydock:vch\n"
