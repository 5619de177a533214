"""ESXi's world: firewall rulesets over the fake site of `tests/esxi`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from providers.esxi.resources import RulesetProvider
from providers.esxi.vsphere import Endpoint
from tests.conformance.world import MARKER, World, register
from tests.esxi.conftest import FakeHost, FakeSite

CLOSED = (False, ["10.9.9.9"])
OPEN: tuple[bool, list[str]] = (True, [])


@register
class RulesetWorld(World):
    """A cluster of three hosts, two of them closed."""

    name = "esxi.FirewallRuleset"
    provider = RulesetProvider
    arguments: ClassVar = {
        "cluster": "C0",
        "ruleset": "vSPC",
        "enabled": True,
        "allowed_hosts": ["10.0.0.1", "10.1.0.0/16"],
    }
    changed: ClassVar = {"enabled": False, "allowed_hosts": "all"}
    replacing: ClassVar = {"ruleset": "other"}
    quiet: ClassVar = {"on_delete": "keep", "at_once": 2}
    optional = "enabled"
    wrong: ClassVar = {
        "enabled": "perhaps",
        "allowed_hosts": ["300.0.0.1"],
        "ruleset": "",
        "at_once": 0,
        "rulset": "vSPC",
    }
    config: ClassVar = {
        "vsphere:vsphereServer": "vc",
        "vsphere:user": "user",
        "vsphere:password": MARKER,
    }

    def make(self) -> None:
        rules = (
            {"vSPC": CLOSED, "other": CLOSED},
            {"vSPC": CLOSED, "other": CLOSED},
            {"vSPC": (True, []), "other": CLOSED},
        )
        self.site = FakeSite([FakeHost(name, dict(one)) for name, one in zip("abc", rules, strict=True)])

        def connect(provider: Any, settings: Any, desired: Any) -> FakeSite:
            assert Endpoint.of(settings).password.reveal() == MARKER
            return self.site

        self.monkeypatch.setattr(RulesetProvider, "connect", connect)

    def look(self) -> Any:
        return {host.name: dict(host.rules) for host in self.site.hosts}

    def wanted(self, arguments: Mapping[str, Any]) -> Any:
        enabled = arguments.get("enabled") is not False
        allowed = [] if arguments["allowed_hosts"] == "all" else sorted(arguments["allowed_hosts"])
        return {host.name: {**host.rules, arguments["ruleset"]: (enabled, allowed)} for host in self.site.hosts}

    def disturb(self) -> str:
        _, allowed = self.site.hosts[1].rules["vSPC"]
        self.site.hosts[1].rules["vSPC"] = (False, allowed)
        return "hosts.b.enabled"

    def restore(self) -> None:
        _, allowed = self.site.hosts[1].rules["vSPC"]
        self.site.hosts[1].rules["vSPC"] = (True, allowed)
