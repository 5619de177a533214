"""A session with a vCenter or an ESXi host, for everything in this package and for `ops`; knows nothing of Pulumi."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyVmomi import SoapStubAdapter, vim, vmodl

from providers.esxi import farewell
from providers.esxi.faults import refused, translate, unanswered_login
from providers.kit.errors import Permanent
from providers.kit.retry import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S
from providers.kit.secrets import Secret, Settings
from providers.kit.tls import colons, digits, shown_certificate

USER_AGENT = "Drydock/0.1.0"
DEFAULT_PORT = 443
PAGE_OBJECTS = 1000
MOST_CONNECTIONS = 256

# vSphere 6.5, the oldest that we meet; newer servers answer in its words.
_API_VERSION = "vim.version.version11"
_THUMBPRINTS = {40: hashlib.sha1, 64: hashlib.sha256}


@dataclass(frozen=True)
class Endpoint:
    """Where a vCenter is, who logs in, and how it is known to be the right one.

    Args:
        server: name or address, ``:port`` may follow.
        user: who logs in.
        password: their password.
        thumbprint: SHA-1 or SHA-256 of its certificate, colons or not; compared before the password is sent.
        verify: whether its certificate is verified where no thumbprint is given.
    """

    server: str
    user: str
    password: Secret
    thumbprint: str | None = None
    verify: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Endpoint:
        """As the stack's config or the environment says.

        Raises:
            Permanent: names what is missing.
        """
        server = settings.value("vsphere:vsphereServer", "VSPHERE_SERVER")
        user = settings.value("vsphere:user", "VSPHERE_USER")
        password = settings.credential("vsphere:password", "VSPHERE_PASSWORD")
        if not server or not user or password is None:
            missing = [name for name, value in (("VSPHERE_SERVER", server), ("VSPHERE_USER", user)) if not value]
            missing += ["VSPHERE_PASSWORD"] if password is None else []
            raise Permanent(f"{', '.join(missing)} not set", on="vCenter", remedy="Set it, or vsphere:… in the config.")
        thumbprint = settings.value("vsphere_thumbprint", "VSPHERE_THUMBPRINT")
        unverified = settings.value("vsphere:allowUnverifiedSsl", "VSPHERE_ALLOW_UNVERIFIED_SSL") or ""
        return cls(server, user, password, thumbprint, verify=unverified.lower() not in ("true", "1"))

    @property
    def host(self) -> str:
        return self._split()[0]

    @property
    def port(self) -> int:
        return self._split()[1]

    @property
    def label(self) -> str:
        """How errors call it."""
        return f"vCenter {self.server}"

    def _split(self) -> tuple[str, int]:
        name, colon, port = self.server.rpartition(":")
        bare_ipv6 = ":" in name and not name.endswith("]")
        if not colon or bare_ipv6 or not port.isdigit():
            return self.server.strip("[]"), DEFAULT_PORT
        return name.strip("[]"), int(port)


class VSphere:
    """A session, logged in; `close` ends it on the server as well.

    Raises:
        Authentication: the login was refused; it is tried once.
        Permanent: the certificate isn't the pinned one, or isn't trusted.
        Temporary: it can't be reached now.
    """

    content: Any

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._takes_keys = True
        self._handshake = _Handshake.of(endpoint)
        # pyVim's SmartConnect first asks for the server's versions, without any timeout.
        self._stub = SoapStubAdapter(
            host=endpoint.host,
            port=endpoint.port,
            version=_API_VERSION,
            poolSize=MOST_CONNECTIONS,
            sslContext=self._handshake,
            httpConnectionTimeout=CONNECT_TIMEOUT_S,
            customHeaders={"User-Agent": USER_AGENT},
        )
        self._watchman: subprocess.Popen[bytes] | None = None
        try:
            self._log_in()
        except BaseException:
            self._stub.DropConnections()
            raise
        self._post_watchman()

    @cached_property
    def own_address(self) -> str:
        """Ours, as the server sees it where no translation of addresses lies between; nothing is sent for it."""
        family, _, _, _, address = socket.getaddrinfo(self.endpoint.host, self.endpoint.port, type=socket.SOCK_DGRAM)[0]
        with self.speaking(), socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect(address)
            return str(way.getsockname()[0])

    def close(self) -> None:
        with suppress(Exception):  # the server may be gone; its own time limit ends the session then
            self.content.sessionManager.Logout()
        self._stub.DropConnections()
        self._dismiss_watchman()

    @contextmanager
    def speaking(self, on: str | None = None) -> Iterator[None]:
        """Turns whatever a call raises into our error, about the given object."""
        try:
            yield
        except Exception as error:
            raise translate(error, on or self.endpoint.label) from error

    def collect(
        self, kinds: Mapping[Any, Sequence[str]], roots: Iterable[Any] | None = None
    ) -> list[tuple[Any, dict[str, Any]]]:
        """Objects with properties, in one call and its continuation pages, whatever their number.

        Args:
            kinds: managed object type → property paths.
            roots: these objects; absent: all of the kinds in the whole inventory.
        """
        with self.speaking():
            if roots is not None:
                return self._retrieve(kinds, [_object_spec(one) for one in roots])
            view = self.content.viewManager.CreateContainerView(self.content.rootFolder, list(kinds), True)
            try:
                return self._retrieve(kinds, [_view_spec(view)])
            finally:
                view.Destroy()

    def host_tree(self, kinds: Mapping[Any, Sequence[str]]) -> list[tuple[Any, dict[str, Any]]]:
        """The inventory's tree down to its hosts, in one call: folders, datacenters, compute resources and hosts."""
        with self.speaking():
            return self._retrieve(kinds, [_tree_spec(self.content.rootFolder)])

    def elements(self, kind: Any, array: str, keys: Sequence[str], roots: Collection[Any]) -> dict[Any, dict[str, Any]]:
        """Single elements of an array that many objects have, in one call whatever their number.

        Args:
            kind: the objects' managed object type.
            array: path of an array whose elements have a ``key``.
            keys: those that are wanted.
            roots: the objects.

        Returns:
            Object → key → element; what an object lacks is left out.
        """
        if self._takes_keys and not any('"' in key for key in keys):
            paths = {f'{array}["{key}"]': key for key in keys}
            try:
                found = self.collect({kind: list(paths)}, roots)
            except Permanent as error:
                # Not every server takes keys in a path; whole arrays cost more to read.
                if not isinstance(error.__cause__, vmodl.query.InvalidProperty):
                    raise
                self._takes_keys = False
            else:
                return {one: {paths[path]: value for path, value in known.items()} for one, known in found}
        whole = self.collect({kind: [array]}, roots)
        return {one: {each.key: each for each in known.get(array, []) if each.key in keys} for one, known in whole}

    def _log_in(self) -> None:
        with self.speaking():
            self.content = vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
        try:
            self.content.sessionManager.Login(self.endpoint.user, self.endpoint.password.reveal(), None)
        except (vim.fault.InvalidLogin, vim.fault.NoPermission) as error:
            raise refused(error, self.endpoint.user, self.endpoint.label) from error
        except OSError as error:
            raise unanswered_login(error, self.endpoint.label) from error
        except Exception as error:
            raise translate(error, self.endpoint.label) from error

    def _post_watchman(self) -> None:
        """Somebody logs out also when this process is killed; without the program a session ends by its idle time."""
        told = {
            "host": self.endpoint.host,
            "port": self.endpoint.port,
            "cookie": self._stub.cookie,
            "certificate": self._handshake.shown,
            "manager": self.content.sessionManager._moId,
            "agent": USER_AGENT,
        }
        command = [sys.executable, "-I", "-S", farewell.__file__]
        with suppress(OSError):
            self._watchman = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to our group is not for it
            )
            assert self._watchman.stdin is not None
            self._watchman.stdin.write(json.dumps(told).encode() + b"\n")
            self._watchman.stdin.flush()

    def _dismiss_watchman(self) -> None:
        if self._watchman is not None:
            with suppress(OSError, subprocess.TimeoutExpired):
                self._watchman.communicate(b"logged out\n", timeout=CALL_TIMEOUT_S)

    def _retrieve(self, kinds: Mapping[Any, Sequence[str]], objects: list[Any]) -> list[tuple[Any, dict[str, Any]]]:
        if not objects:
            return []
        collector = vmodl.query.PropertyCollector
        specs = [collector.PropertySpec(type=kind, pathSet=list(paths), all=False) for kind, paths in kinds.items()]
        options = collector.RetrieveOptions(maxObjects=PAGE_OBJECTS)
        asked = collector.FilterSpec(objectSet=objects, propSet=specs)
        page = self.content.propertyCollector.RetrievePropertiesEx([asked], options)
        found = []
        while page is not None:
            _refuse_lost_session(page.objects)
            found += [(one.obj, {item.name: item.val for item in one.propSet}) for one in page.objects]
            if not page.token:
                break
            page = self.content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
        return found


def thumbprints(host: str, port: int, label: str) -> tuple[str, str, str]:
    """The certificate that a server shows in its TLS handshake: SHA-1 and SHA-256 in colon form, and its PEM text."""
    try:
        shown = shown_certificate(host, port)
    except OSError as error:
        raise translate(error, label) from error
    sha1, sha256 = (colons(kind(shown).hexdigest()) for kind in (hashlib.sha1, hashlib.sha256))
    return sha1, sha256, ssl.DER_cert_to_PEM_cert(shown)


class _Handshake(ssl.SSLContext):
    """The TLS side of each connection: a pin is compared before the first byte is sent, since pyVmomi accepts a wrong
    one (facts/lab.md); then the timeout of a connection attempt becomes that of a call."""

    endpoint: Endpoint
    shown: str = ""

    @classmethod
    def of(cls, endpoint: Endpoint) -> _Handshake:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.endpoint = endpoint
        if endpoint.thumbprint or not endpoint.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_default_certs()
        return context

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        secured = super().wrap_socket(*arguments, **named)
        certificate = secured.getpeercert(binary_form=True) or b""
        try:
            if self.endpoint.thumbprint:
                _compare(self.endpoint, certificate)
        except Permanent:
            secured.close()
            raise
        self.shown = hashlib.sha256(certificate).hexdigest()
        secured.settimeout(CALL_TIMEOUT_S)
        return secured


def _compare(endpoint: Endpoint, shown: bytes) -> None:
    pin = digits(endpoint.thumbprint or "")
    digest = _THUMBPRINTS.get(len(pin))
    if digest is None:
        raise Permanent(
            f"the pinned thumbprint '{endpoint.thumbprint}' is neither SHA-1 (40 digits) nor SHA-256 (64 digits)",
            on=endpoint.label,
            remedy="Correct VSPHERE_THUMBPRINT, or write it with `python -m ops preflight --pin`.",
        )
    found = digest(shown)
    if not hmac.compare_digest(found.hexdigest(), pin):
        raise Permanent(
            f"its certificate's thumbprint is {colons(found.hexdigest())}, not the pinned {endpoint.thumbprint}",
            on=endpoint.label,
            remedy="If the certificate was replaced on purpose, pin the new one: `python -m ops preflight --pin`. "
            "No password was sent.",
        )


def inventory_path(one: Any, tree: Mapping[Any, Mapping[str, Any]]) -> str:
    """An object's inventory path, by the names and parents of those that were collected, without the root folder."""
    parts: list[str] = []
    while one in tree:
        parts.insert(0, str(tree[one].get("name", "")))
        one = tree[one].get("parent")
    return "/" + "/".join(parts)


def _refuse_lost_session(objects: Iterable[Any]) -> None:
    """A session that has ended is told property by property, not as a fault of the call."""
    for one in objects:
        for missing in one.missingSet:
            if isinstance(missing.fault, vim.fault.NotAuthenticated):
                raise missing.fault


def _object_spec(one: Any) -> Any:
    return vmodl.query.PropertyCollector.ObjectSpec(obj=one, skip=False)


def _view_spec(view: Any) -> Any:
    collector = vmodl.query.PropertyCollector
    step = collector.TraversalSpec(name="view", path="view", skip=False, type=type(view))
    return collector.ObjectSpec(obj=view, skip=True, selectSet=[step])


def _tree_spec(root: Any) -> Any:
    collector = vmodl.query.PropertyCollector
    again = [collector.SelectionSpec(name=name) for name in ("folder", "datacenter", "compute")]
    steps = [
        collector.TraversalSpec(name="folder", type=vim.Folder, path="childEntity", skip=False, selectSet=again),
        collector.TraversalSpec(name="datacenter", type=vim.Datacenter, path="hostFolder", skip=False, selectSet=again),
        collector.TraversalSpec(name="compute", type=vim.ComputeResource, path="host", skip=False),
    ]
    return collector.ObjectSpec(obj=root, skip=True, selectSet=steps)  # inventory paths leave the root folder out
