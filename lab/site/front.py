"""A VCH's Docker API: a strict front before its daemon, as narrow as a VCH's and with its words.

What isn't named here is not there (404). Facts: `vch-docker-api.md`, `vic-machine.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from lab.site import http, refusals, registries
from lab.site.container_request import ContainerRequest, understood
from lab.site.http import Answer, Head
from lab.site.volumes import VolumeError
from lab.site.vsphere import VSphereError

if TYPE_CHECKING:
    from lab.site.appliance import Appliance

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_VERSIONED = re.compile(r"/v(\d+\.\d+)(/.*)")
_CONTAINER = r"/containers/([^/]+)"
# Passed on as they are.
_OPEN = (
    ("GET", r"/events"),
    ("GET", r"/images/json"),
    ("GET", r"/images/.+/json"),
    ("DELETE", r"/images/.+"),
    ("POST", r"/images/.+/tag"),
    ("GET", rf"{_CONTAINER}/(logs|stats)"),
    ("POST", rf"{_CONTAINER}/(attach|resize|wait|exec)"),
    ("GET|PUT|HEAD", rf"{_CONTAINER}/archive"),
    ("POST", r"/exec/[^/]+/(start|resize)"),
    ("GET", r"/exec/[^/]+/json"),
    ("POST", r"/commit"),
)
_PASSED_HEADERS = ("content-type", "x-registry-auth", "x-registry-config", "upgrade", "connection")
_NOT_A_VCHS = ("host", "none")
log = logging.getLogger(__name__)


class Refused(refusals.Refusal):
    """A request that is answered with an error."""


@dataclass(frozen=True)
class Request:
    """A request, as far as it was read.

    Attributes:
        method: HTTP's.
        version: the API's version.
        path: without the version and the query.
        query: the query, as it came.
        head: its head.
        guest: the connection.
        body: its body, as far as nobody read it.
    """

    method: str
    version: str
    path: str
    query: str
    head: Head
    guest: _Streams
    body: AsyncIterator[bytes]

    @property
    def options(self) -> dict[str, str]:
        """The query's last value for each name."""
        return {name: values[-1] for name, values in parse_qs(self.query, keep_blank_values=True).items()}

    async def content(self) -> dict[str, Any]:
        """Its JSON."""
        body = await http.gathered(self.body)
        try:
            found = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise Refused(400, f"invalid JSON: {error}") from error
        if not isinstance(found, dict):
            raise Refused(400, "invalid JSON: an object is wanted")
        return found


_Handler = Callable[[Request, "re.Match[str]"], Awaitable[Answer]]


class Front:
    """The Docker API of one VCH.

    Args:
        vch: the VCH.
    """

    def __init__(self, vch: Appliance) -> None:
        self._vch = vch
        self._guests: set[asyncio.StreamWriter] = set()
        self._own: tuple[tuple[str, re.Pattern[str], _Handler], ...] = tuple(
            (method, re.compile(pattern), handler)
            for method, pattern, handler in (
                ("GET|HEAD", r"/_ping", self._ping),
                ("GET", r"/info", self._info),
                ("GET", r"/version", self._version),
                ("GET", r"/volumes", self._volumes),
                ("POST", r"/volumes/create", self._create_volume),
                ("GET", r"/volumes/([^/]+)", self._volume),
                ("DELETE", r"/volumes/([^/]+)", self._remove_volume),
                ("GET", r"/networks", self._networks),
                ("POST", r"/networks/create", self._create_network),
                ("GET", r"/networks/([^/]+)", self._network),
                ("DELETE", r"/networks/([^/]+)", self._remove_network),
                ("POST", r"/networks/([^/]+)/connect", self._connect),
                ("GET", r"/containers/json", self._containers),
                ("POST", r"/containers/create", self._create_container),
                ("GET", rf"{_CONTAINER}/json", self._container),
                ("POST", rf"{_CONTAINER}/(start|stop|restart|kill|rename)", self._change_container),
                ("DELETE", _CONTAINER, self._remove_container),
                ("POST", r"/auth", self._log_in),
            )
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection to its end."""
        self._guests.add(writer)
        try:
            while (head := await http.read_head(reader)) is not None:
                if not await self._answer(head, (reader, writer)):
                    break
        except (OSError, http.HttpError, asyncio.IncompleteReadError, ValueError) as error:
            log.debug("a connection ended: %s", error)
        finally:
            self._guests.discard(writer)
            writer.close()

    def dismiss(self) -> None:
        """Ends all connections, as a power off does."""
        for writer in list(self._guests):
            writer.transport.abort()

    async def _answer(self, head: Head, guest: _Streams) -> bool:
        """Answers one request; False if the connection can't be used on."""
        method, target, _ = head.first
        path, _, query = target.partition("?")
        versioned = _VERSIONED.fullmatch(path)
        version, path = versioned.groups() if versioned else (refusals.API_VERSION, path)
        body = http.pieces(guest[0], head, is_answer=False)
        request = Request(method, version, path, query, head, guest, body)
        try:
            return await self._routed(request)
        except refusals.Refusal as error:
            answer = self._error(error.status, str(error))
        except VSphereError as error:
            answer = self._error(500, f"Server error from portlayer: {error}")
        except (OSError, asyncio.TimeoutError) as error:
            answer = self._error(500, f"Server error from portlayer: {error}")
        # Who is still sending hears no answer from a connection that is closed.
        is_read = await http.drained(body)
        await http.send(guest[1], answer, body=method != "HEAD")
        return is_read and head.headers.get("connection", "").lower() != "close"

    async def _routed(self, request: Request) -> bool:
        words = refusals.wrong_version(request.version)
        if words:
            raise Refused(400, words)
        refused = refusals.refusal(request.method, request.path)
        if refused:
            raise Refused(*refused)
        if request.method == "POST" and request.path == "/images/create":
            await self._before_pull(request)
            return await self._passed_on(request)
        for methods, pattern, handler in self._own:
            match = pattern.fullmatch(request.path)
            if match and request.method in methods.split("|"):
                answer = await handler(request, match)
                await http.drained(request.body)
                answer = Answer(answer.status, {**self._headers(), **answer.headers}, answer.body)
                await http.send(request.guest[1], answer, body=request.method != "HEAD")
                return request.head.headers.get("connection", "").lower() != "close"
        for methods, route in _OPEN:
            if request.method in methods.split("|") and re.fullmatch(route, request.path):
                return await self._passed_on(request)
        raise Refused(404, "page not found")

    async def _passed_on(self, request: Request) -> bool:
        headers = {"Host": "engine", **{n: v for n, v in request.head.headers.items() if n in _PASSED_HEADERS}}
        body = None
        if request.head.is_chunked or request.head.headers.get("content-length", "0") != "0":
            headers["Transfer-Encoding"] = "chunked"
            body = request.body
        elif request.method in ("POST", "PUT"):
            headers["Content-Length"] = "0"
        if "upgrade" not in headers:
            headers["connection"] = "close"
        path = self._path(request, request.path) + (f"?{request.query}" if request.query else "")
        head, reader, writer = await self._vch.engine.open(request.method, path, headers, body)
        try:
            kept = {n: head.headers[n] for n in ("content-type", "x-docker-container-path-stat") if n in head.headers}
            if head.is_pipe:
                request.guest[1].write(http.pipe_head(head, {**self._headers(), **kept}))
                await http.join(request.guest, (reader, writer))
                return False
            relayed = {**self._headers(), **kept}
            await http.relay(reader, head, relayed, request.guest, body=request.method != "HEAD")
            return request.head.headers.get("connection", "").lower() != "close"
        finally:
            writer.close()

    def _path(self, request: Request, path: str) -> str:
        return f"/v{request.version}{path}"

    async def _asked(self, request: Request, method: str, path: str, content: Any = None) -> Answer:
        """What the daemon answers; its errors become ours."""
        answer = await self._vch.engine.ask(method, self._path(request, path), content)
        if answer.status >= 400:
            raise Refused(answer.status, _message(answer))
        return answer

    def _headers(self) -> dict[str, str]:
        return {
            "api-version": refusals.API_VERSION,
            "server": f"Docker/{self._vch.settings.version} (linux)",
            "ostype": "linux",
            "docker-experimental": "false",
        }

    def _error(self, status: int, words: str) -> Answer:
        return Answer(status, {**self._headers(), "content-type": "application/json"}, _json({"message": words}))

    async def _ping(self, request: Request, match: re.Match[str]) -> Answer:
        return Answer(200, {"content-type": "text/plain; charset=utf-8"}, b"OK")

    async def _version(self, request: Request, match: re.Match[str]) -> Answer:
        settings = self._vch.settings
        return _told(
            {
                "Version": settings.version,
                "ApiVersion": refusals.API_VERSION,
                "MinAPIVersion": refusals.OLDEST_API_VERSION,
                "GitCommit": settings.commit,
                "GoVersion": "go1.8.3",
                "Os": "linux",
                "Arch": "amd64",
                "KernelVersion": platform.release(),
                "Experimental": False,
                "BuildTime": "",
            }
        )

    async def _info(self, request: Request, match: re.Match[str]) -> Answer:
        vch = self._vch
        settings = vch.settings
        driver = f"{refusals.PRODUCT} {settings.version} Backend Engine"
        engine, (mhz, memory_mb), about = await asyncio.gather(
            self._asked(request, "GET", "/info"), vch.limits(), vch.about()
        )
        counted = engine.content()
        status = [
            ["VolumeStores", " ".join(vch.stores.online)],
            [driver, "RUNNING" if vch.is_well else "STOPPED"],
            [" VCH CPU limit", f"{mhz} MHz"],
            [" VCH memory limit", f"{memory_mb / 1024:.4g} GiB"],
            [" VMware Product", about[0]],
            [" VMware OS", about[1]],
            [" VMware OS version", about[2]],
            [" Registry Whitelist Mode", "enabled" if settings.allowed_registries else "disabled"],
        ]
        if settings.insecure_registries:
            status.append([" Insecure Registries", ", ".join(settings.insecure_registries)])
        names = ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images")
        return _told(
            {
                **{name: counted.get(name, 0) for name in names},
                "ID": refusals.PRODUCT,
                "Name": settings.name,
                "ServerVersion": settings.version,
                "Driver": driver,
                "DriverStatus": None,
                "SystemStatus": status,
                "Plugins": {
                    "Volume": ["vsphere"],
                    "Network": ["bridge"],
                    "Authorization": None,
                },
                "OperatingSystem": about[1],
                "OSType": "linux",
                "Architecture": "x86_64",
                "NCPU": mhz,
                "MemTotal": memory_mb * 1024 * 1024,
                "KernelVersion": platform.release(),
                "IndexServerAddress": "registry-1.docker.io",
                "RegistryConfig": counted.get("RegistryConfig"),
                "SystemTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "LoggingDriver": "",
                "CgroupDriver": "",
                "DockerRootDir": "",
                "HttpProxy": "",
                "HttpsProxy": "",
                "NoProxy": "",
                "Labels": None,
                "ExperimentalBuild": False,
                "Debug": settings.debug > 0,
                "Swarm": {"LocalNodeState": "inactive"},
            }
        )

    async def _log_in(self, request: Request, match: re.Match[str]) -> Answer:
        content = await request.content()
        await self._vch.open_way_to(_registry_of_login(str(content.get("serveraddress", ""))))
        return _same(await self._asked(request, "POST", "/auth", content))

    async def _before_pull(self, request: Request) -> None:
        image = request.options.get("fromImage", "")
        if not image:
            raise Refused(500, refusals.not_implemented("ImportImage"))
        registry = registry_of(image)
        settings = self._vch.settings
        if not registries.is_allowed(registry, settings.allowed_registries):
            raise Refused(500, f"Access denied to unauthorized registry ({registry}) while VCH is in whitelist mode")
        if not registries.is_among(registry, settings.insecure_registries):
            problem = await asyncio.to_thread(registries.distrust, registry, settings.registry_authorities)
            if problem:
                raise Refused(500, problem)
        await self._vch.open_way_to(registry)

    async def _volumes(self, request: Request, match: re.Match[str]) -> Answer:
        volumes = await asyncio.to_thread(self._vch.stores.all)
        filters = _filters(request.options.get("filters", ""))
        if "dangling" in filters:
            used = await self._used_volumes(request)
            wanted = filters["dangling"][0] in ("true", "1")
            volumes = [volume for volume in volumes if (volume.name in used) != wanted]
        for text in filters.get("name", ()):
            volumes = [volume for volume in volumes if text in volume.name]
        for text in filters.get("label", ()):
            name, has_value, value = text.partition("=")
            volumes = [v for v in volumes if name in v.labels and (not has_value or v.labels[name] == value)]
        if "driver" in filters:
            volumes = [volume for volume in volumes if "vsphere" in filters["driver"]]
        return _told({"Volumes": [volume.told() for volume in volumes], "Warnings": None})

    async def _volume(self, request: Request, match: re.Match[str]) -> Answer:
        found = await asyncio.to_thread(self._vch.stores.get, match[1])
        if found is None:
            raise Refused(404, f"No such volume: {match[1]}")
        return _told(found.told())

    async def _create_volume(self, request: Request, match: re.Match[str]) -> Answer:
        content = await request.content()
        made = await asyncio.to_thread(
            self._vch.stores.create,
            str(content.get("Name") or ""),
            str(content.get("Driver") or "vsphere"),
            content.get("DriverOpts") or {},
            content.get("Labels") or {},
        )
        return _told(made.told(), 201)

    async def _remove_volume(self, request: Request, match: re.Match[str]) -> Answer:
        name = match[1]
        if await asyncio.to_thread(self._vch.stores.get, name) is None:
            raise Refused(404, f"Get {name}: no such volume")
        users = (await self._used_volumes(request)).get(name)
        if users:
            raise Refused(409, f"volume {name} in use by {', '.join(users)}")
        await self._drop_volume(request, name)
        return Answer(204, {}, b"")

    async def _drop_volume(self, request: Request, name: str) -> None:
        await self._vch.engine.ask("DELETE", self._path(request, f"/volumes/{name}"))
        await asyncio.to_thread(self._vch.stores.remove, name)

    async def _used_volumes(self, request: Request) -> dict[str, list[str]]:
        """Volume → ids of the containers that it is in."""
        found: dict[str, list[str]] = {}
        for container in (await self._asked(request, "GET", "/containers/json?all=1")).content():
            for mount in container.get("Mounts") or ():
                found.setdefault(str(mount.get("Name", "")), []).append(container["Id"])
        return found

    async def _networks(self, request: Request, match: re.Match[str]) -> Answer:
        path = f"/networks?{request.query}" if request.query else "/networks"
        found = (await self._asked(request, "GET", path)).content()
        return _told([self._as_ours(one) for one in found if one["Name"] not in _NOT_A_VCHS])

    async def _network(self, request: Request, match: re.Match[str]) -> Answer:
        found = (await self._asked(request, "GET", f"/networks/{match[1]}")).content()
        if found["Name"] in _NOT_A_VCHS:
            raise Refused(404, f"network {match[1]} not found")
        return _told(self._as_ours(found))

    def _as_ours(self, network: dict[str, Any]) -> dict[str, Any]:
        kind = "external" if network["Name"] in self._vch.outer_networks else "bridge"
        return {**network, "Driver": kind, "Scope": ""}

    async def _create_network(self, request: Request, match: re.Match[str]) -> Answer:
        content = await request.content()
        driver = content.get("Driver") or "bridge"
        if driver not in ("bridge", "default"):
            raise Refused(404, f"plugin {driver} not found")
        if len((content.get("IPAM") or {}).get("Config") or ()) > 1:
            raise Refused(500, "at most one ipam config supported")
        # Drivers' options have no effect on a VCH. It never has two networks of a name.
        content |= {"Driver": "bridge", "Options": {}, "CheckDuplicate": True}
        try:
            return _same(await self._asked(request, "POST", "/networks/create", content))
        except Refused as error:
            if error.status == 409:
                raise Refused(409, f"network {content.get('Name')} already exists") from error
            raise

    async def _remove_network(self, request: Request, match: re.Match[str]) -> Answer:
        found = (await self._asked(request, "GET", f"/networks/{match[1]}")).content()
        if found["Name"] in (*_NOT_A_VCHS, "bridge", *self._vch.outer_networks):
            raise Refused(403, f"{found['Name']} is a pre-defined network and cannot be removed")
        return _same(await self._asked(request, "DELETE", f"/networks/{found['Id']}"))

    async def _connect(self, request: Request, match: re.Match[str]) -> Answer:
        content = await request.content()
        container = await self._looked_at(request, str(content.get("Container", "")))
        if container["State"]["Running"]:
            raise Refused(500, refusals.not_implemented("ConnectContainerToNetwork for a running container"))
        return _same(await self._asked(request, "POST", f"/networks/{match[1]}/connect", content))

    async def _containers(self, request: Request, match: re.Match[str]) -> Answer:
        path = f"/containers/json?{request.query}" if request.query else "/containers/json"
        found = (await self._asked(request, "GET", path)).content()
        for container in found:
            container["Mounts"] = [_mount(one) for one in container.get("Mounts") or ()]
            container["Ports"] = [one for one in container.get("Ports") or () if one.get("IP") != "::"]
        return _told(found)

    async def _container(self, request: Request, match: re.Match[str]) -> Answer:
        path = f"/containers/{match[1]}/json" + (f"?{request.query}" if request.query else "")
        found = (await self._asked(request, "GET", path)).content()
        found["Mounts"] = [_mount(one) for one in found.get("Mounts") or ()]
        found["Driver"] = "vsphere"
        ports = found["NetworkSettings"]["Ports"]
        found["NetworkSettings"]["Ports"] = {
            port: places and [place for place in places if place["HostIp"] != "::"] for port, places in ports.items()
        }
        return _told(found)

    async def _looked_at(self, request: Request, name: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._asked(request, "GET", f"/containers/{name}/json")).content()
        return found

    async def _create_container(self, request: Request, match: re.Match[str]) -> Answer:
        vch = self._vch
        content = await request.content()
        image = (await self._asked(request, "GET", f"/images/{content.get('Image')}/json")).content()
        wanted = understood(content, image.get("Config") or {})
        name = request.options.get("name", "")
        await self._make_volumes(request, wanted, name, str(content.get("Image")))
        query = f"?{urlencode({'name': name})}" if name else ""
        made = await self._asked(request, "POST", f"/containers/create{query}", wanted.body)
        identity = made.content()["Id"]
        try:
            name = (await self._looked_at(request, identity))["Name"].lstrip("/")
            await asyncio.to_thread(
                vch.machines.create, vch.settings, identity, name, cpus=wanted.cpus, memory_mb=wanted.memory_mb
            )
        except (VSphereError, Refused):
            await vch.engine.ask("DELETE", self._path(request, f"/containers/{identity}?force=1"))
            raise
        return _same(made)

    async def _make_volumes(self, request: Request, wanted: ContainerRequest, name: str, image: str) -> None:
        for mount in wanted.mounts:
            volume = await asyncio.to_thread(self._vch.stores.get, mount.volume)
            if volume is None:
                options = {"flags": mount.mode, "container": name, "image": image}
                volume = await asyncio.to_thread(self._vch.stores.create, mount.volume, "vsphere", options, {})
            await self._vch.offer(volume)

    async def _change_container(self, request: Request, match: re.Match[str]) -> Answer:
        identity = (await self._looked_at(request, match[1]))["Id"]
        path = f"/containers/{identity}/{match[2]}" + (f"?{request.query}" if request.query else "")
        content = await request.content() if match[2] == "start" else None
        if content:
            raise Refused(400, "starting container with non-empty request body was deprecated since v1.10")
        answer = await self._asked(request, "POST", path)
        try:
            await self._vch.settle(identity)
        except VSphereError:
            # A container whose VM can't be powered on doesn't run.
            await self._vch.engine.ask("POST", self._path(request, f"/containers/{identity}/kill"))
            raise
        return _same(answer)

    async def _remove_container(self, request: Request, match: re.Match[str]) -> Answer:
        found = await self._looked_at(request, match[1])
        options = request.options
        query = f"?{urlencode({'force': options['force']})}" if "force" in options else ""
        answer = await self._asked(request, "DELETE", f"/containers/{found['Id']}{query}")
        await self._vch.settle(found["Id"])
        if options.get("v", "") in ("1", "true", "True"):
            await self._drop_nameless(request, found)
        return _same(answer)

    async def _drop_nameless(self, request: Request, container: Mapping[str, Any]) -> None:
        """Removes the volumes that were made for a container without a name, if no other has them."""
        used = await self._used_volumes(request)
        for mount in container.get("Mounts") or ():
            name = str(mount.get("Name", ""))
            nameless = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name)
            if nameless and name not in used:
                with contextlib.suppress(VolumeError):
                    await self._drop_volume(request, name)


def registry_of(image: str) -> str:
    """The registry in an image's name, `host[:port]`; Docker Hub's where it names none."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "registry-1.docker.io"


def _registry_of_login(address: str) -> str:
    return (address.partition("://")[2] or address).partition("/")[0]


def _filters(text: str) -> dict[str, list[str]]:
    """Filters in the older form, name → values, or the newer, name → value → true."""
    if not text:
        return {}
    try:
        found = json.loads(text)
        return {str(name): [str(value) for value in values] for name, values in found.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Refused(400, f"invalid filters: {error}") from error


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    return {**mount, "Type": "volume", "Driver": "vsphere", "Source": ""}


def _message(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.body.decode(errors="replace").strip()


def _same(answer: Answer) -> Answer:
    kept = {name: value for name, value in answer.headers.items() if name == "content-type"}
    return Answer(answer.status, kept, answer.body)


def _told(content: Any, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, _json(content))


def _json(content: Any) -> bytes:
    return json.dumps(content).encode() + b"\n"
