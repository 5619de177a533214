"""Clusters and hosts are found by path or by name, in one look; a wrong name is told with near ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from providers.esxi.inventory import Inventory, NotThere
from providers.kit.errors import Permanent


class Tree:
    """An inventory, spoken to as `VSphere` is: path → kind; a cluster's hosts are those below it."""

    def __init__(self, paths: Mapping[str, Any]) -> None:
        self.endpoint = SimpleNamespace(label="vCenter vc")
        self.looks = 0
        self._morefs = {path: kind(f"ref-{number}", None) for number, (path, kind) in enumerate(paths.items())}
        self._root = vim.Folder("group-d1", None)

    def host_tree(self, kinds: Mapping[Any, Any]) -> list[tuple[Any, dict[str, Any]]]:
        self.looks += 1
        return [(moref, self._known(path)) for path, moref in self._morefs.items()]

    def _known(self, path: str) -> dict[str, Any]:
        above, _, name = path.rpartition("/")
        known: dict[str, Any] = {"name": name, "parent": self._morefs.get(above, self._root)}
        if isinstance(self._morefs[path], vim.ComputeResource):
            known["host"] = [one for other, one in self._morefs.items() if other.rpartition("/")[0] == path]
        return known


SITE = {
    "/DC0": vim.Datacenter,
    "/DC0/host": vim.Folder,
    "/DC0/host/C0": vim.ClusterComputeResource,
    "/DC0/host/C0/esx2": vim.HostSystem,
    "/DC0/host/C0/esx1": vim.HostSystem,
    "/DC0/host/alone": vim.ComputeResource,
    "/DC0/host/alone/alone": vim.HostSystem,
    "/DC0/host/lab": vim.Folder,
    "/DC0/host/lab/twin": vim.ClusterComputeResource,
    "/DC1": vim.Datacenter,
    "/DC1/host": vim.Folder,
    "/DC1/host/twin": vim.ClusterComputeResource,
    "/DC1/host/twin/esx3": vim.HostSystem,
}
ESX = {
    "/ha-datacenter": vim.Datacenter,
    "/ha-datacenter/host": vim.Folder,
    "/ha-datacenter/host/esx.local": vim.ComputeResource,
    "/ha-datacenter/host/esx.local/esx.local": vim.HostSystem,
}


@pytest.mark.parametrize("name", ["C0", "/DC0/host/C0", "DC0/host/C0", "/DC0/host/C0/"])
def test_a_cluster_is_found_by_name_and_by_path(name: str) -> None:
    inventory = Inventory(Tree(SITE))  # type: ignore[arg-type]

    assert [host.name for host in inventory.hosts_of_cluster(name)] == ["esx1", "esx2"]
    assert inventory.path_of_cluster(name) == "/DC0/host/C0"


@pytest.mark.parametrize(
    ("site", "name", "path"),
    [
        (SITE, "esx1", "/DC0/host/C0/esx1"),
        (SITE, "/DC0/host/C0/esx1", "/DC0/host/C0/esx1"),
        (SITE, "alone", "/DC0/host/alone/alone"),
        (SITE, "/DC0/host/alone", "/DC0/host/alone/alone"),
        (ESX, "esx.local", "/ha-datacenter/host/esx.local/esx.local"),
        (ESX, "/ha-datacenter/host/esx.local", "/ha-datacenter/host/esx.local/esx.local"),
    ],
)
def test_a_host_is_found_by_name_and_by_the_paths_that_people_copy(site: Any, name: str, path: str) -> None:
    assert Inventory(Tree(site)).host(name).path == path  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("find", "name", "words"),
    [
        ("hosts_of_cluster", "C1", "there is no cluster 'C1'. Near names: C0."),
        ("hosts_of_cluster", "/DC0/hosts/C0", "Near names: /DC0/host/C0"),
        ("hosts_of_cluster", "c0", "Near names: C0."),
        ("hosts_of_cluster", "zzz", "There are: C0, twin."),
        ("host", "esx4", "there is no host 'esx4'. Near names: esx"),
        ("hosts_of_cluster", "/DC0/host/lab/twin", "cluster /DC0/host/lab/twin: the cluster has no hosts"),
    ],
)
def test_what_is_not_there_is_told_with_near_names(find: str, name: str, words: str) -> None:
    with pytest.raises(NotThere) as caught:
        getattr(Inventory(Tree(SITE)), find)(name)  # type: ignore[arg-type]

    assert words in str(caught.value)


def test_a_name_that_stands_for_two_is_told_with_both_paths() -> None:
    with pytest.raises(Permanent) as caught:
        Inventory(Tree(SITE)).path_of_cluster("twin")  # type: ignore[arg-type]

    assert "cluster 'twin' stands for 2: /DC0/host/lab/twin, /DC1/host/twin" in str(caught.value)
    assert not isinstance(caught.value, NotThere)


def test_an_esxi_host_has_no_cluster_and_says_so() -> None:
    with pytest.raises(NotThere, match="It has no cluster at all."):
        Inventory(Tree(ESX)).path_of_cluster("C0")  # type: ignore[arg-type]


def test_one_look_serves_all_questions() -> None:
    tree = Tree(SITE)
    inventory = Inventory(tree)  # type: ignore[arg-type]

    inventory.hosts_of_cluster("C0")
    inventory.host("esx3")

    assert tree.looks == 1
