"""The lab's vCenter alone, of any size and with a latency; and a client of the bench's own that puts it back.

For benches that need no engine and no registry. Nothing here shares code with the provider that is measured.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lab.certificates import Certificates
from lab.parts.vcenter import USER, VERSION
from lab.passwords import write_private
from ops.toolchain import ends_with_us, go_build

CLUSTER = "DC0_C0"
# How the user agent of our provider begins.
OUR_AGENT = "Drydock/"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
CONTROL_LIMIT_S = 10.0
CALL_LIMIT_S = 60.0
LOOP_LIMIT_S = 120.0
PASSWORD_BYTES = 18

_SOURCE = Path(__file__).resolve().parents[2] / "lab" / "vcenter"
_LOOPBACK = "127.0.0.1"
# The control port is on this machine: a proxy of the environment must not be asked for it.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

T = TypeVar("T")


@dataclass(frozen=True)
class VCenter:
    """A vCenter that runs: one cluster, and one host beside it.

    Args:
        address: where it answers, as ``host:port``.
        control: where its control port answers.
        user: who may log in.
        password: their password.
    """

    address: str
    control: str
    user: str
    password: str = field(repr=False)

    @property
    def host(self) -> str:
        return self.address.partition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.partition(":")[2])

    @property
    def variables(self) -> dict[str, str]:
        """What the provider reads from the environment."""
        return {
            "VSPHERE_SERVER": self.address,
            "VSPHERE_USER": self.user,
            "VSPHERE_PASSWORD": self.password,
            "VSPHERE_ALLOW_UNVERIFIED_SSL": "true",
        }

    @contextmanager
    def latency(self, milliseconds: int) -> Iterator[None]:
        """Every SOAP call is answered that much later, as long as the block lasts."""
        self._ask("/switches", {"latency_ms": milliseconds})
        try:
            yield
        finally:
            self._ask("/switches", {"latency_ms": 0})

    def forget_counts(self) -> None:
        self._ask("/counts/reset", {})

    def calls(self, agent: str) -> dict[str, int]:
        """SOAP method → calls since the counts were forgotten, of the user agents that begin so."""
        found: dict[str, int] = {}
        for name, methods in self._ask("/counts")["by_agent"].items():
            for method, times in methods.items() if name.startswith(agent) else ():
                found[method] = found.get(method, 0) + times
        return found

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.control}{path}", data=data)
        with _DIRECTLY.open(request, timeout=CONTROL_LIMIT_S) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else {}


class Administrator:
    """A session of the bench's own with pyVmomi alone: puts a ruleset back before a run, and looks after it.

    Args:
        vcenter: where; its latency should be off, so that a thousand hosts are put back in a second.
    """

    def __init__(self, vcenter: VCenter) -> None:
        self._service = log_in(vcenter)
        self._content = self._service.RetrieveContent()
        found = hosts_of(self._content, CLUSTER)
        self._systems = [firewall_of(self._content, host) for host in within(LOOP_LIMIT_S, found)]
        self.hosts = [host.name for host in within(LOOP_LIMIT_S, found)]

    def close_ruleset(self, key: str) -> None:
        for system in within(LOOP_LIMIT_S, self._systems):
            system.DisableRuleset(id=key)

    def open_on(self, key: str) -> int:
        """On how many hosts the ruleset is open for everybody."""
        from pyVmomi import vim

        found = 0
        for _, known in properties(self._content, vim.host.FirewallSystem, self._systems, ["firewallInfo"]):
            rules = [rule for rule in known["firewallInfo"].ruleset if rule.key == key]
            found += any(rule.enabled and rule.allowedHosts.allIp for rule in rules)
        return found

    def log_out(self) -> None:
        from pyVim.connect import Disconnect

        with suppress(Exception):  # the vCenter ends next
            Disconnect(self._service)


def within(limit_s: float, things: Iterable[T]) -> Iterator[T]:
    """The things one by one, as long as there is time.

    Raises:
        TimeoutError: the next one would begin after that many seconds.
    """
    end_s = time.monotonic() + limit_s
    for one in things:
        if time.monotonic() > end_s:
            raise TimeoutError(f"this took longer than {limit_s:.0f} s, and wasn't done")
        yield one


def log_in(vcenter: VCenter) -> Any:
    """A session through pyVmomi's own way."""
    from pyVim.connect import SmartConnect

    return SmartConnect(
        host=vcenter.host,
        port=vcenter.port,
        user=vcenter.user,
        pwd=vcenter.password,
        disableSslCertValidation=True,
        httpConnectionTimeout=CALL_LIMIT_S,
    )


def hosts_of(content: Any, cluster: str) -> list[Any]:
    """The hosts of a cluster, found in three calls whatever their number."""
    from pyVmomi import vim

    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ClusterComputeResource], True)
    found = properties(content, vim.ClusterComputeResource, list(view.view), ["name", "host"])
    return next(list(known["host"]) for _, known in found if known["name"] == cluster)


def firewall_of(content: Any, host: Any) -> Any:
    """A host's firewall system: one call, as govmomi's `ConfigManager().FirewallSystem` makes it."""
    from pyVmomi import vim

    path = "configManager.firewallSystem"
    [(_, known)] = properties(content, vim.HostSystem, [host], [path])
    return known[path]


def properties(content: Any, kind: Any, objects: list[Any], paths: list[str]) -> list[tuple[Any, dict[str, Any]]]:
    """Objects with properties, in one call."""
    from pyVmomi import vmodl

    collector = vmodl.query.PropertyCollector
    asked = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=one) for one in objects],
        propSet=[collector.PropertySpec(type=kind, pathSet=paths)],
    )
    found = content.propertyCollector.RetrieveContents([asked])
    return [(one.obj, {item.name: item.val for item in one.propSet}) for one in found]


def built() -> Path:
    """The vCenter's program, built if it wasn't.

    Raises:
        SetupError: it can't be built.
    """
    return go_build("vcenter", VERSION, source=_SOURCE, usually="half a minute")


@contextmanager
def running(binary: Path, folder: Path, hosts: int) -> Iterator[VCenter]:
    """A vCenter as long as the block lasts, on free ports of loopback.

    Args:
        binary: its program; one for all sizes of a bench.
        folder: for all that it writes.
        hosts: in its cluster.

    Raises:
        RuntimeError: it doesn't start.
    """
    folder.mkdir(parents=True)
    certificates = Certificates(folder / "certificates")
    certificates.issue({"vcenter": _LOOPBACK})
    pair = certificates.of("vcenter")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    credentials = folder / "credentials.json"
    write_private(credentials, json.dumps({"user": USER, "password": password}))
    command = [
        str(binary),
        f"-listen={_LOOPBACK}:0",
        f"-control={_LOOPBACK}:0",
        f"-state={folder / 'state'}",
        f"-tlscert={pair / 'cert.pem'}",
        f"-tlskey={pair / 'key.pem'}",
        f"-credentials={credentials}",
        "-clusters=1",
        f"-cluster-hosts={hosts}",
        "-standalone-hosts=1",
    ]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env={"HOME": str(folder), "PATH": os.defpath},
            preexec_fn=ends_with_us(),
        )
    try:
        said = _said(process, ["serves", "control"])
        if said is None:
            raise RuntimeError(f"the lab's vCenter didn't start: {log.read_text()[-2000:]}")
        yield VCenter(said["serves"], said["control"], USER, password)
    finally:
        _stop(process)


def _said(process: subprocess.Popen[str], names: list[str]) -> dict[str, str] | None:
    """What it says on its first lines, one line a name; None if it ends before, or is stopped as it says nothing."""
    assert process.stdout is not None
    silent = threading.Timer(START_LIMIT_S, process.kill)
    silent.start()
    try:
        lines = [process.stdout.readline().split() for _ in names]
    finally:
        silent.cancel()
    said = {line[0]: line[1] for line in lines if len(line) == 2}
    return said if set(said) == set(names) else None


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
