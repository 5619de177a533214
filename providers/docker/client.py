"""A Docker host's client: networks, volumes, containers and images in small typed pieces; knows nothing of Pulumi."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import docker.errors

from providers.docker.connection import Connection as Connection
from providers.docker.faults import told_by_daemon, translate
from providers.kit.errors import Permanent, Temporary
from providers.kit.retry import PULL_TIMEOUT_S
from providers.kit.secrets import Secret, redact
from providers.registry.reference import Reference

OLDEST_API = (1, 24)  # docker-py's own minimum; a VCH speaks 1.25 (facts/vch-docker-api.md)
NEWEST_API = (1, 44)


@dataclass(frozen=True)
class NetworkInfo:
    """A network."""

    id: str
    name: str
    driver: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class VolumeInfo:
    """A volume."""

    name: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ContainerInfo:
    """A container, in the words of what was asked when it was made; `image_id` is what the image's name meant then."""

    id: str
    name: str
    image: str
    image_id: str
    running: bool
    restarting: bool
    restarts: int
    exit_code: int
    health: str
    environment: Mapping[str, str] = field(repr=False)
    command: Sequence[str]
    ports: frozenset[str]
    mounts: frozenset[str]
    networks: Mapping[str, frozenset[str]]
    restart: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ContainerSpec:
    """What a container is made of; `environment` holds secrets, so it has no repr."""

    name: str
    image: str
    command: Sequence[str] | None
    environment: Mapping[str, str] = field(repr=False)
    ports: Sequence[tuple[int, str, str | None, int]]
    mounts: Sequence[str]
    networks: Mapping[str, Sequence[str]]
    restart: str
    labels: Mapping[str, str]


class Engine:
    """A Docker host, for threads to share. `close` ends its connections.

    Args:
        connection: where it is.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.label = connection.label
        self._image_environments: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        with self.speaking():
            self._version = self._newest_common_version()
            self._api: Any = connection.open(self._version)

    def close(self) -> None:
        with suppress(Exception):
            self._api.close()

    @contextmanager
    def speaking(self, on: str | None = None) -> Iterator[None]:
        """Turns whatever a call raises into our error, about the given object."""
        try:
            yield
        except Exception as error:
            raise translate(error, on or self.label, self.label) from error

    def version(self) -> str:
        """The engine's version."""
        with self.speaking():
            return str(self._api.version()["Version"])

    # networks

    def network(self, name: str) -> NetworkInfo | None:
        with self.speaking(f"network {name}"):
            found = [one for one in self._api.networks(names=[name]) if one["Name"] == name]
        if not found:
            return None
        one = found[0]
        return NetworkInfo(one["Id"], one["Name"], one["Driver"], one.get("Labels") or {})

    def create_network(self, name: str, driver: str, labels: Mapping[str, str]) -> None:
        with self.speaking(f"network {name}"):
            self._api.create_network(name, driver=driver, labels=dict(labels), check_duplicate=True)

    def remove_network(self, name: str) -> None:
        with self.speaking(f"network {name}"), suppress(docker.errors.NotFound):
            self._api.remove_network(name)

    # volumes

    def volume(self, name: str) -> VolumeInfo | None:
        with self.speaking(f"volume {name}"):
            try:
                one = self._api.inspect_volume(name)
            except docker.errors.NotFound:
                return None
        return VolumeInfo(one["Name"], one["Driver"], one.get("Options") or {}, one.get("Labels") or {})

    def create_volume(
        self, name: str, driver: str | None, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        with self.speaking(f"volume {name}"):
            self._api.create_volume(name, driver=driver, driver_opts=dict(options), labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        with self.speaking(f"volume {name}"), suppress(docker.errors.NotFound):
            self._api.remove_volume(name)

    def volumes(self, label: str) -> list[VolumeInfo]:
        """The volumes with a label, ``key=value``."""
        with self.speaking():
            found = self._api.volumes(filters={"label": label}).get("Volumes") or []
        return [
            VolumeInfo(one["Name"], one["Driver"], one.get("Options") or {}, one.get("Labels") or {}) for one in found
        ]

    # containers

    def container(self, name: str) -> ContainerInfo | None:
        """The container of exactly that name."""
        with self.speaking(f"container {name}"):
            try:
                found = self._api.inspect_container(name)
            except docker.errors.NotFound:
                return None
        return _container(found) if found["Name"].lstrip("/") == name else None

    def containers(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        """All containers with all of these labels, running or not."""
        wanted = [f"{key}={value}" for key, value in labels.items()]
        with self.speaking():
            names = [one["Id"] for one in self._api.containers(all=True, filters={"label": wanted})]
            found = []
            for name in names:
                with suppress(docker.errors.NotFound):  # removed since it was listed
                    found.append(_container(self._api.inspect_container(name)))
        return found

    def create_container(self, spec: ContainerSpec) -> str:
        """Makes a container on all of its networks and returns its id; what fails half-way is taken away again."""
        first, *others = spec.networks
        with self.speaking(f"container {spec.name}"):
            made = self._api.create_container(
                spec.image,
                command=None if spec.command is None else list(spec.command),
                name=spec.name,
                environment=[f"{name}={value}" for name, value in spec.environment.items()],
                labels=dict(spec.labels),
                ports=[(target, protocol) for target, protocol, _, _ in spec.ports],
                volumes=[mount.split(":")[1] for mount in spec.mounts],
                host_config=self._host_config(spec, first),
                networking_config=self._api.create_networking_config({first: self._endpoint(spec.networks[first])}),
                use_config_proxy=False,  # what stands in ~/.docker/config.json is nothing that the user set here
            )
            try:
                for name in others:
                    self._api.connect_container_to_network(made["Id"], name, aliases=list(spec.networks[name]))
            except Exception:
                self.remove_container(made["Id"])
                raise
        return str(made["Id"])

    def start(self, one: str, called: str | None = None) -> None:
        """Starts a container.

        Args:
            one: its name or id.
            called: its name, for errors, where `one` is an id.
        """
        with self.speaking(f"container {called or one}"):
            self._api.start(one)

    def stop(self, one: str, grace_s: int) -> None:
        with self.speaking(f"container {one}"), suppress(docker.errors.NotFound):
            self._api.stop(one, timeout=grace_s)

    def rename(self, one: str, to: str) -> None:
        with self.speaking(f"container {to}"):
            self._api.rename(one, to)

    def remove_container(self, one: str) -> None:
        """Removes a container, never a volume."""
        with self.speaking(f"container {one}"), suppress(docker.errors.NotFound):
            self._api.remove_container(one, v=False, force=True)

    def log_tail(self, name: str, lines: int) -> str:
        with self.speaking(f"container {name}"):
            text = self._api.logs(name, tail=lines, stdout=True, stderr=True)
        return redact(text.decode(errors="replace")).strip()

    # images

    def has_image(self, reference: str) -> bool:
        return self._image(reference) is not None

    def digest_of(self, reference: Reference) -> str:
        """The digest by which the engine pulled an image; empty where it was made there."""
        digests = (self._image(str(reference)) or {}).get("RepoDigests") or []
        names = (f"{reference.name}@", f"{reference.familiar}@")
        return next((str(one).partition("@")[2] for one in digests if one.startswith(names)), "")

    def image_environment(self, image_id: str) -> frozenset[str]:
        """What an image itself sets, as ``NAME=value``; empty where it is gone. Asked once: an id never changes."""
        with self._lock:
            known = self._image_environments.get(image_id)
        if known is None:
            found = self._image(image_id) or {}
            known = frozenset((found.get("Config") or {}).get("Env") or [])
            with self._lock:
                self._image_environments[image_id] = known
        return known

    def pull(self, reference: Reference, login: tuple[str, Secret] | None, say: Callable[[str], None]) -> None:
        """Pulls one image.

        Args:
            reference: by digest, or by tag.
            login: user and password; goes to the reference's registry only.
            say: gets a line as layers are done.
        """
        auth = {"username": login[0], "password": login[1].reveal()} if login else {}
        tag = reference.digest or reference.tag
        on = f"image {reference}"
        end = time.monotonic() + PULL_TIMEOUT_S
        # A connection of its own: closing it is the only way to leave a pull that takes too long.
        with self.speaking(on), closing(self.connection.open(self._version)) as own:
            done: set[str] = set()
            for line in own.pull(reference.name, tag=tag, auth_config=auth, stream=True, decode=True):
                if "error" in line:
                    text = " ".join(str(line["error"]).split())
                    raise told_by_daemon(text, on) or Permanent(f"pulling it failed: {text}", on=on, remedy="")
                if line.get("status") == "Pull complete" and line.get("id") not in done:
                    done.add(str(line.get("id")))
                    say(f"{on}: {len(done)} layers are there")
                if time.monotonic() > end:
                    raise Temporary(f"wasn't pulled in {PULL_TIMEOUT_S:.0f} s", on=on, remedy="Run it again.")

    def _image(self, reference: str) -> Mapping[str, Any] | None:
        with self.speaking(f"image {reference}"):
            try:
                found: Mapping[str, Any] = self._api.inspect_image(reference)
            except docker.errors.NotFound:
                return None
        return found

    def _host_config(self, spec: ContainerSpec, network: str) -> Any:
        name, _, most = spec.restart.partition(":")
        bindings: dict[str, list[Any]] = {}
        for target, protocol, address, published in spec.ports:
            place = (address, published) if address else published
            bindings.setdefault(f"{target}/{protocol}", []).append(place)
        return self._api.create_host_config(
            binds=list(spec.mounts),
            port_bindings=bindings,
            restart_policy={"Name": "" if name == "no" else name, "MaximumRetryCount": int(most or 0)},
            network_mode=network,
        )

    def _endpoint(self, aliases: Sequence[str]) -> Any:
        return self._api.create_endpoint_config(aliases=list(aliases))

    def _newest_common_version(self) -> str:
        with closing(self.connection.open(_text(OLDEST_API))) as asked:
            told = asked.version(api_version=False)
        newest, oldest = _number(told["ApiVersion"]), _number(told.get("MinAPIVersion") or "1.0")
        version = min(newest, NEWEST_API)
        if version < OLDEST_API or version < oldest:
            raise Permanent(
                f"it speaks API {told.get('MinAPIVersion') or '?'} to {told['ApiVersion']}",
                on=self.label,
                remedy=f"Drydock speaks {_text(OLDEST_API)} to {_text(NEWEST_API)}: use another Docker host.",
            )
        return _text(version)


def _container(found: Mapping[str, Any]) -> ContainerInfo:
    state, config, host = found["State"], found["Config"], found["HostConfig"]
    return ContainerInfo(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=config["Image"],
        image_id=found["Image"],
        running=bool(state["Running"]),
        restarting=bool(state.get("Restarting")),
        restarts=int(found.get("RestartCount") or 0),
        exit_code=int(state.get("ExitCode") or 0),
        health=(state.get("Health") or {}).get("Status", ""),
        environment=dict(one.partition("=")[::2] for one in config.get("Env") or []),
        command=tuple(config.get("Cmd") or ()),
        ports=frozenset(_ports(host.get("PortBindings") or {})),
        mounts=frozenset(_mounts(host)),
        networks={
            name: frozenset(one.get("Aliases") or ()) for name, one in found["NetworkSettings"]["Networks"].items()
        },
        restart=_restart(host.get("RestartPolicy") or {}),
        labels=config.get("Labels") or {},
    )


def _ports(bindings: Mapping[str, Any]) -> Iterator[str]:
    for target, places in bindings.items():
        number, _, protocol = target.partition("/")
        for place in places or []:
            yield port_text(place.get("HostIp"), place.get("HostPort") or "0", number, protocol or "tcp")


def port_text(address: str | None, published: int | str, target: int | str, protocol: str) -> str:
    """``[address:]published:target/protocol``."""
    return f"{address + ':' if address else ''}{published}:{target}/{protocol}"


def _mounts(host: Mapping[str, Any]) -> Iterator[str]:
    """As we ask for them, and as compose does since its second version."""
    for bind in host.get("Binds") or []:
        source, target, *mode = bind.split(":")
        yield mount_text(source, target, bool(mode) and "ro" in mode[0].split(","))
    for one in host.get("Mounts") or []:
        yield mount_text(one.get("Source") or "", one["Target"], bool(one.get("ReadOnly")))


def mount_text(source: str, target: str, read_only: bool) -> str:
    """``volume:/path:rw``, or ``:ro``."""
    return f"{source}:{target}:{'ro' if read_only else 'rw'}"


def _restart(policy: Mapping[str, Any]) -> str:
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if most else str(name)


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
