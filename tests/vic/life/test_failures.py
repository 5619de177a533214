"""What goes wrong with a VCH: one line that says what, on what and what to do; and with it corrected `up` goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import Program
from tests.site.markers import ArgumentsWatch, Watch
from tests.vic.life import hands
from tests.vic.life.vch import DATASTORE, IMPORTS, LivingVch

pytestmark = pytest.mark.lab

ONE_OF_EACH = {"VirtualMachine": 1, "ResourcePool": 1, "Folder": 1}
WRONG = "-".join(("wrong", 'mk9"Zü+/%~Q7'))
RESOURCE = "vic.VirtualContainerHost"


@pytest.fixture
def full(vch: LivingVch) -> Iterator[Callable[[bool], None]]:
    """Fills the datastore, or makes room again."""

    def fill(so: bool) -> None:
        hands.control(vch, "/switches", {"full": [DATASTORE] if so else []})

    yield fill
    fill(False)


def with_environment(vch: LivingVch, **changes: str) -> Program:
    """The same program in another user's shell."""
    return Program(vch.program.folder, {**vch.program.environment, **changes}, IMPORTS)


def only_error(said: str) -> str:
    [line] = hands.told_errors(said)
    return line


def goes_on(vch: LivingVch, version: str = "1.5.6", **given: Any) -> None:
    """With the mistake corrected it is made, once, and all is well."""
    vch.up(version, **given)
    assert hands.traces(vch) == ONE_OF_EACH
    assert vch.outputs()["docker_api"] == "RUNNING"
    vch.program.up("--expect-no-changes")


# known at preview


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compute_resource": "DC0_C9"}, "compute_resource: there is no compute resource 'DC0_C9'; there are DC0_C0"),
        ({"compute_resource": "/DC0/host/No"}, "compute_resource: there is no compute resource '/DC0/host/No'; there"),
        ({"image_store": "LocalDS_7/x"}, "image_store: there is no datastore 'LocalDS_7'; there is LocalDS_0"),
        (
            {"volume_stores": {"default": "LocalDS_7/x"}},
            "volume_stores.default: there is no datastore 'LocalDS_7'; there is LocalDS_0",
        ),
        ({"bridge_network": "DC0_DVPG9"}, "bridge_network: there is no network 'DC0_DVPG9'; there are DC0_DVPG0"),
        ({"public_network": {"name": "Publik"}}, "public_network.name: there is no network 'Publik'; there are"),
        (
            {"container_networks": {"back": {"port_group": "Nobody"}}},
            "container_networks.back.port_group: there is no network 'Nobody'; there are",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_what_is_not_there_is_told_at_preview_with_what_is(vch: LivingVch, given: dict[str, Any], told: str) -> None:
    vch.declare(**given)

    said = vch.program.preview(expect=1)

    assert only_error(said).startswith(f"{RESOURCE}: {told}")
    assert hands.traces(vch) == {}


def test_a_place_that_is_not_there_is_refused_before_a_vch_would_be_replaced_for_it(vch: LivingVch) -> None:
    vch.up()
    before = hands.identity(vch)

    said = vch.up(expect=1, bridge_network="DC0_DVPG9")

    assert only_error(said).startswith(f"{RESOURCE}: bridge_network: there is no network 'DC0_DVPG9'")
    assert hands.identity(vch) == before
    goes_on(vch)


@pytest.mark.parametrize(
    ("version", "given", "told"),
    [
        ("1.5.6", {"name": "x" * 32}, "name: the name has 32 characters; 31 at most are allowed"),
        ("1.5.6", {"name": "a%b"}, "name: a name can't hold %; letters, digits, space and - _ . ( ) are allowed"),
        ("1.1.1", {"storage_quota": 4}, "storage_quota: vic-machine 1.1.1 has no --storage-quota for create; 1.5.6 br"),
        (
            "1.5.6",
            {"use_rp": True},
            "use_rp: vic-machine 1.5.6 has no --use-rp for create any more; 1.2.1 was",
        ),
        ("1.5.6", {"memori": 4096}, "memori: "),
    ],
)
def test_what_can_never_be_is_told_at_the_first_preview_already(
    vch: LivingVch, version: str, given: dict[str, Any], told: str
) -> None:
    vch.declare(version, **given)

    assert only_error(vch.program.preview(expect=1)).startswith(f"{RESOURCE}: {told}")


def test_a_name_that_is_another_vms_is_refused_at_preview_and_the_vm_left_alone(vch: LivingVch) -> None:
    hands.other_machine(vch, vch.name)
    theirs = hands.identity(vch)
    vch.declare()

    at_preview = vch.program.preview(expect=1)
    at_up = vch.program.up(expect=1)
    left = hands.traces(vch)
    hands.rename_machine(vch, f"{vch.name}-theirs")
    goes_on(vch)

    for said in (at_preview, at_up):
        assert only_error(said) == (
            f"{RESOURCE} '{vch.name}': a VM or folder of this name that is no VCH exists already where it would get "
            "its own folder. Choose another name, or rename that one."
        )
    assert left == {"VirtualMachine": 1}
    assert hands.identity(vch) != theirs
    hands.remove_machine(vch, f"{vch.name}-theirs")


# the bundle


def test_a_bundle_that_is_not_there_is_told_at_preview(vch: LivingVch, tmp_path: Path) -> None:
    missing = tmp_path / "vic_1.5.6.tar.gz"
    vch.declare(source=str(missing))

    line = only_error(vch.program.preview(expect=1))

    assert line == f"vic.Bundle: source: there is no file {missing}; the path of a vic-machine bundle is allowed"
    goes_on(vch)


def test_a_bundle_of_another_version_is_told_with_both(vch: LivingVch) -> None:
    other = str(vch.lab.part("bundles").folder / "vic_1.5.7.tar.gz")

    line = only_error(vch.up(expect=1, source=other))

    assert line == (
        f"bundle {other}: vic-machine in it is 1.5.7, not 1.5.6. Correct `version`, or take the bundle of that version."
    )
    assert hands.traces(vch) == {}
    goes_on(vch)


def test_a_bundle_with_another_digest_is_not_used(vch: LivingVch) -> None:
    source = str(vch.lab.part("bundles").folder / "vic_1.5.6.tar.gz")

    line = only_error(vch.up(expect=1, sha256="ab" * 32))

    assert line.startswith(f"bundle {source}: its SHA-256 is ") and f", not {'ab' * 32}. Don't use it" in line
    assert hands.traces(vch) == {}
    goes_on(vch)


# while it is made


def test_a_vch_that_does_not_come_up_in_time_is_told_and_made_anew_by_the_next_up(
    vch: LivingVch, tmp_path: Path
) -> None:
    bad = hands.spoilt_bundle(tmp_path / "bad.tar.gz", "1.5.6", "hangs")

    said = vch.up(expect=1, source=str(bad), timeout_s=2)
    left = hands.traces(vch)
    again = vch.up(timeout_s=60)

    line = only_error(said)
    assert line.startswith(
        f"{RESOURCE} '{vch.name}': vic-machine create failed: Failed to obtain IP address for client "
        "interface, and its 2 s were up. "
        "Give it more time (timeout_s), then run it again. Its whole log: "
    )
    assert Path(line.rpartition("Its whole log: ")[2]).is_file()
    assert left == ONE_OF_EACH
    assert "an earlier create was not finished; removing what it left" in again
    goes_on(vch, timeout_s=60)


def test_a_full_datastore_is_named_leaves_nothing_and_with_room_again_up_goes_on(
    vch: LivingVch, full: Callable[[bool], None]
) -> None:
    full(True)
    line = only_error(vch.up(expect=1))
    left = hands.traces(vch)
    full(False)

    assert line.startswith(
        f"{RESOURCE} '{vch.name}': vic-machine create failed: Creating the appliance failed with "
        f"Insufficient disk space on datastore '{DATASTORE}'. Make room on it, then run it again."
    )
    assert left == {}
    goes_on(vch)


def test_a_full_datastore_stops_a_configure_in_one_line_and_the_vch_goes_on(
    vch: LivingVch, full: Callable[[bool], None]
) -> None:
    vch.up()
    full(True)
    line = only_error(vch.up(expect=1, memory=4096))
    full(False)

    assert line.startswith(
        f"{RESOURCE} '{vch.name}': vic-machine configure failed: no snapshot can be made: "
        f"Insufficient disk space on datastore '{DATASTORE}'. Make room on it, then run it again."
    )
    with vch.engine() as engine:
        assert engine.info()["ServerVersion"].startswith("v1.5.6")
    goes_on(vch, memory=4096)


# the vCenter


def test_a_wrong_password_is_one_failed_login_and_not_shown(vch: LivingVch) -> None:
    vch.declare()
    hands.control(vch, "/counts/reset", {})

    said = with_environment(vch, VSPHERE_PASSWORD=WRONG).up(expect=1)
    taken, refused = hands.logins(vch)

    line = only_error(said)
    assert "was refused" in line and vch.program.environment["VSPHERE_SERVER"] in line
    assert Watch({"wrong": WRONG}).in_text(said) == []
    assert (taken, refused) == (0, 1)
    goes_on(vch)


def test_a_vcenter_with_another_certificate_gets_no_password(vch: LivingVch) -> None:
    pinned = ":".join(["AB"] * 20)
    vch.declare(thumbprint=pinned)
    hands.control(vch, "/counts/reset", {})

    said = vch.program.preview(expect=1)

    line = only_error(said)
    assert vch.program.environment["VSPHERE_SERVER"] in line and pinned in line and "ertificate" in line
    assert hands.logins(vch) == (0, 0)
    goes_on(vch)


def test_a_vcenter_that_can_not_be_reached_is_named(vch: LivingVch) -> None:
    vch.declare()
    nowhere = "127.0.0.1:9"

    line = only_error(with_environment(vch, VSPHERE_SERVER=nowhere).preview(expect=1))

    assert nowhere in line and "can't be reached" in line
    goes_on(vch)


# secrets


def test_no_password_and_no_key_is_printed_kept_in_a_log_or_seen_by_ps(
    vch: LivingVch, marker_passwords: dict[str, str]
) -> None:
    watch = Watch(marker_passwords)
    tls = {"mode": "mutual", "cname": "vch.example.com"}
    with ArgumentsWatch(watch) as arguments:
        vch.up(tls=tls)
        vch.up(tls=tls, memory=4096)
        vch.up(expect=1, tls=tls, memory=4096, bridge_network="DC0_DVPG9")
        key = vch.outputs()["client_key"].split("\n")[1]
        vch.program.destroy()
    notes = vch.program.folder.parent / "notes"
    with_key = Watch({**marker_passwords, "key": key})

    assert len(list((notes / "logs" / "vic").glob("*-create.log"))) == 1
    assert with_key.in_text("\n".join(vch.program.said)) == []
    assert with_key.in_files([notes]) == []
    assert "PRIVATE KEY" not in "".join(one.read_text() for one in notes.rglob("*.log"))
    assert arguments.processes > 10 and arguments.found == set()
