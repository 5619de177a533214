"""A VCH appliance of the tests' own: sees a VM power on, reports as a booted VCH does, and answers its Docker API."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

from lab.stand_ins.vic_machine import secretbox
from lab.stand_ins.vic_machine.extra_config import key_in
from tests.esxi.simulator import PASSWORD, USER, Simulator
from tests.tasks import finished

HOST = "127.0.0.1"
LOOK_S = 0.05
LIMIT_S = 30.0
VICE = "guestinfo.vice.."
SESSIONS = ("docker-personality", "port-layer", "vicadmin")
NETWORKS = ("client", "public", "management")


@dataclass
class Behaviour:
    """How an appliance behaves once it is on.

    Args:
        reports: whether it reports addresses.
        starts: whether it reports that its components run; a text is an error of vicadmin's.
        answers: ``running``, ``garbage``, ``starting`` (never says RUNNING), or ``nothing`` (refuses connections).
        online: the volume stores that it says are online; all of its settings without it.
    """

    reports: bool = True
    starts: bool | str = True
    answers: str = "running"
    online: list[str] | None = None


@dataclass
class Appliances:
    """All that run on a simulator; by the VM's name they may behave in ways of their own."""

    simulator: Simulator
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    running: dict[str, _Server | None] = field(default_factory=dict)
    cookie: str = ""

    def behave(self, name: str, **values: Any) -> None:
        self.behaviours[name] = Behaviour(**values)

    def watch(self, stop: threading.Event) -> None:
        host, _, port = self.simulator.address.partition(":")
        service: Any = SmartConnect(host=host, port=int(port), user=USER, pwd=PASSWORD, disableSslCertValidation=True)
        self.cookie = service._stub.cookie.split(";")[0]
        try:
            content: Any = service.RetrieveContent()
            while not stop.is_set():
                self._look(content)
                time.sleep(LOOK_S)
        finally:
            Disconnect(service)
            for identity in list(self.running):
                self._stop(identity)

    def _look(self, content: Any) -> None:
        seen: set[str] = set()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        try:
            machines = list(view.view)
        finally:
            view.Destroy()
        for machine in machines:
            # A VM may be deleted while it is looked at, or have lost its file.
            with contextlib.suppress(vmodl.fault.ManagedObjectNotFound, urllib.error.HTTPError):
                if machine.runtime.powerState == "poweredOn" and _boots(machine):
                    seen.add(machine._moId)
                    self._run(machine)
        for identity in set(self.running) - seen:
            self._stop(identity)

    def _run(self, machine: Any) -> None:
        found = {option.key: option.value for option in machine.config.extraConfig}
        name = machine.name
        behaviour = self.behaviours.get(name, Behaviour())
        server = self.running.get(machine._moId)
        if server is not None:
            server.know(found, behaviour)
        if machine._moId in self.running and found.get(f"{VICE}init.sessions|vicadmin.started") != "<nil>":
            return
        if machine._moId not in self.running and behaviour.answers != "nothing":
            # The guest sees what vSphere hides from readers; the VM's file has it, too.
            file = self.file(machine.config.files.vmPathName).decode()
            self.running[machine._moId] = _served(found, behaviour, key_in(file) or b"")
        report: dict[str, str] = {}
        if behaviour.reports:
            for network in NETWORKS:
                at = f"{VICE}init.networks|{network}.assigned"
                report[f"{at}.IP"] = base64.b64encode(b"\0" * 10 + b"\xff\xff\x7f\x00\x00\x01").decode()
                report[f"{at}.Mask"] = base64.b64encode(b"\xff\x00\x00\x00").decode()
        if behaviour.starts:
            for session in SESSIONS:
                said = behaviour.starts if session == "vicadmin" and isinstance(behaviour.starts, str) else "true"
                report[f"{VICE}init.sessions|{session}.started"] = said
        if report and any(found.get(key) != value for key, value in report.items()):
            options = [vim.option.OptionValue(key=key, value=value) for key, value in report.items()]
            finished(machine.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=options)))

    def file(self, path: str, content: bytes | None = None) -> bytes:
        """A file of a datastore: read, or written."""
        datastore, _, name = path.lstrip("[").partition("] ")
        where = f"https://{self.simulator.address}/folder/{quote(name)}?dcPath=DC0&dsName={datastore}"
        method = "GET" if content is None else "PUT"
        request = urllib.request.Request(where, method=method, data=content, headers={"Cookie": self.cookie})
        with urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=LIMIT_S) as answer:
            read: bytes = answer.read()
        return read

    def _stop(self, identity: str) -> None:
        server = self.running.pop(identity)
        if server is not None:
            server.stop()


def _served(settings: dict[str, str], behaviour: Behaviour, key: bytes) -> _Server | None:
    """A server of its own; none where another appliance has the port, which then answers for both."""
    try:
        return _Server(settings, behaviour, key)
    except OSError:
        return None


class _Server:
    """A Docker API that knows ``/info``, on the port that the settings say."""

    def __init__(self, settings: dict[str, str], behaviour: Behaviour, key: bytes) -> None:
        certificate = settings.get("guestinfo.vice./cert/HostCertificate/Cert", "")
        version = settings.get("guestinfo.vice./init/version/Version", "")
        driver = f"vSphere Integrated Containers {version} Backend Engine"
        self._handler: Any = type("Info", (_Info,), {"driver": driver})
        self.know(settings, behaviour)
        port = 2376 if certificate else 2375
        self._server = http.server.ThreadingHTTPServer((HOST, port), self._handler)
        if certificate:
            self._server.socket = _context(settings, key).wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK_S,), daemon=True)
        self._thread.start()

    def know(self, settings: dict[str, str], behaviour: Behaviour) -> None:
        """Settings and behaviour may change while it runs."""
        known = settings.get("guestinfo.vice./storage/VolumeLocations", "")
        stores = [label for label in known.split("|") if label and label != "<nil>"]
        self._handler.behaviour = behaviour
        self._handler.stores = stores if behaviour.online is None else behaviour.online

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Info(http.server.BaseHTTPRequestHandler):
    driver = ""
    behaviour = Behaviour()
    stores: list[str] = []  # noqa: RUF012 - set per server

    def do_GET(self) -> None:
        if self.behaviour.answers == "garbage":
            self.wfile.write(b"garbage\r\n")
            return
        running = "RUNNING" if self.behaviour.answers == "running" else "STARTING"
        status = [[self.driver, running], ["VolumeStores", " ".join(self.stores)]]
        body = json.dumps({"Driver": self.driver, "SystemStatus": status}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def _boots(machine: Any) -> bool:
    identity = "guestinfo.vice./init/common/id"
    return machine.config is not None and any(option.key == identity for option in machine.config.extraConfig)


def _context(settings: dict[str, str], key: bytes) -> ssl.SSLContext:
    sealed = base64.b64decode(settings["guestinfo.vice./cert/HostCertificate/Key@secret"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        certificate = base64.b64decode(settings["guestinfo.vice./cert/HostCertificate/Cert"])
        pair.write_bytes(certificate + base64.b64decode(secretbox.opened(sealed, key)))
        context.load_cert_chain(pair)
    return context


@contextlib.contextmanager
def appliances(simulator: Simulator) -> Iterator[Appliances]:
    """Appliances as long as the block lasts."""
    found = Appliances(simulator)
    stop = threading.Event()
    thread = threading.Thread(target=found.watch, args=(stop,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(LIMIT_S)
