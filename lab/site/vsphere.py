"""Talks to a vCenter: machines and their settings, power, files on datastores; for the watcher and for appliances."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

from lab.site.extra_config import Login

CALL_LIMIT_S = 20
TASK_LIMIT_S = 60.0

_POLL_S = 0.02
_PAGE = 500
_SEEN = (
    "name",
    "runtime.powerState",
    "config.template",
    "config.changeVersion",
    "config.modified",
)
_TASK = ("info.state", "info.result", "info.error")
_Result = TypeVar("_Result")


class VSphereError(Exception):
    """A call that failed: the vCenter isn't reached, refuses us, or can't do what it is asked."""


class LoginRefused(VSphereError):
    """The vCenter's certificate isn't the one that we trust, or it refuses the account."""


class ObjectGone(VSphereError):
    """What a call is about isn't there any more."""


@dataclass(frozen=True)
class Seen:
    """What a look at all machines tells of one.

    Attributes:
        reference: its managed object's id.
        name: its name.
        is_on: whether it is powered on.
        boot: tells one boot from another; empty where nothing is known of it.
        version: changes with its settings.
    """

    reference: str
    name: str
    is_on: bool
    boot: str
    version: str


@dataclass(frozen=True)
class Machine:
    """One machine, looked at closely.

    Attributes:
        reference: its managed object's id.
        name: its name.
        values: its extraConfig.
        iso: datastore path of what its CD-ROM drive holds; empty: nothing.
        file: datastore path of its `.vmx`.
        networks: names of the networks that its cards are in.
    """

    reference: str
    name: str
    values: Mapping[str, str]
    iso: str
    file: str


class VSphere:
    """A vCenter with a session that is opened when it is needed and again when it is lost. Safe in many threads.

    Args:
        login: address, trusted certificate and account.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self._lock = threading.RLock()
        self._service: Any = None

    def close(self) -> None:
        """Ends the session."""
        with self._lock:
            service, self._service = self._service, None
        if service is not None:
            try:
                Disconnect(service)
            except (OSError, vmodl.MethodFault, http.client.HTTPException):
                return

    def check(self) -> None:
        """Logs in, if that wasn't done.

        Raises:
            LoginRefused: another certificate, or the account is refused.
            VSphereError: not reached.
        """
        self._call(lambda content: content.about.apiVersion)

    def about(self) -> tuple[str, str, str]:
        """The product's name, system and version."""
        about = self._call(lambda content: content.about)
        return str(about.name), str(about.osType), str(about.version)

    def machines(self) -> list[Seen]:
        """All machines, at a glance."""
        found = self._call(lambda content: _retrieved(content, vim.VirtualMachine, _SEEN))
        boots = self._call(_boots)
        machines = [(reference, facts) for reference, facts in found if not facts.get("config.template")]
        return [_seen(reference, facts, boots.get(reference, "")) for reference, facts in machines]

    def seen(self, reference: str) -> Seen | None:
        """One of them; `None` where it is gone."""
        return next((one for one in self.machines() if one.reference == reference), None)

    def machine(self, reference: str) -> Machine:
        """One machine."""
        wanted = ("name", "config.extraConfig", "config.hardware.device", "config.files.vmPathName")
        facts = self._call(lambda content: _of(content, vim.VirtualMachine, reference, wanted))
        values = {str(one.key): str(one.value) for one in facts.get("config.extraConfig") or ()}
        return Machine(
            reference,
            str(facts.get("name", "")),
            values,
            _iso(facts.get("config.hardware.device") or ()),
            str(facts.get("config.files.vmPathName", "")),
        )

    def write(self, reference: str, values: Mapping[str, str]) -> None:
        """Writes into a machine's extraConfig."""
        options = [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]
        spec = vim.vm.ConfigSpec(extraConfig=options)
        self._do(lambda content: self._machine(reference).ReconfigVM_Task(spec=spec))

    def create_machine(self, spec: Any, *, beside: str, pool: tuple[str, str]) -> str:
        """Makes a machine.

        Args:
            spec: its ConfigSpec.
            beside: the machine in whose folder it goes.
            pool: kind and reference of the resource pool or vApp.

        Returns:
            Its reference.
        """

        def begin(content: Any) -> Any:
            stub = self._stub()
            if pool[0] == "VirtualApp":
                return vim.VirtualApp(pool[1], stub).CreateChildVM_Task(config=spec, host=None)
            folder = _of(content, vim.VirtualMachine, beside, ("parent",)).get("parent")
            # A machine directly in a vApp is in no folder: what stands beside it goes to the datacenter's.
            if folder is None:
                folder = self._datacenter(content).vmFolder
            return folder.CreateVM_Task(config=spec, pool=vim.ResourcePool(pool[1], stub), host=None)

        return str(self._do(begin)._moId)

    def switch(self, reference: str, *, on: bool) -> None:
        """Powers a machine on or off; fine if it is so already."""
        machine = self._machine(reference)
        try:
            self._do(lambda content: machine.PowerOnVM_Task() if on else machine.PowerOffVM_Task())
        except VSphereError as error:
            if not isinstance(error.__cause__, vim.fault.InvalidPowerState):
                raise

    def rename(self, reference: str, name: str) -> None:
        """Gives a machine another name."""
        self._do(lambda content: self._machine(reference).Rename_Task(newName=name))

    def remove_machine(self, reference: str) -> None:
        """Powers a machine off and deletes it with its files; fine if it is gone."""
        with suppress(ObjectGone):
            self.switch(reference, on=False)
            self._do(lambda content: self._machine(reference).Destroy_Task())

    def pool_limits(self, pool: tuple[str, str]) -> tuple[int, int]:
        """A pool's limits: MHz and MB; its parents' share where it has none."""
        kind = vim.VirtualApp if pool[0] == "VirtualApp" else vim.ResourcePool
        names = ("runtime.cpu.maxUsage", "runtime.memory.maxUsage")
        facts = self._call(lambda content: _of(content, kind, pool[1], names))
        return int(facts.get(names[0]) or 0), int(facts.get(names[1]) or 0) >> 20

    def datastore_folder(self, name: str) -> str:
        """The folder of the host's on which a datastore lies; only a simulated one has it.

        Raises:
            VSphereError: there is no such datastore.
        """
        for _, facts in self._call(lambda content: _retrieved(content, vim.Datastore, ("name", "summary.url"))):
            if facts.get("name") == name:
                return str(facts["summary.url"])
        raise VSphereError(f"datastore {name} not found")

    def make_folder(self, path: str) -> None:
        """Makes a folder on a datastore, with those above it; fine if it is there."""
        try:
            self._call(lambda content: content.fileManager.MakeDirectory(path, self._datacenter(content), True))
        except VSphereError as error:
            if not isinstance(error.__cause__, vim.fault.FileAlreadyExists):
                raise

    def make_disk(self, path: str, size_kb: int) -> None:
        """Makes a virtual disk file."""
        spec = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
            diskType="thin", adapterType="lsiLogic", capacityKb=size_kb
        )
        self._do(
            lambda content: content.virtualDiskManager.CreateVirtualDisk_Task(path, self._datacenter(content), spec)
        )

    def remove_file(self, path: str) -> None:
        """Removes a file or folder of a datastore; fine if it is gone."""
        try:
            self._do(lambda content: content.fileManager.DeleteDatastoreFile_Task(path, self._datacenter(content)))
        except VSphereError as error:
            if not isinstance(error.__cause__, vim.fault.FileNotFound):
                raise

    def file(self, path: str) -> bytes:
        """A file of a datastore, over HTTPS as any client reads it.

        Raises:
            VSphereError: it isn't there, or can't be read.
        """
        datastore, _, name = path.lstrip("[").partition("] ")
        datacenter = self._call(lambda content: self._datacenter(content).name)
        query = urlencode({"dcPath": datacenter, "dsName": datastore})
        with self._lock:
            cookie = self._stub().cookie if self._service is not None else ""
        host, _, port = self._login.address.rpartition(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=CALL_LIMIT_S, context=_unverified())
        try:
            connection.request("GET", f"/folder/{quote(name)}?{query}", headers={"Cookie": cookie})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise VSphereError(f"can't read {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise VSphereError(f"can't read {path}: {answer.status} {answer.reason}")
        return content

    def _machine(self, reference: str) -> Any:
        return vim.VirtualMachine(reference, self._stub())

    def _datacenter(self, content: Any) -> Any:
        """The lab's site has one."""
        found = _retrieved(content, vim.Datacenter, ("name",))
        if not found:
            raise VSphereError("there is no datacenter")
        return vim.Datacenter(found[0][0], self._stub())

    def _stub(self) -> Any:
        return self._connected()._stub

    def _do(self, begin: Callable[[Any], Any]) -> Any:
        """Begins a task and waits for its end. pyVim's WaitForTask fails on the simulator."""
        task = self._call(begin)
        end = time.monotonic() + TASK_LIMIT_S
        while True:
            # Part by part: pyVmomi refuses the whole of it where the entity is no entity, as of a disk's task.
            info = self._call(lambda content: _of(content, vim.Task, task._moId, _TASK))
            if info.get("info.state") == "success":
                return info.get("info.result")
            if info.get("info.state") == "error":
                raise VSphereError(_words(info["info.error"])) from info["info.error"]
            if time.monotonic() > end:
                raise VSphereError(f"the task {task._moId} doesn't end")
            time.sleep(_POLL_S)

    def _call(self, ask: Callable[[Any], _Result]) -> _Result:
        """Asks, once more after a new login if the session was lost."""
        for is_last in (False, True):
            service = self._connected()
            try:
                return ask(service.content)
            except (vim.fault.NotAuthenticated, OSError, http.client.HTTPException) as error:
                with self._lock:
                    if self._service is service:
                        self._service = None
                if is_last:
                    raise VSphereError(_words(error)) from error
            except vmodl.fault.ManagedObjectNotFound as error:
                raise ObjectGone(_words(error)) from error
            except (vmodl.MethodFault, vmodl.RuntimeFault) as error:
                raise VSphereError(_words(error)) from error
        raise AssertionError("the second try returns or raises")

    def _connected(self) -> Any:
        with self._lock:
            if self._service is None:
                self._service = self._logged_in()
            return self._service

    def _logged_in(self) -> Any:
        host, _, port = self._login.address.rpartition(":")
        try:
            # pyVmomi accepts a wrong thumbprint when it verifies nothing else: we look at it, before the login.
            found = _thumbprint(self._login.address) if self._login.thumbprint else ""
            if self._login.thumbprint != found:
                raise LoginRefused(
                    f"Failed to verify certificate for target={self._login.address} (thumbprint={found})"
                )
            return SmartConnect(
                host=host,
                port=int(port),
                user=self._login.user,
                pwd=self._login.password,
                sslContext=_unverified(),
                httpConnectionTimeout=CALL_LIMIT_S,
            )
        except vim.fault.InvalidLogin as error:
            raise LoginRefused(
                "ServerFaultCode: Cannot complete login due to an incorrect user name or password."
            ) from error
        except (vmodl.MethodFault, OSError, http.client.HTTPException) as error:
            raise VSphereError(f"can't reach {self._login.address}: {_words(error)}") from error


def _thumbprint(address: str) -> str:
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=CALL_LIMIT_S) as plain,
        _unverified().wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert(binary_form=True) or b""
    digest = hashlib.sha1(certificate, usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _unverified() -> ssl.SSLContext:
    """A VCH trusts its vCenter by thumbprint alone."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: BaseException) -> str:
    message = getattr(error, "msg", None) or getattr(error, "localizedMessage", None)
    return str(message) if message else (str(error).splitlines() or [type(error).__name__])[0]


def _retrieved(content: Any, kind: type, names: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    """Reference and properties of all objects of a kind."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        collector = vmodl.query.PropertyCollector
        way = collector.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
        objects = collector.ObjectSpec(obj=view, skip=True, selectSet=[way])
        return _asked(content, kind, names, objects)
    finally:
        view.Destroy()


def _of(content: Any, kind: type, reference: str, names: Iterable[str]) -> dict[str, Any]:
    """Properties of one object; those that are unset are left out."""
    target = kind(reference, content.propertyCollector._stub)
    objects = vmodl.query.PropertyCollector.ObjectSpec(obj=target, skip=False)
    found = _asked(content, kind, names, objects)
    return found[0][1] if found else {}


def _asked(content: Any, kind: type, names: Iterable[str], objects: Any) -> list[tuple[str, dict[str, Any]]]:
    collector = vmodl.query.PropertyCollector
    properties = collector.PropertySpec(type=kind, pathSet=list(names), all=False)
    spec = collector.FilterSpec(objectSet=[objects], propSet=[properties])
    page = content.propertyCollector.RetrievePropertiesEx([spec], collector.RetrieveOptions(maxObjects=_PAGE))
    found = []
    while page is not None:
        found += [(one.obj._moId, {fact.name: fact.val for fact in one.propSet}) for one in page.objects]
        page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    return found


def _boots(content: Any) -> dict[str, str]:
    """Machine → what tells its latest boot; a power off and on between two looks shows in events only."""
    events = content.eventManager.QueryEvents(vim.event.EventFilterSpec(eventTypeId=["VmPoweredOnEvent"]))
    latest: dict[str, tuple[int, str]] = {}
    for event in events or ():
        if event.vm is not None and event.key > latest.get(event.vm.vm._moId, (-1, ""))[0]:
            latest[event.vm.vm._moId] = (event.key, f"{event.key} {event.createdTime}")
    return {reference: boot for reference, (_, boot) in latest.items()}


def _seen(reference: str, facts: Mapping[str, Any], boot: str) -> Seen:
    is_on = str(facts.get("runtime.powerState")) == "poweredOn"
    return Seen(
        reference=reference,
        name=str(facts.get("name", "")),
        is_on=is_on,
        boot=boot,
        version=f"{facts.get('config.changeVersion', '')} {facts.get('config.modified', '')}",
    )


def _iso(devices: Iterable[Any]) -> str:
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualCdrom):
            backing = device.backing
            if isinstance(backing, vim.vm.device.VirtualCdrom.IsoBackingInfo):
                return str(backing.fileName)
    return ""
