"""The same reading through a real session with the lab's vCenter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from providers.esxi.vsphere import Endpoint, VSphere
from providers.kit.secrets import Secret
from providers.vic.vm import read
from tests.esxi.simulator import PASSWORD, USER, Simulator, _every, running
from tests.tasks import finished

pytestmark = pytest.mark.lab

VECTOR = json.loads((Path(__file__).parents[1] / "vic_machine" / "extra_config" / "1.5.6-tls.json").read_text())


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("vcenter")) as one:
        yield one


@pytest.fixture
def session(simulator: Simulator) -> Iterator[VSphere]:
    one = VSphere(Endpoint(simulator.address, USER, Secret(PASSWORD), verify=False))
    try:
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def vch(simulator: Simulator) -> str:
    """A VM with a VCH's settings, in a pool of its own; its id."""
    with simulator.looking() as content:
        cluster = _every(content, vim.ClusterComputeResource)[0]
        center = _every(content, vim.Datacenter)[0]
        share = vim.ResourceAllocationInfo(
            limit=-1, reservation=0, expandableReservation=True, shares=vim.SharesInfo(level="normal", shares=4000)
        )
        spec = vim.ResourceConfigSpec(cpuAllocation=share, memoryAllocation=share)
        pool = cluster.resourcePool.CreateResourcePool("vch03", spec)
        folder = center.vmFolder.CreateFolder("vch03")
        extra = [vim.option.OptionValue(key=key, value=value) for key, value in VECTOR.items()]
        config = vim.vm.ConfigSpec(
            name="vch03",
            guestId="otherGuest64",
            numCPUs=1,
            memoryMB=2048,
            extraConfig=extra,
            files=vim.vm.FileInfo(vmPathName="[LocalDS_0] vch03"),
        )
        finished(folder.CreateVM_Task(config=config, pool=pool))
        return str(next(one for one in _every(content, vim.VirtualMachine) if one.name == "vch03")._moId)


def changed(simulator: Simulator, id_: str, **spec: Any) -> None:
    with simulator.looking() as content:
        one = next(each for each in _every(content, vim.VirtualMachine) if each._moId == id_)
        finished(one.ReconfigVM_Task(spec=vim.vm.ConfigSpec(**spec)))


def test_the_vch_is_found_among_the_other_vms(session: VSphere, vch: str) -> None:
    found = read(session)

    assert [(one.id, one.name, one.version) for one in found.vchs] == [(vch, "vch03", "1.5.6")]
    assert found.vchs[0].pool_path == "/DC0/host/DC0_C0/Resources/vch03"
    assert found.vchs[0].folder_path == "/DC0/vm/vch03"
    assert found.containers == ()


def test_a_change_by_hand_shows_and_putting_it_back_is_clean(simulator: Simulator, session: VSphere, vch: str) -> None:
    before = read(session).vchs[0].hash

    changed(simulator, vch, memoryMB=4096)
    resized = read(session).vchs[0]
    changed(simulator, vch, memoryMB=2048)

    assert resized.hash != before and resized.memory_mb == 4096
    assert read(session).vchs[0].hash == before


def test_all_of_it_is_a_handful_of_calls(simulator: Simulator, session: VSphere, vch: str) -> None:
    simulator.reset()
    read(session)

    ours = simulator.counts().ours()

    assert sum(ours.values()) <= 8, ours


def test_no_secret_comes_out(session: VSphere, vch: str) -> None:
    values = set(read(session).vchs[0].extra.values.values())

    assert not values & {value for key, value in VECTOR.items() if "@secret" in key or key == "guestinfo.ovfEnv"}
