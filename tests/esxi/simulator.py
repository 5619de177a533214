"""The lab's vCenter as a process of its own, and independent looks at it through pyVmomi's own client."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from ops.toolchain import go_build
from tests.esxi.stand_in import certificate
from tests.tasks import finished

SOURCE = Path(__file__).parents[2] / "lab" / "vcenter"
VERSION = "0.52.0"
USER = "ada@vsphere.local"
PASSWORD = 'pa"ss-<&>-9'
LIMIT_S = 20.0

READER = "reader@vsphere.local"
OTHERS = {READER: "ReadOnly"}
CHANGES = frozenset({"EnableRuleset", "DisableRuleset", "UpdateRuleset", "UpdateDefaultPolicy", "UpdateOptions"}) | {
    "StartService",
    "StopService",
    "UpdateServicePolicy",
}


@dataclass(frozen=True)
class Simulator:
    """Where it answers, and where its control port does."""

    address: str
    control: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        return self.environment_of(USER, self.password)

    def environment_of(self, user: str, password: str) -> dict[str, str]:
        return {
            "VSPHERE_SERVER": self.address,
            "VSPHERE_USER": user,
            "VSPHERE_PASSWORD": password,
            "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
        }

    def counts(self) -> Calls:
        """What was called since the last `reset`."""
        return Calls(self._ask("GET", "/counts"))

    def switch(self, **values: Any) -> None:
        """`latency_ms`, `failures` and `silent` of the control port."""
        self._ask("POST", "/switches", values)

    def reset(self) -> None:
        """All switches off, all counts at zero."""
        self._ask("POST", "/switches/reset")
        self._ask("POST", "/counts/reset")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.control}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return json.loads(answer.read() or b"null")

    @contextmanager
    def looking(self) -> Iterator[Any]:
        """A session that is not ours."""
        host, _, port = self.address.partition(":")
        service = SmartConnect(host=host, port=int(port), user=USER, pwd=self.password, disableSslCertValidation=True)
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

    def rulesets_of(self, key: str, *names: str) -> dict[str, tuple[bool, list[str]]]:
        """The same of some hosts, where another one doesn't answer."""
        found = {}
        with self.looking() as content:
            for name in names:
                for rule in _host(content, name).configManager.firewallSystem.firewallInfo.ruleset:
                    if rule.key == key:
                        found[name] = (rule.enabled, _addresses(rule.allowedHosts))
        return found

    def set_allowed(self, host: str, key: str, addresses: list[str]) -> None:
        """For which addresses a ruleset is; none: for all."""
        allowed = vim.host.Ruleset.IpList(allIp=not addresses, ipAddress=addresses)
        with self.looking() as content:
            system = _host(content, host).configManager.firewallSystem
            system.UpdateRuleset(id=key, spec=vim.host.Ruleset.RulesetSpec(allowedHosts=allowed))

    def set_ruleset(self, host: str, key: str, enabled: bool) -> None:
        """As an administrator does it by hand."""
        with self.looking() as content:
            system = _host(content, host).configManager.firewallSystem
            (system.EnableRuleset if enabled else system.DisableRuleset)(id=key)

    def close_everywhere(self, key: str) -> None:
        """As a new site has it: closed, and for all."""
        for host, found in self.rulesets(key).items():
            if found != (False, []):
                self.set_ruleset(host, key, enabled=False)
                self.set_allowed(host, key, [])

    def services(self, key: str) -> dict[str, tuple[bool, str]]:
        """Host → whether it runs, and its policy."""
        with self.looking() as content:
            hosts = {one.name: one.configManager.serviceSystem for one in _every(content, vim.HostSystem)}
            found = {name: {one.key: one for one in system.serviceInfo.service} for name, system in hosts.items()}
        return {name: (known[key].running, known[key].policy) for name, known in found.items() if key in known}

    def policies(self) -> dict[str, tuple[bool, bool]]:
        """Host → whether what comes in and what goes out is blocked by default."""
        with self.looking() as content:
            hosts = _every(content, vim.HostSystem)
            found = {one.name: one.configManager.firewallSystem.firewallInfo.defaultPolicy for one in hosts}
        return {name: (bool(one.incomingBlocked), bool(one.outgoingBlocked)) for name, one in found.items()}

    def options(self, key: str) -> dict[str, Any]:
        """Host → value of an advanced setting."""
        with self.looking() as content:
            hosts = _every(content, vim.HostSystem)
            return {one.name: one.configManager.advancedOption.QueryOptions(key)[0].value for one in hosts}

    def add_host(self, cluster: str, name: str) -> None:
        with self.looking() as content:
            target = next(one for one in _every(content, vim.ClusterComputeResource) if one.name == cluster)
            spec = vim.host.ConnectSpec(hostName=name, userName="root", password="any", force=True)
            finished(target.AddHost_Task(spec=spec, asConnected=True))

    def remove_host(self, name: str) -> None:
        with self.looking() as content:
            host = _host(content, name)
            if not host.runtime.inMaintenanceMode:
                finished(host.EnterMaintenanceMode_Task(timeout=0))
            finished(host.Destroy_Task())

    def maintain(self, name: str, *, on: bool = True) -> None:
        with self.looking() as content:
            host = _host(content, name)
            finished((host.EnterMaintenanceMode_Task if on else host.ExitMaintenanceMode_Task)(timeout=0))

    def disconnect(self, host: str) -> None:
        with self.looking() as content:
            finished(_host(content, host).DisconnectHost_Task())

    def reconnect(self, host: str) -> None:
        with self.looking() as content:
            finished(_host(content, host).ReconnectHost_Task())

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


@dataclass(frozen=True)
class Calls:
    """What the simulator counted."""

    told: Mapping[str, Any]

    def ours(self) -> Counter[str]:
        """SOAP method → calls, by our user agent."""
        found: Counter[str] = Counter()
        for agent, methods in self.told["by_agent"].items():
            if agent.startswith("Drydock/"):
                found.update(methods)
        return found

    @property
    def changes(self) -> Counter[str]:
        """Those of ours that change something."""
        return Counter({name: count for name, count in self.ours().items() if name in CHANGES})

    @property
    def failed_logins(self) -> int:
        return sum(one["failed"] for agent, one in self.told["logins"].items() if agent.startswith("Drydock/"))

    @property
    def open_sessions(self) -> int:
        return sum(one["agent"].startswith("Drydock/") for one in self.told["sessions"])


@contextmanager
def running(folder: Path, *options: str, password: str = PASSWORD) -> Iterator[Simulator]:
    """A simulator as long as the block lasts, on free ports of loopback."""
    binary = go_build("vcenter", VERSION, source=SOURCE, usually="half a minute")
    pair, _ = certificate(folder)
    login = folder / "login.json"
    others = [{"user": user, "password": PASSWORD, "role": role} for user, role in OTHERS.items()]
    login.write_text(json.dumps({"user": USER, "password": password, "others": others}))
    command = [
        str(binary),
        "-listen=127.0.0.1:0",
        "-control=127.0.0.1:0",
        f"-state={folder / 'state'}",
        f"-credentials={login}",
    ]
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
            control = process.stdout.readline().split()
            yield Simulator(said[1], control[1], password)
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
