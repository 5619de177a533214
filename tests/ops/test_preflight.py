"""What preflight says of a stack, and the thumbprint that it pins."""

from __future__ import annotations

import pytest

from ops import preflight
from ops.exit_codes import Exit
from ops.preflight import Check, Found
from ops.stack import Stack, StackError
from providers.esxi import vsphere

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
