"""A vCenter, a vic-machine and VCHs in memory, behind the session that a VCH's resource uses; it notes what is run."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

from providers.kit.errors import Permanent
from providers.kit.secrets import Secret
from providers.vic.bundle import Bundle, Source
from providers.vic.command_line import CommandLine, Login
from providers.vic.docker_api import Entrance, View
from providers.vic.flags import RENAMED, Command
from providers.vic.output import Line, Reading
from providers.vic.resources.remains import Remains
from providers.vic.resources.session import Names
from providers.vic.runner import Finished, Leftover, Usage
from providers.vic.vm import COMPONENTS, ContainerVm, Extra, Site, Vch
from tests.vic.given import THUMBPRINT, pair

BUILDS = {"1.1.1": ("10711", "56a309f"), "1.5.6": ("21029", "2be3feb"), "1.5.7": ("21700", "0000000")}
HOME = "/DC0/host/SDDC.Container/Resources"
DEFAULTS = {"0", "false", "normal", "", "172.16.0.0/12", "16"}
OTHER_THUMBPRINT = "00:" + THUMBPRINT[3:]


@dataclass
class FakeContainer:
    """A container VM."""

    name: str
    power: str = "poweredOn"
    pool: str = ""
    folder: str = "group-1"


@dataclass
class FakeVch:
    """A VCH as vic-machine makes it; `flags` is what it was told, by its latest words."""

    id: str
    name: str
    version: str
    flags: dict[str, list[str]]
    thumbprint: str
    power: str = "poweredOn"
    status: str = "RUNNING"
    cpu: int = 1
    memory_mb: int = 2048
    home: str = ""
    pool: str = ""
    iso: str = ""
    cards: dict[int, str] = field(default_factory=lambda: {1184: "network-1", 1216: "network-2"})
    certificate: str | None = None
    authority: str | None = None
    client_cert: str | None = None
    in_progress: bool = False
    passwords: list[str] = field(default_factory=list, repr=False)
    offline: set[str] = field(default_factory=set)
    volumes: dict[str, str] = field(default_factory=dict)
    containers: list[FakeContainer] = field(default_factory=list)
    created_with: str = ""
    turns: int = 0

    @property
    def stores(self) -> dict[str, str]:
        return {label: place for place, _, label in (one.rpartition(":") for one in self.flags.get("volume-store", []))}

    def one(self, name: str) -> str:
        return next(iter(self.flags.get(name, [])), "")


class FakeSite:
    """The session.

    Attributes:
        vchs: what there is.
        commands: every run of vic-machine, as its arguments.
        answers: what was typed at each run's prompts.
        says: command → lines and exit code that it comes to, instead of doing anything.
        spoils: command → what happens to the VCH after it was done.
        calls: what was asked of vSphere beside reading.
        bare: pools without a VCH.
        data: places of volume stores that hold data; they outlive every VCH.
    """

    def __init__(self, password: str = "mk-admin-Zu~7") -> None:
        self.password = password
        self.vchs: list[FakeVch] = []
        self.commands: list[list[str]] = []
        self.lines: list[CommandLine] = []
        self.says: dict[Command, tuple[list[str], int]] = {}
        self.spoils: dict[Command, Callable[[FakeVch], None]] = {}
        self.calls: list[str] = []
        self.bare: list[Remains] = []
        self.busy: list[str] = []
        self.gone_files: list[str] = []
        self.left: list[Leftover] = []
        self.data: dict[str, list[str]] = {}
        self.shows = THUMBPRINT
        self.builds = dict(BUILDS)
        self.fetched: list[Source] = []
        self.waited_s = 0.0
        self.networks = {f"LSW{number}_{kind}" for number in range(10, 20) for kind in ("Bridge", "Public", "Mgmt")}
        self.networks |= {"LSW20", "LSW40"}
        self.beside: frozenset[str] = frozenset()
        self._ids = itertools.count(76)

    # the session

    def close(self) -> None: ...

    def site(self, *, fresh: bool = False) -> Site:
        vchs = tuple(self._vch(one) for one in self.vchs)
        containers = tuple(
            ContainerVm(
                f"vm-{one.id}-{place}",
                each.name,
                f"c-{each.name}",
                each.power,
                each.pool or one.pool,
                each.folder,
                f"[DS] {one.name}/boot.iso",
            )
            for one in self.vchs
            for place, each in enumerate(one.containers)
        )
        return Site(vchs, containers)

    def names(self) -> Names:
        everywhere = frozenset({"VM Network", "other", *self.networks})
        return Names(frozenset({"SDDC.Container", "Other"}), frozenset({"VMFS01", "DS"}), everywhere, self.beside)

    def login(self, ops_password: Secret | None = None) -> Login:
        return Login("vc.domain.sddc", "admin", Secret(self.password), self.shows, ops_password)

    def thumbprint(self) -> str:
        return self.shows

    def at_work_on(self, id_: str) -> list[str]:
        return self.busy

    def power_on(self, id_: str) -> None:
        self._changed("power_on", id_).power = "poweredOn"

    def restart(self, id_: str) -> None:
        self._changed("restart", id_).status = "RUNNING"

    def resize(self, id_: str, cpu: int, memory_mb: int) -> None:
        one = self._changed(f"resize {cpu} {memory_mb}", id_)
        one.cpu, one.memory_mb, one.power = cpu, memory_mb, "poweredOn"

    def move(self, id_: str, pool: str) -> None:
        self._changed(f"move {pool}", id_).pool = pool

    def gather(self, name: str, pool: str, pooled: list[str], folder: str, filed: list[str]) -> None:
        self.calls.append(f"gather {len(pooled)} into {pool} and {len(filed)} into {folder}")
        one = self.by_name(name)
        for place, each in enumerate(one.containers):
            id_ = f"vm-{one.id}-{place}"
            each.pool = pool if id_ in pooled else each.pool
            each.folder = folder if id_ in filed else each.folder

    def connect(self, id_: str, cards: Mapping[int, str]) -> None:
        told = {slot: network.rpartition(":")[2] for slot, network in cards.items()}
        self._changed(f"connect {told}", id_).cards.update(told)

    def mount(self, id_: str, iso: str) -> None:
        self._changed(f"mount {iso}", id_).iso = iso

    def remains(self, name: str) -> list[Remains]:
        return [one for one in self.bare if one.path.endswith(f"/{name}")]

    def clear(self, pool: Remains, name: str) -> None:
        self.calls.append(f"clear {pool.path}")
        self.bare.remove(pool)

    def missing_files(self, vch: Vch) -> list[str]:
        return self.gone_files

    def bundle(self, source: Source, say: Callable[[str], None]) -> Bundle:
        self.fetched.append(source)
        build, commit = self.builds[source.version]
        digest = sha256(f"{source.version}-{build}".encode()).hexdigest()
        return Bundle(source.version, build, commit, digest, Path("/cache", digest))

    def leftovers(self, thing: str) -> list[Leftover]:
        return self.left

    def stop(self, entrance: Entrance | None, machines: list[str]) -> None:
        self.calls.append(f"stop {' '.join(machines)}")
        for one in self.vchs:
            for container in one.containers:
                container.power = "poweredOff"

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds

    def look(self, entrance: Entrance) -> View:
        one = next(each for each in self.vchs if self._address(each) == entrance.address)
        if one.power != "poweredOn" or one.status == "no answer":
            return View("its Docker API doesn't answer")
        if one.authority is not None and entrance.client_cert != one.client_cert:
            return View("its Docker API can't be entered: no secured connection comes about")
        online = tuple(sorted(label for label in one.stores if label not in one.offline))
        volumes = {**one.volumes}
        names = {f"c-{each.name}": each.name for each in one.containers}
        return View(one.status, "1.25", online, volumes, names)

    def run(self, there: Bundle, line: CommandLine, thing: str, on_line: Callable[[Line], None]) -> Finished:
        self.commands.append(list(line.arguments))
        self.lines.append(line)
        if line.command in self.says:
            printed, code = self.says[line.command]
            made: dict[str, str | Secret] = {}
        else:
            printed, made = self._done(there, line)
            code = 0
        reading = Reading(line.command, reset=line.reset)
        for one in printed:
            on_line(reading.feed(one))
        lines = tuple(reading.lines)
        return Finished(line, code, reading.verdict(code), lines, Path("/logs/vic.log"), Usage(), made)

    # what its vic-machine does

    def _done(self, there: Bundle, line: CommandLine) -> tuple[list[str], dict[str, str | Secret]]:
        flags = _flags(line)
        if line.command is Command.CREATE:
            return self._create(there, line, flags)
        one = self._meant(flags)
        done = {
            Command.INSPECT_CONFIG: self._inspect,
            Command.CONFIGURE: self._configure,
            Command.UPGRADE: self._upgrade,
            Command.DELETE: self._delete,
        }[line.command](there, line, flags, one)
        if line.command in self.spoils:
            self.spoils[line.command](one)
        return done

    def _create(
        self, there: Bundle, line: CommandLine, flags: dict[str, list[str]]
    ) -> tuple[list[str], dict[str, str | Secret]]:
        name = flags["name"][0]
        if any(one.name == name for one in self.vchs) or self.remains(name):
            return _failed(f'A VCH with the name \\"{name}\\" already exists.'), {}
        number = next(self._ids)
        one = FakeVch(f"vm-{number}", name, there.version, _kept(flags), self.shows, created_with=there.sha256)
        one.home = one.pool = f"resgroup-{number}"
        one.iso = f"[DS] {name}/v{there.version}-{there.build}-{there.commit}-appliance.iso"
        one.cpu = int(flags.get("endpoint-cpu", ["1"])[0])
        one.memory_mb = int(flags.get("endpoint-memory", ["2048"])[0])
        one.passwords = self._passwords(line)
        made = self._secured(one, line, flags)
        for place in one.stores.values():
            self.data.setdefault(place, [])
        self.vchs.append(one)
        if Command.CREATE in self.spoils:
            self.spoils[Command.CREATE](one)
        return [
            _say(f'Creating Resource Pool \\"{name}\\"'),
            _say("Uploading ISO images"),
            _say("Waiting for IP information"),
            _say(f"VCH ID: {one.id}"),
            _say("Installer completed successfully"),
        ], made

    def _inspect(
        self, there: Bundle, line: CommandLine, flags: dict[str, list[str]], one: FakeVch
    ) -> tuple[list[str], dict[str, str | Secret]]:
        told = [f"--target=https://vc.domain.sddc --thumbprint={one.thumbprint} --name={one.name}"]
        told += [f"--compute-resource={HOME}", f"--ops-user={one.one('ops-user') or 'admin'}"]
        told += [f"--image-store=ds://{one.one('image-store').rpartition('/')[0]}"]
        told += [f"--volume-store=ds://{place}:{label}" for label, place in one.stores.items()]
        hidden = {"image-store", "volume-store", "ops-user", "compute-resource", "endpoint-cpu", "endpoint-memory"}
        hidden |= {"no-tls", "no-tlsverify", "tls-cname", "organization", "registry-ca"}
        for name, values in one.flags.items():
            if name not in hidden:
                told += [f"--{name}={value}" for value in values if value not in DEFAULTS]
        return [" ".join(told)], {}

    def _configure(
        self, there: Bundle, line: CommandLine, flags: dict[str, list[str]], one: FakeVch
    ) -> tuple[list[str], dict[str, str | Secret]]:
        if line.reset:
            one.in_progress = False
            return [_say("Reset UpdateInProgress flag successfully")], {}
        if one.in_progress:
            return _failed("another upgrade/configure operation is in progress"), {}
        one.flags.update(_kept(flags))
        one.thumbprint, one.power, one.status = self.shows, "poweredOn", "RUNNING"
        one.turns += 1
        if "ops-user" in flags:
            one.passwords = self._passwords(line)[-1:]
        for place in one.stores.values():
            self.data.setdefault(place, [])
        made = self._secured(one, line, flags) if {"tls-cname", "tls-server-cert"} & flags.keys() else {}
        return [_say("Completed successfully")], made

    def _upgrade(
        self, there: Bundle, line: CommandLine, flags: dict[str, list[str]], one: FakeVch
    ) -> tuple[list[str], dict[str, str | Secret]]:
        if "rollback" in flags:
            one.version, one.status, one.offline = one.created_with, "RUNNING", set()
        else:
            one.created_with, one.version = one.version, there.version
            one.power, one.status = "poweredOn", "RUNNING"
        build, commit = self.builds[one.version]
        one.iso = f"[DS] {one.name}/v{one.version}-{build}-{commit}-appliance.iso"
        return [_say("Completed successfully")], {}

    def _delete(
        self, there: Bundle, line: CommandLine, flags: dict[str, list[str]], one: FakeVch
    ) -> tuple[list[str], dict[str, str | Secret]]:
        if "force" in flags:
            for place in one.stores.values():
                self.data.pop(place, None)
        elif (there.version, there.build) != (one.version, self.builds[one.version][0]):
            return _failed("VCH version is different than installer version"), {}
        self.vchs.remove(one)
        return [_say("Completed successfully")], {}

    def _secured(self, one: FakeVch, line: CommandLine, flags: dict[str, list[str]]) -> dict[str, str | Secret]:
        if "no-tls" in flags:
            return {}
        mutual = "no-tlsverify" not in flags
        if "tls-server-cert" in flags or any(path.endswith("server-cert.pem") for path in line.files):
            files = {path.rpartition("/")[2]: file for path, file in line.files.items()}
            one.certificate = files["server-cert.pem"].content()
            one.authority = files["ca.pem"].content() if "ca.pem" in files else None
            one.client_cert = files["cert.pem"].content() if "cert.pem" in files else "somebody's"
            return {}
        cname = flags.get("tls-cname", ["10.0.0.9"])[0]
        (server, server_key), (authority, _) = pair.__wrapped__(cname), pair.__wrapped__("CA")
        client, client_key = pair.__wrapped__("client")
        one.certificate, one.authority, one.client_cert = server, authority if mutual else None, client
        return {
            "ca.pem": authority,
            "server-cert.pem": server,
            "server-key.pem": Secret(server_key),
            "cert.pem": client,
            "key.pem": Secret(client_key),
        }

    def _passwords(self, line: CommandLine) -> list[str]:
        """What it was logged in with, and what was typed."""
        given = [one.reveal() for one in line.environment.values() if isinstance(one, Secret)]
        return given + [one.reveal() for one in line.answers]

    def _meant(self, flags: dict[str, list[str]]) -> FakeVch:
        found = [one for one in self.vchs if one.id == flags["id"][0]]
        if not found:
            raise Permanent("no VCH of this id", on="vic-machine", remedy="")
        return found[0]

    # what its vSphere shows

    def by_name(self, name: str) -> FakeVch:
        return next(one for one in self.vchs if one.name == name)

    def take_away(self, name: str) -> None:
        """An administrator deletes the VM and its pool."""
        self.vchs = [one for one in self.vchs if one.name != name]

    def _changed(self, what: str, id_: str) -> FakeVch:
        self.calls.append(what)
        return next(one for one in self.vchs if one.id == id_)

    def _address(self, one: FakeVch) -> str:
        return f"10.0.1.{one.id.rpartition('-')[2]}"

    def _vch(self, one: FakeVch) -> Vch:
        build, commit = self.builds[one.version]
        values = {
            "/container/ComputeResources|0/Value": one.home,
            "/init/networks|client/network/Common/id": "Network:network-1",
            "/init/networks|bridge/network/Common/id": "Network:network-2",
            "/init/networks|client/Common/id": "1184",
            "/init/networks|bridge/Common/id": "1216",
            ".init.networks|client.assigned.IP": base64.b64encode(ip_address(self._address(one)).packed).decode(),
            "/connect/target_thumbprint": one.thumbprint,
            "/storage/image_stores": "0",
            "/storage/image_stores|0/Host": one.one("image-store").partition("/")[0],
            "/storage/image_stores|0/Path": one.one("image-store").partition("/")[2],
            "/storage/VolumeLocations": "|".join(one.stores),
        }
        for label, place in one.stores.items():
            store, _, path = place.partition("/")
            values[f"/storage/VolumeLocations|{label}/Path"] = f"[{store}] {path}"
        if one.certificate is not None:
            values["/cert/HostCertificate/Cert"] = base64.b64encode(one.certificate.encode()).decode()
        if one.authority is not None:
            values["/cert/CertificateAuthorities"] = base64.b64encode(one.authority.encode()).decode()
        values |= {f".init.sessions|{component}.started": "true" for component in COMPONENTS}
        extra = {f"guestinfo.vice.{key}": value for key, value in values.items()}
        extra["UpdateInProgress"] = "true" if one.in_progress else "false"
        own = one.pool == one.home
        return Vch(
            id=one.id,
            name=one.name,
            version=one.version,
            build=build,
            commit=commit,
            power=one.power,
            pool=one.pool,
            pool_path=f"{HOME}/{one.name}" if own else "/DC0/host/Other/Resources",
            folder="group-1",
            folder_path=f"/DC0/vm/{one.name}",
            cpu=one.cpu,
            memory_mb=one.memory_mb,
            iso=one.iso,
            vm_path=f"[DS] {one.name}/{one.name}.vmx",
            networks=tuple(one.cards.values()),
            cards=dict(one.cards),
            snapshots=(),
            extra=Extra(extra),
            hash=sha256(
                repr((one.power, extra, one.flags, one.turns, one.cpu, one.memory_mb, own)).encode()
            ).hexdigest(),
        )


def _flags(line: CommandLine) -> dict[str, list[str]]:
    """The arguments by flag, in the later versions' words."""
    found: dict[str, list[str]] = {}
    for one in line.arguments[len(line.command.value.split()) :]:
        name, _, value = one.removeprefix("--").partition("=")
        found.setdefault(RENAMED.get(name, name), []).append(value or ("true" if "=" not in one else ""))
    return found


def _kept(flags: dict[str, list[str]]) -> dict[str, list[str]]:
    login = {"target", "user", "password", "thumbprint", "name", "timeout", "id", "tls-cert-path"}
    return {
        name: [re.sub(r"^ds://", "", value) for value in values if value]
        for name, values in flags.items()
        if name not in login
    }


def _say(text: str) -> str:
    return f'time="2026-11-24T09:21:52Z" level=info msg="{text}"'


def _failed(text: str) -> list[str]:
    rule = 'time="2026-11-24T09:21:52Z" level=error msg=--------------------'
    told = f'time="2026-11-24T09:21:52Z" level=error msg="{text}"'
    return [told, rule, 'time="2026-11-24T09:21:52Z" level=error msg="vic-machine-linux failed: x"']
