"""A VCH's whole life on the real engine: made, changed, upgraded, replaced, adopted, deleted; and whose data stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.vic.life import hands
from tests.vic.life.vch import DATASTORE, LivingVch

pytestmark = pytest.mark.lab

ONE_OF_EACH = {"VirtualMachine": 1, "ResourcePool": 1, "Folder": 1}
BEFORE_FOLDERS = {"VirtualMachine": 1, "ResourcePool": 1}  # 1.1 makes a vApp, which is a pool
IN_PROGRESS = "UpdateInProgress"


def trusting(vch: LivingVch, **more: Any) -> dict[str, Any]:
    """A VCH that pulls from the lab's registry."""
    return {"registry_cas": [hands.authority(vch)], **more}


@pytest.mark.parametrize("version", ["1.1.1", "1.5.6", "1.5.7"])
def test_every_version_makes_it_keeps_it_and_takes_it_away_but_for_its_volume_store(
    vch: LivingVch, version: str
) -> None:
    vch.up(version)
    made = hands.traces(vch)
    with vch.engine() as engine:
        runs = engine.info()["ServerVersion"]
    vch.program.up("--expect-no-changes")
    vch.program.drift(expect=0)
    said = vch.program.destroy()

    assert made == (BEFORE_FOLDERS if version == "1.1.1" else ONE_OF_EACH)
    assert runs.startswith(f"v{version}")
    assert hands.traces(vch) == {}
    assert hands.stored(vch, f"volumes/{vch.name}").is_dir()
    assert not hands.stored(vch, vch.name).exists() and not hands.stored(vch, f"images/{vch.name}").exists()
    assert f"the volume stores 'default' at {DATASTORE}/volumes/{vch.name} stay, with their volumes" in said


def test_what_configure_can_change_is_changed_in_place_and_told_with_its_price(vch: LivingVch) -> None:
    vch.up()
    before = hands.identity(vch)
    stores = {label: f"{DATASTORE}/volumes/{vch.name}{end}" for label, end in (("default", ""), ("more", "-more"))}
    vch.declare(memory=8192, dns_servers=["192.0.2.53"], volume_stores=stores)

    plan = vch.program.preview()
    vch.program.up()
    vch.program.up("--expect-no-changes")
    vch.program.drift(expect=0)

    assert "configure (the VCH restarts: containers go on, but its Docker API" in plan and "replace" not in plan
    assert hands.identity(vch) == before
    with vch.machine() as machine:
        assert machine.resourcePool.config.memoryAllocation.limit == 8192
    with vch.engine() as engine:
        assert dict(engine.info()["SystemStatus"])["VolumeStores"].split() == ["default", "more"]
    assert "192.0.2.53" in hands.resolvers(vch)


def test_an_upgrade_is_foretold_with_its_price_and_keeps_containers_volumes_and_data(vch: LivingVch) -> None:
    vch.up(**trusting(vch))
    before = hands.identity(vch)
    hands.put_data(vch, "things")
    hands.serve_data(vch, "things", "web")
    vch.declare("1.5.7", **trusting(vch))

    plan = vch.program.preview()
    vch.program.up()

    assert "version: 1.5.6 → 1.5.7" in plan
    assert "upgrade (the VCH restarts with the new version: containers go on" in plan
    assert vch.outputs()["version"] == "1.5.7" and hands.identity(vch) == before
    with vch.engine() as engine:
        assert engine.info()["ServerVersion"].startswith("v1.5.7")
        assert [one["Names"] for one in engine.containers()] == [["/web"]]
    assert hands.served_data(vch) == hands.CONTENT
    vch.program.up("--expect-no-changes")
    hands.remove_container(vch, "web")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("hangs", "the upgrade to 1.5.7 failed (Upgrading VCH exceeded time limit of 4s); vic-machine has put it back"),
        ("loses its volume stores", "left it unhealthy (the volume stores default are not online)"),
    ],
)
def test_an_upgrade_to_what_does_not_come_up_is_rolled_back_told_in_one_line_and_tried_again(
    vch: LivingVch, tmp_path: Path, fault: str, told: str
) -> None:
    vch.up(timeout_s=10)
    bad = hands.spoilt_bundle(tmp_path / "bad.tar.gz", "1.5.7", fault)

    said = vch.up("1.5.7", expect=1, source=str(bad), timeout_s=4)
    with vch.engine() as engine:
        after = engine.info()
    again = vch.program.preview()
    vch.up("1.5.7", timeout_s=10)

    [line] = hands.told_errors(said)
    assert told in line and "put" in line and "back to 1.5.6" in line
    assert after["ServerVersion"].startswith("v1.5.6")
    assert dict(after["SystemStatus"])["VolumeStores"] == "default"
    assert "upgrade (" in again
    assert vch.outputs()["version"] == "1.5.7"
    vch.program.up("--expect-no-changes")
    assert hands.extra_config(vch)[IN_PROGRESS] == "false"


def test_the_same_version_is_nothing_to_do_and_an_earlier_one_is_refused_at_preview(vch: LivingVch) -> None:
    vch.up("1.5.7")
    vch.program.preview("--expect-no-changes")
    vch.declare("1.5.6")

    said = vch.program.preview(expect=1)

    [line] = hands.told_errors(said)
    assert line == (
        f"VCH {vch.name}: it is version 1.5.7, and vic-machine can't take it back to 1.5.6. "
        "Give the bundle of version 1.5.7 or later."
    )
    vch.declare("1.5.7")
    vch.program.preview("--expect-no-changes")


def test_a_replacement_is_refused_at_preview_while_the_vch_holds_something_unless_it_may_lose_its_containers(
    vch: LivingVch,
) -> None:
    vch.up(**trusting(vch))
    elsewhere = trusting(vch, image_store=f"{DATASTORE}/others/{vch.name}")
    hands.put_data(vch, "things")
    vch.declare(**elsewhere)
    with_volume = vch.program.preview(expect=1)
    hands.serve_data(vch, "things", "web")
    with_container = vch.program.preview(expect=1)
    still = hands.identity(vch)
    vch.declare(replace_protection=False, **elsewhere)
    plan = vch.program.preview()
    vch.program.up()

    [line] = hands.told_errors(with_volume)
    assert "image_store can only be changed by a replacement, which is refused" in line
    assert "its stores hold the volumes things" in line and "replace_protection=False" in line
    [line] = hands.told_errors(with_container)
    assert "the containers web run" in line
    assert "replace (the VCH is deleted and made again" in plan
    assert hands.identity(vch) != still and hands.traces(vch) == ONE_OF_EACH
    assert vch.outputs()["volumes"] == {"things": "default"}
    hands.serve_data(vch, "things", "web")
    assert hands.served_data(vch) == hands.CONTENT
    hands.remove_container(vch, "web")


def test_a_delete_is_refused_while_a_container_runs_and_keeps_the_data_for_the_next_vch(vch: LivingVch) -> None:
    vch.up(**trusting(vch))
    hands.put_data(vch, "things")
    hands.serve_data(vch, "things", "web")

    refused = vch.program.destroy(expect=1)
    still = hands.traces(vch)
    hands.remove_container(vch, "web")
    said = vch.program.destroy()
    gone = hands.traces(vch)
    vch.up(**trusting(vch))
    hands.serve_data(vch, "things", "web")
    kept = hands.served_data(vch)
    hands.remove_container(vch, "web")

    [line] = hands.told_errors(refused)
    assert line == f"VCH {vch.name}: the containers web run. Stop them, then run it again."
    assert still == ONE_OF_EACH and gone == {}
    assert f"'default' at {DATASTORE}/volumes/{vch.name} stay, with their volumes" in said
    assert kept == hands.CONTENT


def test_only_force_destroy_volumes_loses_volumes_and_names_them_before(vch: LivingVch) -> None:
    vch.up(**trusting(vch))
    hands.put_data(vch, "things")
    vch.declare(force_destroy_volumes=True, **trusting(vch))

    plan = vch.program.preview("--refresh")
    vch.program.up("--refresh")
    before = hands.stored(vch, f"volumes/{vch.name}").is_dir()
    unplanned = vch.program.pulumi("destroy", "--preview-only", "--diff")
    said = vch.program.destroy()

    place = f"{DATASTORE}/volumes/{vch.name}"
    assert f"from now on delete destroys the volume stores 'default' at {place} with the volumes things" in plan
    assert before
    assert place in unplanned and "things" in unplanned and "force_destroy_volumes" in unplanned
    assert f"VCH {vch.name}: is deleted, with its volume stores" in said
    assert not hands.stored(vch, f"volumes/{vch.name}").exists()


def test_a_vch_made_by_hand_is_refused_by_name_taken_over_unchanged_and_then_configured(
    vch: LivingVch, tmp_path: Path
) -> None:
    place = [f"--image-store={DATASTORE}/images/{vch.name}", f"--volume-store={DATASTORE}/volumes/{vch.name}:default"]
    hands.by_hand(vch, tmp_path / "theirs", "create", "--no-tls", "--bridge-network=DC0_DVPG0", *place)
    theirs = hands.identity(vch), hands.extra_config(vch)
    vch.declare()

    at_preview = vch.program.preview(expect=1)
    at_up = vch.program.up(expect=1)
    vch.up(adopt=True)
    taken = hands.identity(vch), hands.extra_config(vch)
    vch.up(adopt=True, memory=4096)
    vch.program.up("--expect-no-changes")

    for said in (at_preview, at_up):
        [line] = hands.told_errors(said)
        assert f"vic.VirtualContainerHost '{vch.name}': exists already and was not made by this stack" in line
        assert theirs[0] in line and "`adopt=True`" in line
    assert taken == theirs
    assert hands.identity(vch) == theirs[0]
    with vch.machine() as machine:
        assert machine.resourcePool.config.memoryAllocation.limit == 4096


def test_a_vch_made_by_hand_otherwise_is_not_taken_over_where_it_would_be_replaced(
    vch: LivingVch, tmp_path: Path
) -> None:
    place = ["--bridge-network=DC0_DVPG0", f"--image-store={DATASTORE}/theirs/x"]
    hands.by_hand(vch, tmp_path / "theirs", "create", "--no-tls", *place)
    theirs = hands.identity(vch)

    said = vch.up(expect=1, adopt=True)

    [line] = hands.told_errors(said)
    assert "can't be taken over, since it would have to be replaced (image_store: " in line
    assert hands.identity(vch) == theirs


def test_a_refresh_of_what_somebody_has_upgraded_tells_it_and_only_the_program_is_refused(
    vch: LivingVch, tmp_path: Path
) -> None:
    vch.up()
    hands.by_hand(vch, tmp_path / "theirs", "upgrade", version="1.5.7")

    drift = vch.program.drift()
    vch.program.pulumi("refresh", "--yes", "--skip-preview")
    refused = vch.program.preview(expect=1)
    vch.up("1.5.7", expect=0)

    assert "version: 1.5.7 → 1.5.6; VCH" in drift and "can't take it back to 1.5.6" in drift
    [line] = hands.told_errors(refused)
    assert "it is version 1.5.7, and vic-machine can't take it back to 1.5.6" in line
    vch.program.up("--expect-no-changes")
