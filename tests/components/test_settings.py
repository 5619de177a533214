"""The stack's settings: what is refused, by name, with what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.kit.model import BadInputs
from settings import Settings

ROOT = Path(__file__).parents[2]
VM = {"datacenter": "DC0", "host": "H0", "datastore": "DS", "network": "VM Network", "iso": "iso/photon.iso"}
APP = {"file": "apps/gogs/compose.yml", "secrets": {"DB": "db_password"}}


def refusal(**own: Any) -> str:
    with pytest.raises(BadInputs) as refused:
        Settings.from_values({f"drydock:{key}": value for key, value in own.items()})
    return str(refused.value)


@pytest.mark.parametrize("stack", ["lab", "dev"])
def test_the_stack_files_that_we_ship_are_valid(stack: str) -> None:
    settings = Settings.from_values(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])

    assert settings.vm and settings.firewall and settings.app


def test_values_come_as_objects_or_as_json_text() -> None:
    assert Settings.from_values({"drydock:vm": json.dumps(VM)}) == Settings.from_values({"drydock:vm": VM})


def test_the_vms_sizes_default_to_the_blogs() -> None:
    vm = Settings.from_values({"drydock:vm": VM}).vm

    assert vm is not None
    assert (vm.disk_gb, vm.num_cpus, vm.memory, vm.hardware_version, vm.guest_id) == (
        8, 1, 512, 11, "other3xLinux64Guest"
    )  # fmt: skip


def test_another_programs_namespace_is_not_ours_to_judge() -> None:
    assert Settings.from_values({"vsphere:user": "me", "other:thing": "x"}) == Settings()


def test_a_secret_that_the_application_refers_to_is_a_known_setting() -> None:
    assert Settings.from_values({"drydock:app": APP, "drydock:db_password": "hidden"}).app is not None


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    assert "firewal: is not a known setting; did you mean 'firewall'?" in refusal(firewal={})


def test_an_unknown_key_inside_a_part_is_refused_with_the_nearest_known_one() -> None:
    assert "vm.memmory: is not a known setting; did you mean 'memory'?" in refusal(vm={**VM, "memmory": 1})


def test_a_missing_setting_is_named_with_its_meaning() -> None:
    without = {key: value for key, value in VM.items() if key != "datastore"}

    assert "vm.datastore: is required but was not given: Datastore of the VM's files" in refusal(vm=without)


@pytest.mark.parametrize(
    ("part", "setting", "value", "words"),
    [
        ("vm", "memory", 510, "multiple of 4 (got 510)"),
        ("vm", "memory", "lots", "(got 'lots')"),
        ("vm", "num_cpus", 0, "greater than or equal to 1 (got 0)"),
        ("vm", "iso", "photon.img", "(got 'photon.img')"),
        ("vm", "cluster", "C0", "give either 'host' or 'cluster'"),
        ("firewall", "host", "H0", "give one of 'cluster', 'host' and 'hosts'"),
        ("firewall", "at_once", 0, "(got 0)"),
        ("firewall", "on_delete", "forget", "'restore' or 'keep' (got 'forget')"),
        ("app", "page", 0, "(got 0)"),
        ("app", "project_name", "Gogs!", "(got 'Gogs!')"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(part: str, setting: str, value: Any, words: str) -> None:
    good = {"vm": VM, "firewall": {"cluster": "C0"}, "app": APP}[part]

    told = refusal(**{part: {**good, setting: value}})

    assert words in told
    assert told.startswith(part)
