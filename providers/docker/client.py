"""A Docker host's client: networks, volumes, containers and images in small typed pieces; knows nothing of Pulumi."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.tls

from providers.docker.faults import translate
from providers.kit.errors import Permanent
from providers.kit.retry import CALL_TIMEOUT_S, PULL_TIMEOUT_S
from providers.kit.secrets import Secret, Settings, redact
from providers.registry.reference import Reference

DEFAULT_HOST = "unix:///var/run/docker.sock"
OLDEST_API = (1, 24)  # docker-py's own minimum; a VCH speaks 1.25 (facts/vch-docker-api.md)
NEWEST_API = (1, 44)


@dataclass(frozen=True)
class Connection:
    """How a Docker host is reached.

    Args:
        host: ``unix:///path`` or ``tcp://address:port``.
        ca, cert, key: PEM texts.
        cert_path: a folder with ca.pem, cert.pem and key.pem, where no texts are given.
    """

    host: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)
    cert_path: str | None = None

    @classmethod
    def of(cls, settings: Settings, given: Mapping[str, Any] | None = None) -> Connection:
        """As given, else as the stack's config or the environment says."""
        if given:
            return cls(given["host"], given.get("ca"), given.get("cert"), given.get("key"))
        host = settings.value("docker_host", "DOCKER_HOST") or DEFAULT_HOST
        return cls(host, cert_path=settings.value("docker_cert_path", "DOCKER_CERT_PATH"))

    @property
    def uses_tls(self) -> bool:
        return self.host.startswith("tcp://") and bool(self.ca or self.cert_path)


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
    """A container, in the words of what was asked when it was made."""

    id: str
    name: str
    image: str
    running: bool
    restarting: bool
    restarts: int
    exit_code: int
    health: str
    environment: Mapping[str, str]
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
    """A Docker host. `close` ends its connections.

    Args:
        connection: where it is.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.label = f"Docker host {connection.host}"
        self._pipes: list[int] = []
        with self.speaking():
            tls = self._tls()
            version = self._newest_common_version(tls)
            self._api = self._client(tls, version)

    def close(self) -> None:
        with suppress(Exception):
            self._api.close()
        while self._pipes:
            os.close(self._pipes.pop())

    @contextmanager
    def speaking(self, on: str | None = None) -> Iterator[None]:
        """Turns whatever a call raises into our error, about the given object."""
        try:
            yield
        except Exception as error:
            raise translate(error, on or self.label) from error

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

    def create_volume(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
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

    def create_container(self, spec: ContainerSpec) -> None:
        with self.speaking(f"container {spec.name}"):
            first, *others = spec.networks
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
            )
            for name in others:
                self._api.connect_container_to_network(made["Id"], name, aliases=list(spec.networks[name]))

    def start(self, name: str) -> None:
        with self.speaking(f"container {name}"):
            self._api.start(name)

    def stop(self, name: str, grace_s: int) -> None:
        with self.speaking(f"container {name}"), suppress(docker.errors.NotFound):
            self._api.stop(name, timeout=grace_s)

    def rename(self, name: str, to: str) -> None:
        with self.speaking(f"container {name}"):
            self._api.rename(name, to)

    def remove_container(self, name: str) -> None:
        """Removes a container, never a volume."""
        with self.speaking(f"container {name}"), suppress(docker.errors.NotFound):
            self._api.remove_container(name, v=False, force=True)

    def log_tail(self, name: str, lines: int) -> str:
        with self.speaking(f"container {name}"):
            text = self._api.logs(name, tail=lines, stdout=True, stderr=True)
        return redact(text.decode(errors="replace")).strip()

    # images

    def has_image(self, reference: str) -> bool:
        return self._image(reference) is not None

    def digest_of(self, reference: Reference) -> str:
        """``name@digest`` of an image that the engine pulled; empty where it was made there."""
        digests = (self._image(str(reference)) or {}).get("RepoDigests") or []
        return next((str(one) for one in digests if one.startswith(f"{reference.name}@")), "")

    def pull(self, reference: Reference, login: tuple[str, Secret] | None, say: Callable[[str], None]) -> None:
        """Pulls one image.

        Args:
            reference: by digest, or by tag.
            login: user and password; goes to the reference's registry only.
            say: gets a line as layers are done.
        """
        auth = {"username": login[0], "password": login[1].reveal()} if login else {}
        done: set[str] = set()
        with self.speaking(f"image {reference}"):
            lines = self._puller().pull(
                reference.name,
                tag=reference.digest or reference.tag,
                auth_config=auth,
                stream=True,
                decode=True,
            )
            for line in lines:
                if "error" in line:
                    raise docker.errors.ImageNotFound(str(line["error"]))
                if line.get("status") == "Pull complete" and line.get("id") not in done:
                    done.add(str(line.get("id")))
                    say(f"image {reference}: {len(done)} layers are there")

    def _image(self, reference: str) -> Mapping[str, Any] | None:
        with self.speaking(f"image {reference}"):
            try:
                found: Mapping[str, Any] = self._api.inspect_image(reference)
            except docker.errors.NotFound:
                return None
        return found

    def _puller(self) -> Any:
        """A pull may say nothing for long while a layer is unpacked."""
        self._api.timeout = PULL_TIMEOUT_S
        return self._api

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

    def _newest_common_version(self, tls: Any) -> str:
        asked = self._client(tls, "1.24")
        try:
            told = asked.version(api_version=False)
        finally:
            asked.close()
        newest, oldest = _number(told["ApiVersion"]), _number(told.get("MinAPIVersion") or "1.0")
        version = min(newest, NEWEST_API)
        if version < OLDEST_API or version < oldest:
            raise Permanent(
                f"it speaks API {told.get('MinAPIVersion', '?')} to {told['ApiVersion']}",
                on=self.label,
                remedy=f"Drydock speaks {_text(OLDEST_API)} to {_text(NEWEST_API)}: use another Docker host.",
            )
        return _text(version)

    def _client(self, tls: Any, version: str) -> Any:
        base = self.connection.host.replace("tcp://", "https://") if tls else self.connection.host
        client = docker.APIClient(base_url=base, tls=tls or False, version=version, timeout=int(CALL_TIMEOUT_S))
        client.trust_env = False  # REQUESTS_CA_BUNDLE would replace our CA (facts/lab.md)
        return client

    def _tls(self) -> Any:
        if not self.connection.uses_tls:
            return None
        ca, cert, key = self._material()
        return docker.tls.TLSConfig(client_cert=(cert, key) if cert and key else None, ca_cert=ca, verify=True)

    def _material(self) -> tuple[str, str | None, str | None]:
        """Paths, as docker-py wants them; texts stay in memory, so no key is ever left in a file."""
        one = self.connection
        if one.ca:
            return self._in_memory(one.ca), one.cert and self._in_memory(one.cert), one.key and self._in_memory(one.key)
        folder = Path(one.cert_path or "")
        missing = [name for name in ("ca.pem", "cert.pem", "key.pem") if not (folder / name).is_file()]
        if missing:
            raise Permanent(f"{folder} has no {', '.join(missing)}", on=self.label, remedy="Correct DOCKER_CERT_PATH.")
        return str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem")

    def _in_memory(self, text: str) -> str:
        pipe = os.memfd_create("drydock", os.MFD_CLOEXEC)
        os.write(pipe, text.encode())
        self._pipes.append(pipe)
        return f"/proc/{os.getpid()}/fd/{pipe}"


def _container(found: Mapping[str, Any]) -> ContainerInfo:
    state, config, host = found["State"], found["Config"], found["HostConfig"]
    return ContainerInfo(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=config["Image"],
        running=bool(state["Running"]),
        restarting=bool(state.get("Restarting")),
        restarts=int(found.get("RestartCount") or 0),
        exit_code=int(state.get("ExitCode") or 0),
        health=(state.get("Health") or {}).get("Status", ""),
        environment=dict(one.partition("=")[::2] for one in config.get("Env") or []),
        command=tuple(config.get("Cmd") or ()),
        ports=frozenset(_ports(host.get("PortBindings") or {})),
        mounts=frozenset(_mount(one) for one in host.get("Binds") or []),
        networks={
            name: frozenset(one.get("Aliases") or ()) for name, one in found["NetworkSettings"]["Networks"].items()
        },
        restart=_restart(host.get("RestartPolicy") or {}),
        labels=config.get("Labels") or {},
    )


def _ports(bindings: Mapping[str, Any]) -> Iterator[str]:
    for target, places in bindings.items():
        for place in places or []:
            yield port_text(place.get("HostIp") or None, int(place["HostPort"]), *_target(target))


def _target(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number), protocol or "tcp"


def port_text(address: str | None, published: int, target: int, protocol: str) -> str:
    """``[address:]published:target/protocol``."""
    return f"{address + ':' if address else ''}{published}:{target}/{protocol}"


def _mount(bind: str) -> str:
    source, target, *mode = bind.split(":")
    return f"{source}:{target}:{'ro' if mode and 'ro' in mode[0].split(',') else 'rw'}"


def _restart(policy: Mapping[str, Any]) -> str:
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if most else str(name)


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
