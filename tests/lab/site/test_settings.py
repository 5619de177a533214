"""What the appliance makes of a VCH's settings and of requests, without any part of the lab."""

from __future__ import annotations

import base64
import ipaddress
import json
from pathlib import Path

import pytest

from lab.site import extra_config, refusals, registries, secretbox
from lab.site.appliance import key_in
from lab.site.container_machines import machine_name
from lab.site.container_request import RequestError, understood
from lab.site.extra_config import SettingsError, VolumeStore
from lab.site.front import registry_of
from lab.site.ground import AddressBook
from tests.lab.site.machines import sealed

KEY = bytes(range(32))
PREFIX = "guestinfo.vice./"
# A real one: the password `pass`, sealed by vic-machine 1.5.6.
REAL_KEY = "Ie61NOERhcbZ0nd7EMDU0wJl4MqU9h9xB4cwx/k1+eM="
REAL_BOX = "1VMTeuaxDOE34dOgLT6WjRg4WJbE7CCi+V69CF0WkoPMYZDYTL9LDJV0SKs="
IMAGE = {"Cmd": ["run"]}


def values(**changes: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((Path(__file__).parent / "vch-1.5.6.json").read_text())
    return {**found, f"{PREFIX}connect/token@secret": sealed(b"pass", KEY), **changes}


def read(**changes: str) -> extra_config.ApplianceSettings:
    return extra_config.read(values(**changes), base64.b64encode(KEY).decode())


def test_a_box_that_vic_machine_sealed_opens() -> None:
    assert secretbox.opened(base64.b64decode(REAL_BOX), base64.b64decode(REAL_KEY)) == b"pass"


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 1700])
def test_what_was_sealed_opens_whatever_its_length(length: int) -> None:
    content = bytes(number % 251 for number in range(length))

    assert secretbox.opened(base64.b64decode(sealed(content, KEY)), KEY) == content


def test_a_damaged_box_stays_shut() -> None:
    box = bytearray(base64.b64decode(REAL_BOX))
    box[-1] ^= 1

    with pytest.raises(secretbox.BoxError):
        secretbox.opened(bytes(box), base64.b64decode(REAL_KEY))


def test_a_real_vchs_settings_are_understood() -> None:
    settings = read()

    assert (settings.version, settings.build, settings.commit) == ("v1.5.6", "21029", "2be3feb")
    assert settings.login.password == "pass" and settings.login.address == "127.0.0.1:9000"
    assert settings.volume_stores == {"default": VolumeStore("default", "ds", "LocalDS_0", "VCHPOOL/vch02")}
    assert (settings.bridge_range, settings.bridge_width) == (ipaddress.IPv4Network("172.16.0.0/12"), 16)
    assert settings.certificate == settings.key == settings.authorities == ""


def test_no_secret_shows_in_print() -> None:
    assert "pass" not in repr(read()) + repr(read().login).replace("password", "")


def test_a_key_that_doesnt_fit_is_told_and_not_shown() -> None:
    other = base64.b64encode(bytes(32)).decode()

    with pytest.raises(SettingsError, match="connect/token") as caught:
        extra_config.read(values(), other)
    assert other not in str(caught.value)


def test_a_list_of_one_has_the_index_nought() -> None:
    place = f"{PREFIX}registry/insecure_registries"

    assert read(**{place: "0", f"{place}~": "a:5000"}).insecure_registries == ["a:5000"]
    assert read(**{place: "1", f"{place}~": "a:5000|b"}).insecure_registries == ["a:5000", "b"]


def test_a_fixed_address_is_read() -> None:
    place = f"{PREFIX}init/networks|public"
    packed = base64.b64encode(bytes(10) + b"\xff\xff" + bytes([127, 64, 1, 200])).decode()

    assert read(**{f"{place}/ip/IP": packed, f"{place}/static": "true"}).static_addresses == {"public": "127.64.1.200"}


def test_the_report_is_what_vic_machine_waits_for() -> None:
    written = extra_config.report(values(), address="127.64.1.128", prefix=24)

    address = base64.b64decode(written["guestinfo.vice..init.networks|client.assigned.IP"])
    assert (len(address), address[-4:]) == (16, bytes([127, 64, 1, 128]))
    mask = base64.b64decode(written["guestinfo.vice..init.networks|client.assigned.Mask"])
    assert mask == bytes([255, 255, 255, 0])
    assert not extra_config.has_reported(values())
    assert extra_config.has_reported({**values(), **written})


def test_a_problem_stands_in_the_port_layers_report() -> None:
    written = extra_config.report(values(), address="127.64.1.128", prefix=24, problem="no datastore")

    assert written["guestinfo.vice..init.sessions|port-layer.started"] == "no datastore"


def test_the_key_of_secrets_is_found_in_a_vmx() -> None:
    assert key_in(b'displayName = "vch"\nguestinfo.ovfEnv = "abc="\n') == "abc="
    assert key_in(b'displayName = "vch"\n') == ""


def test_an_address_stays_a_machines_own(tmp_path: Path) -> None:
    network = ipaddress.IPv4Network("127.64.1.0/24")
    book = AddressBook(tmp_path / "addresses.json", network)
    first, second = book.of("a"), book.of("b")

    assert AddressBook(tmp_path / "addresses.json", network).of("b") == second != first
    book.forget("a")
    assert book.of("c") == first


@pytest.mark.parametrize(
    ("convention", "name"), [("", "web-0123456789ab"), ("shop-{name}", "shop-web"), ("{id}-x", "0123456789ab-x")]
)
def test_names_of_vms(convention: str, name: str) -> None:
    assert machine_name(convention, "0123456789abcdef", "web") == name


def test_a_long_name_keeps_its_id() -> None:
    assert machine_name("", "0123456789abcdef", "x" * 100) == "x" * 67 + "-0123456789ab"


def test_a_container_gets_its_named_volume_rather_than_the_images() -> None:
    image = {**IMAGE, "Volumes": {"/data": {}, "/other": {}}}

    mounts = understood({"HostConfig": {"Binds": ["web:/data:ro"]}}, image).mounts

    assert [(mount.place, mount.mode) for mount in mounts] == [("/data", "ro"), ("/other", "rw")]
    assert mounts[0].volume == "web"


def test_what_a_vch_ignores_doesnt_reach_the_daemon() -> None:
    body = understood({"HostConfig": {"Privileged": True, "CapAdd": ["ALL"], "PidMode": "host"}}, IMAGE).body

    assert set(body["HostConfig"]) == {"Binds"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"HostConfig": {"NetworkMode": "host"}}, "network host not found"),
        ({"HostConfig": {"Binds": ["/etc:/etc"]}}, "mounting directories as a data volume is not supported."),
        ({"HostConfig": {"Binds": ["a:b:c:d"]}}, "volume bind input is invalid: -v a:b:c:d"),
    ],
)
def test_what_a_vch_refuses_of_a_container(body: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        understood(body, IMAGE)
    assert words in str(caught.value)


def test_a_container_without_a_command_is_refused() -> None:
    with pytest.raises(RequestError, match="No command specified"):
        understood({}, {})


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000"),
        ("registry.example/a", "registry.example"),
        ("library/a", "registry-1.docker.io"),
        ("a", "registry-1.docker.io"),
    ],
)
def test_an_images_registry(image: str, registry: str) -> None:
    assert registry_of(image) == registry


@pytest.mark.parametrize(
    ("entry", "is_meant"),
    [("10.0.0.1:5000", True), ("10.0.0.1", True), ("10.0.0.0/8", True), ("10.0.0.1:443", False), ("other", False)],
)
def test_a_list_of_registries(entry: str, is_meant: bool) -> None:
    assert registries.is_among("10.0.0.1:5000", [entry]) is is_meant


@pytest.mark.parametrize(("version", "is_served"), [("1.18", False), ("1.19", True), ("1.25", True), ("1.100", False)])
def test_api_versions_are_numbers(version: str, is_served: bool) -> None:
    assert (refusals.wrong_version(version) == "") is is_served
