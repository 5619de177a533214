"""VIC's worlds: the VCH over a fake vCenter with a fake vic-machine of each version, the bundle over a fake cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from providers.esxi.vsphere import Endpoint
from providers.vic.bundle import Bundle, Source
from providers.vic.resources import BundleProvider, VchProvider
from tests.conformance.world import MARKER, World, register
from tests.vic.fake_site import BUILDS, FakeSite, FakeVch

NAME = "vch02.domain.sddc"
SHA256 = "5" * 64


class VchWorld(World):
    """A vCenter without any VCH."""

    provider = VchProvider
    version: ClassVar[str]
    replacing: ClassVar = {"bridge_network": "LSW11_Bridge", "image_store": "VMFS01/VCHPOOL/other"}
    quiet: ClassVar = {
        "replace_protection": False,
        "force_destroy_volumes": True,
        "renew_before": "30d",
        "timeout_s": 240,
    }
    own: ClassVar = frozenset({"vm_id", "seen", "made_here", "bundle_sha256", "addresses", "docker_host", "portal"})
    wrong: ClassVar = {
        "name": "a" * 32,
        "memory": -1,
        "image_store": "smb://server/share",
        "renew_before": "soon",
        "thumbprint": "x",
        "bundle": {"version": "0.9", "source": "/b"},
        "volume_store": {},
    }
    config: ClassVar = {
        "vsphere:vsphereServer": "vc.domain.sddc",
        "vsphere:user": "admin",
        "vsphere:password": MARKER,
    }

    def make(self) -> None:
        self.site = FakeSite(MARKER)

        def connect(provider: Any, settings: Any, desired: Any) -> FakeSite:
            assert Endpoint.of(settings).password.reveal() == MARKER
            return self.site

        self.monkeypatch.setattr(self.provider, "connect", connect)

    def look(self) -> Any:
        return next((_seen(one) for one in self.site.vchs), None)

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return {
            "name": NAME,
            "version": arguments["bundle"]["version"],
            "on": True,
            "memory": arguments.get("memory") or 0,
            "dns": list(arguments.get("dns_servers") or []),
            "bridge": arguments["bridge_network"],
            "images": arguments["image_store"],
            "stores": dict(arguments["volume_stores"]),
            "size": (arguments.get("endpoint_cpu") or 1, arguments.get("endpoint_memory") or 2048),
        }

    def disturb(self) -> str:
        self.site.vchs[0].power = "poweredOff"
        return "power"

    def restore(self) -> None:
        self.site.vchs[0].power = "poweredOn"

    def make_by_hand(self, arguments: Mapping[str, Any]) -> None:
        stores = [f"{place}:{label}" for label, place in arguments["volume_stores"].items()]
        flags = {
            "image-store": [arguments["image_store"]],
            "volume-store": stores,
            "bridge-network": [arguments["bridge_network"]],
            "compute-resource": [arguments["compute_resource"]],
            "dns-server": list(arguments.get("dns_servers") or []),
            "memory": [str(arguments.get("memory") or 0)],
            "no-tls": ["true"],
        }
        one = FakeVch("vm-200", NAME, self.version, flags, self.site.shows)
        one.home = one.pool = "resgroup-200"
        build, commit = BUILDS[self.version]
        one.iso = f"[DS] {NAME}/v{self.version}-{build}-{commit}-appliance.iso"
        one.memory_mb = arguments.get("endpoint_memory") or 2048
        self.site.vchs.append(one)

    def take_away(self) -> None:
        self.site.take_away(NAME)


def _arguments(version: str, **more: Any) -> dict[str, Any]:
    return {
        "name": NAME,
        "bundle": {"version": version, "source": f"/bundles/vic_{version}.tar.gz"},
        "compute_resource": "SDDC.Container",
        "image_store": "VMFS01/VCHPOOL/vch02",
        "volume_stores": {"default": "VMFS01/VCHPOOL/volumes"},
        "bridge_network": "LSW10_Bridge",
        "tls": {"mode": "none"},
        "endpoint_memory": 4096,
        **more,
    }


@register
class EarlyVchWorld(VchWorld):
    """1.1.1 has neither configure nor inspect config."""

    name = "vic.VirtualContainerHost 1.1.1"
    version = "1.1.1"
    # 1.1.1 doesn't take a size of the VM.
    arguments: ClassVar = {
        name: value
        for name, value in _arguments("1.1.1", dns_servers=["10.10.10.2"]).items()
        if name != "endpoint_memory"
    }
    changed: ClassVar = {}
    replacing: ClassVar = {**VchWorld.replacing, "dns_servers": ["10.10.10.3"]}


@register
class LateVchWorld(VchWorld):
    """1.5.6, in its own words."""

    name = "vic.VirtualContainerHost 1.5.6"
    version = "1.5.6"
    arguments: ClassVar = _arguments("1.5.6", dns_servers=["10.10.10.2"], memory=4096)
    changed: ClassVar = {"memory": 8192, "dns_servers": ["10.10.10.3"], "endpoint_memory": 8192}
    optional = "memory"


@register
class LatestVchWorld(VchWorld):
    """1.5.7, without what can be left out."""

    name = "vic.VirtualContainerHost 1.5.7"
    version = "1.5.7"
    arguments: ClassVar = _arguments("1.5.7")
    changed: ClassVar = {"endpoint_memory": 8192}
    optional = "endpoint_memory"


@register
class BundleWorld(World):
    """A server that has two bundles, and a cache that is empty."""

    name = "vic.Bundle"
    provider = BundleProvider
    arguments: ClassVar = {"version": "1.5.6", "source": "https://appliance:9443/vic_1.5.6.tar.gz", "sha256": SHA256}
    changed: ClassVar = {
        "source": "https://mirror/vic_1.5.6.tar.gz",
        "thumbprint": "AB" * 20,
        "ca": "a PEM text",
    }
    wrong: ClassVar = {"version": "9.9", "sha256": "x", "source": "", "verison": "1.5.6"}

    def make(self) -> None:
        self.cache: dict[str, Bundle] = {}

        def connect(provider: Any, settings: Any, desired: Any) -> _FakeCache:
            return _FakeCache(self.cache)

        self.monkeypatch.setattr(self.provider, "connect", connect)

    def look(self) -> Any:
        """What a server has isn't ours to change."""
        return "bundles"

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        return "bundles"


class _FakeCache:
    def __init__(self, there: dict[str, Bundle]) -> None:
        self._there = there

    def close(self) -> None: ...

    def known(self, source: Source) -> Bundle | None:
        return self._there.get(source.place)

    def fetch(self, source: Source, say: Callable[[str], None]) -> Bundle:
        build, commit = BUILDS[source.version]
        digest = source.sha256 or SHA256
        return self._there.setdefault(source.place, Bundle(source.version, build, commit, digest, Path("/cache")))


def _seen(one: FakeVch) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "on": one.power == "poweredOn",
        "memory": int(one.one("memory") or 0),
        "dns": one.flags.get("dns-server", []),
        "bridge": one.one("bridge-network"),
        "images": one.one("image-store"),
        "stores": one.stores,
        "size": (one.cpu, one.memory_mb),
    }
