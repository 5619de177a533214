"""Whatever becomes of a VCH behind our back is told by the field's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.vic.fake_site import OTHER_THUMBPRINT, FakeContainer, FakeVch
from tests.vic.given import pair
from tests.vic.ground import Ground
from tests.vic.life.papers import given

TLS = {"mode": "mutual", "cname": "vch02.domain.sddc"}

DRIFTS: list[tuple[str, dict[str, Any], Callable[[FakeVch], Any], str]] = [
    ("powered off", {}, lambda vch: setattr(vch, "power", "poweredOff"), "power: off → on"),
    ("suspended", {}, lambda vch: setattr(vch, "power", "suspended"), "power: suspended → on"),
    ("memory", {"endpoint_memory": 2048}, lambda vch: setattr(vch, "memory_mb", 1024), "endpoint_memory: 1024 → 2048"),
    ("CPUs", {"endpoint_cpu": 1}, lambda vch: setattr(vch, "cpu", 2), "endpoint_cpu: 2 → 1"),
    ("moved", {}, lambda vch: setattr(vch, "pool", "resgroup-9"), "pool: /DC0/host/Other/Resources → its own"),
    (
        "another network",
        {},
        lambda vch: vch.cards.update({1184: "network-9"}),
        "networks.client: not connected → connected",
    ),
    (
        "the other card's network",
        {},
        lambda vch: vch.cards.update({1216: "network-1"}),
        "networks.bridge: not connected → connected",
    ),
    ("no network card", {}, lambda vch: vch.cards.pop(1184), "networks.client: no network card → connected"),
    (
        "another ISO",
        {},
        lambda vch: setattr(vch, "iso", "[DS] x/v1.1.1-1-a-appliance.iso"),
        "iso: [DS] x/v1.1.1-1-a-appliance.iso → its own",
    ),
    ("memory limit", {"memory": 4096}, lambda vch: vch.flags.update(memory=["1024"]), "memory: 1024 → 4096"),
    (
        "dns",
        {"dns_servers": ["10.0.0.2"]},
        lambda vch: vch.flags.update({"dns-server": ["10.0.0.9"]}),
        "dns_servers: ['10.0.0.9'] → ['10.0.0.2']",
    ),
    ("a store offline", {}, lambda vch: vch.offline.add("default"), "volume_stores_online.default: False → True"),
    ("unhealthy", {}, lambda vch: setattr(vch, "status", "STARTING"), "docker_api: STARTING → RUNNING"),
    ("no answer", {}, lambda vch: setattr(vch, "status", "no answer"), "docker_api: its Docker API doesn't answer"),
    ("being changed", {}, lambda vch: setattr(vch, "in_progress", True), "update_in_progress: True → False"),
    (
        "another server certificate",
        {"tls": TLS},
        lambda vch: setattr(vch, "certificate", pair.__wrapped__("vch02.domain.sddc")[0]),
        "certificate: ",
    ),
    (
        "another authority",
        {"tls": TLS},
        lambda vch: setattr(vch, "authority", pair.__wrapped__("somebody")[0]),
        "client_certificate: lost → known",
    ),
    (
        "stranded containers",
        {},
        lambda vch: vch.containers.append(FakeContainer("web-1", "poweredOff", "resgroup-9")),
        "stranded: ['web-1'] → []",
    ),
    (
        "containers in another folder",
        {},
        lambda vch: vch.containers.append(FakeContainer("web-1", "poweredOff", folder="group-9")),
        "stranded: ['web-1'] → []",
    ),
    ("another version", {}, lambda vch: setattr(vch, "version", "1.1.1"), "version: 1.1.1 → 1.5.6"),
]


@pytest.mark.parametrize(("given", "disturb", "told"), [row[1:] for row in DRIFTS], ids=[row[0] for row in DRIFTS])
def test_a_change_by_hand_is_told_by_the_fields_name(
    ground: Ground, given: dict[str, Any], disturb: Callable[[FakeVch], Any], told: str
) -> None:
    disturb(ground.made(**given))

    assert ground.stack.refresh().changed == ["it"]
    [line] = ground.preview(**given).infos
    assert told in line
    assert line.count(" → ") == 1 or "iso" in line or "client_certificate" in line


def test_the_vcenters_certificate_is_told_where_the_vch_knows_another_one(ground: Ground) -> None:
    ground.made()
    ground.site.shows = OTHER_THUMBPRINT

    [line] = ground.drift().infos

    assert (
        f"vcenter_thumbprint: 3F:6E:2F:16:FA:76:53:74:18:3F:26:9D:1A:58:40:AD:E5:D8:3E:52 → {OTHER_THUMBPRINT}" in line
    )
    assert "configure" in line


def test_a_deleted_vm_is_made_again(ground: Ground) -> None:
    ground.made()
    ground.site.take_away("vch02.domain.sddc")

    assert ground.stack.refresh().changed == ["it"]
    assert ground.preview().plan == {"it": "create"}


def test_an_ended_certificate_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.made(tls=TLS)
    state = ground.outputs
    state["not_after"] = "2026-01-01T00:00:00+00:00"

    [line] = ground.preview(tls=TLS).infos

    assert "not_after: 2026-01-01T00:00:00+00:00 → renewed" in line


def test_a_store_that_the_program_names_no_more_stays_without_a_word(ground: Ground) -> None:
    stores = {"default": "VMFS01/VCHPOOL/volumes", "more": "VMFS01/VCHPOOL/more"}
    ground.made(volume_stores=stores)

    assert ground.preview(volume_stores={"default": stores["default"]}).clean


def test_what_nobody_can_mend_from_here_is_told_part_by_part_at_the_end_of_the_run(ground: Ground) -> None:
    ground.made().offline.add("default")
    ground.stack.refresh()

    [line] = ground.up().unfinished

    assert "volume store 'default': is not online: see VMFS01/VCHPOOL/volumes" in line
    assert ground.changing == []


def test_network_cards_go_back_to_their_networks_without_a_restart(ground: Ground) -> None:
    ground.made().cards.update({1184: "network-2", 1216: "network-9"})
    ground.stack.refresh()
    [line] = ground.preview().infos

    run = ground.up()

    assert "connect its network cards (nothing restarts)" in line
    assert not run.failed and not run.unfinished, run.text
    assert ground.site.calls == ["connect {1216: 'network-2', 1184: 'network-1'}"]
    assert ground.drift().clean


def test_a_network_card_that_is_gone_is_told_and_the_other_goes_back(ground: Ground) -> None:
    ground.made().cards.pop(1184)
    ground.vch.cards[1216] = "network-9"
    ground.stack.refresh()

    [line] = ground.up().unfinished

    assert "network card 'client': is gone" in line and "bridge" not in line
    assert ground.vch.cards == {1216: "network-2"}


def test_containers_astray_go_back_into_the_pool_and_the_folder(ground: Ground) -> None:
    containers = [
        FakeContainer("web-1", pool="resgroup-9"),
        FakeContainer("web-2", folder="group-9"),
        FakeContainer("web-3"),
    ]
    ground.made().containers = containers
    ground.stack.refresh()
    [line] = ground.preview().infos

    run = ground.up()

    assert "move its containers back (nothing pauses)" in line
    assert not run.failed and not run.unfinished, run.text
    assert ground.site.calls == ["gather 1 into resgroup-76 and 1 into group-1"]
    assert ground.drift().clean


def test_containers_that_stay_in_its_pool_are_not_astray_where_the_vch_itself_was_moved(ground: Ground) -> None:
    vch = ground.made()
    vch.containers = [FakeContainer("web-1", pool=vch.home)]
    vch.pool = "resgroup-9"
    ground.stack.refresh()

    [line] = ground.preview().infos

    assert "pool: " in line and "stranded" not in line


def test_a_given_certificate_that_has_ended_is_refused_at_preview_by_name(ground: Ground) -> None:
    ended = given("vch02.domain.sddc", ended="server_cert")

    [line] = ground.preview(tls={"mode": "mutual"}, certificates=ended).lines

    assert "certificates.server_cert" in line and "ended on 20" in line
    assert ended["server_key"].splitlines()[1] not in line


@pytest.mark.parametrize(("days", "taken"), [("364d", True), ("365d", False)])
def test_a_renewal_that_would_come_in_every_run_is_refused(ground: Ground, days: str, taken: bool) -> None:
    run = ground.preview(tls=TLS, renew_before=days)

    assert run.failed is not taken
    assert taken or "less than the 365d" in run.text
