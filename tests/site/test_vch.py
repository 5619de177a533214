"""The lab's own stack on its VCH: vic-machine's stand-in and the lab's site meet in vSphere only, as in life."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from tests.site import eyes
from tests.site.conftest import Site
from tests.tasks import finished

pytestmark = pytest.mark.lab

ADMIN = "captain"


def machines(site: Site) -> dict[str, Any]:
    with eyes.vcenter(site.environment) as content:
        found = eyes.every(content, vim.VirtualMachine)
        return {name: one.resourcePool.name for name, one in found.items() if one.resourcePool}


def test_the_application_answers_on_the_vchs_own_address(running: Site) -> None:
    told = running.outputs()

    assert told["vch"]["docker_api"] == "RUNNING" and told["vch"]["version"] == "1.5.6"
    assert eyes.address_of(told["docker_host"]) in told["app_url"]
    assert eyes.address_of(told["docker_host"]) != eyes.address_of(running.environment["DOCKER_HOST"])
    assert "Sign In" in eyes.page(told["app_url"])


def test_a_second_up_and_a_refresh_change_nothing(running: Site) -> None:
    running.up("--expect-no-changes")

    assert running.is_clean()


def test_the_vch_and_its_containers_are_machines_of_the_cluster(running: Site) -> None:
    beside = [name for name, pool in machines(running).items() if pool == "vch1"]

    assert "vch1" in beside and len(beside) == 3  # itself and the application's two


def test_a_client_without_a_certificate_is_turned_away(running: Site) -> None:
    with running.engine() as known:
        names = [one.name for one in known.containers.list()]
    with running.engine(with_client_certificate=False) as stranger, pytest.raises(Exception, match="(?i)certificate"):
        stranger.containers.list()

    assert sorted(names) == ["gogsapp", "gogsdb"]


def test_a_vch_that_a_colleague_powers_off_is_drift_of_the_whole_stack_and_is_healed(running: Site) -> None:
    with eyes.vcenter(running.environment) as content:
        finished(eyes.every(content, vim.VirtualMachine)["vch1"].PowerOffVM_Task())

    drift = running.drift()
    running.up("--refresh")

    assert "power: off → on" in drift
    assert "docker.Container 'gogsapp': can't be looked at now" in drift
    assert "Sign In" in eyes.page(running.outputs()["app_url"])
    assert running.is_clean()


def test_a_vch_whose_vm_a_colleague_removes_is_made_again_with_all_that_was_on_it(running: Site) -> None:
    url = running.outputs()["app_url"]
    password = running.environment["DRYDOCK_GOGS_ADMIN_PASSWORD"]
    eyes.page(url)
    eyes.api(f"{url}api/v1/user/repos", ADMIN, password, "POST", {"name": "before"})
    with eyes.vcenter(running.environment) as content:
        machine = eyes.every(content, vim.VirtualMachine)["vch1"]
        finished(machine.PowerOffVM_Task())
        machine.UnregisterVM()

    refused = running.up("--refresh", expect=1)
    running.settings(vch__replace_protection=False)
    running.up("--refresh")
    running.pulumi("config", "rm", "--path", "drydock:vch.replace_protection", f"--stack={running.stack}")
    running.up()
    url = running.outputs()["app_url"]
    eyes.page(url)

    assert "its container VMs gogsapp-" in refused and "Don't delete them" in refused
    assert eyes.api(f"{url}api/v1/repos/{ADMIN}/before", ADMIN, password)["name"] == "before"
    assert len(machines(running)) == 4
    assert running.is_clean()


def test_the_dns_servers_are_changed_in_place(running: Site) -> None:
    before = running.outputs()["vch"]["id"]
    running.pulumi("config", "set", "--path", "drydock:vch.dns_servers[0]", "10.10.10.3", f"--stack={running.stack}")

    plan = running.preview()
    running.up()

    assert "configure" in plan
    assert running.outputs()["vch"]["id"] == before
    running.up("--expect-no-changes")
    assert "Sign In" in eyes.page(running.outputs()["app_url"])


def test_what_needs_a_replacement_is_refused_until_it_may_lose_the_containers_which_are_then_made_again(
    running: Site,
) -> None:
    url = running.outputs()["app_url"]
    password = running.environment["DRYDOCK_GOGS_ADMIN_PASSWORD"]
    eyes.page(url)
    eyes.api(f"{url}api/v1/user/repos", ADMIN, password, "POST", {"name": "kept"})
    before = running.outputs()["vch"]["id"]

    running.settings(vch__image_store="LocalDS_0/others")
    refused = running.preview(expect=1)
    running.settings(vch__replace_protection=False)
    running.up()
    url = running.outputs()["app_url"]
    eyes.page(url)

    assert "which is refused: its stores hold the volumes" in refused and "gogsapp" in refused
    assert running.outputs()["vch"]["id"] != before
    assert eyes.api(f"{url}api/v1/repos/{ADMIN}/kept", ADMIN, password)["name"] == "kept"
    running.up("--expect-no-changes")
    assert running.is_clean()
