"""The traps of the real vic-machine are here as well: what it deletes, leaves behind, and calls a success."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from tests.stand_ins.stories import Story
from tests.stand_ins.transcripts import Run, run
from tests.tasks import finished

pytestmark = pytest.mark.lab

LIMIT_S = 20.0
PLACE = ("--compute-resource", "DC0_C0")


def again(story: Story, build: str, command: str, name: str, *arguments: str) -> Run:
    story.isos(build)
    return run(build, [*command.split(), *story.login, *PLACE, "--name", name, *arguments], story.folder)


def files(story: Story, path: str) -> list[str]:
    """What is in a folder of a datastore; nothing in one that isn't there."""
    with story.simulator.looking() as content:
        datastore = content.rootFolder.childEntity[0].datastore[0]
        spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=["*"])
        task = datastore.browser.SearchDatastore_Task(datastorePath=path, searchSpec=spec)
        while task.info.state in ("queued", "running"):
            time.sleep(0.02)
        return [str(one.path) for one in task.info.result.file] if task.info.state == "success" else []


def exists(story: Story, path: str) -> bool:
    """Whether a folder of a datastore is there."""
    parent, _, name = path.rpartition("/")
    return name in files(story, parent)


def names(story: Story, kind: type) -> list[str]:
    with story.simulator.looking() as content:
        view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
        try:
            return [str(one.name) for one in view.view]
        finally:
            view.Destroy()


def add_container(story: Story, vch: str, name: str, *, on: bool) -> None:
    """A container's VM in the VCH's pool and folder, as its port layer makes it."""
    with story.simulator.looking() as content:
        machine: Any = story.machine(content, vch)
        spec = vim.vm.ConfigSpec(
            name=name,
            guestId="otherGuest64",
            numCPUs=1,
            memoryMB=512,
            files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
            extraConfig=[
                vim.option.OptionValue(key="guestinfo.vice./version/Version", value="v1.5.6"),
                vim.option.OptionValue(key="guestinfo.vice./common/id", value="c" * 64),
            ],
        )
        container = finished(machine.parent.CreateVM_Task(spec, machine.resourcePool))
        if on:
            finished(container.PowerOnVM_Task())


def groups(story: Story) -> dict[str, list[str]]:
    """The cluster's groups of VMs."""
    with story.simulator.looking() as content:
        cluster = next(one for one in content.rootFolder.childEntity[0].hostFolder.childEntity if one.name == "DC0_C0")
        return {one.name: [vm.name for vm in one.vm] for one in cluster.configurationEx.group}


def off(story: Story, name: str) -> None:
    """Frees the ports for the next one."""
    with story.simulator.looking() as content:
        machine = story.machine(content, name)
        finished(machine.PowerOffVM_Task())
    end = time.monotonic() + LIMIT_S
    while machine._moId in story.appliances.running:
        assert time.monotonic() < end, "its appliance doesn't end"
        time.sleep(0.02)


def test_delete_refuses_a_vch_of_another_build_number(story: Story) -> None:
    story.create("other")
    done = again(story, "1.5.7", "delete", "other")
    assert done.code == 1
    assert 'VCH version \\"v1.5.6-21029-2be3feb\\" is different than installer version' in done.output
    assert "other" in names(story, vim.VirtualMachine)
    assert again(story, "1.5.6", "delete", "other").code == 0
    assert "other" not in names(story, vim.VirtualMachine)
    assert "other" not in names(story, vim.ResourcePool)
    assert "other" not in names(story, vim.Folder)


def test_delete_keeps_volumes_and_stops_at_a_container_that_runs(story: Story) -> None:
    story.create("busy", "1.5.6", "--volume-store", "LocalDS_0/volumes/busy:default")
    add_container(story, "busy", "web", on=True)
    refused = again(story, "1.5.6", "delete", "busy")
    assert refused.code == 1
    assert 'VM \\"web\\" is powered on' in refused.output
    assert {"busy", "web"} <= set(names(story, vim.VirtualMachine))
    with story.simulator.looking() as content:
        finished(story.machine(content, "web").PowerOffVM_Task())
    done = again(story, "1.5.6", "delete", "busy")
    assert done.code == 0, done.output
    assert not {"busy", "web"} & set(names(story, vim.VirtualMachine))
    assert exists(story, "[LocalDS_0] volumes/busy")


def test_delete_with_force_takes_running_containers_and_volumes_with_it(story: Story) -> None:
    story.create("gone", "1.5.6", "--volume-store", "LocalDS_0/volumes/gone:default")
    add_container(story, "gone", "db", on=True)
    assert exists(story, "[LocalDS_0] volumes/gone")
    done = again(story, "1.5.6", "delete", "gone", "--force")
    assert done.code == 0, done.output
    assert not {"gone", "db"} & set(names(story, vim.VirtualMachine))
    assert not exists(story, "[LocalDS_0] volumes/gone")


def test_a_configure_that_fails_is_called_a_success_and_deletes_what_it_can_of_the_vchs_folder(story: Story) -> None:
    story.create("torn", "1.5.6")
    story.appliances.behave("torn", answers="garbage")
    done = again(story, "1.5.6", "configure", "torn", "--dns-server", "192.0.2.53", "--timeout", "20s")
    assert done.code == 0
    assert done.lines[-2:] == ('level=info msg="Deleting configure isos" ', "")
    assert "v1.5.6-21029-2be3feb-bootstrap.iso" not in files(story, "[LocalDS_0] torn"), "no VM has it open"
    off(story, "torn")


def test_a_create_that_times_out_leaves_all_behind_and_the_next_one_refuses_the_name(story: Story) -> None:
    story.appliances.behave("slow", reports=False, starts=False)
    story.isos("1.5.6")
    place = [*PLACE, "--bridge-network", "DC0_DVPG0", "--no-tls", "--image-store", "LocalDS_0/slow"]
    first = run("1.5.6", ["create", *story.login, *place, "--name", "slow", "--timeout", "1s"], story.folder)
    assert first.code == 1
    assert "exceeded time limit of 1s" in first.output
    assert "slow" in run("1.5.6", ["ls", *story.login], story.folder).output
    second = run("1.5.6", ["create", *story.login, *place, "--name", "slow", "--timeout", "1s"], story.folder)
    assert second.code == 1
    assert "already exists" in second.output
    off(story, "slow")


def test_configure_changes_what_was_given_and_nothing_else(story: Story) -> None:
    story.create("kept", "1.5.6", "--volume-store", "LocalDS_0/volumes/kept:default")
    story.keep("kept", "before")
    changed = ["--memory", "4096", "--http-proxy", "http://proxy.test:3128", "--containers", "5"]
    done = again(story, "1.5.6", "configure", "kept", *changed)
    assert done.code == 0
    assert "Completed successfully" in done.output
    story.keep("kept", "after")
    before, after = story.kept["before"].settings, story.kept["after"].settings
    different = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert {key for key in different if not key.endswith("@secret")} == {
        "UpdateInProgress",
        "guestinfo.vice./container/container_count",
        "guestinfo.vice./init/sessions|docker-personality/cmd/Env",
        "guestinfo.vice./init/sessions|docker-personality/cmd/Env~",
        "guestinfo.vice./init/sessions|vicadmin/cmd/Env",
        "guestinfo.vice./init/sessions|vicadmin/cmd/Env~",
    }
    raw = again(story, "1.5.6", "inspect config", "kept", "--format", "raw").output
    assert "--memory=4096" in raw
    assert "--http-proxy=http://proxy.test:3128" in raw
    assert "--containers=5" in raw


def test_configure_refuses_to_drop_a_volume_store(story: Story) -> None:
    done = again(story, "1.5.6", "configure", "kept", "--volume-store", "LocalDS_0/volumes/new:new")
    assert done.code == 1
    assert "default" in done.lines[-2]


def test_inspect_of_a_vch_that_is_off_fails(story: Story) -> None:
    off(story, "kept")
    done = again(story, "1.5.6", "inspect", "kept")
    assert done.code == 1
    assert "VCH is not powered on, state poweredOff" in done.output


@pytest.mark.parametrize("arguments", [["--rollback"], []], ids=["rollback", "upgrade"])
def test_an_upgrade_that_is_refused_is_called_a_success(story: Story, arguments: list[str]) -> None:
    name = f"plain{len(arguments)}"
    story.create(name)
    done = again(story, "1.5.6", "upgrade", name, *arguments)
    off(story, name)
    assert done.code == 0
    assert "Completed successfully" not in done.output


def test_all_flags_of_networks_come_back_from_inspect_config(story: Story) -> None:
    given = [
        *("--public-network-ip", "10.1.0.9/24", "--public-network-gateway", "10.1.0.1"),
        *("--dns-server", "192.0.2.53", "--dns-server", "192.0.2.54"),
        *("--bridge-network-range", "172.20.0.0/16", "--bridge-network-width", "20"),
        *("--insecure-registry", "here.test:5000", "--whitelist-registry", "here.test"),
        *("--syslog-address", "tcp://log.test:514", "--storage-quota", "9"),
        *("--cpu", "1500", "--endpoint-memory", "4096"),
        *("--volume-store", "nfs://nfs.test/share?uid=1:shared"),
    ]
    story.appliances.behave("many", online=["shared"])
    story.create("many", "1.5.6", *given)
    raw = again(story, "1.5.6", "inspect config", "many", "--format", "raw").output.split()
    for place in range(0, len(given), 2):
        assert f"{given[place]}={given[place + 1]}" in raw


def test_a_vch_of_1_1_is_upgraded_to_1_5_and_then_has_the_settings_of_that(story: Story) -> None:
    networks = ["--client-network", "VM Network", "--management-network", "VM Network"]
    story.create("old", "1.1.1", *networks)
    done = again(story, "1.5.6", "upgrade", "old")
    assert done.code == 0
    assert "Completed successfully" in done.output
    inspected = again(story, "1.5.6", "inspect", "old")
    assert "VCH version: v1.5.6-21029-2be3feb" in inspected.output
    assert "VCH Default Bridge Network Width: 16" in inspected.output
    story.keep("old", "old")
    norm = json.loads((Path(__file__).parents[1] / "vic_machine" / "extra_config" / "1.5.6-no-tls.json").read_text())
    not_there = {key for key in norm if "vic_machine_create_options" in key or "VolumeLocations" in key}
    missing = norm.keys() - story.kept["old"].settings.keys() - not_there - {"govcsim", "guestinfo.ovfEnv"}
    assert not missing
    off(story, "old")


def test_a_vm_group_comes_and_goes_with_its_vch(story: Story) -> None:
    story.create("grouped", "1.5.6", "--affinity-vm-group")
    assert groups(story) == {"grouped": ["grouped"]}
    raw = again(story, "1.5.6", "inspect config", "grouped", "--format", "raw").output
    assert "--affinity-vm-group=true" in raw
    assert again(story, "1.5.6", "delete", "grouped").code == 0
    assert groups(story) == {}


def test_a_configure_can_be_rolled_back_by_hand(story: Story) -> None:
    story.create("back", "1.5.6", "--dns-server", "192.0.2.1")
    assert again(story, "1.5.6", "configure", "back", "--dns-server", "192.0.2.2").code == 0
    raw = ("inspect config", "back", "--format", "raw")
    assert "--dns-server=192.0.2.2" in again(story, "1.5.6", *raw).output
    done = again(story, "1.5.6", "configure", "back", "--rollback")
    assert done.code == 0
    assert "Completed successfully" in done.output
    assert "--dns-server=192.0.2.1" in again(story, "1.5.6", *raw).output
    off(story, "back")


def test_a_vch_with_guest_tools_is_shut_down_by_them_and_tries_the_way_back_itself(story: Story) -> None:
    story.create("tools", "1.5.6")
    story.simulator._ask("POST", "/vms", {"name": "tools", "guest": {"tools": "running"}})
    done = again(story, "1.5.6", "configure", "tools", "--containers", "3")
    assert done.code == 0
    assert "Completed successfully" in done.output
    assert "Guest tools unavailable" not in done.output
    off(story, "tools")


def test_configure_makes_new_certificates_where_a_name_is_given(story: Story) -> None:
    place = [*PLACE, "--bridge-network", "DC0_DVPG0", "--image-store", "LocalDS_0/certs", "--tls-cname", "127.0.0.1"]
    story.do("1.5.6", "create", "--name", "certs", *place, "--tls-cert-path", "certs")
    story.keep("certs", "old")
    refused = again(story, "1.5.6", "configure", "certs", "--tls-cname", "127.0.0.1", "--tls-cert-path", "certs")
    assert refused.code == 1
    assert "already exists" in refused.output
    done = again(story, "1.5.6", "configure", "certs", "--tls-cname", "127.0.0.1", "--tls-cert-path", "new")
    assert done.code == 0
    assert "Completed successfully" in done.output
    story.keep("certs", "new")
    key = "guestinfo.vice./cert/HostCertificate/Cert"
    assert story.kept["new"].settings[key] != story.kept["old"].settings[key]
    made = (story.folder / "new" / "server-cert.pem").read_bytes()
    assert base64.b64decode(story.kept["new"].settings[key]) == made
    off(story, "certs")
