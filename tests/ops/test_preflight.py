"""What preflight says of a stack, and the thumbprint that it pins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from ops import preflight, vcenter_names
from ops.exit_codes import Exit
from ops.preflight import Check, Found
from ops.stack import Stack, StackError
from providers.esxi import vsphere
from settings import Settings

SHA256 = ":".join(["AB"] * 32)
VM = "  drydock:vm: {name: photon, datacenter: DC0, host: H0, datastore: D, network: N, iso: i.iso}\n"


@pytest.fixture
def vcenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vCenter that shows a certificate."""
    for name, value in {"VSPHERE_SERVER": "vc", "VSPHERE_USER": "ada", "VSPHERE_PASSWORD": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(vsphere, "thumbprints", lambda host, port, label: ("00:11", SHA256, "PEM"))


def states(found: Found) -> dict[str, str]:
    return {check.name: check.state for check in found.checks}


def test_parts_that_are_not_set_are_skipped_and_say_so(stack: Stack) -> None:
    found = preflight.look(stack)

    skipped = {name: state for name, state in states(found).items() if name not in ("tools", "settings")}
    assert set(skipped.values()) == {"skipped"}
    assert all(check.text for check in found.checks)


def test_a_wrong_setting_is_named_with_the_nearest_known_one(stack: Stack) -> None:
    stack.file.write_text("config:\n" + VM.replace("iso:", "isso:"))

    found = preflight.look(stack)

    assert "Pulumi.lab.yaml: setting vm.isso: is not a known setting; did you mean 'iso'?" in found.text()
    assert found.code == Exit.RESOURCE


def test_a_missing_vcenter_address_is_a_problem_only_with_a_vm_or_firewall(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VSPHERE_SERVER", "VSPHERE_USER", "VSPHERE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    without = preflight.look(stack)

    stack.file.write_text("config:\n" + VM)

    assert states(without)["vCenter"] == "skipped"
    assert "VSPHERE_SERVER, VSPHERE_USER, VSPHERE_PASSWORD not set" in preflight.look(stack).text()


def test_a_secret_without_a_value_is_named(stack: Stack) -> None:
    stack.file.write_text("config:\n  drydock:app: {file: compose.yml, secrets: {PASSWORD: unheard_of_password}}\n")

    text = preflight.look(stack).text()

    assert "secret 'unheard_of_password' has no value: `pulumi config set --secret unheard_of_password`" in text


VCH = "  drydock:vch: {name: v, bridge_network: B, tls: {mode: none}, bundle: {version: 1.5.6%s}}\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("", "setting vch.bundle.source is not set, and VIC_BUNDLE isn't either: set one of the two"),
        (
            ", source: /nowhere/vic.tar.gz",
            "vic-machine 1.5.6: /nowhere/vic.tar.gz is no file: correct vch.bundle.source",
        ),
    ],
)
def test_a_bundle_that_comes_from_nowhere_is_told_before_anything_is_made(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, source: str, line: str
) -> None:
    monkeypatch.delenv("VIC_BUNDLE", raising=False)
    stack.file.write_text("config:\n" + VCH % source)

    found = preflight.look(stack)

    assert line in found.text()


def test_what_a_vch_names_is_held_against_the_vcenter_with_near_names() -> None:
    class Session:
        """A vCenter of three names."""

        endpoint = SimpleNamespace(label="vCenter vc")

        def collect(self, kinds: Any, roots: Any = None) -> list[tuple[Any, dict[str, str]]]:
            there = [(vim.Datastore, "vmfs01"), (vim.Network, "bridge"), (vim.ComputeResource, "Cluster")]
            return [(kind(name, None), {"name": name}) for kind, name in there if kind in kinds]

    vch = {
        "name": "v",
        "image_store": "vmfs1/images",
        "volume_stores": {"default": "ds://vmfs01/volumes", "nfs": "nfs://server/share"},
        "bridge_network": "brigde",
        "public_network": {"name": "bridge"},
        "compute_resource": "/DC/host/Cluster",
        "tls": {"mode": "none"},
        "bundle": {"version": "1.5.6"},
    }

    found = vcenter_names.missing(Session(), Settings.from_values({"drydock:vch": vch}))  # type: ignore[arg-type]

    assert found == [
        "setting vch.image_store: vCenter vc: there is no datastore 'vmfs1'; there is vmfs01",
        "setting vch.bridge_network: vCenter vc: there is no network 'brigde'; there is bridge",
    ]


def test_a_refused_login_comes_before_everything_else() -> None:
    found = Found(
        (
            Check("Docker", preflight.FAILED, "down", Exit.RESOURCE),
            Check("vCenter", preflight.FAILED, "refused", Exit.AUTHENTICATION),
        )
    )

    assert found.code == Exit.AUTHENTICATION


@pytest.mark.usefixtures("vcenter")
def test_a_pin_is_added_and_everything_else_in_the_file_stays(stack: Stack) -> None:
    stack.file.write_text(f"# mine\nconfig:\n{VM}encryptionsalt: v1:x\n")

    said = preflight.pin(stack)

    assert stack.file.read_text() == (
        f"# mine\nconfig:\n  drydock:vsphere_thumbprint: {SHA256}\n{VM}encryptionsalt: v1:x\n"
    )
    assert said.startswith(f"Pinned vCenter vc in Pulumi.lab.yaml: SHA-256 {SHA256}\n")


@pytest.mark.usefixtures("vcenter")
def test_an_old_pin_is_replaced(stack: Stack) -> None:
    stack.file.write_text(f"config:\n{VM}  drydock:vsphere_thumbprint: 00:00\n")

    preflight.pin(stack)

    assert stack.file.read_text() == f"config:\n{VM}  drydock:vsphere_thumbprint: {SHA256}\n"


@pytest.mark.usefixtures("vcenter")
def test_a_file_without_settings_gets_no_pin_but_a_line_to_add(stack: Stack) -> None:
    stack.file.write_text("encryptionsalt: v1:x\n")

    with pytest.raises(StackError, match="has no section 'config:'"):
        preflight.pin(stack)
