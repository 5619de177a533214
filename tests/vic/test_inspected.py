"""What inspect config prints means what the user set, in whatever spelling; and what differs is known with its cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.kit.difference import Change
from providers.kit.errors import Permanent
from providers.vic.inspected import COSTS, Way, configuration, differences, keeping, observed, way_of
from providers.vic.settings import Settings
from tests.vic.given import settings

FOLDER = Path(__file__).parents[1] / "vic_machine" / "transcripts"
BARE = (
    "--target=https://vc --thumbprint=AA --name=vch02.domain.sddc --compute-resource=/DC/host/SDDC.Container/Resources"
)


def of_transcript(name: str) -> list[str]:
    return (FOLDER / f"{name}.txt").read_text().splitlines()


def created(name: str = "vch02.domain.sddc", path: str = "vch02", **more: Any) -> Settings:
    """What the transcripts' VCHs were made with."""
    return settings(
        **{
            "name": name,
            "compute_resource": "DC0_C0",
            "image_store": f"LocalDS_0/VCHPOOL/{path}",
            "volume_stores": {"default": f"LocalDS_0/VCHPOOL/{path}"},
            "bridge_network": "DC0_DVPG0",
            **more,
        }
    )


def found(line: str, wanted: Settings, version: str = "1.5.6") -> list[tuple[str, Any, Any, Way]]:
    there = observed(configuration([line]), wanted)
    told = differences(wanted, there, version)
    return [(one.change.path, one.change.there, one.change.wanted, one.way) for one in told]


@pytest.mark.parametrize(
    ("transcript", "wanted"),
    [
        ("1.5.6-inspect-config", created()),
        ("1.5.6-inspect-config", created(compute_resource="/DC0/host/DC0_C0")),
        ("1.5.6-inspect-config", created(compute_resource="/DC0/host/DC0_C0/Resources")),
        ("1.5.6-inspect-config", created(image_store="ds://LocalDS_0/VCHPOOL/vch02/")),
        ("1.5.6-inspect-config", created(public_network={"name": "VM Network"}, client_network={"name": "VM Network"})),
        ("1.5.6-inspect-config", created(memory=0, cpu_shares="normal", bridge_network_range="172.16.0.0/12")),
        ("1.5.6-inspect-config-tls", created("vch03", "vch03", tls={"mode": "mutual", "cname": "127.0.0.1"})),
        (
            "1.5.6-inspect-config-after-configure",
            created(
                volume_stores={"default": "LocalDS_0/VCHPOOL/vch02", "archive": "ds://LocalDS_0/VCHPOOL/more"},
                dns_servers=["192.0.2.53"],
                memory=4096,
            ),
        ),
    ],
)
def test_what_was_set_is_no_difference_in_whatever_spelling(transcript: str, wanted: Settings) -> None:
    line = next(one for one in of_transcript(transcript) if one.startswith("--target="))

    assert found(line, wanted) == []


def test_what_was_configured_by_hand_is_named() -> None:
    line = next(one for one in of_transcript("1.5.6-inspect-config-after-configure") if one.startswith("--target="))

    told = found(line, created(dns_servers=["192.0.2.54"], memory=2048, debug=1))

    assert sorted(told) == [
        ("debug", 0, 1, Way.CONFIGURE),
        ("dns_servers", ["192.0.2.53"], ["192.0.2.54"], Way.CONFIGURE),
        ("memory", 4096, 2048, Way.CONFIGURE),
    ]


def test_only_what_the_user_set_is_compared() -> None:
    line = next(one for one in of_transcript("1.5.6-inspect-config-after-configure") if one.startswith("--target="))

    assert found(line, created()) == []


EXAMPLES: list[tuple[str, dict[str, Any], list[tuple[str, Way]]]] = [
    (" --image-store=ds://VMFS02/VCHPOOL", {}, [("image_store", Way.REPLACE)]),
    (" --bridge-network=Other", {}, [("bridge_network", Way.REPLACE)]),
    (" --public-network=Other Net", {"public_network": {"name": "LSW10_Mgmt"}}, [("public_network.name", Way.REPLACE)]),
    (" --public-network=A", {"management_network": {"name": "B"}}, [("management_network.name", Way.REPLACE)]),
    ("", {"insecure_registries": ["r:5000"]}, [("insecure_registries", Way.REPLACE)]),
    (" --insecure-registry=//r:5000", {"insecure_registries": ["r:5000"]}, []),
    ("", {"volume_stores": {"new": "DS/new"}}, [("volume_stores.new", Way.CONFIGURE)]),
    (" --volume-store=ds://DS/old:a", {"volume_stores": {"a": "DS/new"}}, [("volume_stores.a", Way.REPLACE)]),
    (" --volume-store=nfs://h/p?uid=1:n", {"volume_stores": {"n": "nfs://h/p?uid=1"}}, []),
    ("", {"endpoint_memory": 4096}, []),  # the configuration doesn't tell; the VM does
    (" --ops-user=administrator", {}, []),
    (" --ops-user=old", {"ops_user": "ops", "ops_password": "x"}, [("ops_user", Way.CONFIGURE)]),
    (" --no-proxy=a, b", {"no_proxy": ["a", "b"]}, []),
    (" --http-proxy=http://p:1", {"http_proxy": ""}, [("http_proxy", Way.CONFIGURE)]),
    (
        " --client-network-ip=10.0.0.9/24 --client-network-gateway=10.8.0.0/16:10.0.0.1",
        {"client_network": {"ip": "10.0.0.9/24", "gateway": "10.0.0.1", "routes": ["10.8.0.0/16"]}},
        [],
    ),
]


@pytest.mark.parametrize(("more", "wanted", "expected"), EXAMPLES)
def test_a_difference_is_named_with_the_way_to_mend_it(
    more: str, wanted: dict[str, Any], expected: list[tuple[str, Way]]
) -> None:
    usual = {"--image-store=ds://VMFS01/VCHPOOL", "--bridge-network=LSW10_Bridge"}
    given = " ".join(sorted(one for one in usual if one.partition("=")[0] not in more))

    assert [(path, way) for path, _, _, way in found(f"{BARE} {given}{more}", settings(**wanted))] == expected


NETWORK = {
    "port_group": "Back End",
    "gateway": "10.1.0.1/16",
    "ip_ranges": ["10.1.1.0/24", "10.1.2.10-10.1.2.20"],
    "dns": ["10.1.0.2"],
    "firewall": "outbound",
}
TOLD = (
    f"{BARE} --image-store=ds://VMFS01/VCHPOOL --bridge-network=LSW10_Bridge --container-network=Back End:backend "
    "--container-network-gateway=Back End:10.1.0.1/16 --container-network-ip-range=Back End:10.1.2.10-10.1.2.20 "
    "--container-network-ip-range=Back End:10.1.1.0-10.1.1.255 --container-network-dns=Back End:10.1.0.2"
)


@pytest.mark.parametrize("firewall", ["backend:3", "Back End:3", "Back End:outbound", "Back End:Outbound"])
def test_container_networks_are_compared_by_what_they_mean(firewall: str) -> None:
    wanted = settings(container_networks={"backend": NETWORK})

    assert found(f"{TOLD} --container-network-firewall={firewall}", wanted) == []


def test_a_container_network_that_was_changed_is_named() -> None:
    wanted = settings(container_networks={"backend": NETWORK})

    assert found(TOLD, wanted) == [("container_networks.backend.firewall", "published", "outbound", Way.CONFIGURE)]


def test_values_with_spaces_are_read_whole() -> None:
    told = configuration(["--target=https://vc:443 --name=my vch --public-network=VM Net - 2 --bridge-network=B --x=y"])

    assert told.one("name") == "my vch" and told.one("public-network") == "VM Net - 2"
    assert told.one("bridge-network") == "B --x=y" and told.target == "vc:443"


def test_output_without_a_configuration_is_told() -> None:
    with pytest.raises(Permanent, match="printed no configuration"):
        configuration(["level=error"])


@pytest.mark.parametrize(
    ("there", "wanted", "way"),
    [
        ("server", "mutual", Way.CONFIGURE),
        ("mutual", "server", Way.REPLACE),
        ("none", "mutual", Way.REPLACE),
        ("mutual", "none", Way.REPLACE),
    ],
)
def test_the_tls_mode_can_only_be_tightened_in_place(there: str, wanted: str, way: Way) -> None:
    assert way_of(Change("tls.mode", there, wanted), settings(), "1.5.6")[0] is way


@pytest.mark.parametrize(
    ("version", "way", "why"), [("1.5.6", Way.CONFIGURE, ""), ("1.4.3", Way.REPLACE, "1.5.6 brings it")]
)
def test_what_configure_can_change_depends_on_the_version(version: str, way: Way, why: str) -> None:
    told = way_of(Change("syslog_address", None, "tcp://log:514"), settings(), version)

    assert told[0] is way and why in told[1]


@pytest.mark.parametrize(("wanted", "way"), [("1.5.7", Way.UPGRADE), ("1.5.5", Way.REPLACE)])
def test_a_version_only_goes_up_in_place(wanted: str, way: Way) -> None:
    assert way_of(Change("version", "1.5.6", wanted), settings(), "1.5.6")[0] is way


def test_a_store_that_is_not_wanted_any_more_stays() -> None:
    way, why = way_of(Change("volume_stores.old", "DS/old", None), settings(), "1.5.6")

    assert way is Way.NONE and "stays" in why


def test_configure_is_told_again_what_others_have_added() -> None:
    wanted = settings(volume_stores={"a": "DS/a"}, container_networks={"n": {"port_group": "N"}})
    applied = settings(volume_stores={"a": "DS/a", "b": "DS/b"}, container_networks={"m": {"port_group": "M"}})
    there = {
        "volume_stores": {"a": "DS/a", "b": "DS/b", "by-hand": "DS/h"},
        "container_networks": {"m": {"port_group": "M"}, "by-hand": {"port_group": "H"}},
    }

    kept = keeping(wanted, applied, there)

    assert set(kept.volume_stores) == {"a", "b", "by-hand"}
    assert set(kept.container_networks) == {"n", "by-hand"}


def test_every_way_has_its_price() -> None:
    assert set(COSTS) == set(Way) and "restarts" in COSTS[Way.CONFIGURE] and "lost" in COSTS[Way.REPLACE]
