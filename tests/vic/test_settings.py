"""The settings refuse what vic-machine would refuse, or what would lose data, and say what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from providers.kit.model import BadInputs, parse
from providers.vic.settings import Settings, refused_by
from tests.vic.given import blog, minimal, pair, settings

CERT, KEY = pair()
OTHER = pair("other.domain.sddc")[0]

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a23456789012345678901234567890123"}, "name", "33 characters; 31 at most"),
    ({"name": "bad%name"}, "name", "can't hold %"),
    ({"name": "a/b"}, "name", "can't hold /"),
    ({"name": ".."}, "name", "more than dots"),
    ({"name": " vch"}, "name", "more than dots and spaces, and none at its ends"),
    ({"image_store": "VMFS01"}, "", "needs a path of its own"),
    ({"image_store": "VMFS01/vch02.domain.sddc"}, "", "the VCH's own folder"),
    ({"image_store": "VMFS01/VCH02.domain.sddc/images"}, "", "the VCH's own folder"),
    ({"image_store": "nfs://host/path"}, "image_store", "DATASTORE/PATH"),
    ({"image_store": "VMFS01/../x"}, "image_store", "without empty parts"),
    ({"volume_stores": {"default": "ds://VMFS01/vch02.domain.sddc/v"}}, "", "volume_stores.default"),
    ({"volume_stores": {"de:fault": "VMFS01/x"}}, "volume_stores.de:fault.[key]", "can't hold :"),
    ({"volume_stores": {"n": "nfs://user:pw@host/path"}}, "volume_stores.n", "nfs://HOST/PATH"),
    ({"volume_stores": {"n": "smb://host/path"}}, "volume_stores.n", "ds://DATASTORE/PATH or nfs"),
    ({"http_proxy": "http://user:mk-proxy@proxy:3128"}, "http_proxy", "with credentials is refused"),
    ({"https_proxy": "socks5://proxy:1080"}, "https_proxy", "http://HOST:PORT or https://HOST:PORT"),
    ({"public_network": {"ip": "10.0.0.5", "gateway": "10.0.0.1"}}, "public_network.ip", "10.0.0.9/24 is allowed"),
    ({"public_network": {"ip": "10.0.0.5/24"}}, "", "needs a gateway"),
    ({"public_network": {"gateway": "10.0.0.1"}}, "public_network", "needs a fixed ip"),
    ({"client_network": {"ip": "10.0.0.5/24", "gateway": "10.1.0.1"}}, "client_network", "not in the network of ip"),
    ({"public_network": {"ip": "10.0.0.5/24", "gateway": "10.0.0.1", "routes": ["10.2.0.0/16"]}}, "", "routes"),
    ({"public_network": {"name": "LSW10_Bridge"}}, "", "must be a network of its own"),
    ({"bridge_network_range": "172.16.0.0/20"}, "", "smaller than one bridge network"),
    ({"bridge_network_range": "172.16.0.1/12"}, "bridge_network_range", "10.0.0.0/16 is allowed"),
    ({"dns_servers": ["dns.example.com"]}, "dns_servers.0", "IPv4 address"),
    ({"container_networks": {"back end": {"port_group": "x"}}}, "", "can't hold a space"),
    ({"container_networks": {"bridge": {"port_group": "x"}}}, "", "name of the bridge network"),
    ({"container_networks": {"a": {"port_group": "x"}, "b": {"port_group": "x"}}}, "", "that of 'a' already"),
    ({"container_networks": {"a": {"port_group": "x", "firewall": "shut"}}}, "container_networks.a.firewall", "closed"),
    ({"container_networks": {"a": {"port_group": "x:y"}}}, "container_networks.a", "can't hold a colon"),
    (
        {
            "container_networks": {
                "a": {"port_group": "x", "gateway": "10.1.0.1/16", "ip_ranges": ["10.1.0.9-10.1.0.2"]}
            }
        },
        "container_networks.a.ip_ranges.0",
        "ends before it begins",
    ),
    ({"tls": {"mode": "mutual"}}, "", "tls.cname is needed"),
    ({"tls": {"mode": "off"}}, "tls.mode", "'mutual', 'server' or 'none'"),
    ({"tls": {"mode": "none", "cname": "x"}}, "tls", "so cname can't be set"),
    ({"tls": {"mode": "server", "key_size": 1024}}, "tls.key_size", "2048"),
    ({"certificates": {"server_cert": CERT, "server_key": KEY}}, "", "can't be given with tls.mode none"),
    ({"tls": {}, "certificates": {"server_cert": CERT, "server_key": KEY}}, "", "certificates.ca is needed"),
    (
        {"tls": {"cname": "x.y"}, "certificates": {"server_cert": OTHER, "server_key": KEY, "ca": CERT}},
        "",
        "but certificates.server_cert is for 'other.domain.sddc'",
    ),
    ({"registry_cas": ["nonsense"]}, "registry_cas.0", "PEM form"),
    ({"registry_cas": [CERT + KEY]}, "registry_cas.0", "holds a private key"),
    ({"insecure_registries": ["https://u:p@registry"]}, "insecure_registries.0", "HOST:PORT"),
    ({"ops_user": "ops"}, "", "needs ops_password"),
    ({"ops_grant_perms": True}, "", "need an ops_user"),
    ({"syslog_address": "syslog.example.com"}, "syslog_address", "tcp://HOST:PORT"),
    ({"container_name_convention": "vm"}, "container_name_convention", "{id} or {name}"),
    ({"memory": -1}, "memory", "greater than or equal to 0"),
    ({"memory": "4 GB"}, "memory", "integer"),
    ({"memory_shares": "much"}, "memory_shares", "high, normal, low"),
    ({"base_image_size": "8"}, "base_image_size", "8GB"),
    ({"volume_store": {}}, "volume_store", "did you mean 'volume_stores'"),
]


@pytest.mark.parametrize(("wrong", "property_", "says"), REFUSED, ids=[f"{next(iter(w))} {s}" for w, _, s in REFUSED])
def test_a_wrong_value_is_refused_with_what_is_allowed(wrong: dict[str, Any], property_: str, says: str) -> None:
    with pytest.raises(BadInputs) as told:
        parse(Settings, minimal(**wrong))

    assert [name for name, _ in told.value.problems] == [property_]
    assert says in told.value.problems[0][1]


@pytest.mark.parametrize("secret", ["mk-server-key", "mk-client-key"])
def test_a_key_never_stands_in_a_message(secret: str) -> None:
    given = {"server_cert": CERT, "server_key": "mk-server-key", "ca": CERT, "client_key": "mk-client-key"}

    with pytest.raises(BadInputs) as told:
        parse(Settings, minimal(tls={"mode": "mutual"}, certificates=given))

    assert secret not in str(told.value)


def test_a_key_never_stands_in_the_settings_own_text() -> None:
    given = {"server_cert": CERT, "server_key": KEY, "ca": CERT}

    assert KEY.splitlines()[1] not in repr(settings(tls={"mode": "mutual"}, certificates=given))


def test_the_blogs_own_vch_is_fine() -> None:
    assert parse(Settings, blog()).name == "vch02.domain.sddc"


@pytest.mark.parametrize(
    "networks",
    [
        {"client_network": {"name": "c", "ip": "10.0.0.5/24"}},
        {"public_network": {"name": "p", "ip": "10.0.0.5/24", "gateway": "10.0.0.1"}},
        {"management_network": {"name": "m", "ip": "10.0.0.5/24"}, "client_network": {"name": "m"}},
    ],
    ids=["client", "public", "management"],
)
def test_mutual_tls_needs_no_cname_where_an_address_is_fixed(networks: dict[str, Any]) -> None:
    assert settings(tls={"mode": "mutual"}, **networks).tls.cname is None


@pytest.mark.parametrize(
    ("version", "more", "property_", "says"),
    [
        ("1.1.1", {"storage_quota": 100}, "storage_quota", "1.5.6 brings it"),
        ("1.1.1", {"syslog_address": "udp://log:514"}, "syslog_address", "1.2.1 brings it"),
        ("1.4.3", {"bridge_network_width": 20}, "bridge_network_width", "1.5.6 brings it"),
        ("1.2.1", {"affinity_vm_group": True}, "affinity_vm_group", "1.4.3 brings it"),
        (
            "1.1.1",
            {"container_networks": {"a": {"port_group": "x", "firewall": "open"}}},
            "container_networks.firewall",
            "1.2.1 brings it",
        ),
        ("1.5.6", {"use_rp": True}, "use_rp", "1.2.1 was the last with it"),
    ],
)
def test_what_a_version_lacks_is_refused_at_preview(
    version: str, more: dict[str, Any], property_: str, says: str
) -> None:
    problems = refused_by(settings(**more), version)

    assert [name for name, _ in problems] == [property_]
    assert says in problems[0][1]


@pytest.mark.parametrize("missing", ["image_store", "bridge_network"])
def test_what_create_needs_on_a_vcenter_is_asked_for(missing: str) -> None:
    given = {name: value for name, value in minimal().items() if name != missing}

    assert [name for name, _ in refused_by(Settings.model_validate(given), "1.5.6")] == [missing]


@pytest.mark.parametrize("version", ["1.1.1", "1.5.6", "1.5.7"])
def test_the_blogs_own_vch_is_within_every_version(version: str) -> None:
    assert refused_by(Settings.model_validate(blog()), version) == []
