"""A fake site at the client's boundary: the tables of `test_decisions.py` say what is there and see what is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from providers.esxi import faults, fleet
from providers.esxi.advanced import DEFINITIONS, SETTINGS
from providers.esxi.firewall import RULESETS
from providers.esxi.resources import RulesetProvider
from providers.esxi.resources.hosts import HostsProvider
from providers.esxi.services import SERVICES
from providers.kit import journal
from providers.kit.claims import CLAIMS
from providers.kit.provider import NAME_KEY, Provider
from providers.kit.retry import RetryPolicy
from providers.kit.sessions import SESSIONS
from tests.esxi.simulator import Simulator, running

NOBODY = "nobody"


@dataclass
class FakeHost:
    """One host: its rulesets as key → (enabled, allowed; [] is everybody), what else it has, and what refuses a change.

    `refusals` is how often it refuses; `shows` is whether the vCenter knows its settings at all. `services` is key →
    (running, policy), `options` is key → (value, its definition), `policy` is (incoming, outgoing) blocked.
    """

    name: str
    rules: dict[str, tuple[bool, list[str]]] = field(default_factory=dict)
    connected: bool = True
    version: str = "8.0.2"
    refuses: Exception | None = None
    refusals: int = 1_000_000
    shows: bool = True
    required: frozenset[str] = frozenset()
    policy: tuple[bool, bool] = (True, True)
    services: dict[str, tuple[bool, str]] = field(default_factory=dict)
    options: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    managed_by: str = "192.0.2.1"


@dataclass
class FakeSite:
    """A cluster of fake hosts, spoken to as `VSphere` is."""

    hosts: list[FakeHost]
    calls: list[str] = field(default_factory=list)
    collections: int = 0
    logins: int = 0
    own_address: str = "192.0.2.2"

    def __post_init__(self) -> None:
        self.endpoint = SimpleNamespace(label="vCenter vc")
        self._root = _moref(vim.Folder, "group-d1")
        self._center = _moref(vim.Datacenter, "dc-1")
        self._cluster = _moref(vim.ClusterComputeResource, "domain-c1")

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

    def host_tree(self, kinds: Mapping[Any, Any]) -> list[tuple[Any, dict[str, Any]]]:
        self.collections += 1
        members = {host.name: _moref(vim.HostSystem, f"host-{host.name}") for host in self.hosts}
        tree: list[tuple[Any, dict[str, Any]]] = [
            (self._center, {"name": "DC", "parent": self._root}),
            (self._cluster, {"name": "C0", "parent": self._center, "host": list(members.values())}),
        ]
        return tree + [(members[host.name], self._known(host, kinds[vim.HostSystem])) for host in self.hosts]

    def collect(self, kinds: Mapping[Any, Any], roots: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        self.collections += 1
        [paths] = kinds.values()
        return [(one, {path: one.shown()[path] for path in paths} if one.host.shows else {}) for one in roots]

    def elements(self, kind: Any, array: str, keys: Any, roots: Any) -> dict[Any, dict[str, Any]]:
        """As `VSphere.elements`."""
        whole = self.collect({kind: [array]}, roots)
        return {one: {each.key: each for each in known.get(array, []) if each.key in keys} for one, known in whole}

    def _known(self, host: FakeHost, paths: Any) -> dict[str, Any]:
        system = next(path for path in paths if path.startswith("configManager."))
        return {
            "name": host.name,
            "parent": self._cluster,
            system: _System(self, host),
            "runtime.connectionState": "connected" if host.connected else "disconnected",
            "summary.config.product.version": host.version,
            "summary.managementServerIp": host.managed_by,
        }


class _System:
    """A host's systems in one: each method is named as vSphere's."""

    def __init__(self, site: FakeSite, host: FakeHost) -> None:
        self._site, self.host = site, host

    def shown(self) -> dict[str, Any]:
        host = self.host
        return {
            RULESETS: [self._ruleset(key, *rule) for key, rule in host.rules.items()],
            "firewallInfo.defaultPolicy": SimpleNamespace(
                incomingBlocked=host.policy[0], outgoingBlocked=host.policy[1]
            ),
            SERVICES: [
                SimpleNamespace(key=key, running=running, policy=policy, required=key in host.required)
                for key, (running, policy) in host.services.items()
            ],
            SETTINGS: [SimpleNamespace(key=key, value=value) for key, (value, _) in host.options.items()],
            DEFINITIONS: [SimpleNamespace(key=key, optionType=kind) for key, (_, kind) in host.options.items()],
        }

    def EnableRuleset(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._rule("enable", id, enabled=True)

    def DisableRuleset(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._rule("disable", id, enabled=False)

    def UpdateRuleset(self, id: str, spec: Any) -> None:  # noqa: N802 - vSphere's name
        allowed = [
            *spec.allowedHosts.ipAddress,
            *(f"{n.network}/{n.prefixLength}" for n in spec.allowedHosts.ipNetwork),
        ]
        if not allowed and not spec.allowedHosts.allIp:
            allowed = [NOBODY]
        self._rule(f"allow {', '.join(allowed) or 'all'}", id, allowed=allowed)

    def UpdateDefaultPolicy(self, defaultPolicy: Any) -> None:  # noqa: N802, N803 - vSphere's names
        blocked = defaultPolicy.incomingBlocked, defaultPolicy.outgoingBlocked
        self._called("block {} incoming, {} outgoing".format(*("everything" if one else "nothing" for one in blocked)))
        self.host.policy = blocked

    def StartService(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._service("start", id, running=True)

    def StopService(self, id: str) -> None:  # noqa: N802 - vSphere's name
        self._service("stop", id, running=False)

    def UpdateServicePolicy(self, id: str, policy: str) -> None:  # noqa: N802 - vSphere's name
        self._service(f"policy {policy}", id, policy=policy)

    def UpdateOptions(self, changedValue: list[Any]) -> None:  # noqa: N802, N803 - vSphere's names
        [one] = changedValue
        self._called(f"set {one.key} = {one.value!r}")
        self.host.options[one.key] = (one.value, self.host.options[one.key][1])

    def _ruleset(self, key: str, enabled: bool, allowed: list[str]) -> Any:
        named = [one for one in allowed if one != NOBODY]
        addresses = SimpleNamespace(allIp=not allowed, ipAddress=named, ipNetwork=[])
        return SimpleNamespace(key=key, enabled=enabled, required=key in self.host.required, allowedHosts=addresses)

    def _rule(self, what: str, key: str, enabled: bool | None = None, allowed: list[str] | None = None) -> None:
        self._called(f"{what} {key}")
        was, had = self.host.rules[key]
        self.host.rules[key] = (was if enabled is None else enabled, had if allowed is None else allowed)

    def _service(self, what: str, key: str, running: bool | None = None, policy: str | None = None) -> None:
        self._called(f"{what} {key}")
        was, had = self.host.services[key]
        self.host.services[key] = (was if running is None else running, had if policy is None else policy)

    def _called(self, what: str) -> None:
        if self.host.refuses and self.host.refusals:
            self.host.refusals -= 1
            raise self.host.refuses
        self._site.calls.append(f"{self.host.name}: {what}")


def _moref(kind: type, name: str) -> Any:
    return kind(name, None)


class Bench:
    """Runs a provider over a fake site."""

    def __init__(self, site: FakeSite, provider: type[Provider[Any, Any, Any]]) -> None:
        self.site = site
        self.provider = provider()

    def create(self, **arguments: Any) -> dict[str, Any]:
        return self.provider.create(_on_the_cluster(arguments)).outs or {}

    def update(self, before: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return self.provider.update("id", before, _on_the_cluster(arguments)).outs or {}

    def check(self, name: str = "it", **arguments: Any) -> list[tuple[str, str]]:
        """What a preview refuses, as (property, reason)."""
        found = self.provider.check({}, {**_on_the_cluster(arguments), NAME_KEY: name}).failures
        return [(one.property, one.reason) for one in found]


def _on_the_cluster(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments if {"host", "hosts"} & arguments.keys() else {"cluster": "C0", **arguments}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def made(*hosts: FakeHost, provider: type[HostsProvider[Any, Any, Any, Any]] = RulesetProvider) -> Bench:
        site = FakeSite(list(hosts))
        monkeypatch.setattr(HostsProvider, "endpoint", lambda self, settings, desired: id(site))
        monkeypatch.setattr(HostsProvider, "connect", lambda self, settings, desired: site.log_in())
        monkeypatch.setattr(HostsProvider, "retries", RetryPolicy(first_wait_s=0.0))
        monkeypatch.setattr(fleet, "HOST_RETRIES", RetryPolicy(attempts=3, first_wait_s=0.0))
        return Bench(site, provider)

    monkeypatch.setenv(journal.FOLDER, str(tmp_path / "notes"))
    yield made
    SESSIONS.close_all()
    CLAIMS.clear()


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
