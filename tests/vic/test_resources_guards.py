"""What vic-machine would do to users' data, to other people's VCHs or to itself, and what stands before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.vic.flags import Command
from providers.vic.output import Ending, Verdict
from providers.vic.resources.remains import Remains
from providers.vic.runner import Leftover
from tests.conformance.engine import Killed
from tests.vic.fake_site import HOME, FakeContainer, FakeVch, _failed, _say
from tests.vic.ground import NAME, Ground

TLS = {"mode": "mutual", "cname": "vch02.domain.sddc"}


# replacement, upgrade, delete


@pytest.mark.parametrize(
    ("hold", "told"),
    [
        ({"volumes": {"gogs-data": "default"}}, "its stores hold the volumes gogs-data"),
        ({"containers": [FakeContainer("gogs-web")]}, "the containers gogs-web run"),
    ],
    ids=["volumes", "containers"],
)
def test_a_replacement_is_refused_at_preview_while_it_holds_something(
    ground: Ground, hold: dict[str, Any], told: str
) -> None:
    vars(ground.made()).update(hold)
    ground.stack.refresh()

    [line] = ground.preview(bridge_network="LSW11_Bridge").errors

    assert told in line and "bridge_network" in line and "replace_protection=False" in line
    assert ground.changing == []


def test_without_protection_a_replacement_keeps_the_volume_stores(ground: Ground) -> None:
    ground.made().volumes["gogs-data"] = "default"
    ground.site.data["VMFS01/VCHPOOL/volumes"].append("gogs-data")
    ground.stack.refresh()

    run = ground.up(bridge_network="LSW11_Bridge", replace_protection=False)

    assert run.plan == {"it": "replace"} and not run.failed, run.text
    assert [one[0] for one in ground.changing] == ["delete", "create"]
    assert "--force" not in ground.changing[0]
    assert ground.site.data == {"VMFS01/VCHPOOL/volumes": ["gogs-data"]}


def test_without_protection_a_replacement_stops_the_containers_that_it_loses_and_a_destroy_still_refuses(
    ground: Ground,
) -> None:
    ground.made().containers.append(FakeContainer("gogs-web"))
    ground.stack.refresh()
    [refused] = ground.stack.destroy().errors

    run = ground.up(bridge_network="LSW11_Bridge", replace_protection=False)

    assert "the containers gogs-web run" in refused
    assert not run.failed, run.text
    assert [one[0] for one in ground.changing] == ["delete", "create"] and "--force" not in ground.changing[0]
    assert [one.partition(" ")[0] for one in ground.site.calls] == ["stop"]


@pytest.mark.parametrize(
    ("version", "more", "told"),
    [
        ("1.5.6", {"memory": 8192}, "configure (the VCH restarts: containers go on"),
        ("1.5.7", {}, "upgrade (the VCH restarts with the new version"),
        ("1.5.6", {"bridge_network": "other"}, "replace (the VCH is deleted and made again: its containers and images"),
        ("1.5.7", {"memory": 8192}, "upgrade (the VCH restarts with the new version: containers go on"),
    ],
)
def test_the_preview_says_which_it_will_be_and_what_it_costs(
    ground: Ground, version: str, more: dict[str, Any], told: str
) -> None:
    ground.made()

    [line] = ground.preview(version, **more).infos

    assert told in line


def test_an_earlier_version_is_refused_in_words(ground: Ground) -> None:
    ground.made("1.5.7")

    [line] = ground.preview("1.5.6").errors

    assert "it is version 1.5.7, and vic-machine can't take it back to 1.5.6" in line


def test_an_upgrade_that_leaves_it_unhealthy_is_rolled_back(ground: Ground) -> None:
    ground.made()

    def spoil(vch: FakeVch) -> None:
        vch.status = "STARTING" if vch.version == "1.5.7" else "RUNNING"

    ground.site.spoils[Command.UPGRADE] = spoil

    [line] = ground.up("1.5.7").errors

    assert [(one[0], "--rollback" in one) for one in ground.changing] == [("upgrade", False), ("upgrade", True)]
    assert "left it unhealthy (STARTING); it was put back to 1.5.6" in line
    assert ground.vch.version == "1.5.6"


def test_an_upgrade_that_loses_a_volume_store_is_rolled_back(ground: Ground) -> None:
    ground.made()
    ground.site.spoils[Command.UPGRADE] = lambda vch: vch.offline.add("default") if vch.version == "1.5.7" else None

    run = ground.up("1.5.7")

    assert "the volume stores default are not online" in run.errors[0] and ground.vch.version == "1.5.6"


def test_an_upgrade_that_vic_machine_ended_with_0_without_success_is_an_error(ground: Ground) -> None:
    ground.made()
    ground.site.says[Command.UPGRADE] = (['time="x" level=error msg="Failed to create snapshot"'], 0)

    [line] = ground.up("1.5.7").errors

    assert "vic-machine upgrade failed: Failed to create snapshot" in line and "Its whole log: /logs/vic.log" in line


def test_delete_is_refused_while_containers_run_with_their_names(ground: Ground) -> None:
    ground.made().containers += [FakeContainer("gogs-web"), FakeContainer("old", "poweredOff")]

    [line] = ground.stack.destroy().errors

    assert "the containers gogs-web run" in line and ground.changing == []


def test_another_build_than_the_vchs_is_refused_for_delete_and_never_forced(ground: Ground) -> None:
    ground.made()
    vch = ground.vch
    ground.site.builds["1.5.6"] = ("21029", "2be3feb")
    real = ground.site.bundle

    def other(source: Any, say: Any) -> Any:
        found = real(source, say)
        return type(found)(found.version, "99999", found.commit, found.sha256, found.folder)

    ground.site.bundle = other  # type: ignore[method-assign]

    [line] = ground.stack.destroy().errors

    assert "it was made by vic-machine 1.5.6 build 21029, and the bundle is 1.5.6 build 99999" in line
    assert ground.changing == [] and ground.vch is vch


def test_the_bundle_that_made_it_is_the_one_that_deletes_it(ground: Ground) -> None:
    ground.made()
    digest = ground.outputs["bundle_sha256"]

    ground.stack.destroy()

    assert [one.sha256 for one in ground.site.fetched] == [digest]


def test_force_destroy_volumes_names_stores_and_volumes_in_the_preview(ground: Ground) -> None:
    ground.made().volumes["gogs-data"] = "default"
    ground.stack.refresh()

    [line] = ground.preview(force_destroy_volumes=True).infos

    assert "from now on delete destroys the volume stores 'default' at VMFS01/VCHPOOL/volumes" in line
    assert "with the volumes gogs-data" in line


def test_a_replacement_that_will_destroy_volumes_says_so_and_does_not_say_that_they_stay(ground: Ground) -> None:
    free = {"force_destroy_volumes": True, "replace_protection": False}
    ground.made(**free).volumes["gogs-data"] = "default"
    ground.stack.refresh()

    [line] = ground.preview(bridge_network="LSW11_Bridge", **free).infos

    assert "since force_destroy_volumes is set, this destroys the volume stores 'default' at VMFS01" in line
    assert "with the volumes gogs-data" in line and "its volume stores stay" not in line


def test_after_a_delete_the_user_is_told_where_the_stores_stay(ground: Ground) -> None:
    ground.made()

    told = ground.stack.destroy().infos

    assert any("the volume stores 'default' at VMFS01/VCHPOOL/volumes stay, with their volumes" in one for one in told)


# whose it is


def test_somebody_elses_vch_of_the_name_is_refused_even_if_our_create_had_been_noted(ground: Ground) -> None:
    ground.site.says[Command.CREATE] = (_failed("no such network"), 1)
    ground.up()
    del ground.site.says[Command.CREATE]
    ground.site.vchs.append(FakeVch("vm-5", NAME, "1.5.6", {}, ground.site.shows, pool="resgroup-5", home="resgroup-5"))

    [line] = ground.up().lines

    assert "exists already and was not made by this stack" in line
    assert [one.id for one in ground.site.vchs] == ["vm-5"]


def test_a_later_vch_of_the_name_is_not_taken_for_the_one_that_we_made(ground: Ground) -> None:
    ground.made()
    ground.stack.state.clear()
    ground.vch.id = "vm-99"

    [line] = ground.up().lines

    assert "was not made by this stack" in line


def test_adopting_runs_nothing_where_all_fits(ground: Ground) -> None:
    ground.made()
    ground.stack.state.clear()
    ground.vch.id = "vm-99"

    run = ground.up(adopt=True)

    assert not run.failed, run.text
    assert ground.changing == [] and ground.site.calls == []


def test_a_vch_in_another_compute_resource_is_not_meant(ground: Ground) -> None:
    theirs = FakeVch("vm-5", NAME, "1.5.6", {}, ground.site.shows, home="resgroup-5", pool="resgroup-6")
    ground.site.vchs.append(theirs)

    assert ground.site.site().vchs[0].pool_path == "/DC0/host/Other/Resources"
    assert ground.preview().plan == {"it": "create"}
    ground.up()
    assert [one[0] for one in ground.changing] == ["create"]


# remains of our own


def test_a_create_that_is_killed_while_the_vm_boots_is_found_and_finished(ground: Ground) -> None:
    def killed(vch: FakeVch) -> None:
        vch.status = "STARTING"

    ground.site.spoils[Command.CREATE] = killed
    ground.site.says[Command.CREATE] = ([], 0)
    real = ground.site.run

    def run_and_die(there: Any, line: Any, thing: str, on_line: Any) -> Any:
        ground.site.says.pop(Command.CREATE, None)
        ground.site.run = real  # type: ignore[method-assign]
        real(there, line, thing, on_line)
        raise Killed

    ground.site.run = run_and_die  # type: ignore[method-assign]
    assert ground.up().killed
    ground.site.spoils.clear()
    ground.forget()

    run = ground.up()

    assert not run.failed, run.text
    assert [one[0] for one in ground.changing] == ["delete", "create"]
    assert "--force" not in ground.changing[0] and ground.outputs["docker_api"] == "RUNNING"


def test_a_create_that_came_to_its_end_unseen_keeps_its_certificates(ground: Ground) -> None:
    real = ground.site.run

    def run_and_die(there: Any, line: Any, thing: str, on_line: Any) -> Any:
        ground.site.run = real  # type: ignore[method-assign]
        made = real(there, line, thing, on_line).made
        ground.site.left = [
            Leftover(Command.CREATE, False, 4711, Verdict(Ending.SUCCESS), made, Path("/state/scratch/vic-1"))
        ]
        raise Killed

    ground.site.run = run_and_die  # type: ignore[method-assign]
    assert ground.up(tls=TLS).killed
    ground.forget()

    run = ground.up(tls=TLS)

    assert not run.failed, run.text
    assert ground.changing == []
    assert ground.outputs["client_cert"] == ground.vch.client_cert


def test_a_vic_machine_that_is_still_at_work_is_waited_for(ground: Ground) -> None:
    ground.made()
    ground.site.left = [Leftover(Command.CONFIGURE, True, 4711, Verdict(Ending.FAILED), {}, Path("/state/x"))]

    [line] = ground.up(memory=8192).errors

    assert "vic-machine configure (process 4711) is still at work" in line and ground.changing == []


def test_an_empty_pool_that_we_left_is_removed_and_anybody_elses_is_not(ground: Ground) -> None:
    pool = Remains("resgroup-5", f"{HOME}/{NAME}", ())
    ground.site.bare = [pool]
    [line] = ground.up().errors
    assert "exists already and was not made by this stack" in line and ground.site.bare == [pool]

    ground.site.bare = []
    ground.site.says[Command.CREATE] = ([_say(f'Creating Resource Pool \\"{NAME}\\"'), *_failed("time is up")], 1)
    assert "time is up" in ground.up().errors[0]
    ground.site.says.clear()
    ground.site.bare = [pool]

    run = ground.up()

    assert not run.failed, run.text
    assert ground.site.calls == [f"clear {HOME}/{NAME}"]


def test_a_pool_with_stranded_containers_is_left_alone_with_their_names(ground: Ground) -> None:
    ground.site.bare = [Remains("resgroup-5", f"{HOME}/{NAME}", ("gogs-web-1",))]

    [line] = ground.up().errors

    assert "has no VCH but the VMs gogs-web-1" in line and ground.site.calls == []


def test_container_vms_of_our_own_vch_whose_vm_is_gone_are_let_go_only_when_that_is_said(ground: Ground) -> None:
    ground.made()
    ground.site.take_away(NAME)
    ground.site.bare = [
        Remains("resgroup-5", f"{HOME}/{NAME}", ("gogs-web-1",)),
        Remains("g-1", f"DC/vm/{NAME}", (), "folder"),
    ]
    ground.stack.refresh()

    [line] = ground.up().errors
    assert "its container VMs gogs-web-1 are left" in line and "Don't delete them" in line and ground.site.calls == []
    run = ground.up(replace_protection=False)

    assert not run.failed, run.text
    assert ground.site.calls == [f"clear {HOME}/{NAME}", f"clear DC/vm/{NAME}"]


# half of a change


def test_a_mark_of_a_change_is_reset_and_the_change_made_where_nobody_is_at_work(ground: Ground) -> None:
    ground.made().in_progress = True
    ground.stack.refresh()

    run = ground.up(memory=8192)

    assert not run.failed, run.text
    assert ["--reset-progress" in one for one in ground.changing] == [True, False]
    assert ["--memory=8192" in one for one in ground.changing] == [False, True]


def test_a_mark_of_a_change_is_left_where_somebody_is_at_work(ground: Ground) -> None:
    ground.made().in_progress = True
    ground.stack.refresh()
    ground.site.busy = ["VirtualMachine.reconfigure by colleague"]

    [line] = ground.up(memory=8192).errors

    assert "is being changed by somebody else: VirtualMachine.reconfigure by colleague" in line
    assert ground.changing == []


def test_after_a_failed_configure_the_vms_files_are_looked_for(ground: Ground) -> None:
    ground.made()
    ground.site.says[Command.CONFIGURE] = ([_say("Deleting configure isos")], 0)
    ground.site.gone_files = ["[DS] vch02.domain.sddc/vch02.domain.sddc.vmx"]

    [line] = ground.up(memory=8192).errors

    assert "the files [DS] vch02.domain.sddc/vch02.domain.sddc.vmx are gone" in line and "don't power it off" in line


@pytest.mark.parametrize(
    "given",
    [
        {"image_store": f"VMFS01/{NAME}"},
        {"image_store": "VMFS01"},
        {"volume_stores": {"default": f"VMFS01/{NAME}/volumes"}},
    ],
    ids=str,
)
def test_stores_in_the_vchs_own_folder_are_refused_at_preview(ground: Ground, given: dict[str, Any]) -> None:
    refused = ground.preview(**given).refused

    assert len(refused) == 1 and "which a failed configure deletes" in refused[0][1]


@pytest.mark.parametrize(
    ("version", "given", "told"),
    [
        ("1.1.1", {"memory": 4096, "storage_quota": 4}, "has no --storage-quota for create"),
        ("1.5.6", {"use_rp": True}, "was the last with it"),
        ("1.5.6", {"ops_user": "ops", "ops_password": "nobody"}, "secret 'nobody' has no value"),
    ],
)
def test_what_the_version_lacks_is_refused_at_preview(
    ground: Ground, version: str, given: dict[str, Any], told: str
) -> None:
    assert told in " ".join(ground.preview(version, **given).lines)


def test_a_refused_login_of_vic_machine_is_not_tried_again(ground: Ground) -> None:
    ground.site.says[Command.CREATE] = (_failed("Failed to log in to vc: ServerFaultCode: Cannot complete login"), 1)

    [line] = ground.up().errors

    assert len(ground.changing) == 1 and "it is not tried again" in line


def test_no_password_stands_in_arguments_lines_or_state(ground: Ground) -> None:
    ops = {"ops_user": "ops", "ops_password": "ops"}
    run = ground.up(**ops)

    for secret in ("mk-admin-Zu~7", "mk-ops-Zu~8"):
        assert secret not in f"{ground.site.commands}{run.text}{ground.stack.exported()}"


# health


def test_a_vch_that_may_only_be_booting_is_given_time_before_it_is_restarted(ground: Ground) -> None:
    vch = ground.made()
    vch.status = "STARTING"
    ground.stack.refresh()
    real = ground.site.wait

    def boots(seconds: float) -> None:
        real(seconds)
        vch.status = "RUNNING" if ground.site.waited_s > 60 else "STARTING"

    ground.site.wait = boots  # type: ignore[method-assign]

    run = ground.up()

    assert not run.failed, run.text
    assert ground.site.calls == []


def test_a_vch_that_does_not_come_up_again_is_told_at_the_end_of_the_run(ground: Ground) -> None:
    vch = ground.made()
    vch.power, vch.status = "poweredOff", "no answer"
    ground.stack.refresh()

    [line] = ground.up().unfinished

    assert "its Docker API: doesn't say RUNNING 180 s after it was started" in line
    assert ground.outputs["power"] == "on" and ground.site.waited_s >= 180
