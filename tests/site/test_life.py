"""The whole life of a site: up, up again, drift, down, and the data that stays."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from pyVmomi import vim

from tests.site import eyes
from tests.site.conftest import Site
from tests.tasks import finished

pytestmark = pytest.mark.lab

ADMIN = "captain"
CLUSTER = "DC0_C0"


def name_of(path: str) -> str:
    """A host's name, in its inventory path."""
    return path.rpartition("/")[2]


def test_the_vm_is_the_blogs(running: Site) -> None:
    with eyes.vcenter(running.environment) as content:
        config = eyes.every(content, vim.VirtualMachine)["photon"].config
        devices = config.hardware.device

    disk = next(one for one in devices if isinstance(one, vim.vm.device.VirtualDisk))
    drive = next(one for one in devices if isinstance(one, vim.vm.device.VirtualCdrom))
    assert (config.hardware.numCPU, config.hardware.memoryMB) == (1, 512)
    assert (config.version, config.guestId) == ("vmx-11", "other3xLinux64Guest")
    assert disk.capacityInKB == 8 * 1024 * 1024
    assert drive.backing.fileName == "[LocalDS_0] iso/photon.iso"
    assert drive.connectable.startConnected


def test_the_firewall_is_open_on_every_host_of_the_cluster(running: Site) -> None:
    really = eyes.rulesets(running.environment, CLUSTER)

    told = running.outputs()["firewall"]
    assert told.keys() == {f"/DC0/host/{CLUSTER}/{host}" for host in really} and len(told) == 3
    for path, rule in told.items():
        assert rule["enabled"] is True and rule["error"] == ""
        assert really[name_of(path)][rule["ruleset"]] is True


def test_an_older_host_gets_the_older_ruleset(running: Site) -> None:
    really = eyes.rulesets(running.environment, CLUSTER)

    told = running.outputs()["firewall"]
    assert {rule["ruleset"] for rule in told.values()} == {"vic-engine", "vSPC"}
    for path, rule in told.items():
        assert (rule["ruleset"] == "vic-engine") == ("vic-engine" in really[name_of(path)])
        assert (rule["ruleset"] == "vSPC") == ("all outgoing tcp" in rule["reason"])


def test_the_images_run_by_the_digest_that_the_registry_names(running: Site) -> None:
    registry = running.environment["REGISTRY"]
    expected = {
        "gogs": f"{registry}/gogs/gogs@{eyes.registry_digest(running.environment, 'gogs/gogs', '1.26')}",
        "gogsdb": f"{registry}/library/postgres@{eyes.registry_digest(running.environment, 'library/postgres', '9.6')}",
    }

    assert running.outputs()["images"] == expected
    with running.engine() as engine:
        for name, image in (("gogsapp", expected["gogs"]), ("gogsdb", expected["gogsdb"])):
            assert image in engine.containers.get(name).image.attrs["RepoDigests"]


def test_the_page_answers_without_a_wizard(running: Site) -> None:
    text = eyes.page(running.outputs()["app_url"])

    assert "Sign In" in text
    assert "Initial Configuration" not in text


def test_the_blogs_ports_are_published_too(running: Site) -> None:
    url = running.outputs()["app_url"]

    assert "Sign In" in eyes.page(url.replace(":13000/", ":10080/"))
    with running.engine() as engine:
        assert {"3000/tcp", "22/tcp"} <= engine.containers.get("gogsapp").ports.keys()


def test_what_was_pushed_is_still_there_after_destroy_and_up(running: Site, tmp_path: Path) -> None:
    password = running.environment["DRYDOCK_GOGS_ADMIN_PASSWORD"]
    url = running.outputs()["app_url"]
    eyes.page(url)
    eyes.api(f"{url}api/v1/user/repos", ADMIN, password, "POST", {"name": "cargo"})
    eyes.git("init", "-q", "-b", "main", cwd=str(tmp_path))
    (tmp_path / "manifest.txt").write_text("forty crates\n")
    eyes.git("add", ".", cwd=str(tmp_path))
    eyes.git("commit", "-qm", "load", cwd=str(tmp_path))
    eyes.git("push", "-q", f"{url}{ADMIN}/cargo.git", "main", cwd=str(tmp_path), password=password)

    running.destroy()
    with eyes.vcenter(running.environment) as content:
        assert list(eyes.every(content, vim.VirtualMachine)) == []
    running.up()
    url = running.outputs()["app_url"]

    eyes.page(url)
    eyes.git("clone", "-q", f"{url}{ADMIN}/cargo.git", "again", cwd=str(tmp_path), password=password)
    assert (tmp_path / "again" / "manifest.txt").read_text() == "forty crates\n"


def test_a_second_up_changes_nothing(running: Site) -> None:
    said = running.up("--expect-no-changes")

    assert "unchanged" in said


def test_a_refresh_right_after_up_finds_nothing(running: Site) -> None:
    assert running.is_clean()


def test_a_ruleset_that_someone_disables_is_drift_and_is_healed(running: Site) -> None:
    path, rule = next(iter(running.outputs()["firewall"].items()))
    host = name_of(path)
    with eyes.vcenter(running.environment) as content:
        found = eyes.every(content, vim.HostSystem)[host]
        found.configManager.firewallSystem.DisableRuleset(rule["ruleset"])

    drift = running.drift()
    running.up("--refresh")

    assert host in drift and re.search(r"enabled\s*: true => false", drift)
    assert eyes.rulesets(running.environment, CLUSTER)[host][rule["ruleset"]] is True


def test_a_container_that_someone_removes_is_drift_and_is_healed(running: Site) -> None:
    with running.engine() as engine:
        engine.containers.get("gogsapp").remove(force=True)

        drift = running.drift()
        running.up("--refresh")

        assert "app-gogs" in drift
        assert engine.containers.get("gogsapp").status == "running"


def test_memory_that_someone_changes_is_drift_and_is_healed(running: Site) -> None:
    with eyes.vcenter(running.environment) as content:
        machine = eyes.every(content, vim.VirtualMachine)["photon"]
        if machine.runtime.powerState == "poweredOn":
            finished(machine.PowerOffVM_Task())
        finished(machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=1024)))
        finished(machine.PowerOnVM_Task())

        drift = running.drift()
        running.up("--refresh")

        assert "memory" in drift and "512 => 1024" in drift
        assert eyes.every(content, vim.VirtualMachine)["photon"].config.hardware.memoryMB == 512


def test_no_session_of_ours_stays_open(running: Site) -> None:
    running.up("--refresh")

    assert eyes.sessions_of(running.environment, "Drydock") == []


def test_the_tls_material_goes_out_with_the_docker_host(running: Site) -> None:
    outputs = running.outputs()

    assert {outputs[f"docker_{name}"] for name in ("ca", "cert", "key")} == {"[secret]"}
    with running.engine() as engine:
        assert engine.ping()


@pytest.mark.parametrize("moment_s", [0.6, 1.2])
def test_an_interrupted_up_leaves_no_session_of_ours_open(running: Site, moment_s: float) -> None:
    running.destroy()
    child = running.begin("up", "--yes", "--skip-preview", f"--stack={running.stack}")
    time.sleep(moment_s)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)

    assert eyes.sessions_of(running.environment, "Drydock") == []
    running.up("--refresh")
    assert running.is_clean()
