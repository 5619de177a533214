"""What create writes into a VCH's VM is what the real one wrote, key by key, with the secrets opened."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from lab.stand_ins.vic_machine import secretbox
from lab.stand_ins.vic_machine.extra_config import KEY, key_in
from tests.esxi.simulator import PASSWORD, USER
from tests.stand_ins.conftest import Told
from tests.stand_ins.stories import Kept

pytestmark = pytest.mark.lab

NORMS = Path(__file__).parents[1] / "vic_machine" / "extra_config"
RUNS = {
    "1.5.6-no-tls": "1.5.6-create-ok-no-tls",
    "1.5.6-tls": "1.5.6-create-ok-tls",
    "1.1.1-no-tls": "1.1.1-create-ok-no-tls",
}
# By the simulator, or by the appliance after its first boot.
NOT_OURS = re.compile(r"govcsim|RUN\..*|\S*\.assigned\.\S*|\S*\.started|guestinfo\.ovfEnv")
MASKS = (
    (re.compile(r"127\.0\.0\.1:\d+"), "TARGET"),
    (re.compile(r"\b([0-9A-F]{2}:){19}[0-9A-F]{2}\b"), "THUMBPRINT"),
    (re.compile(r"\bvm-\d+"), "vm-N"),
    (re.compile(r"\bresgroup-(v?)\d+"), r"resgroup-\1N"),
)
TLS = ("cert/CertificateAuthorities", "cert/HostCertificate/Cert")


def norm(name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((NORMS / f"{name}.json").read_text())
    return found


def compared(settings: dict[str, str]) -> dict[str, str]:
    found = {}
    for key, value in settings.items():
        if NOT_OURS.fullmatch(key) or key.endswith("@secret"):
            continue
        for pattern, instead in MASKS:
            value = pattern.sub(instead, value)
        found[key] = "PEM" if any(part in key for part in TLS) else value
    return found


def opened(settings: dict[str, str], key: bytes) -> dict[str, bytes]:
    sealed = {name: value for name, value in settings.items() if name.endswith("@secret")}
    return {name: secretbox.opened(base64.b64decode(value), key) for name, value in sealed.items()}


def kept(told: Told, name: str) -> Kept:
    return told.kept[RUNS[name]]


@pytest.mark.parametrize("name", RUNS)
def test_every_key_holds_what_it_should(told: Told, name: str) -> None:
    known = compared(norm(name))
    known["guestinfo.vice./connect/username"] = USER
    assert compared(kept(told, name).settings) == known


@pytest.mark.parametrize("name", RUNS)
def test_secrets_open_with_the_key_in_the_machines_own_file(told: Told, name: str) -> None:
    vm = kept(told, name)
    key = key_in(vm.file)
    assert key is not None
    ours, theirs = opened(vm.settings, key), opened(norm(name), base64.b64decode(norm(name)[KEY]))
    assert set(ours) == set(theirs)
    assert ours["guestinfo.vice./connect/token@secret"] == PASSWORD.encode()


def test_the_servers_key_is_the_one_of_its_certificate(told: Told) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    vm = kept(told, "1.5.6-tls")
    key = key_in(vm.file)
    assert key is not None
    private = load_pem_private_key(
        base64.b64decode(opened(vm.settings, key)["guestinfo.vice./cert/HostCertificate/Key@secret"]), None
    )
    shown = base64.b64decode(vm.settings["guestinfo.vice./cert/HostCertificate/Cert"])
    assert private.public_key() == x509.load_pem_x509_certificate(shown).public_key()


def test_the_machine_is_made_as_the_real_one_makes_it(told: Told) -> None:
    vm = kept(told, "1.5.6-no-tls").machine
    assert vm["guest"] == ("otherGuest64", "Photon - VCH v1.5.6, 21029, 2be3feb")
    assert vm["size"] == (1, 2048)
    assert vm["parent"] == "vch02.domain.sddc"
    assert vm["pool"].startswith("ResourcePool:")
    assert vm["isos"] == ["[LocalDS_0] vch02.domain.sddc/v1.5.6-21029-2be3feb-appliance.iso"]
    assert vm["ports"] == ["[LocalDS_0] vch02.domain.sddc/tether.debug"]
    kinds = vm["devices"]
    assert kinds.count("VirtualVmxnet3") == 2, "roles that share a network share the NIC; the bridge has its own"
    assert {"VirtualIDEController", "ParaVirtualSCSIController", "VirtualCdrom", "VirtualSerialPort"} <= set(kinds)


def test_1_1_makes_a_vapp(told: Told) -> None:
    assert kept(told, "1.1.1-no-tls").machine["pool"].startswith("VirtualApp:")


def test_the_files_of_a_vch_with_tls_have_their_modes(told: Told) -> None:
    assert kept(told, "1.5.6-tls").files == {
        "ca-key.pem": "600",
        "ca.pem": "644",
        "cert.pem": "644",
        "cert.pfx": "600",
        "key.pem": "600",
        "server-cert.pem": "644",
        "server-key.pem": "600",
        "vch03.env": "644",
    }
    assert kept(told, "1.5.6-no-tls").files == {}
