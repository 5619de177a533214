"""A VCH's VM is read as the real vic-machine writes it (extraConfig vectors), without secrets, and changes show."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from providers.kit.errors import Permanent
from providers.vic.certificates import shown
from providers.vic.inspected import differences
from providers.vic.settings import TlsMode
from providers.vic.vm import Extra, Site, public, read
from tests.vic.given import settings

FOLDER = Path(__file__).parents[1] / "vic_machine" / "extra_config"
VECTORS = ("1.1.1-no-tls", "1.5.6-no-tls", "1.5.6-tls")
ROOT, CENTER, HOSTS, CLUSTER = (
    vim.Folder("group-d1"),
    vim.Datacenter("datacenter-2"),
    vim.Folder("group-h4"),
    vim.ClusterComputeResource("domain-c7"),
)
POOLS, POOL, VMS = vim.ResourcePool("resgroup-8"), vim.ResourcePool("resgroup-114"), vim.Folder("group-v3")
ADDRESS = base64.b64encode(bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 9])).decode()


@lru_cache(maxsize=4)
def vector(name: str) -> Mapping[str, str]:
    told = json.loads((FOLDER / f"{name}.json").read_text())
    return {str(key): str(value) for key, value in told.items()}


def options(values: Mapping[str, str]) -> list[Any]:
    return [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]


def allocation(limit: int = -1) -> Any:
    return vim.ResourceAllocationInfo(limit=limit, reservation=0, shares=vim.SharesInfo(level="normal", shares=4000))


def devices(iso: str, network: str = "network-6") -> list[Any]:
    card = vim.vm.device.VirtualVmxnet3(key=4000)
    card.backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    card.backing.network = vim.Network(network)
    drive = vim.vm.device.VirtualCdrom(key=3000)
    drive.backing = vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=iso)
    return [card, drive]


@dataclass
class Vcenter:
    """A session that answers from a dictionary, and counts."""

    vms: dict[Any, dict[str, Any]] = field(default_factory=dict)
    takes_keys: bool = True
    calls: int = 0
    content: Any = None
    pool: dict[str, Any] = field(default_factory=lambda: {"config.memoryAllocation": allocation()})

    def collect(
        self, kinds: Mapping[Any, Sequence[str]], roots: Iterable[Any] | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        self.calls += 1
        if vim.VirtualMachine not in kinds:
            return list(self._tree().items())
        paths = kinds[vim.VirtualMachine]
        if not self.takes_keys and any("[" in one for one in paths):
            error = Permanent("InvalidProperty", on="vCenter", remedy="")
            error.__cause__ = vmodl.query.InvalidProperty(name="config.extraConfig")
            raise error
        wanted = self.vms if roots is None else list(roots)
        return [(one, self._of(self.vms[one], paths)) for one in wanted]

    @contextmanager
    def speaking(self, on: str | None = None) -> Iterator[None]:
        yield

    def _of(self, known: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
        found = {}
        for path in paths:
            name, bracket, key = path.partition("[")
            if not bracket and name in known:
                found[path] = known[name]
            for one in known.get(name, []) if bracket else []:
                if one.key == key.strip('"]'):
                    found[path] = one
        return found

    def _tree(self) -> dict[Any, dict[str, Any]]:
        return {
            ROOT: {"name": "Datacenters"},
            CENTER: {"name": "DC0", "parent": None},
            HOSTS: {"name": "host", "parent": CENTER},
            CLUSTER: {"name": "DC0_C0", "parent": HOSTS},
            POOLS: {"name": "Resources", "parent": CLUSTER},
            POOL: {"name": "vch03", "parent": POOLS, **self.pool},
            VMS: {"name": "vch03", "parent": None},
        }


def machine(extra: Mapping[str, str], iso: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "vch03",
        "resourcePool": POOL,
        "parent": VMS,
        "runtime.powerState": "poweredOn",
        "config.extraConfig": options(extra),
        "config.hardware.device": devices(iso),
        "config.hardware.numCPU": 1,
        "config.hardware.memoryMB": 2048,
        "config.files.vmPathName": "[LocalDS_0] vch03/vch03.vmx",
        **more,
    }


def vch(name: str = "1.5.6-tls", **more: Any) -> dict[str, Any]:
    version = "v1.1.1-10711-56a309f" if name.startswith("1.1.1") else "v1.5.6-21029-2be3feb"
    return machine(vector(name), f"[LocalDS_0] vch03/{version}-appliance.iso", **more)


def container(id_: str = "c1", folder: str = "vch03", **more: Any) -> dict[str, Any]:
    extra = {"guestinfo.vice./common/id": id_, "common/name": id_}
    return machine(extra, f"[LocalDS_0] {folder}/v1.5.6-21029-2be3feb-bootstrap.iso", name=f"web-{id_}", **more)


def site(*vms: dict[str, Any], **more: Any) -> Site:
    return read(Vcenter({vim.VirtualMachine(f"vm-{place}"): one for place, one in enumerate(vms, 1)}, **more))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1.1.1-no-tls", ("vch07", "1.1.1", "10711", TlsMode.NONE, "VCHPOOL/vch07")),
        ("1.5.6-no-tls", ("vch02.domain.sddc", "1.5.6", "21029", TlsMode.NONE, "VCHPOOL/vch02")),
        ("1.5.6-tls", ("vch03", "1.5.6", "21029", TlsMode.MUTUAL, "VCHPOOL/vch03")),
    ],
)
def test_a_vch_is_read_as_the_real_vic_machine_wrote_it(name: str, expected: tuple[object, ...]) -> None:
    (one,) = site(vch(name)).vchs

    place = f"LocalDS_0/{expected[4]}"
    assert (one.name, one.version, one.build, one.tls_mode) == expected[:4]
    assert one.image_store == place and one.volume_stores == {"default": place}
    assert one.target == "127.0.0.1:9000" and one.user == "user"
    assert one.target_thumbprint == "94:E2:08:41:15:3B:8A:0A:3F:A0:22:B8:F2:D5:9A:3A:3D:7D:8A:10"
    assert one.pool_path == "/DC0/host/DC0_C0/Resources/vch03" and one.iso_version == one.version


@pytest.mark.parametrize("name", VECTORS)
def test_no_secret_and_no_key_to_one_is_kept(name: str) -> None:
    hidden = [value for key, value in vector(name).items() if "@secret" in key or key == "guestinfo.ovfEnv"]
    (one,) = site(vch(name)).vchs

    assert hidden and not set(hidden) & set(one.extra.values.values())
    assert not any("secret" in key or "ovfEnv" in key for key in one.extra.values)
    assert not any(value in f"{one!r}{one.told()}" for value in hidden)


def test_the_servers_certificate_is_public() -> None:
    (one,) = site(vch()).vchs

    assert shown(one.server_certificate or "").subject == "CN=127.0.0.1,O=sddc+O=127.0.0.1"
    assert "BEGIN CERTIFICATE" in (one.authorities or "")


def test_what_create_was_told_is_known() -> None:
    (one,) = site(vch()).vchs

    assert "--tls-cname=127.0.0.1" in one.create_options and len(one.create_options) == 11


DECODED: list[tuple[str, Callable[[Extra], object], object]] = [
    ("nil", lambda one: one.text("/init/hostname"), None),
    ("text", lambda one: one.text("/init/version/Version"), "v1.5.6"),
    ("number", lambda one: one.number("/init/version/PluginVersion"), 10),
    ("flag", lambda one: one.flag("/init/networks|public/network/default"), True),
    ("list", lambda one: one.items("/init/sessions|vicadmin/cmd/Env"), ["PATH=/sbin:/bin", "GOTRACEBACK=all"]),
    ("map", lambda one: one.names("/init/networks"), ["bridge", "client", "management", "public"]),
    ("indices", lambda one: list(one.indices("/storage/image_stores")), [0]),
    ("indices of none", lambda one: list(one.indices("/nothing")), []),
    ("address of 4 bytes", lambda one: one.address("/network/bridge-ip-range/IP"), "172.16.0.0"),
    ("mask", lambda one: one.prefix_length("/network/bridge-ip-range/Mask"), 12),
    ("unspecified address", lambda one: one.address("/init/networks|bridge/ip/IP"), None),
    ("what is no base64", lambda one: one.raw("/init/version/Version"), None),
]


@pytest.mark.parametrize(("decode", "value"), [(d, v) for _, d, v in DECODED], ids=[name for name, _, _ in DECODED])
def test_values_are_decoded(decode: Callable[[Extra], object], value: object) -> None:
    assert decode(public(options(vector("1.5.6-tls")))) == value


def test_what_the_appliance_reports_is_read() -> None:
    told = {
        "guestinfo.vice..init.networks|client.assigned.IP": ADDRESS,
        "guestinfo.vice..init.sessions|vicadmin.started": "true",
        "guestinfo.vice..init.sessions|port-layer.started": "cannot reach vCenter",
        "UpdateInProgress": "true",
    }
    (one,) = site(vch(**{"config.extraConfig": options({**vector("1.5.6-tls"), **told})})).vchs

    assert one.addresses == {"client": "10.0.0.9"}
    assert one.started == {"vicadmin": "true", "docker-personality": "", "port-layer": "cannot reach vCenter"}
    assert one.update_in_progress


@pytest.mark.parametrize("takes_keys", [True, False], ids=["keys in paths", "whole arrays"])
def test_only_vchs_are_taken_for_one(takes_keys: bool) -> None:
    other = machine({"guestinfo.metadata": "x"}, "[LocalDS_0] iso/photon.iso")

    found = site(vch(), container(), other, takes_keys=takes_keys)

    assert [one.name for one in found.vchs] == ["vch03"] and [one.container for one in found.containers] == ["c1"]


def test_twenty_vchs_cost_no_more_calls_than_one() -> None:
    def calls(number: int) -> int:
        center = Vcenter({vim.VirtualMachine(f"vm-{place}"): vch() for place in range(number)})
        read(center)
        return center.calls

    assert calls(1) == calls(20) == 3


def changed(**more: Any) -> str:
    return site(vch(**more)).vchs[0].hash


def _without(key: str) -> list[Any]:
    return options({name: value for name, value in vector("1.5.6-tls").items() if name != key})


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("power", {"runtime.powerState": "poweredOff"}),
    ("CPU", {"config.hardware.numCPU": 2}),
    ("memory", {"config.hardware.memoryMB": 4096}),
    ("pool", {"resourcePool": vim.ResourcePool("resgroup-9")}),
    ("folder", {"parent": vim.Folder("group-v9")}),
    ("ISO", {"config.hardware.device": devices("[LocalDS_0] vch03/v1.5.7-21700-0000000-appliance.iso")}),
    (
        "network",
        {"config.hardware.device": devices("[LocalDS_0] vch03/v1.5.6-21029-2be3feb-appliance.iso", "network-9")},
    ),
    ("device", {"config.hardware.device": devices("[LocalDS_0] vch03/v1.5.6-21029-2be3feb-appliance.iso")[:1]}),
    ("setting", {"config.extraConfig": _without("guestinfo.vice./init/version/State")}),
    ("secret", {"config.extraConfig": _without("guestinfo.vice./connect/token@secret")}),
]


@pytest.mark.parametrize("more", [one for _, one in CHANGES], ids=[name for name, _ in CHANGES])
def test_every_change_shows_in_the_hash(more: dict[str, Any]) -> None:
    assert changed(**more) != changed()


def test_a_pool_that_was_resized_shows_in_the_hash() -> None:
    pool = {"config.memoryAllocation": allocation(4096)}

    assert site(vch(), pool=pool).vchs[0].hash != changed()


@pytest.mark.parametrize(
    "extra",
    [{"guestinfo.metadata": "x"}, {"guestinfo.ovfEnv": "other"}, {"govcsim": "FALSE"}],
    ids=["another program's", "the hidden key", "the simulator's"],
)
def test_what_is_not_the_vchs_does_not_show_in_the_hash(extra: dict[str, str]) -> None:
    assert changed(**{"config.extraConfig": options({**vector("1.5.6-tls"), **extra})}) == changed()


def test_drift_of_the_vm_is_named_in_the_words_of_the_settings() -> None:
    wanted = settings(
        name="vch03",
        image_store="LocalDS_0/VCHPOOL/other",
        endpoint_memory=4096,
        endpoint_cpu=1,
        tls={"mode": "none"},
        volume_stores={"default": "LocalDS_0/VCHPOOL/vch03"},
    )
    (one,) = site(vch()).vchs

    told = differences(wanted, one.told(), one.version)

    assert {each.change.path for each in told} == {"image_store", "endpoint_memory", "tls.mode"}


@pytest.mark.parametrize(
    ("tls", "paths"),
    [
        ({"mode": "mutual", "cname": "127.0.0.1", "organization": ["sddc"], "key_size": 2048}, set()),
        ({"mode": "mutual", "cname": "vch.test", "key_size": 4096}, {"tls.cname", "tls.key_size"}),
        ({"mode": "server"}, {"tls.mode"}),
    ],
)
def test_tls_is_compared_by_what_the_servers_certificate_shows(tls: dict[str, Any], paths: set[str]) -> None:
    (one,) = site(vch()).vchs
    wanted = settings(name="vch03", image_store="LocalDS_0/VCHPOOL/vch03", tls=tls)

    assert {each.change.path for each in differences(wanted, one.told(), one.version)} == paths


def test_containers_are_found_in_their_pool_and_outside_of_it() -> None:
    outside = {"resourcePool": POOLS, "parent": vim.Folder("group-v9")}
    found = site(vch(), container("in"), container("out", **outside))

    (one,) = found.vchs
    assert {each.container: each.misplaced(one) for each in found.containers_of(one)} == {
        "in": (),
        "out": ("pool", "folder"),
    }
    assert found.stranded() == []


def test_containers_whose_vch_is_gone_are_stranded() -> None:
    found = site(vch(), container("left", "vch-gone", resourcePool=POOLS))

    assert [one.container for one in found.stranded()] == ["left"]
    assert [one.container for one in site(container("alone", "vch-gone")).stranded()] == ["alone"]


def test_two_vchs_in_one_pool_keep_their_containers_apart() -> None:
    extra = {**vector("1.5.6-tls"), "init/common/name": "vch04"}
    second = machine(extra, "[LocalDS_0] vch04/x.iso", **{"config.files.vmPathName": "[LocalDS_0] vch04/vch04.vmx"})
    found = site(vch(), second, container("a"), container("b", "vch04"))

    assert {one.name: [each.container for each in found.containers_of(one)] for one in found.vchs} == {
        "vch03": ["a"],
        "vch04": ["b"],
    }


def test_a_site_without_a_vch_costs_one_call() -> None:
    center = Vcenter({vim.VirtualMachine("vm-1"): machine({}, "x")})

    assert read(center) == Site((), ()) and center.calls == 1


def test_any_other_error_of_the_first_look_is_told() -> None:
    class Down(Vcenter):
        def collect(self, *_: Any, **__: Any) -> list[tuple[Any, dict[str, Any]]]:
            raise Permanent("NoPermission", on="vCenter", remedy="")

    with pytest.raises(Permanent, match="NoPermission"):
        read(Down())


@dataclass
class Emptied(Vcenter):
    """A vCenter in which VMs are deleted between the look at all and the read of what was found."""

    gone: list[Any] = field(default_factory=list)

    def collect(
        self, kinds: Mapping[Any, Sequence[str]], roots: Iterable[Any] | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        if roots is not None and self.gone:
            del self.vms[self.gone.pop()]
            error = Permanent("ManagedObjectNotFound", on="vCenter", remedy="")
            error.__cause__ = vmodl.fault.ManagedObjectNotFound()
            raise error
        return super().collect(kinds, roots)


def test_vchs_that_are_deleted_while_all_are_read_hinder_nobody() -> None:
    machines = [vim.VirtualMachine(f"vm-{place}") for place in range(3)]

    found = read(Emptied({one: vch() for one in machines}, gone=machines[1:]))

    assert [one.id for one in found.vchs] == ["vm-0"]


def test_a_vm_that_is_told_and_never_there_is_an_error_and_no_endless_read() -> None:
    machines = [vim.VirtualMachine(f"vm-{place}") for place in range(10)]

    with pytest.raises(Permanent, match="ManagedObjectNotFound"):
        read(Emptied({one: vch() for one in machines}, gone=machines[1:]))


def test_nfs_stores_are_written_as_in_the_settings() -> None:
    key = "guestinfo.vice./storage/VolumeLocations"
    values = {key: "n", f"{key}|n/Scheme": "nfs", f"{key}|n/Host": "nas", f"{key}|n/Path": "/x/y"}
    values[f"{key}|n/RawQuery"] = "uid=1"

    (one,) = site(vch(**{"config.extraConfig": options({**vector("1.5.6-tls"), **values})})).vchs

    assert one.volume_stores == {"n": "nfs://nas/x/y?uid=1"}
