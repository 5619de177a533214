"""The lab's vCenter as a process of its own, and independent looks at it through pyVmomi's own client."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from ops.toolchain import go_build
from tests.esxi.stand_in import certificate

SOURCE = Path(__file__).parents[2] / "lab" / "vcenter"
VERSION = "0.52.0"
USER = "ada@vsphere.local"
PASSWORD = 'pa"ss-<&>-9'
LIMIT_S = 20.0


@dataclass(frozen=True)
class Simulator:
    """Where it answers."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "VSPHERE_SERVER": self.address,
            "VSPHERE_USER": USER,
            "VSPHERE_PASSWORD": PASSWORD,
            "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
        }

    @contextmanager
    def looking(self) -> Iterator[Any]:
        """A session that is not ours."""
        host, _, port = self.address.partition(":")
        service = SmartConnect(host=host, port=int(port), user=USER, pwd=PASSWORD, disableSslCertValidation=True)
        try:
            yield service.RetrieveContent()
        finally:
            Disconnect(service)

    def rulesets(self, key: str) -> dict[str, tuple[bool, list[str]]]:
        """Host → whether it is open, and for which addresses and networks (none: all), for hosts that have it."""
        found = {}
        with self.looking() as content:
            for host in _every(content, vim.HostSystem):
                for rule in host.configManager.firewallSystem.firewallInfo.ruleset:
                    if rule.key == key:
                        found[host.name] = (rule.enabled, _addresses(rule.allowedHosts))
        return found

    def set_ruleset(self, host: str, key: str, enabled: bool) -> None:
        """As an administrator does it by hand."""
        with self.looking() as content:
            system = _host(content, host).configManager.firewallSystem
            (system.EnableRuleset if enabled else system.DisableRuleset)(id=key)

    def disconnect(self, host: str) -> None:
        with self.looking() as content:
            _finish(_host(content, host).DisconnectHost_Task())

    def reconnect(self, host: str) -> None:
        with self.looking() as content:
            _finish(_host(content, host).ReconnectHost_Task())

    def sessions(self) -> list[Any]:
        """Ours, by the user agent."""
        with self.looking() as content:
            return [one for one in content.sessionManager.sessionList if one.userAgent.startswith("Drydock/")]

    def end_sessions(self) -> int:
        """Ends all of ours, as an administrator or a restart does."""
        ours = [one.key for one in self.sessions()]
        with self.looking() as content:
            content.sessionManager.TerminateSession(ours)
        return len(ours)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Simulator]:
    """A simulator as long as the block lasts, on a free port of loopback."""
    binary = go_build("vcenter", VERSION, source=SOURCE, usually="half a minute")
    pair, _ = certificate(folder)
    login = folder / "login.json"
    login.write_text(json.dumps({"user": USER, "password": PASSWORD}))
    command = [str(binary), "-listen=127.0.0.1:0", f"-state={folder / 'state'}", f"-credentials={login}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"-tlscert={pair}", f"-tlskey={pair}", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={"HOME": str(folder)},
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            assert said[:1] == ["serves"], (folder / "log").read_text()
            yield Simulator(said[1])
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(LIMIT_S)
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _every(content: Any, kind: type) -> list[Any]:
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


def _host(content: Any, name: str) -> Any:
    return next(host for host in _every(content, vim.HostSystem) if host.name == name)


def _addresses(allowed: Any) -> list[str]:
    if allowed is None or allowed.allIp:
        return []
    return [*allowed.ipAddress, *(f"{one.network}/{one.prefixLength}" for one in allowed.ipNetwork)]


def _finish(task: Any) -> None:
    """Asks again and again: pyVim's WaitForTask fails on the simulator."""
    end = time.monotonic() + LIMIT_S
    while task.info.state in ("queued", "running"):
        assert time.monotonic() < end, "the task doesn't end"
        time.sleep(0.02)
    assert task.info.state == "success", task.info.error
