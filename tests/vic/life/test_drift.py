"""Whatever somebody does to a VCH by hand is told by the field's name, and put back where that is safe."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from pyVmomi import vim

from lab import processes
from lab.parts.vcenter import USER
from lab.supervisor import Lab
from tests.conftest import running_lab
from tests.lab.site.conftest import probe_of, pull_probe, until
from tests.program import Program
from tests.site import eyes
from tests.tasks import finished
from tests.vic.life import papers
from tests.vic.life.vch import DATASTORE, IMPORTS, LivingVch, tear_out

pytestmark = pytest.mark.lab

TLS = {"cname": "vch.example.com"}
SIZE = {"endpoint_cpu": 1, "endpoint_memory": 2048}
SERVER_CERTIFICATE = "guestinfo.vice./cert/HostCertificate/Cert"
BRIDGE, PUBLIC = "DC0_DVPG0", "VM Network"
WEBS = ("web-1", "web-2")


@pytest.fixture(scope="module")
def made(vic_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingVch]:
    """One VCH for tests that leave it as it was declared."""
    program = Program.made(tmp_path_factory.mktemp("drift"), vic_lab.environment(), IMPORTS)
    one = LivingVch(vic_lab, program, f"vch-{uuid.uuid4().hex[:6]}")
    one.up(**declared(vic_lab))
    yield one
    one.cleared()


def declared(lab: Lab, **more: Any) -> dict[str, Any]:
    """What the one VCH is to be; it pulls from the lab's registry."""
    authority = lab.part("site").premises.certificates.authority.read_text()
    return {"tls": TLS, "registry_cas": [authority], **SIZE, **more}


@pytest.fixture
def drifting(made: LivingVch) -> LivingVch:
    """The same, as it was declared: what one test leaves isn't another's."""
    made.declare(**declared(made.lab))
    made.program.drift(expect=0)
    return made


def told(vch: LivingVch, field: str, was: str, is_now: str) -> None:
    """A refresh tells the field with its two values."""
    said = vch.program.drift()
    line = rf'~ {re.escape(field)} *: "?{re.escape(was)}.* => .*{re.escape(is_now)}'
    assert re.search(line, said), f"{field}: {was} → {is_now} isn't in\n{said}"


def healed(vch: LivingVch, *words: str) -> str:
    """`up --refresh` says what it does about it, and then there is nothing more to do."""
    said = vch.program.up("--refresh")
    for one in words:
        assert one in said, f"{one} isn't in\n{said}"
    clean(vch)
    return said


def clean(vch: LivingVch) -> None:
    vch.program.drift(expect=0)
    vch.program.up("--expect-no-changes")


def refused(vch: LivingVch, *words: str) -> None:
    """`up --refresh` ends with an error that says what and where."""
    said = vch.program.up("--refresh", expect=1)
    [error] = [one for one in said.splitlines() if words[0] in one and " → " not in one][:1]
    assert all(one in error for one in words), f"{words} aren't in\n{said}"


@contextmanager
def site(vch: LivingVch) -> Iterator[Any]:
    with eyes.vcenter(vch.program.environment) as content:
        yield content


def cards(vch: LivingVch) -> dict[int, Any]:
    """PCI slot → network card, read by somebody else."""
    with vch.machine() as machine:
        devices = machine.config.hardware.device
        return {
            one.slotInfo.pciSlotNumber if one.slotInfo else -1: one
            for one in devices
            if isinstance(one, vim.vm.device.VirtualEthernetCard)
        }


def networks(vch: LivingVch) -> dict[int, str]:
    """PCI slot → name of the network that its card is on, read by somebody else."""
    with site(vch) as content:
        groups = {one.key: name for name, one in eyes.every(content, vim.dvs.DistributedVirtualPortgroup).items()}
    return {slot: _network(card, groups) for slot, card in cards(vch).items()}


def _network(card: Any, groups: dict[str, str]) -> str:
    port = getattr(card.backing, "port", None)
    return groups[port.portgroupKey] if port is not None else str(card.backing.deviceName)


def edited(device: Any, operation: str = "edit") -> list[Any]:
    return [vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)]


# the VM


def test_powered_off_it_is_powered_on(drifting: LivingVch) -> None:
    drifting.power_off()

    told(drifting, "power", "on", "off")
    healed(drifting, "power: off → on", "power on")
    with drifting.machine() as machine:
        assert machine.runtime.powerState == "poweredOn"
    assert drifting.ask("/info").status_code == 200


def test_resized_it_gets_its_size_back(drifting: LivingVch) -> None:
    drifting.power_off()
    drifting.reconfigure(numCPUs=4, memoryMB=1024)
    with drifting.machine() as machine:
        finished(machine.PowerOnVM_Task())

    told(drifting, "endpoint_cpu", "1", "4")
    told(drifting, "endpoint_memory", "2048", "1024")
    healed(drifting, "endpoint_cpu: 4 → 1", "endpoint_memory: 1024 → 2048", "resize")
    with drifting.machine() as machine:
        hardware = machine.config.hardware
        assert (hardware.numCPU, hardware.memoryMB, machine.runtime.powerState) == (1, 2048, "poweredOn")


def test_moved_to_another_pool_it_goes_back_without_a_restart(drifting: LivingVch) -> None:
    with site(drifting) as content:
        outer = eyes.every(content, vim.ClusterComputeResource)["DC0_C0"].resourcePool
        machine = eyes.every(content, vim.VirtualMachine)[drifting.name]
        began = machine.runtime.bootTime
        outer.MoveIntoResourcePool([machine])

    told(drifting, "pool", "its own", "DC0_C0/Resources")
    healed(drifting, "pool: /DC0/host/DC0_C0/Resources → its own", "move back (nothing pauses)")
    with drifting.machine() as machine:
        assert machine.resourcePool.name == drifting.name
        assert machine.runtime.bootTime == began


def test_with_an_iso_of_another_version_in_its_drive_it_gets_its_own_back(drifting: LivingVch) -> None:
    with site(drifting) as content:
        center = eyes.every(content, vim.Datacenter)["DC0"]
        other = f"[{DATASTORE}] {drifting.name}/v1.1.1-10711-56a309f-appliance.iso"
        machine = eyes.every(content, vim.VirtualMachine)[drifting.name]
        drive = next(one for one in machine.config.hardware.device if isinstance(one, vim.vm.device.VirtualCdrom))
        own = drive.backing.fileName
        files = content.fileManager
        finished(files.CopyDatastoreFile_Task(sourceName=own, sourceDatacenter=center, destinationName=other))
        drive.backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=other)
        finished(machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=edited(drive))))

    told(drifting, "iso", "its own", "v1.1.1-10711-56a309f-appliance.iso")
    healed(drifting, "put the ISO back")
    with drifting.machine() as machine:
        drives = [one for one in machine.config.hardware.device if isinstance(one, vim.vm.device.VirtualCdrom)]
        assert [one.backing.fileName for one in drives] == [own]


# its network cards


def test_network_cards_on_each_others_networks_go_back_without_a_restart(drifting: LivingVch) -> None:
    before = networks(drifting)
    found = list(cards(drifting).values())
    found[0].backing, found[1].backing = found[1].backing, found[0].backing
    drifting.reconfigure(deviceChange=[*edited(found[0]), *edited(found[1])])
    with drifting.machine() as machine:
        began = machine.runtime.bootTime
    swapped = networks(drifting)

    for role in ("bridge", "client", "management", "public"):
        told(drifting, role, "connected", "not connected")
    healed(drifting, "networks.bridge: not connected → connected", "connect its network cards (nothing restarts)")
    assert sorted(before.values()) == sorted([BRIDGE, PUBLIC]) and swapped != before
    assert networks(drifting) == before
    with drifting.machine() as machine:
        assert machine.runtime.bootTime == began


def test_a_network_card_that_was_removed_is_told_until_somebody_adds_one(drifting: LivingVch) -> None:
    [bridge] = [cards(drifting)[slot] for slot, name in networks(drifting).items() if name == BRIDGE]
    drifting.reconfigure(deviceChange=edited(bridge, "remove"))

    told(drifting, "bridge", "connected", "no network card")
    refused(drifting, "network card 'bridge'", "is gone", "add one on its network")
    bridge.key = -1
    drifting.reconfigure(deviceChange=edited(bridge, "add"))
    drifting.program.up("--refresh")
    clean(drifting)


# its certificates and settings


def test_another_server_certificate_is_replaced_by_a_new_one_and_clients_get_in(drifting: LivingVch) -> None:
    with drifting.machine() as machine:
        values = {one.key: one.value for one in machine.config.extraConfig}
    shown = base64.b64decode(values[SERVER_CERTIFICATE]).decode()
    before, strange = drifting.outputs(), papers.given(TLS["cname"])["server_cert"]
    encoded = base64.b64encode(strange.encode()).decode()
    drifting.reconfigure(extraConfig=[vim.option.OptionValue(key=SERVER_CERTIFICATE, value=encoded)])

    told(drifting, "certificate", papers.shown_fingerprint(shown)[:20], papers.shown_fingerprint(strange)[:20])
    healed(drifting, f"certificate: {papers.shown_fingerprint(strange)[:20]}", "configure")
    assert drifting.ask("/info").status_code == 200
    assert drifting.outputs()["client_cert"] != before["client_cert"]
    with drifting.machine() as machine:
        values = {one.key: one.value for one in machine.config.extraConfig}
    assert values[SERVER_CERTIFICATE] != encoded


def test_settings_that_vic_machine_changed_behind_our_back_are_changed_back(
    drifting: LivingVch, tmp_path: Path
) -> None:
    drifting.declare(**declared(drifting.lab), dns_servers=["10.0.0.2", "10.0.0.3"])
    drifting.program.up()
    by_hand(drifting, tmp_path, "configure", "--dns-server=10.9.9.9")

    told(drifting, "[0]", "10.0.0.2", "10.9.9.9")
    healed(drifting, "dns_servers: ['10.9.9.9'] → ['10.0.0.2', '10.0.0.3']", "configure")
    said = by_hand(drifting, tmp_path, "inspect", "config", "--format=raw")
    assert "--dns-server=10.0.0.2 --dns-server=10.0.0.3" in said and "10.9.9.9" not in said
    drifting.declare(**declared(drifting.lab))
    drifting.program.up()


def by_hand(vch: LivingVch, folder: Path, *arguments: str) -> str:
    """A colleague runs vic-machine; what it printed."""
    if not (folder / "vic").exists():
        with tarfile.open(vch.lab.part("bundles").folder / "vic_1.5.6.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    environment = vch.program.environment
    login = {
        "VIC_MACHINE_TARGET": environment["VSPHERE_SERVER"],
        "VIC_MACHINE_USER": environment["VSPHERE_USER"],
        "VIC_MACHINE_PASSWORD": environment["VSPHERE_PASSWORD"],
        "VIC_MACHINE_THUMBPRINT": environment["VSPHERE_THUMBPRINT"],
    }
    command = [str(folder / "vic" / "vic-machine-linux"), *arguments, f"--id={vch.outputs()['vm_id']}"]
    done = subprocess.run(
        command, env={**os.environ, **login}, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


# its health and its volume stores


def test_a_vch_whose_docker_api_is_dead_is_restarted(drifting: LivingVch) -> None:
    drifting.declare(**declared(drifting.lab), timeout_s=5)
    drifting.program.up()
    address = drifting.outputs()["docker_host"].rpartition(":")[0].rpartition("/")[2]
    kill_the_door(drifting.lab, address)

    told(drifting, "docker_api", "RUNNING", "doesn't answer")
    healed(drifting, "restart")
    assert drifting.ask("/info").status_code == 200
    drifting.declare(**declared(drifting.lab))
    drifting.program.up()


def kill_the_door(lab: Lab, address: str) -> None:
    """The process that ends TLS at a VCH's address dies: the one of this lab that listens there."""
    doors = [one for one in processes.running(lab.state)["site"] if one.program.startswith("door")]
    mine = [one.pid for one in doors if _listens(one.pid, address, 2376)]
    assert len(mine) == 1
    os.kill(mine[0], signal.SIGKILL)


def _listens(pid: int, address: str, port: int) -> bool:
    place = "".join(f"{int(part):02X}" for part in reversed(address.split("."))) + f":{port:04X}"
    sockets = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}
    rows = [one.split() for one in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == place and row[3] == "0A" and f"socket:[{row[9]}]" in sockets for row in rows)


def test_a_volume_store_that_is_gone_is_told_with_its_place_until_it_is_back(drifting: LivingVch) -> None:
    with drifting.engine() as engine:
        engine.create_volume("kept")
    place = f"{DATASTORE}/volumes/{drifting.name}"
    drifting.program.up("--refresh")
    moved(drifting, f"volumes/{drifting.name}", f"volumes/{drifting.name}-away")

    told(drifting, "default", "true", "false")
    refused(drifting, "volume store 'default'", "is not online", place)
    moved(drifting, f"volumes/{drifting.name}-away", f"volumes/{drifting.name}")
    drifting.program.up("--refresh")
    clean(drifting)
    assert drifting.outputs()["volumes"] == {"kept": "default"}


def moved(vch: LivingVch, source: str, target: str) -> None:
    """An administrator moves a folder of the datastore."""
    with site(vch) as content:
        center = eyes.every(content, vim.Datacenter)["DC0"]
        task = content.fileManager.MoveDatastoreFile_Task(
            sourceName=f"[{DATASTORE}] {source}",
            sourceDatacenter=center,
            destinationName=f"[{DATASTORE}] {target}",
            destinationDatacenter=center,
        )
        finished(task)


# its containers


def test_containers_that_were_moved_away_go_back_and_run_on(drifting: LivingVch) -> None:
    with drifting.engine() as engine:
        run(drifting.lab, engine, WEBS)
    drifting.program.up("--refresh")
    with site(drifting) as content:
        machines = eyes.every(content, vim.VirtualMachine)
        first, second = (next(one for name, one in machines.items() if name.startswith(web)) for web in WEBS)
        eyes.every(content, vim.ClusterComputeResource)["DC0_C0"].resourcePool.MoveIntoResourcePool([first])
        finished(eyes.every(content, vim.Datacenter)["DC0"].vmFolder.MoveIntoFolder_Task([second]))
        names = sorted([first.name, second.name])

    assert re.search(rf'~ stranded *: \[\s*\+ \[0\]: "{names[0]}"\s*\+ \[1\]: "{names[1]}"', drifting.program.drift())
    healed(drifting, f"stranded: {names} → []", "move its containers back (nothing pauses)")
    with site(drifting) as content:
        machines = eyes.every(content, vim.VirtualMachine)
        mine = [machines[name] for name in names]
        assert {one.resourcePool.name for one in mine} == {one.parent.name for one in mine} == {drifting.name}
        assert {one.runtime.powerState for one in mine} == {"poweredOn"}
    with drifting.engine() as engine:
        assert sorted(one["Names"][0] for one in engine.containers()) == ["/web-1", "/web-2"]
        for name in WEBS:
            engine.remove_container(name, force=True)
    drifting.program.up("--refresh")


def run(lab: Lab, engine: Any, names: Sequence[str]) -> None:
    """Containers that run, of an image that the VCH pulls."""
    pull_probe(lab, _over(engine))
    for name in names:
        engine.create_container(probe_of(lab), ["/probe", "serve", "/data"], name=name)
        engine.start(name)


# the whole VM


def test_a_vm_that_was_deleted_is_made_again_with_the_data_that_were_there(vch: LivingVch) -> None:
    vch.up(**declared(vch.lab))
    with vch.engine() as engine:
        pull_probe(vch.lab, _over(engine))
        engine.create_volume("kept")
        config = engine.create_host_config(binds=["kept:/data"])
        one = engine.create_container(probe_of(vch.lab), ["/probe", "put", "/data/note"], host_config=config)
        engine.start(one)
        assert engine.wait(one)["StatusCode"] == 0
        engine.remove_container(one)
    before = vch.outputs()["vm_id"]
    with site(vch) as content:
        tear_out(content, eyes.every(content, vim.VirtualMachine)[vch.name])

    gone = vch.program.drift()
    vch.program.up("--refresh")
    clean(vch)

    assert "VirtualContainerHost" in gone and "delete" in gone
    assert vch.outputs()["vm_id"] != before and vch.is_there()
    assert vch.outputs()["volumes"] == {"kept": "default"}
    with vch.engine() as engine:
        pull_probe(vch.lab, _over(engine))
        config = engine.create_host_config(binds=["kept:/data"])
        engine.create_container(probe_of(vch.lab), ["/probe", "serve", "/data"], name="reader", host_config=config)
        engine.start("reader")
        address = engine.inspect_container("reader")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        engine.create_container(probe_of(vch.lab), ["/probe", "ask", f"http://{address}/note"], name="asker")
        engine.start("asker")
        assert engine.wait("asker")["StatusCode"] == 0
        assert engine.logs("asker").strip() == b"kept"
        for name in ("asker", "reader"):
            engine.remove_container(name, force=True)


def _over(engine: Any) -> DockerClient:
    client = DockerClient.__new__(DockerClient)
    client.api = engine
    return client


# what the VCH knows of its vCenter


@pytest.fixture(scope="module")
def own_lab() -> Iterator[Lab]:
    """A lab whose vCenter's certificate and password change."""
    with running_lab(parts=["site", "bundles"]) as one:
        yield one


@pytest.fixture
def own(own_lab: Lab, tmp_path: Path) -> Iterator[LivingVch]:
    one = LivingVch.fresh(own_lab, tmp_path)
    yield one
    one.cleared()


def tell(vch: LivingVch, **more: str) -> None:
    """Whoever runs the program is told of the lab's new certificate and password."""
    told_of = {name: one for name, one in vch.lab.environment().items() if name.startswith("VSPHERE_")}
    vch.program.environment = {**vch.program.environment, **told_of, **more}


def works(vch: LivingVch) -> bool:
    """What the VCH itself says of its way to the vCenter, asked by `requests`."""
    info = vch.ask("/info").json()
    return [info["Driver"], "RUNNING"] in info["SystemStatus"]


def test_a_replaced_certificate_of_the_vcenter_is_told_to_the_vch(own: LivingVch) -> None:
    own.up()
    before = own.lab.environment()["VSPHERE_THUMBPRINT"]
    (own.lab.part("vcenter").premises.certificates.of("vcenter") / "cert.pem").unlink()
    own.lab.up(["vcenter"])
    after = own.lab.environment()["VSPHERE_THUMBPRINT"]
    until(lambda: not works(own), "it works on, though it knows another certificate")

    unpinned = own.program.pulumi("refresh", "--preview-only", "--expect-no-changes", expect=1)
    tell(own)
    told(own, "vcenter_shows", before, after)
    said = own.program.up("--refresh")

    assert f"not the pinned {before}" in unpinned and "pin the new one" in unpinned
    assert f"vcenter_thumbprint: {before} → {after}" in said and "configure" in said
    with own.machine() as machine:
        values = {one.key: one.value for one in machine.config.extraConfig}
    assert values["guestinfo.vice./connect/target_thumbprint"] == after
    assert works(own)
    clean(own)


@pytest.mark.parametrize("whose", ["vsphere_password", "ops_password"])
def test_another_password_is_told_to_the_vch(own: LivingVch, whose: str) -> None:
    arguments = {"ops_user": USER, "ops_password": "ops"} if whose == "ops_password" else {}
    tell(own, DRYDOCK_OPS=own.lab.environment()["VSPHERE_PASSWORD"])
    own.up(**arguments)
    password = f"mk-{uuid.uuid4().hex}"
    Lab(own.lab.state, {"vsphere": password}).up(["site"])
    tell(own, DRYDOCK_OPS=password)

    told(own, "docker_api", "RUNNING", "doesn't answer")
    said = own.program.up("--refresh")

    assert f"{whose}: changed" in said and "configure" in said
    assert works(own)
    clean(own)
    assert password not in "".join(own.program.said)
