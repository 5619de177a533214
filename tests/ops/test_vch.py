"""`vch list` and `vch inspect` on the lab's vCenter, with VMs as the real vic-machine makes them; and `vch debug`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ops import vch, vch_look, vch_stack
from ops.__main__ import main
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from ops.vch_stack import Declared
from providers.kit.secrets import Settings
from providers.vic.bundle import Bundle
from providers.vic.certificates import shown
from providers.vic.command_line import CommandLine
from providers.vic.flags import Command
from providers.vic.output import Ending, Kind, Line, Verdict
from providers.vic.resources.session import VicSession
from providers.vic.runner import Finished, Usage
from tests.esxi.simulator import PASSWORD, READER, USER, Simulator, _every, running
from tests.tasks import finished

EXTRA = Path(__file__).parents[1] / "vic_machine" / "extra_config"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9 ada@example.com"
ROW = {
    "name": "vch02",
    "id": "vm-117",
    "version": "1.5.6",
    "power": "on",
    "address": "10.0.0.9",
    "docker_host": "tcp://10.0.0.9:2376",
    "components": {"vicadmin": "true", "docker-personality": "true", "port-layer": "true"},
    "update_in_progress": False,
    "stranded": [],
}
OFF = {
    **ROW,
    "name": "vch03",
    "id": "vm-9",
    "power": "off",
    "address": None,
    "docker_host": None,
    "components": dict.fromkeys(ROW["components"], "not reported"),  # type: ignore[call-overload]
}

TABLES: dict[str, tuple[list[Mapping[str, Any]], list[str], str]] = {
    "one that runs and one that is off": (
        [ROW, OFF],
        [],
        """\
vc: 2 VCHs

NAME   ID      VERSION  POWER  ADDRESS   DOCKER               COMPONENTS    UPDATE  STRANDED
vch02  vm-117  1.5.6    on     10.0.0.9  tcp://10.0.0.9:2376  all started   -       -
vch03  vm-9    1.5.6    off    -         -                    not reported  -       -
""",
    ),
    "a component that reports an error, with its text": (
        [{**ROW, "components": {**ROW["components"], "vicadmin": "no way to vc"}}],  # type: ignore[dict-item]
        [],
        """\
vc: 1 VCH

NAME   ID      VERSION  POWER  ADDRESS   DOCKER               COMPONENTS        UPDATE  STRANDED
vch02  vm-117  1.5.6    on     10.0.0.9  tcp://10.0.0.9:2376  failed: vicadmin  -       -

vch02: vicadmin: no way to vc
""",
    ),
    "what a broken change and a broken delete left": (
        [{**ROW, "update_in_progress": True, "stranded": ["web", "db"]}],
        ["lost"],
        """\
vc: 1 VCH

NAME   ID      VERSION  POWER  ADDRESS   DOCKER               COMPONENTS   UPDATE       STRANDED
vch02  vm-117  1.5.6    on     10.0.0.9  tcp://10.0.0.9:2376  all started  in progress  2

Container VMs whose VCH is gone: lost
""",
    ),
    "none at all": ([], [], "vc: no VCH\n"),
}


@pytest.mark.parametrize("case", TABLES)
def test_the_table_of(case: str) -> None:
    rows, orphans, expected = TABLES[case]

    assert vch_look.table(rows, orphans, "vc") + "\n" == expected


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"{KEY}\n",
        "ssh-rsa AAAAB3NzaC1yc2E=",
        "ecdsa-sha2-nistp256 AAAAE2Vj= me",
        "sk-ssh-ed25519@openssh.com AAAAGnNr me and you",
    ],
)
def test_a_public_key_is_taken_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "id.pub").write_text(text)

    assert vch.public_key(tmp_path / "id.pub") == text.strip() + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nmk-private\n", "is a private key: give the public one"),
        ("a password mk-private", "is no public key"),
        (f"{KEY}\n{KEY}\n", "is no public key"),
        ("", "is no public key"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_what_is_no_public_key_is_refused_and_not_shown(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "id.pub").write_text(text)

    with pytest.raises(StackError, match=words) as refused:
        vch.public_key(tmp_path / "id.pub")

    assert "mk-private" not in str(refused.value)


def test_an_environment_that_names_no_vcenter_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("VSPHERE_SERVER", "VSPHERE_USER", "VSPHERE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    codes = [main(["vch", "list"]), main(["vch", "inspect", "vch03"])]

    said = capsys.readouterr()
    assert codes == [Exit.CONFIGURATION] * 2 and said.out == ""
    assert said.err == 2 * (
        "vCenter: VSPHERE_SERVER, VSPHERE_USER, VSPHERE_PASSWORD not set. This command takes it from the environment.\n"
    )


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The lab's vCenter with two VCHs as vic-machine 1.5.6 (TLS) and 1.1.1 made them, and a container outside."""
    with running(tmp_path_factory.mktemp("vcenter")) as one:
        make(one, "vch03", "1.5.6-tls", address="127.0.0.7")
        make(one, "vch07", "1.1.1-no-tls", UpdateInProgress="true")
        make(one, "vch09", None)
        yield one


@pytest.fixture
def vcenter(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The same, as the environment names it; whatever a test did, no session of ours is left."""
    for name, value in simulator.environment.items():
        monkeypatch.setenv(name, value)
    simulator.reset()
    yield simulator
    assert simulator.sessions() == []


def make(simulator: Simulator, name: str, vector: str | None, address: str = "", **more: str) -> None:
    """A VM with a VCH's settings, in a pool and folder of its own; without a vector an ordinary one."""
    values = dict(more)
    if vector is not None:
        values = {**json.loads((EXTRA / f"{vector}.json").read_text()), **more}
    if address:
        packed = base64.b64encode(bytes(10) + b"\xff\xff" + bytes(map(int, address.split(".")))).decode()
        values["guestinfo.vice..init.networks|client.assigned.IP"] = packed
        for part in ("vicadmin", "docker-personality", "port-layer"):
            values[f"guestinfo.vice..init.sessions|{part}.started"] = "true"
    with simulator.looking() as content:
        cluster = _every(content, vim.ClusterComputeResource)[0]
        share = vim.ResourceAllocationInfo(
            limit=-1, reservation=0, expandableReservation=True, shares=vim.SharesInfo(level="normal", shares=4000)
        )
        pool = cluster.resourcePool.CreateResourcePool(
            name, vim.ResourceConfigSpec(cpuAllocation=share, memoryAllocation=share)
        )
        folder = _every(content, vim.Datacenter)[0].vmFolder.CreateFolder(name)
        # What is the home of the vector's own VM is this one's.
        values = {
            key: pool._moId if key.endswith("ComputeResources|0/Value") else value for key, value in values.items()
        }
        config = vim.vm.ConfigSpec(
            name=name,
            guestId="otherGuest64",
            numCPUs=1,
            memoryMB=2048,
            extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()],
            files=vim.vm.FileInfo(vmPathName=f"[LocalDS_0] {name}"),
        )
        finished(folder.CreateVM_Task(config=config, pool=pool))
        machine = next(one for one in _every(content, vim.VirtualMachine) if one.name == name)
        if address:
            finished(machine.PowerOnVM_Task())


def secrets() -> set[str]:
    """What of the VMs' settings nobody may see."""
    vectors = [json.loads(one.read_text()) for one in EXTRA.glob("*.json")]
    return {value for one in vectors for key, value in one.items() if "@secret" in key or key == "guestinfo.ovfEnv"}


@pytest.mark.lab
def test_every_vch_of_the_vcenter_is_listed(vcenter: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["vch", "list", "--json"])

    told = {one["name"]: one for one in json.loads(capsys.readouterr().out)["vchs"]}
    assert code == Exit.OK and list(told) == ["vch03", "vch07"]
    assert {key: value for key, value in told["vch03"].items() if key != "id"} == {
        "name": "vch03",
        "version": "1.5.6",
        "power": "on",
        "address": "127.0.0.7",
        "docker_host": "tcp://127.0.0.7:2376",
        "components": {"vicadmin": "true", "docker-personality": "true", "port-layer": "true"},
        "update_in_progress": False,
        "stranded": [],
    }
    early = told["vch07"]
    assert (early["version"], early["power"], early["address"]) == ("1.1.1", "off", None)
    assert early["update_in_progress"] is True and set(early["components"].values()) == {"not reported"}


@pytest.mark.lab
def test_the_list_costs_a_handful_of_calls_and_one_login(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vch", "list"])

    ours = vcenter.counts().ours()
    assert (ours["Login"], ours["Logout"]) == (1, 1) and sum(ours.values()) <= 12, ours
    assert not vcenter.counts().changes


@pytest.mark.lab
@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "--json"], ["inspect", "vch03"], ["inspect", "vch03", "--json"]]
)
def test_no_secret_is_shown(vcenter: Simulator, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    main(["vch", *arguments])

    said = capsys.readouterr()
    assert not [one for one in (*secrets(), PASSWORD) if one in said.out + said.err]


@pytest.mark.lab
def test_inspect_tells_all_of_one(vcenter: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["vch", "inspect", "vch03", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == Exit.OK
    assert told["volume_stores"] == {"default": "LocalDS_0/VCHPOOL/vch03"}
    assert told["image_store"] == "LocalDS_0/VCHPOOL/vch03"
    assert told["resources"] == {"endpoint_cpu": 1, "endpoint_memory_mb": 2048}
    assert told["pool"] == "/DC0/host/DC0_C0/Resources/vch03" and told["in_its_own_pool"] is True
    assert told["networks"] == dict.fromkeys(("bridge", "client", "management", "public"), "not connected")
    assert told["docker_api"]["status"] == "unknown: no client certificate of it is known here"
    assert (told["tls"], told["user"]) == ("mutual", "user")


@pytest.mark.lab
def test_inspect_tells_when_the_certificate_ends_and_the_days_left(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    vector = json.loads((EXTRA / "1.5.6-tls.json").read_text())
    pem = base64.b64decode(vector["guestinfo.vice./cert/HostCertificate/Cert"]).decode()

    main(["vch", "inspect", "vch03"])

    end = shown(pem).not_after
    days = (end - datetime.now(timezone.utc)).days
    [line] = [one for one in capsys.readouterr().out.splitlines() if one.startswith("certificate")]
    assert f"not after {end.isoformat()}, days left {days}" in line


@pytest.mark.lab
def test_an_id_stands_for_a_name(vcenter: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    main(["vch", "list", "--json"])
    ids = {one["name"]: one["id"] for one in json.loads(capsys.readouterr().out)["vchs"]}

    main(["vch", "inspect", ids["vch07"], "--json"])

    assert json.loads(capsys.readouterr().out)["name"] == "vch07"


@pytest.mark.lab
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vhc03", "there is no VCH 'vhc03'. Near names: vch03"),
        ("vch09", "there is no VCH 'vch09'. Near names: vch0"),
        ("zzz", "there is no VCH 'zzz'. There is: vch03, vch07"),
    ],
)
def test_an_unknown_name_is_one_line_with_near_ones(
    vcenter: Simulator, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    code = main(["vch", "inspect", name])

    said = capsys.readouterr()
    assert (code, said.out) == (Exit.RESOURCE, "")
    assert words in said.err and said.err.count("\n") == 1


@pytest.mark.lab
def test_a_wrong_password_is_one_line_and_one_failed_login(
    vcenter: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VSPHERE_PASSWORD", "wrong-one-7")

    code = main(["vch", "list"])

    said = capsys.readouterr()
    assert (code, said.out) == (Exit.AUTHENTICATION, "")
    assert f"the login of '{USER}' was refused" in said.err and said.err.count("\n") == 1
    assert "wrong-one-7" not in said.err and vcenter.counts().failed_logins == 1


@pytest.mark.lab
def test_a_user_who_may_only_look_sees_the_same(
    vcenter: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vch", "list"])
    before = capsys.readouterr().out
    for name, value in vcenter.environment_of(READER, PASSWORD).items():
        monkeypatch.setenv(name, value)

    main(["vch", "list"])

    assert capsys.readouterr().out == before


@pytest.fixture
def of_a_stack(vcenter: Simulator, monkeypatch: pytest.MonkeyPatch, stack: Stack) -> list[CommandLine]:
    """A stack that has made vch03, and a vic-machine that notes what it is run with."""
    ran: list[CommandLine] = []

    def run(self: VicSession, there: Bundle, line: CommandLine, thing: str, on_line: Any) -> Finished:
        ran.append(line)
        on_line(Line(Kind.PROGRESS, "### Configuring VCH for debug ####"))
        return Finished(line, 0, Verdict(Ending.SUCCESS), (), Path("/logs/vic.log"), Usage())

    with VicSessionOf(Settings()) as session:
        vm = session.site().named("vch03")[0]
    applied = {
        "name": "vch03",
        "bundle": {"version": "1.5.6", "source": "/b"},
        "image_store": "LocalDS_0/VCHPOOL/vch03",
        "bridge_network": "DC0_DVPG0",
        "tls": {"mode": "mutual", "cname": "vch03"},
    }
    kept = {
        "vm_id": vm.id,
        "name": "vch03",
        "version": "1.5.6",
        "build": "21029",
        "power": "on",
        "pool": "its own",
        "pool_path": vm.pool_path,
        "iso": "its own",
        "docker_api": "RUNNING",
        "vcenter_thumbprint": "",
        "vcenter_shows": "",
        "update_in_progress": False,
        "seen": "",
        "tls": {"mode": "mutual"},
        "remembered": {"applied": applied, "key": "k"},
    }
    monkeypatch.setattr(
        VicSession, "bundle", lambda self, source, say: Bundle("1.5.6", "21029", "2be3feb", "5a", Path("/b"))
    )
    monkeypatch.setattr(VicSession, "run", run)
    monkeypatch.setattr(vch_stack, "Stack", lambda name: stack)
    monkeypatch.setattr(vch_stack, "kept", lambda stack: [Declared("urn", None, kept)])
    return ran


class VicSessionOf:
    """A session with what settings name, as long as the block lasts."""

    def __init__(self, settings: Settings) -> None:
        from providers.esxi.vsphere import Endpoint, VSphere

        self._session = VicSession(VSphere(Endpoint.of(settings)))

    def __enter__(self) -> VicSession:
        return self._session

    def __exit__(self, *error: object) -> None:
        self._session.close()


@pytest.mark.lab
def test_debug_lets_a_public_key_in_and_sets_no_password(
    of_a_stack: list[CommandLine], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "id.pub").write_text(KEY)

    code = main(["vch", "debug", "vch03", "--stack", "lab", "--authorized-key", str(tmp_path / "id.pub")])

    [line] = of_a_stack
    said = capsys.readouterr()
    assert (code, said.out) == (Exit.OK, "ssh root@127.0.0.7\n")
    assert line.command is Command.DEBUG and line.files["authorized-key.pub"].content() == f"{KEY}\n"
    assert {"--enable-ssh", "--authorized-key=authorized-key.pub"} <= set(line.arguments)
    assert not [one for one in line.arguments if "rootpw" in one or PASSWORD in one]
    assert "VCH vch03: Configuring VCH for debug" in said.err and PASSWORD not in said.err


@pytest.mark.lab
def test_debug_of_another_stacks_vch_is_refused(
    of_a_stack: list[CommandLine], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "id.pub").write_text(KEY)

    code = main(["vch", "debug", "vch07", "--stack", "lab", "--authorized-key", str(tmp_path / "id.pub")])

    assert code == Exit.RESOURCE and of_a_stack == []
    assert capsys.readouterr().err == "stack 'lab': there is no VCH 'vch07'. Near names: vch03.\n"
