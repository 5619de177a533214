"""A stack, a fake vCenter and one VCH in the program: what the tests of VIC's resources start from."""

from __future__ import annotations

from typing import Any

import pytest

from providers.kit.retry import RetryPolicy
from providers.vic.resources import VchProvider
from tests.conformance.engine import Declared, Run, Stack
from tests.vic.fake_site import FakeSite, FakeVch
from tests.vic.given import minimal

NAME = "vch02.domain.sddc"
PASSWORD = "mk-admin-Zu~7"
CONFIG = {
    "vsphere:vsphereServer": "vc.domain.sddc",
    "vsphere:user": "admin",
    "vsphere:password": PASSWORD,
    "drydock:ops": "mk-ops-Zu~8",
}


class Ground:
    """One VCH and whoever works on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = FakeSite(PASSWORD)
        self.stack = Stack(CONFIG, monkeypatch)
        monkeypatch.setattr(VchProvider, "connect", lambda provider, settings, desired: self.site)
        monkeypatch.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)

    def program(self, version: str = "1.5.6", **more: Any) -> dict[str, Declared]:
        bundle = {"version": version, "source": f"/bundles/vic_{version}.tar.gz"}
        given = minimal(volume_stores={"default": "VMFS01/VCHPOOL/volumes"}, bundle=bundle)
        return {"it": Declared(VchProvider, {**given, **more})}

    def up(self, version: str = "1.5.6", **more: Any) -> Run:
        return self.stack.up(self.program(version, **more))

    def made(self, version: str = "1.5.6", **more: Any) -> FakeVch:
        """Arrange: it was made; what was run for it is forgotten."""
        run = self.up(version, **more)
        assert not run.failed, run.text
        self.forget()
        return self.vch

    def forget(self) -> None:
        self.site.commands.clear()
        self.site.calls.clear()
        self.site.fetched.clear()

    def preview(self, version: str = "1.5.6", **more: Any) -> Run:
        return self.stack.preview(self.program(version, **more))

    def drift(self, version: str = "1.5.6", **more: Any) -> Run:
        """What a refresh and a preview after it tell."""
        self.stack.refresh()
        return self.preview(version, **more)

    @property
    def vch(self) -> FakeVch:
        return self.site.by_name(NAME)

    @property
    def outputs(self) -> dict[str, Any]:
        return self.stack.state["it"].outputs

    @property
    def changing(self) -> list[list[str]]:
        """The runs that changed something."""
        return [one for one in self.site.commands if one[0] != "inspect"]
