"""What a preview says of a VCH before anything is changed, over a vCenter in memory."""

from __future__ import annotations

from typing import Any

import pytest

from providers.vic.resources.inputs import VchInputs
from providers.vic.resources.session import Names
from providers.vic.resources.surroundings import missing
from tests.conformance.engine import UNKNOWN
from tests.vic.fake_site import FakeContainer
from tests.vic.given import minimal
from tests.vic.ground import NAME, Ground


def later(version: str) -> dict[str, Any]:
    """A bundle that is fetched in the same run."""
    return {"version": version, "source": f"/bundles/vic_{version}.tar.gz", "sha256": UNKNOWN}


def test_an_upgrade_is_foretold_before_its_bundle_is_fetched(ground: Ground) -> None:
    ground.made()

    run = ground.preview(bundle=later("1.5.7"))

    assert run.plan == {"it": "update"} and not run.failed, run.text
    assert "version: 1.5.6 → 1.5.7" in run.infos[0] and "upgrade (the VCH restarts with the new version" in run.infos[0]


def test_a_downgrade_is_refused_before_its_bundle_is_fetched(ground: Ground) -> None:
    ground.made("1.5.7")

    assert "can't take it back to 1.5.6" in " ".join(ground.preview(bundle=later("1.5.6")).errors)


def test_what_the_version_lacks_is_refused_before_its_bundle_is_fetched(ground: Ground) -> None:
    run = ground.preview(bundle=later("1.1.1"), storage_quota=4)

    assert "has no --storage-quota for create; 1.5.6 brings it" in " ".join(run.lines)


def test_a_replacement_is_judged_by_what_is_there_now(ground: Ground) -> None:
    ground.made().containers.append(FakeContainer("gogs-web"))

    assert "the containers gogs-web run" in " ".join(ground.preview(bridge_network="LSW11_Bridge").errors)


def test_a_refresh_tells_what_an_up_would_refuse_and_does_not_fail(ground: Ground) -> None:
    ground.made().version = "1.5.7"
    ground.vch.containers.append(FakeContainer("gogs-web"))

    refreshed = ground.stack.refresh()

    assert not refreshed.failed, refreshed.text
    assert "can't take it back to 1.5.6" in " ".join(ground.preview().errors)


def test_a_name_that_is_taken_by_no_vch_is_refused_at_preview(ground: Ground) -> None:
    ground.site.beside = frozenset({NAME})

    assert "a VM or folder of this name that is no VCH exists already" in " ".join(ground.preview().lines)


@pytest.mark.parametrize(
    "given",
    [
        {"compute_resource": "/DC0/host/Cluster 1/Resources"},
        {"compute_resource": "Cluster 1"},
        {"bridge_network": "/DC0/network/VLAN 10%2f20"},
        {"bridge_network": "VLAN 10/20"},
        {"volume_stores": {"default": "nfs://nowhere/share"}},
    ],
    ids=str,
)
def test_names_are_found_by_path_and_with_slashes_in_them(given: dict[str, Any]) -> None:
    known = Names(frozenset({"Cluster 1", "Resources"}), frozenset({"DS"}), frozenset({"VLAN 10/20"}), frozenset())
    whole = minimal(compute_resource="Cluster 1", image_store="DS/x", bridge_network="VLAN 10/20", volume_stores={})
    bundle = {"version": "1.5.6", "source": "/b"}

    assert missing(VchInputs.model_validate({**whole, "bundle": bundle, **given}), known) == []


def test_what_is_missing_is_told_with_the_likest_names_first_and_not_with_all() -> None:
    many = frozenset({f"cluster-{number}" for number in range(30)})
    known = Names(many, frozenset({"DS"}), frozenset({"VM Network"}), frozenset())
    given = minimal(compute_resource="cluster-7x", image_store="DS/x", bridge_network="VM Network", volume_stores={})

    [(argument, reason)] = missing(
        VchInputs.model_validate({**given, "bundle": {"version": "1.5.6", "source": "/b"}}), known
    )

    assert argument == "compute_resource"
    assert reason.startswith("there is no compute resource 'cluster-7x'; there are cluster-7, ")
    assert reason.endswith(" and 22 more")
