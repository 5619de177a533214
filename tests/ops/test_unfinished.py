"""What an interrupted run left in the state is put right before the next one."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from ops import site, unfinished
from ops.stack import Stack

Calls = Callable[[], list[list[str]]]
PARENT = "urn:pulumi:lab::drydock::drydock:components:PhotonVm::photon"
VM = {
    "urn": "urn:pulumi:lab::drydock::drydock:components:PhotonVm$vsphere:index/virtualMachine:VirtualMachine::photon",
    "type": "vsphere:index/virtualMachine:VirtualMachine",
    "parent": PARENT,
    "inputs": {"annotation": "Made by Drydock.\ndrydock.stack=drydock/lab/photon"},
}
NETWORK = {
    "urn": "urn:pulumi:lab::drydock::docker:Network::app-default",
    "type": "pulumi-python:dynamic/docker:Network",
}


@pytest.fixture
def left(stack: Stack) -> Callable[..., None]:
    """Writes a state with pending operations."""

    def write(*pending: dict[str, Any], resources: Collection[dict[str, Any]] = ()) -> None:
        assert stack.backend_folder is not None
        file = stack.backend_folder / "stacks" / "drydock" / "lab.json"
        file.parent.mkdir(parents=True)
        operations = [{"resource": one, "type": "creating"} for one in pending]
        latest = {"pending_operations": operations, "resources": list(resources)}
        file.write_text(json.dumps({"checkpoint": {"latest": latest}}))

    return write


@pytest.fixture
def vms(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Annotation line → path of the VMs that the vCenter has."""
    there: dict[str, str] = {}
    monkeypatch.setattr(site, "machines", lambda stack, lines: {one: there[one] for one in lines if one in there})
    return there


def names(calls: list[list[str]]) -> list[str]:
    return [" ".join(call[:2]) for call in calls]


def test_a_whole_state_costs_no_command(stack: Stack, calls: Calls, left: Callable[..., None]) -> None:
    left(resources=[VM])

    unfinished.settle(stack, print, interrupted=True)

    assert calls() == []


def test_a_vm_that_was_made_is_imported_under_its_component(
    stack: Stack, calls: Calls, left: Callable[..., None], vms: dict[str, str]
) -> None:
    left(VM)
    vms["drydock.stack=drydock/lab/photon"] = "/DC0/vm/photon"

    unfinished.settle(stack, print, interrupted=True)

    assert calls()[0][:6] == ["import", VM["type"], "photon", "/DC0/vm/photon", "--parent", f"parent={PARENT}"]
    assert names(calls())[1:] == ["stack export", "stack import"]


def test_a_vm_that_was_not_made_is_left_to_the_run(
    stack: Stack, calls: Calls, left: Callable[..., None], vms: dict[str, str]
) -> None:
    left(VM)

    unfinished.settle(stack, print, interrupted=True)

    assert names(calls()) == ["stack export", "stack import"]


def test_a_vm_that_is_in_the_state_is_not_imported_again(
    stack: Stack, calls: Calls, left: Callable[..., None], vms: dict[str, str]
) -> None:
    left(VM, resources=[VM])
    vms["drydock.stack=drydock/lab/photon"] = "/DC0/vm/photon"

    unfinished.settle(stack, print, interrupted=True)

    assert names(calls()) == ["stack export", "stack import"]


def test_other_begun_operations_are_cleared_without_a_look_at_the_vcenter(
    stack: Stack, calls: Calls, left: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(NETWORK)
    monkeypatch.setenv("STAND_IN_EXPORT", '{"deployment": {"resources": [1]}}')

    unfinished.settle(stack, print, interrupted=False)

    assert names(calls()) == ["stack export", "stack import"]
    assert (tmp_path / "imported").read_text() == '{"deployment": {"resources": [1]}}'


def test_another_kind_of_backend_is_asked_only_after_an_interrupted_run(
    stack: Stack, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    monkeypatch.setenv("STAND_IN_EXPORT", json.dumps({"deployment": {"pending_operations": []}}))

    unfinished.settle(stack, print, interrupted=False)
    before = calls()
    unfinished.settle(stack, print, interrupted=True)

    assert before == []
    assert names(calls()) == ["stack export"]
