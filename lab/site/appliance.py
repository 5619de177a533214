"""A VCH come alive: its address, its Docker API, its daemon, and its containers' VMs; for the watcher.

As with a real one, containers go on while the appliance is off or reboots; only the ways to them are shut.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from lab.site import extra_config, http
from lab.site.container_machines import ContainerMachines
from lab.site.daemon import Daemon, DaemonError
from lab.site.doors import Door, DoorError, Doors, own_certificate
from lab.site.extra_config import ApplianceSettings, SettingsError
from lab.site.front import Front
from lab.site.ground import Ground
from lab.site.portal import Portal
from lab.site.volumes import Volume, VolumeStores
from lab.site.vsphere import Seen, VSphere, VSphereError
from lab.site.ways import PublishedPorts, WaysOut

PLAIN_PORT = 2375
TLS_PORT = 2376
PORTAL_PORT = 2378

_ENGINE_API = "/v1.25"
_LOOK_AT_VCENTER_S = 3.0
_POOL_KEPT_S = 10.0
_HTTPS_PORT = 443
_PROBLEMS = (SettingsError, VSphereError, DaemonError, DoorError, OSError, asyncio.TimeoutError, ValueError)
_EVENTS = {"type": ["container"], "event": ["start", "die", "destroy", "rename"]}
log = logging.getLogger(__name__)


class Appliance:
    """One VCH's appliance.

    Args:
        ground: the site's.
        reference: its VM, by which what it keeps is found again. (A VM that is made anew under the same name gets the
            same UUID from the simulator.)
        address: its address.
    """

    def __init__(self, ground: Ground, reference: str, address: str) -> None:
        self.reference = reference
        self.address = address
        self.name = ""
        self.is_up = False
        self.is_well = False
        self.problem = ""
        self.settings: ApplianceSettings
        self.stores: VolumeStores
        self.machines: ContainerMachines
        self.outer_networks: tuple[str, ...] = ()
        self._ground = ground
        self._folder = ground.folder / "vch" / reference
        self._short = ground.short / reference
        self._daemon = Daemon(
            ground.programs, self._folder, self._short, ground.logs / f"vch-{reference}.log", ground.group
        )
        self._doors = Doors(ground.door)
        self._vsphere: VSphere | None = None
        self._front: Front | None = None
        self._servers: list[asyncio.Server] = []
        self._ports: PublishedPorts | None = None
        self._ways: WaysOut | None = None
        self._follower: asyncio.Task[None] | None = None
        self._checker: asyncio.Task[None] | None = None
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._on: dict[str, bool] = {}
        self._names: dict[str, str] = {}
        self._settled: dict[str, float] = {}
        self._pool: tuple[float, tuple[int, int]] = (0.0, (0, 0))
        self._loses_stores = False
        self._about: tuple[str, str, str] = ("VMware vCenter Server", "linux-x64", "")

    @property
    def engine(self) -> http.Engine:
        """Its daemon."""
        return http.Engine(self._daemon.socket)

    @property
    def has_containers(self) -> bool:
        """Whether there are containers whose VMs it must look after."""
        return self._daemon.runs and bool(self.machines.known)

    async def up(self, values: Mapping[str, str], key_of_secrets: str, *, loses_stores: bool = False) -> dict[str, str]:
        """Boots.

        Args:
            values: its VM's extraConfig.
            key_of_secrets: base64 of the key of its secrets.
            loses_stores: it has a fault: it finds none of its volume stores.

        Returns:
            What it reports into its VM's extraConfig.
        """
        await self._shut()
        self.name = values.get("init/common/name", "") or self.reference
        self.problem = ""
        try:
            self.settings = extra_config.read(values, key_of_secrets)
            self._loses_stores = loses_stores
            self._take_address()
            await self._connect()
            await self._begin()
            await self._open()
            self.is_well = True
        except _PROBLEMS as error:
            self.problem = str(error) or type(error).__name__
            self.is_well = False
            log.warning("%s: %s", self.name, self.problem)
            await self._close_ways()
        self.is_up = True
        log.info("%s is up at %s", self.name, self.address)
        return extra_config.report(
            values, address=self.address, prefix=self._ground.network.prefixlen, problem=self.problem
        )

    async def down(self) -> None:
        """Is powered off: the ways to it are shut; its daemon goes on only for containers that run."""
        await self._shut()
        log.info("%s is down", self.name)
        if self._daemon.runs and not await self._running():
            await self._end_daemon()

    async def end(self) -> None:
        """Ends all of it; what it keeps stays."""
        await self._shut()
        await self._end_daemon()

    async def vanish(self) -> None:
        """Is deleted: what it keeps goes, but not its volumes, which lie on datastores."""
        await self.end()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)
        await asyncio.to_thread(shutil.rmtree, self._short, True)
        log.info("%s is gone", self.name)

    async def settle(self, container: str) -> None:
        """Brings a container's VM into the container's state.

        Raises:
            VSphereError: vSphere refuses.
        """
        async with self._locks[container]:
            try:
                await self._settle(container)
            finally:
                self._settled[container] = time.monotonic()
        await self._publish()

    async def compare(self, seen: Mapping[str, Seen], looked_at: float) -> None:
        """Brings containers into the state that somebody gave their VMs in vSphere.

        Args:
            seen: the site's VMs, by reference.
            looked_at: when the look began, on the monotonic clock.
        """
        for container, reference in list(self.machines.known.items()):
            if self._locks[container].locked() or self._settled.get(container, looked_at) >= looked_at:
                continue
            machine = seen.get(reference)
            if machine is None:
                log.info("%s: the VM of container %.12s is gone", self.name, container)
                self.machines.forget(container)
                await self._ask("DELETE", f"/containers/{container}?force=1")
                await self.settle(container)
            elif machine.is_on != self._on.get(container, False):
                log.info("%s: the VM of container %.12s was switched", self.name, container)
                self._on[container] = machine.is_on
                await self._ask("POST", f"/containers/{container}/{'start' if machine.is_on else 'stop?t=2'}")
                await self.settle(container)

    async def offer(self, volume: Volume) -> None:
        """Makes a volume known to the daemon, which keeps nothing of it but where it lies."""
        known = await self._ask("GET", f"/volumes/{volume.name}")
        if known.status == 200:
            if (known.content().get("Options") or {}).get("device") == str(volume.folder):
                return
            await self._ask("DELETE", f"/volumes/{volume.name}")
        options = {"type": "none", "o": "bind", "device": str(volume.folder)}
        made = await self._ask(
            "POST", "/volumes/create", {"Name": volume.name, "Driver": "local", "DriverOpts": options}
        )
        if made.status >= 300:
            raise VSphereError(f"volume {volume.name} can't be attached: {made.body.decode(errors='replace').strip()}")

    async def open_way_to(self, registry: str) -> None:
        """Lets the daemon reach a registry on the host's loopback."""
        host, _, port = registry.partition(":")
        if self._ways is not None and (not port or port.isdigit()):
            await self._ways.open(host, int(port or _HTTPS_PORT))

    async def limits(self) -> tuple[int, int]:
        """MHz and MB of its pool; what was known last while vSphere doesn't answer."""
        since, found = self._pool
        if time.monotonic() - since > _POOL_KEPT_S and self._vsphere is not None:
            with contextlib.suppress(VSphereError):
                found = await asyncio.to_thread(self._vsphere.pool_limits, self.settings.pool)
            self._pool = (time.monotonic(), found)
        return found

    async def about(self) -> tuple[str, str, str]:
        """The vCenter's product, system and version."""
        return self._about

    def _take_address(self) -> None:
        fixed = next(iter(self.settings.static_addresses.values()), "")
        if not fixed:
            return
        if ipaddress.IPv4Address(fixed) not in self._ground.network:
            raise SettingsError(f"the address {fixed} is not in this site's network {self._ground.network}")
        self.address = fixed

    async def _connect(self) -> None:
        """Reaches vSphere with its own account and thumbprint, and finds its volume stores."""
        self._vsphere = VSphere(self.settings.login)
        await asyncio.to_thread(self._vsphere.check)
        self._about = await asyncio.to_thread(self._vsphere.about)
        self.stores = VolumeStores(self._vsphere, {} if self._loses_stores else self.settings.volume_stores)
        await asyncio.to_thread(self.stores.open)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.machines = ContainerMachines(self._vsphere, self.reference, self._folder / "machines.json")
        self._checker = asyncio.ensure_future(self._check_vcenter())

    async def _begin(self) -> None:
        """Starts the daemon, if it doesn't run, and takes its containers up again."""
        ran_before = self._daemon.runs
        settings = self.settings
        start = self._daemon.start
        await asyncio.to_thread(start, settings.bridge_range, settings.bridge_width, settings.insecure_registries)
        self._ways = WaysOut(self._daemon.namespace)
        self.outer_networks = tuple(
            name for name in settings.container_networks if name not in (settings.bridge_network, "bridge")
        )
        for name in self.outer_networks:
            await self._ask("POST", "/networks/create", {"Name": name, "CheckDuplicate": True})
        if self._follower is None or self._follower.done() or not ran_before:
            if self._follower is not None:
                self._follower.cancel()
            self._follower = asyncio.ensure_future(self._follow())
        await self._take_up()

    async def _take_up(self) -> None:
        """Brings containers into the state of their VMs, which went on without us."""
        assert self._vsphere is not None
        seen = {machine.reference: machine for machine in await asyncio.to_thread(self._vsphere.machines)}
        found = (await self._ask("GET", "/containers/json?all=1")).content() or ()
        for container in found:
            identity = container["Id"]
            machine = seen.get(self.machines.known.get(identity, ""))
            if machine is None:
                self.machines.forget(identity)
                await self._ask("DELETE", f"/containers/{identity}?force=1")
                continue
            self._on[identity] = machine.is_on
            self._names[identity] = container["Names"][0].lstrip("/")
            if machine.is_on and container["State"] != "running":
                answer = await self._ask("POST", f"/containers/{identity}/start")
                if answer.status >= 300:
                    log.warning("container %.12s: %s", identity, answer.body.decode(errors="replace").strip())
                    await self.settle(identity)
            elif not machine.is_on and container["State"] == "running":
                await self._ask("POST", f"/containers/{identity}/stop?t=2")

    async def _open(self) -> None:
        """Opens the ways to it."""
        settings = self.settings
        front = self._front = Front(self)
        portal = Portal(settings.name)
        self._ports = PublishedPorts(self.address, self._daemon.namespace)
        self._short.mkdir(parents=True, exist_ok=True, mode=0o700)
        portal_socket, front_socket = self._short / "portal.sock", self._short / "front.sock"
        for socket in (portal_socket, front_socket):
            socket.unlink(missing_ok=True)
        self._servers.append(await asyncio.start_unix_server(portal.serve, str(portal_socket)))
        pair = (settings.certificate, settings.key)
        doors = []
        if settings.certificate:
            self._servers.append(await asyncio.start_unix_server(front.serve, str(front_socket)))
            listen = f"{self.address}:{TLS_PORT}"
            doors.append(Door(listen, front_socket, *pair, authorities=settings.authorities))
        else:
            pair = await asyncio.to_thread(own_certificate, settings.name, self.address)
            self._servers.append(await asyncio.start_server(front.serve, self.address, PLAIN_PORT))
        doors.append(Door(f"{self.address}:{PORTAL_PORT}", portal_socket, *pair))
        await self._doors.open(doors)
        await self._publish()

    async def _shut(self) -> None:
        """Shuts the ways to it."""
        self.is_up = self.is_well = False
        if self._checker is not None:
            self._checker.cancel()
            self._checker = None
        await self._close_ways()

    async def _close_ways(self) -> None:
        await self._doors.close()
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._front is not None:
            self._front.dismiss()
            self._front = None
        if self._ports is not None:
            await self._ports.close()
            self._ports = None

    async def _end_daemon(self) -> None:
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None
        if self._ways is not None:
            await self._ways.close()
            self._ways = None
        await asyncio.to_thread(self._daemon.stop)
        if self._vsphere is not None:
            await asyncio.to_thread(self._vsphere.close)
            self._vsphere = None

    async def _running(self) -> list[str]:
        """The ids of the containers that run."""
        return [container["Id"] for container in (await self._ask("GET", "/containers/json")).content() or ()]

    async def _settle(self, container: str) -> None:
        answer = await self._ask("GET", f"/containers/{container}/json")
        if answer.status == 404:
            self._on.pop(container, None)
            self._names.pop(container, None)
            await asyncio.to_thread(self.machines.remove, container)
            return
        found = answer.content()
        runs, name = bool(found["State"]["Running"]), str(found["Name"]).lstrip("/")
        if runs != self._on.get(container, False):
            await asyncio.to_thread(self.machines.switch, container, on=runs)
        self._on[container] = runs
        if self._names.setdefault(container, name) != name:
            self._names[container] = name
            await asyncio.to_thread(self.machines.rename, self.settings, container, name)

    async def _publish(self) -> None:
        """Listens for the ports that running containers publish."""
        if self._ports is None:
            return
        found = (await self._ask("GET", "/containers/json")).content() or ()
        ports = {port["PublicPort"] for one in found for port in one.get("Ports") or () if "PublicPort" in port}
        if self._ports is not None:
            await self._ports.keep(ports)

    async def _follow(self) -> None:
        """Sees what containers do by themselves."""
        while True:
            with contextlib.suppress(OSError, http.HttpError, asyncio.IncompleteReadError, ValueError):
                await self._follow_once()
            await asyncio.sleep(1.0)

    async def _follow_once(self) -> None:
        path = f"{_ENGINE_API}/events?filters={json.dumps(_EVENTS, separators=(',', ':'))}"
        head, reader, writer = await self.engine.open("GET", path, {"Host": "engine"})
        try:
            rest = b""
            async for piece in http.pieces(reader, head, is_answer=True):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    await self._heard(json.loads(line))
        finally:
            writer.close()

    async def _heard(self, event: Mapping[str, Any]) -> None:
        try:
            await self.settle(str(event["Actor"]["ID"]))
        except VSphereError as error:
            log.warning("%s: %s", self.name, error)

    async def _check_vcenter(self) -> None:
        """Looks whether its account still gets it into vSphere."""
        while True:
            await asyncio.sleep(_LOOK_AT_VCENTER_S)
            vsphere = self._vsphere
            if vsphere is None:
                return
            try:
                await asyncio.to_thread(vsphere.check)
                self.is_well = True
            except VSphereError as error:
                if self.is_well:
                    log.warning("%s: %s", self.name, error)
                self.is_well = False

    async def _ask(self, method: str, path: str, content: Any = None) -> http.Answer:
        return await self.engine.ask(method, _ENGINE_API + path, content)


def key_in(vmx: bytes) -> str:
    """The key of a VCH's secrets in its VM's `.vmx`; empty if it isn't in there."""
    for line in vmx.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip().strip('"') == extra_config.KEY_OF_SECRETS:
            return value.strip().strip('"')
    return ""
