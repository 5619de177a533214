"""vSphere as vic-machine uses it: a session, the inventory by paths, tasks, datastore files, and a few hidden calls."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, unescape

from pyVmomi import SoapStubAdapter, vim, vmodl

from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.outcome import TimedOut
from lab.stand_ins.vic_machine.target import NoConnection, Target

API = "vim.version.version10"  # 6.0, the newest when 1.1 came out
CALL_LIMIT_S = 60.0
TRANSFER_LIMIT_S = 600.0
LOOK_S = 0.05
SOURCE = "vSphere Integrated Containers"  # by whom a VM may not be destroyed

_CHUNK_BYTES = 1 << 20
_FAULT = re.compile(r"<faultstring>(.*?)</faultstring>", re.S)
_RETURNED = re.compile(r"<returnval[^>]*>(.*?)</returnval>", re.S)
_ENABLED = re.compile(r"<Enabled[^>]*>(true|false)</Enabled>")


class Fault(Exception):
    """vSphere refused a call; the text is as Go's client words it."""


class NotThere(Exception):
    """There is no such object or file."""


@dataclass
class Clock:
    """Until when a command may go on.

    Args:
        end: by the monotonic clock; none where the command has no limit.
    """

    end: float | None = None

    def check(self) -> None:
        """Raises TimedOut when the time is up."""
        if self.is_up():
            raise TimedOut

    def is_up(self) -> bool:
        return self.end is not None and time.monotonic() >= self.end

    def sleep(self, length_s: float) -> None:
        """Waits, but not beyond the end."""
        if self.end is not None:
            length_s = min(length_s, max(0.0, self.end - time.monotonic()))
        time.sleep(length_s)
        self.check()


def lasting(length_s: float) -> Clock:
    """A clock that is up after so long."""
    return Clock(time.monotonic() + length_s)


class Session:
    """A login at vSphere."""

    def __init__(self, build: Build, target: Target) -> None:
        self.target = target
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self._agent = f"vic-machine/{build.version}"
        self._stub = SoapStubAdapter(
            host=target.host,
            port=target.port,
            path="/sdk",
            version=API,
            sslContext=self.context,
            poolSize=2,
            httpConnectionTimeout=CALL_LIMIT_S,
            customHeaders={"User-Agent": self._agent},
        )
        self.clock = Clock()
        try:
            instance: Any = vim.ServiceInstance("ServiceInstance", self._stub)
            self.content = instance.RetrieveContent()
            self.content.sessionManager.Login(target.user, target.password)
        except vmodl.MethodFault as error:
            raise NoConnection(f"Failed to log in to {target.address}: ServerFaultCode: {message(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoConnection(f"Failed to connect to {target.address}: {error}") from error

    @property
    def is_vcenter(self) -> bool:
        return str(self.content.about.apiType) == "VirtualCenter"

    @property
    def instance(self) -> str:
        """The vCenter's own id, by which its logs are named."""
        return str(self.content.about.instanceUuid)

    def close(self) -> None:
        """Logs out."""
        with suppress(vmodl.MethodFault, OSError, http.client.HTTPException):
            self.content.sessionManager.Logout()
        self._stub.DropConnections()

    def object(self, reference: str) -> Any:
        """The object that a reference such as ``VirtualMachine:vm-76`` names."""
        kind, _, identity = reference.partition(":")
        if kind not in _KINDS:
            raise NotThere(reference)
        return _KINDS[kind](identity, self._stub)

    def get(self, of: Any, path: str) -> Any:
        """A property; none if it isn't set."""
        return self.table([of], [path])[0].get(path)

    def table(self, objects: Sequence[Any], paths: Sequence[str]) -> list[dict[str, Any]]:
        """Properties of some objects of one kind, in one call.

        Raises:
            NotThere: one of them is gone.
        """
        if not objects:
            return []
        collector = vmodl.query.PropertyCollector
        wanted = collector.PropertySpec(type=type(objects[0]), pathSet=list(paths), all=False)
        specs = [collector.ObjectSpec(obj=one) for one in objects]
        with told():
            found = self.content.propertyCollector.RetrieveContents(
                [collector.FilterSpec(propSet=[wanted], objectSet=specs)]
            )
        by_id = {one.obj._GetMoId(): {prop.name: prop.val for prop in one.propSet} for one in found}
        return [by_id.get(one._GetMoId(), {}) for one in objects]

    def names(self, objects: Sequence[Any]) -> list[tuple[str, Any]]:
        """Name and object, for each."""
        by_kind: dict[type, list[Any]] = {}
        for one in objects:
            by_kind.setdefault(type(one), []).append(one)
        found: dict[str, str] = {}
        for ones in by_kind.values():
            rows = self.table(ones, ["name"])
            found |= {one._GetMoId(): str(row["name"]) for one, row in zip(ones, rows, strict=True) if row}
        return [(found[one._GetMoId()], one) for one in objects if one._GetMoId() in found]

    def run(self, task: Any) -> Any:
        """Waits for the end of a task.

        Raises:
            Fault: it failed.
            TimedOut: the command's time is up.
        """
        while True:
            row = self.table([task], ["info.state", "info.result", "info.error"])[0]
            if str(row.get("info.state", "success")) == "success":
                return row.get("info.result")
            if str(row["info.state"]) == "error":
                raise fault(row.get("info.error"))
            self.clock.sleep(LOOK_S)

    def extra_config(self, machine: Any) -> dict[str, str]:
        """A VM's extraConfig."""
        options = self.get(machine, "config.extraConfig") or []
        return {str(one.key): str(one.value) for one in options}

    def reconfigure(self, machine: Any, spec: Any) -> None:
        with told():
            task = machine.ReconfigVM_Task(spec)
        self.run(task)

    def set_extra_config(self, machine: Any, values: dict[str, str]) -> None:
        self.reconfigure(machine, vim.vm.ConfigSpec(extraConfig=options_of(values)))

    def power(self, machine: Any) -> str:
        """``poweredOn``, ``poweredOff`` or ``suspended``."""
        return str(self.get(machine, "runtime.powerState"))

    def disable_destroy(self, machine: Any) -> None:
        """Keeps people from deleting a VCH's VM by hand."""
        method = "<method><method>Destroy_Task</method><reasonId>VCH</reasonId></method>"
        self._internal("DisableMethods", f"{_entity(machine)}{method}<sourceId>{SOURCE}</sourceId>")

    def enable_destroy(self, machine: Any) -> None:
        method = "<method>Destroy_Task</method>"
        self._internal("EnableMethods", f"{_entity(machine)}{method}<sourceId>{SOURCE}</sourceId>")

    def firewall_is_on(self, host: Any) -> bool | None:
        """Whether a host has its firewall on at all, by esxcli; none where that can't be asked."""
        try:
            executer = self._raw("RetrieveManagedMethodExecuter", "urn:vim25", "HostSystem", host._GetMoId(), "")
            named = _RETURNED.search(executer)
            if named is None:
                return None
            call = (
                "<moid>ha-cli-handler-network-firewall</moid><version>urn:vim25/5.0</version>"
                "<method>vim.EsxCLI.network.firewall.get</method>"
            )
            said = self._raw("ExecuteSoap", "urn:vim25", "ManagedMethodExecuter", named[1], call)
        except Fault:
            return None
        enabled = _ENABLED.search(unescape(said))
        return None if enabled is None else enabled[1] == "true"

    def make_folder(self, datacenter: Any, path: str) -> bool:
        """Makes a folder on a datastore, with those above it; says whether it wasn't there yet."""
        try:
            with told():
                self.content.fileManager.MakeDirectory(name=path, datacenter=datacenter, createParentDirectories=True)
        except Fault as error:
            if isinstance(error.__cause__, vim.fault.FileAlreadyExists):
                return False
            raise
        return True

    def files(self, datastore: Any, path: str) -> list[str]:
        """All that is below a folder on a datastore, as paths with the datastore's name.

        Raises:
            NotThere: there is no such folder.
        """
        browser = self.get(datastore, "browser")
        spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=["*"])
        try:
            with told():
                task = browser.SearchDatastoreSubFolders_Task(datastorePath=path, searchSpec=spec)
            found = self.run(task) or []
        except Fault as error:
            if isinstance(error.__cause__, vim.fault.FileNotFound):
                raise NotThere(path) from error
            raise
        return [f"{folder.folderPath.rstrip('/')}/{file.path}" for folder in found for file in folder.file]

    def delete_file(self, datacenter: Any, path: str) -> None:
        """Deletes a file or a folder with all in it.

        Raises:
            Fault: vSphere doesn't.
        """
        with told():
            task = self.content.fileManager.DeleteDatastoreFile_Task(name=path, datacenter=datacenter)
        self.run(task)

    def upload(self, datacenter: str, datastore: str, path: str, source: Path) -> None:
        """Puts a file on a datastore.

        Raises:
            Fault: vSphere doesn't take it.
        """
        with source.open("rb") as file:
            length = source.stat().st_size
            headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
            self._transfer("PUT", datacenter, datastore, path, file, headers)

    def write(self, datacenter: str, datastore: str, path: str, content: bytes) -> None:
        """Writes a file on a datastore."""
        headers = {"Content-Length": str(len(content)), "Content-Type": "application/octet-stream"}
        self._transfer("PUT", datacenter, datastore, path, content, headers)

    def download(self, datacenter: str, datastore: str, path: str) -> bytes:
        """A file of a datastore.

        Raises:
            NotThere: there is no such file.
        """
        return self._transfer("GET", datacenter, datastore, path, None, {})

    def _transfer(
        self, method: str, datacenter: str, datastore: str, path: str, body: Any, headers: dict[str, str]
    ) -> bytes:
        where = f"/folder/{quote(path)}?dcPath={quote(datacenter, safe='')}&dsName={quote(datastore, safe='')}"
        connection = self._connection(TRANSFER_LIMIT_S)
        try:
            connection.request(method, where, body=body, headers={**headers, **self._identity()})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Fault(f'{method.capitalize()} "https://{self.target.address}{where}": {error}') from error
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            raise NotThere(path)
        if answer.status >= http.client.BAD_REQUEST:
            raise Fault(f"{answer.status} {answer.reason}")
        return content

    def _connection(self, limit_s: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self.target.host, self.target.port, timeout=limit_s, context=self.context, blocksize=_CHUNK_BYTES
        )

    def _identity(self) -> dict[str, str]:
        return {"Cookie": (self._stub.cookie or "").split(";")[0], "User-Agent": self._agent}

    def _internal(self, method: str, inner: str) -> None:
        manager = self.content.authorizationManager
        self._raw(method, "urn:internalvim25", "AuthorizationManager", manager._GetMoId(), inner)

    def _raw(self, method: str, namespace: str, kind: str, identity: str, inner: str) -> str:
        """A call that pyVmomi doesn't know."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
            'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
            f'<{method} xmlns="{namespace}"><_this type="{kind}">{escape(identity)}</_this>{inner}</{method}>'
            "</soapenv:Body></soapenv:Envelope>"
        )
        headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": "urn:vim25/6.0", **self._identity()}
        connection = self._connection(CALL_LIMIT_S)
        try:
            connection.request("POST", "/sdk", body=body.encode(), headers=headers)
            said = connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Fault(f'Post "https://{self.target.address}/sdk": {error}') from error
        finally:
            connection.close()
        refused = _FAULT.search(said)
        if refused:
            raise Fault(
                f"ServerFaultCode: {unescape(refused[1], {'&#39;': chr(39), '&#34;': chr(34), '&quot;': chr(34)})}"
            )
        return said


def options_of(values: dict[str, str]) -> list[Any]:
    """Values as they go into a VM's extraConfig."""
    return [vim.option.OptionValue(key=key, value=value) for key, value in sorted(values.items())]


def reference(of: Any) -> str:
    """An object as Go's client writes it: ``VirtualMachine:vm-76``."""
    return f"{_kind(of)}:{of._GetMoId()}"


def message(error: Any) -> str:
    """What vSphere says of an error; its kind if it says nothing."""
    return str(getattr(error, "msg", "") or type(error).__name__.rpartition(".")[2])


def fault(error: Any) -> Fault:
    """A fault, as Go's client words it; the cause stays below."""
    made = Fault(message(error))
    made.__cause__ = error if isinstance(error, BaseException) else None
    return made


@contextmanager
def told() -> Iterator[None]:
    """Turns what pyVmomi raises into ours."""
    try:
        yield
    except vmodl.fault.ManagedObjectNotFound as error:
        raise NotThere(message(error)) from error
    except vmodl.MethodFault as error:
        raise Fault(f"ServerFaultCode: {message(error)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Fault(str(error)) from error


_KINDS = {
    "VirtualMachine": vim.VirtualMachine,
    "ResourcePool": vim.ResourcePool,
    "VirtualApp": vim.VirtualApp,
    "Network": vim.Network,
    "DistributedVirtualPortgroup": vim.dvs.DistributedVirtualPortgroup,
    "OpaqueNetwork": vim.OpaqueNetwork,
    "Datastore": vim.Datastore,
}


def _kind(of: Any) -> str:
    name: str = type(of).__name__.rpartition(".")[2]
    return name


def _entity(machine: Any) -> str:
    return f'<entity type="{_kind(machine)}">{escape(machine._GetMoId())}</entity>'
