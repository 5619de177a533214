"""A fake site at the client's boundary: the tables of `test_decisions.py` say what is there and see what is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from providers.esxi import faults, resources
from providers.esxi.resources import RulesetProvider
from providers.kit.retry import RetryPolicy
from providers.kit.sessions import SESSIONS
from tests.esxi.simulator import Simulator, running

NOBODY = "nobody"


@dataclass
class FakeHost:
    """One host: its rulesets as key → (enabled, allowed; [] is everybody), and what refuses a change.

    `refusals` is how often it refuses; `shows` is whether the vCenter knows its firewall at all.
    """

    name: str
    rules: dict[str, tuple[bool, list[str]]]
    connected: bool = True
    version: str = "8.0.2"
    refuses: Exception | None = None
    refusals: int = 1_000_000
    shows: bool = True
    required: frozenset[str] = frozenset()


@dataclass
class FakeSite:
    """A cluster of fake hosts, spoken to as `VSphere` is."""

    hosts: list[FakeHost]
    calls: list[str] = field(default_factory=list)
    collections: int = 0
    logins: int = 0

    def __post_init__(self) -> None:
        self.endpoint = SimpleNamespace(label="vCenter vc")
        self._root = _moref(vim.Folder, "group-d1")
        self._center = _moref(vim.Datacenter, "dc-1")
        self._cluster = _moref(vim.ClusterComputeResource, "domain-c1")
        self._systems: dict[Any, FakeHost] = {}

    def log_in(self) -> FakeSite:
        self.logins += 1
        return self

    def close(self) -> None:
        self.calls.append("logout")

    @contextmanager
    def speaking(self, on: str = "vCenter vc") -> Any:
        try:
            yield
        except Exception as error:
            raise faults.translate(error, on) from error

    def collect(self, kinds: Mapping[Any, Any], roots: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        self.collections += 1
        if roots is not None:
            return [(one, self._info(one)) for one in roots]
        members = {host.name: _moref(vim.HostSystem, f"host-{host.name}") for host in self.hosts}
        tree: list[tuple[Any, dict[str, Any]]] = [
            (self._center, {"name": "DC", "parent": self._root}),
            (self._cluster, {"name": "C0", "parent": self._center, "host": list(members.values())}),
        ]
        return tree + [(members[host.name], self._known(host)) for host in self.hosts]

    def _known(self, host: FakeHost) -> dict[str, Any]:
        system = _System(self, host)
        self._systems[system] = host
        return {
            "name": host.name,
            "parent": self._cluster,
            "configManager.firewallSystem": system,
            "runtime.connectionState": "connected" if host.connected else "disconnected",
            "config.product.version": host.version,
        }

    def _info(self, system: Any) -> dict[str, Any]:
        return {"firewallInfo": SimpleNamespace(ruleset=self._rulesets(system))} if system.host.shows else {}

    def _rulesets(self, system: Any) -> list[Any]:
        return [
            SimpleNamespace(
                key=key,
                enabled=enabled,
                required=key in system.host.required,
                allowedHosts=SimpleNamespace(
                    allIp=not allowed, ipAddress=[one for one in allowed if one != NOBODY], ipNetwork=[]
                ),
            )
            for key, (enabled, allowed) in system.host.rules.items()
        ]


class _System:
    def __init__(self, site: FakeSite, host: FakeHost) -> None:
        self._site, self.host = site, host

    def EnableRuleset(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._change("enable", id, enabled=True)

    def DisableRuleset(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._change("disable", id, enabled=False)

    def UpdateRuleset(self, id: str, spec: Any) -> None:  # noqa: N802 - vSphere's name
        allowed = [
            *spec.allowedHosts.ipAddress,
            *(f"{n.network}/{n.prefixLength}" for n in spec.allowedHosts.ipNetwork),
        ]
        if not allowed and not spec.allowedHosts.allIp:
            allowed = [NOBODY]
        self._change(f"allow {', '.join(allowed) or 'all'}", id, allowed=allowed)

    def _change(self, what: str, key: str, enabled: bool | None = None, allowed: list[str] | None = None) -> None:
        if self.host.refuses and self.host.refusals:
            self.host.refusals -= 1
            raise self.host.refuses
        self._site.calls.append(f"{self.host.name}: {what} {key}")
        was, had = self.host.rules[key]
        self.host.rules[key] = (was if enabled is None else enabled, had if allowed is None else allowed)


def _moref(kind: type, name: str) -> Any:
    return kind(name, None)


class Bench:
    """Runs the provider over a fake site."""

    def __init__(self, site: FakeSite) -> None:
        self.site = site
        self.provider = RulesetProvider()

    def create(self, **arguments: Any) -> dict[str, Any]:
        return self.provider.create({"cluster": "C0", **arguments}).outs or {}

    def update(self, before: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return self.provider.update("id", before, {"cluster": "C0", **arguments}).outs or {}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(*hosts: FakeHost) -> Bench:
        site = FakeSite(list(hosts))
        monkeypatch.setattr(RulesetProvider, "endpoint", lambda self, settings, desired: id(site))
        monkeypatch.setattr(RulesetProvider, "connect", lambda self, settings, desired: site.log_in())
        monkeypatch.setattr(RulesetProvider, "retries", RetryPolicy(first_wait_s=0.0))
        monkeypatch.setattr(resources, "HOST_RETRIES", RetryPolicy(attempts=3, first_wait_s=0.0))
        return Bench(site)

    yield made
    SESSIONS.close_all()


@pytest.fixture(scope="module")
def vcenter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The lab's vCenter: cluster DC0_C0 with hosts of ESXi 6.5, 7.0 and 8.0, and the host DC0_H0 beside it."""
    with running(tmp_path_factory.mktemp("vcenter")) as one:
        yield one


@pytest.fixture(scope="module")
def esxi_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """An ESXi host without a vCenter."""
    with running(tmp_path_factory.mktemp("esxi"), "-esx") as one:
        yield one
