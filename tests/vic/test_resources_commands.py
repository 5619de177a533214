"""What is wanted and what is there, and exactly what is run for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.vic.fake_site import OTHER_THUMBPRINT, FakeVch
from tests.vic.given import pair
from tests.vic.ground import Ground

CREATE_156 = [
    "create",
    "--name=vch02.domain.sddc",
    "--compute-resource=SDDC.Container",
    "--image-store=VMFS01/VCHPOOL/vch02",
    "--volume-store=VMFS01/VCHPOOL/volumes:default",
    "--bridge-network=LSW10_Bridge",
    "--no-tls",
    "--timeout=180s",
]


def test_a_create_with_the_latest_version(ground: Ground) -> None:
    ground.up()

    assert ground.changing == [CREATE_156]


def test_the_earliest_version_asks_for_the_password_and_has_nothing_of_it_in_its_arguments(ground: Ground) -> None:
    ground.up("1.1.1")

    [line] = [one for one in ground.site.lines if one.command.value == "create"]
    assert [one.reveal() for one in line.answers] == [ground.site.password]
    assert ground.site.password not in " ".join(line.arguments)
    assert not [one for one in ground.site.commands if one[0] == "inspect"]


CONFIGURED: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("memory", {"memory": 4096}, {"memory": 8192}, ["--memory=8192"]),
    ("memory taken out", {"memory": 4096}, {}, ["--memory=0"]),
    ("dns", {"dns_servers": ["10.0.0.2"]}, {"dns_servers": ["10.0.0.3", "10.0.0.4"]}, ["3", "4"]),
    ("no dns any more", {"dns_servers": ["10.0.0.2"]}, {"dns_servers": []}, ["--dns-server="]),
    ("proxy", {}, {"http_proxy": "http://proxy:3128"}, ["--http-proxy=http://proxy:3128"]),
    ("debug", {}, {"debug": 3}, ["--debug=3"]),
    ("cpu", {"cpu": 1000}, {"cpu": 2000, "cpu_shares": "high"}, ["--cpu=2000", "--cpu-shares=high"]),
    (
        "one more store: the others are said again",
        {},
        {"volume_stores": {"default": "VMFS01/VCHPOOL/volumes", "more": "VMFS01/VCHPOOL/more"}},
        ["--volume-store=VMFS01/VCHPOOL/volumes:default", "--volume-store=VMFS01/VCHPOOL/more:more"],
    ),
    (
        "a container network",
        {},
        {"container_networks": {"back": {"port_group": "LSW20", "firewall": "open"}}},
        ["--container-network=LSW20:back", "--container-network-firewall=LSW20:open"],
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "said"), [row[1:] for row in CONFIGURED], ids=[row[0] for row in CONFIGURED]
)
def test_a_change_is_one_configure_of_what_changed(
    ground: Ground, before: dict[str, Any], after: dict[str, Any], said: list[str]
) -> None:
    vch = ground.made(**before)

    run = ground.up(**after)

    assert not run.failed, run.text
    expected = [f"--dns-server=10.0.0.{one}" if len(one) == 1 else one for one in said]
    [line] = ground.changing
    assert sorted(line) == sorted(["configure", f"--id={vch.id}", "--timeout=180s", *expected])
    assert ground.preview(**after).clean


def test_a_container_network_that_somebody_else_added_is_said_again(ground: Ground) -> None:
    vch = ground.made(container_networks={"back": {"port_group": "LSW20"}})
    vch.flags["container-network"].append("LSW30:theirs")
    ground.stack.refresh()

    ground.up(container_networks={"back": {"port_group": "LSW20"}, "more": {"port_group": "LSW40"}})

    [line] = ground.changing
    assert {"--container-network=LSW30:theirs", "--container-network=LSW40:more"} <= set(line)


def _off(vch: FakeVch) -> None:
    vch.power = "poweredOff"


def _moved(vch: FakeVch) -> None:
    vch.pool = "resgroup-other"


def _resized(vch: FakeVch) -> None:
    vch.memory_mb = 512


def _other_iso(vch: FakeVch) -> None:
    vch.iso = "[DS] elsewhere/v1.1.1-10711-56a309f-appliance.iso"


def _sick(vch: FakeVch) -> None:
    vch.status = "STARTING"


MENDED: list[tuple[str, Callable[[FakeVch], None], str]] = [
    ("off", _off, "power_on"),
    ("moved", _moved, "move resgroup-76"),
    ("resized", _resized, "resize 1 2048"),
    ("another ISO", _other_iso, "mount [DS] vch02.domain.sddc/v1.5.6-21029-2be3feb-appliance.iso"),
    ("unhealthy", _sick, "restart"),
]


@pytest.mark.parametrize(("disturb", "call"), [row[1:] for row in MENDED], ids=[row[0] for row in MENDED])
def test_what_was_done_to_the_vm_by_hand_is_put_back_without_vic_machine(
    ground: Ground, disturb: Callable[[FakeVch], None], call: str
) -> None:
    disturb(ground.made(endpoint_memory=2048))
    ground.stack.refresh()

    run = ground.up(endpoint_memory=2048)

    assert not run.failed, run.text
    assert ground.site.calls == [call] and ground.changing == []
    assert ground.drift(endpoint_memory=2048).clean


def test_another_certificate_of_the_vcenter_is_told_to_the_vch_by_a_plain_configure(ground: Ground) -> None:
    vch = ground.made()
    ground.site.shows = OTHER_THUMBPRINT
    ground.stack.refresh()

    ground.up()

    assert ground.changing == [["configure", f"--id={vch.id}", "--timeout=180s"]]
    assert ground.vch.thumbprint == OTHER_THUMBPRINT


def test_another_password_of_the_ops_user_is_told_to_the_vch_at_its_prompt(ground: Ground) -> None:
    ops = {"ops_user": "ops", "ops_password": "ops"}
    vch = ground.made(**ops)
    ground.stack.config["drydock:ops"] = "mk-other-Zu~9"

    run = ground.up(**ops)

    assert not run.failed, run.text
    assert ground.changing == [["configure", "--ops-user=ops", f"--id={vch.id}", "--timeout=180s"]]
    assert ground.vch.passwords == ["mk-other-Zu~9"]


def test_another_password_of_the_administrator_is_told_to_a_vch_that_uses_it(ground: Ground) -> None:
    vch = ground.made()
    ground.site.password = ground.stack.config["vsphere:password"] = "mk-other-Zu~9"

    run = ground.up()

    assert not run.failed, run.text
    assert ground.changing == [["configure", "--ops-user=admin", f"--id={vch.id}", "--timeout=180s"]]
    assert ground.vch.passwords == ["mk-other-Zu~9"]


def test_another_version_is_one_upgrade(ground: Ground) -> None:
    vch = ground.made()

    run = ground.up("1.5.7")

    assert not run.failed, run.text
    assert ground.changing == [["upgrade", f"--id={vch.id}", "--timeout=180s"]]
    assert ground.outputs["version"] == "1.5.7"


def test_a_second_up_and_a_refresh_without_a_change_run_no_vic_machine(ground: Ground) -> None:
    ground.made()

    assert ground.up().clean and ground.stack.refresh().clean
    assert ground.site.commands == [] and ground.site.fetched == []


def test_a_delete_goes_by_the_id_and_without_force(ground: Ground) -> None:
    vch = ground.made()

    assert not ground.stack.destroy().failed
    assert ground.changing == [["delete", f"--id={vch.id}", "--timeout=180s"]]
    assert ground.site.data == {"VMFS01/VCHPOOL/volumes": []}


def test_only_force_destroy_volumes_takes_the_volume_stores_with_it(ground: Ground) -> None:
    vch = ground.made(force_destroy_volumes=True)

    assert not ground.stack.destroy().failed
    assert ground.changing == [["delete", f"--id={vch.id}", "--force", "--timeout=180s"]]
    assert ground.site.data == {}


def test_mutual_tls_comes_out_as_outputs_and_stays_over_a_refresh(ground: Ground) -> None:
    tls = {"mode": "mutual", "cname": "vch02.domain.sddc"}
    vch = ground.made(tls=tls)

    assert ground.stack.refresh().clean and ground.preview(tls=tls).clean
    assert ground.outputs["client_cert"] == vch.client_cert and ground.outputs["ca"] == vch.authority
    assert "PRIVATE KEY" in ground.outputs["client_key"]
    assert ground.outputs["docker_host"] == "tcp://10.0.1.76:2376"
    assert ground.outputs["docker_api"] == "RUNNING" and ground.outputs["not_after"] > "2026"


def test_given_certificates_go_to_create_as_files_and_come_out_again(ground: Ground) -> None:
    (cert, key), (ca, _), (client, client_key) = pair("vch02.domain.sddc"), pair("CA"), pair("client")
    certificates = {
        "server_cert": cert,
        "server_key": key,
        "ca": ca,
        "client_cert": client,
        "client_key": client_key,
    }
    given: dict[str, Any] = {"tls": {"mode": "mutual", "cname": "vch02.domain.sddc"}, "certificates": certificates}
    ground.made(**given)

    assert ground.drift(**given).clean
    assert ground.outputs["client_cert"].strip() == client.strip() and ground.outputs["docker_api"] == "RUNNING"
    assert key.splitlines()[1] not in str(ground.site.commands)


def test_a_certificate_that_is_due_is_renewed_by_configure(ground: Ground) -> None:
    tls = {"mode": "mutual", "cname": "vch02.domain.sddc"}
    ground.made(tls=tls, renew_before="30d")
    first = ground.outputs["client_cert"]
    assert ground.preview(tls=tls, renew_before="30d").clean

    run = ground.up(tls=tls, renew_before="301d")

    assert not run.failed, run.text
    assert any("not_after: " in line and "configure" in line for line in run.infos), run.infos
    [line] = ground.changing
    assert line[0] == "configure" and "--tls-cname=vch02.domain.sddc" in line
    assert ground.outputs["client_cert"] != first
