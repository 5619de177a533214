"""What Pulumi needs to know about networks, volumes and containers of a Docker host, and no more."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from operator import methodcaller
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import pulumi
from pulumi.runtime.rpc import UNKNOWN
from pydantic import BaseModel, ConfigDict, Field, field_validator

from providers.kit.claims import CLAIMS
from providers.kit.difference import Change, compare, plain
from providers.kit.errors import DrydockError, Permanent, Unreachable, Untrusted
from providers.kit.model import Inputs, Memory, State, holds
from providers.kit.provider import Call, Provider
from providers.kit.resource import KitResource
from providers.kit.retry import RetryPolicy
from providers.kit.secrets import HIDDEN, Secret, Settings
from providers.kit.sessions import SESSIONS

if TYPE_CHECKING:  # docker-py is slow to import, and the program that only declares resources doesn't need it
    from providers.docker.client import ContainerInfo, ContainerSpec, Engine
    from providers.docker.swap import Swap
    from providers.registry.client import Login, Registry
    from providers.registry.reference import Reference

OWNER = "drydock.stack"
ASKED_IMAGE = "drydock.image"
SPEC = "drydock.spec"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
COMPOSE_NUMBER = "com.docker.compose.container-number"

# A host that the same program makes may be off: then each of many looks would wait for it.
ONE_MORE_LOOK = RetryPolicy(attempts=2)

_COMPOSE = "the compose project "
_SECRET = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[^}]+)\})")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HostConnection(_Part):
    """A Docker host other than DOCKER_HOST's."""

    host: str = Field(pattern=r"^(unix|tcp)://.+", description="unix:///path or tcp://address:port.")
    ca: str | None = Field(None, description="PEM text of its CA.")
    cert: str | None = Field(None, description="PEM text of our client certificate.")
    key: str | None = Field(None, description="PEM text of its key.")
    server_name: str | None = Field(None, description="The name in its certificate, where that isn't the address.")


class DockerInputs(Inputs):
    """What all resources of a Docker host take."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"connection"})

    connection: HostConnection | None = Field(None, description="Another Docker host than DOCKER_HOST's.")
    adopt: bool = Field(False, description="Takes over what exists and isn't this stack's.")
    labels: dict[str, str] = Field({}, description="Labels.")


class DockerState(State):
    """What all resources of a Docker host show; `in_sight` is whether the host could be asked."""

    in_sight: bool = True


I = TypeVar("I", bound=DockerInputs)  # noqa: E741
S = TypeVar("S", bound=DockerState)


class DockerProvider(Provider[I, S, "Engine"]):
    """What all providers of a Docker host share: the session, and whose a thing is."""

    without_calls = frozenset({"adopt"})

    def endpoint(self, settings: Settings, desired: I) -> Hashable:
        from providers.docker.client import Connection

        return Connection.of(settings, _given(desired))

    def connect(self, settings: Settings, desired: I) -> Engine:
        from providers.docker.client import Connection, Engine

        return Engine(Connection.of(settings, _given(desired)))

    def expected(self, desired: I, there: S) -> Mapping[str, Any]:
        return {**super().expected(desired, there), "in_sight": True}

    def patience(self, desired: I) -> RetryPolicy:
        return self.retries if desired.connection is None else ONE_MORE_LOOK

    def foretell(self, desired: I, there: S, changes: Sequence[Change]) -> str:
        return "" if there.in_sight else "it is looked at again once its host answers"

    def out_of_sight(self, desired: I, last: S, error: DrydockError) -> S | None:
        """A host that the same program makes may be off or gone: that is its own resource's drift.

        The next run makes it answer first, and then looks at what is on it.
        """
        if desired.connection is None or not isinstance(error, (Unreachable, Untrusted)):
            return None
        return last.model_copy(update={"in_sight": False})

    def counts_as_gone(self, desired: I, last: S, error: DrydockError) -> bool:
        """On a host that this run has removed, or which neither a refresh nor we could see.

        One that only was off is refused by its own resource.
        """
        removed = desired.connection is not None and CLAIMS.is_gone(desired.connection.host)
        return (removed or not last.in_sight) and isinstance(error, (Unreachable, Untrusted))

    def changes(self, olds: Mapping[str, Any], given: Mapping[str, Any]) -> list[Change]:
        """Another address is another host, so a replacement; with other TLS material it is only looked at anew."""
        applied = Memory.of(olds).applied
        told = {change.path: change for change in super().changes(olds, given)}
        if applied.get("connection") and holds(given.get("connection"), UNKNOWN):
            # Whatever changes at the host makes its address unknown to a preview; as a rule it stays the same.
            told.pop("connection", None)
        if applied:
            told |= {one.path: one for one in self._other_place(applied, given)}
        return list(told.values())

    def goes_first(self, changes: Sequence[Change]) -> bool:
        """On another host the new one stands in nobody's way, and the old one's network is free only at the end."""
        return all(change.path != "host" for change in changes)

    def _other_place(self, applied: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[Change]:
        """What means another thing, or a thing elsewhere, as the program says it; no observation shows it."""
        for name in sorted(self.replace_on - self.state.model_fields.keys()):
            place = self._host_of if name == "host" else methodcaller("get", name)
            then, now = place(applied), place(given)
            if then != now and not holds(now, UNKNOWN):
                yield Change(name, then, now)

    def _is_ours(self, desired: I, owner: str) -> bool:
        """Whether this stack made it. Raises Permanent, naming whose it is, where its labels tell of somebody else."""
        if owner and desired.labels.get(OWNER) != owner and not desired.adopt:
            raise Permanent(
                f"exists already and was made by {_whose(owner)}",
                on=self.describe(desired),
                remedy="Choose another name, or set `adopt=True` to take it over.",
            )
        return bool(owner) and desired.labels.get(OWNER) == owner

    def _host_of(self, values: Mapping[str, Any]) -> Any:
        connection = values.get("connection")
        if connection is None:
            return self.settings.value("docker_host", "DOCKER_HOST")
        return connection.get("host") if isinstance(connection, Mapping) else connection


def _given(desired: DockerInputs) -> dict[str, Any] | None:
    return None if desired.connection is None else desired.connection.model_dump(exclude_none=True)


def _owner(labels: Mapping[str, str]) -> str:
    """Whose a thing is: a stack's name, else what made it; empty where its labels don't tell."""
    if labels.get(OWNER):
        return labels[OWNER]
    return f"{_COMPOSE}{labels[COMPOSE_PROJECT]}" if labels.get(COMPOSE_PROJECT) else ""


def _whose(owner: str) -> str:
    if not owner:
        return ""
    return owner if owner.startswith(_COMPOSE) else f"the stack {owner}"


def _may_remove(desired: DockerInputs, owner: str) -> bool:
    """What somebody else made meanwhile under our name isn't ours to remove; what was adopted is."""
    return desired.adopt or desired.labels.get(OWNER, "") == owner


# networks


class NetworkInputs(DockerInputs):
    """Arguments of `Network`."""

    name: str = Field(min_length=1, description="The network's name on the host.")
    driver: str = Field("bridge", min_length=1, description="Its driver.")


class NetworkState(DockerState):
    """A network."""

    name: str
    driver: str
    network_id: str
    owner: str = ""


class NetworkProvider(DockerProvider[NetworkInputs, NetworkState]):
    """Makes and removes a network."""

    kind = "docker.Network"
    inputs = NetworkInputs
    state = NetworkState
    replace_on = frozenset({"name", "driver", "host"})
    without_calls = DockerProvider.without_calls | {"labels"}  # a network's labels can't be changed

    def describe(self, desired: NetworkInputs) -> str:
        return f"{self.kind} '{desired.name}'"

    def identify(self, desired: NetworkInputs, state: NetworkState) -> str:
        return state.name

    def observe(self, call: Call[Engine, NetworkState], desired: NetworkInputs) -> NetworkState | None:
        found = call.client.network(desired.name)
        if found is None:
            return None
        return NetworkState(name=found.name, driver=found.driver, network_id=found.id, owner=_owner(found.labels))

    def ours(self, call: Call[Engine, NetworkState], desired: NetworkInputs, there: NetworkState) -> bool:
        return self._is_ours(desired, there.owner)

    def apply(self, call: Call[Engine, NetworkState], desired: NetworkInputs, there: NetworkState | None) -> None:
        if there is None:
            call.client.create_network(desired.name, desired.driver, desired.labels)

    def remove(self, call: Call[Engine, NetworkState], desired: NetworkInputs, there: NetworkState) -> None:
        if _may_remove(desired, there.owner):
            call.client.remove_network(there.name)
        else:
            call.say(f"network {there.name}: stays, somebody else has made it anew")


class Network(KitResource, module="docker", name="Network"):
    """A network on a Docker host.

    Args:
        resource_name: Pulumi's name.
        name: the network's name on the host.
        driver: its driver; default ``bridge``. Another one replaces the network.
        labels: labels, given when it is made.
        adopt: takes over one that exists and isn't this stack's.
        connection: ``{host, ca, cert, key, server_name}``; absent: DOCKER_HOST.

    Outputs: name, driver, network_id.
    """

    name: pulumi.Output[str]
    driver: pulumi.Output[str]
    network_id: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        driver: pulumi.Input[str] | None = None,
        labels: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        adopt: pulumi.Input[bool] | None = None,
        connection: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        arguments = {"name": name, "driver": driver, "labels": labels, "adopt": adopt, "connection": connection}
        super().__init__(NetworkProvider(), resource_name, arguments, opts)


# volumes


class VolumeInputs(DockerInputs):
    """Arguments of `Volume`."""

    name: str = Field(min_length=1, description="The volume's name on the host.")
    driver: str | None = Field(None, min_length=1, description="Its driver; absent: the host's own.")
    driver_opts: dict[str, str] = Field({}, description="The driver's options; on a VCH Capacity and VolumeStore.")
    delete_data: bool = Field(False, description="Whether destroy deletes the volume with its data.")


class VolumeState(DockerState):
    """A volume."""

    name: str
    driver: str
    driver_opts: dict[str, str] = Field({})
    owner: str = ""


class VolumeProvider(DockerProvider[VolumeInputs, VolumeState]):
    """Makes a volume; never deletes its data unless told to."""

    kind = "docker.Volume"
    inputs = VolumeInputs
    state = VolumeState
    replace_on = frozenset({"name", "host"})
    without_calls = DockerProvider.without_calls | {"labels", "delete_data"}

    def describe(self, desired: VolumeInputs) -> str:
        return f"{self.kind} '{desired.name}'"

    def identify(self, desired: VolumeInputs, state: VolumeState) -> str:
        return state.name

    def observe(self, call: Call[Engine, VolumeState], desired: VolumeInputs) -> VolumeState | None:
        found = call.client.volume(desired.name)
        if found is None:
            return None
        known = {name: found.options[name] for name in desired.driver_opts if name in found.options}
        return VolumeState(name=found.name, driver=found.driver, driver_opts=known, owner=_owner(found.labels))

    def ours(self, call: Call[Engine, VolumeState], desired: VolumeInputs, there: VolumeState) -> bool:
        return self._is_ours(desired, there.owner)

    def apply(self, call: Call[Engine, VolumeState], desired: VolumeInputs, there: VolumeState | None) -> None:
        if there is None:
            call.client.create_volume(desired.name, desired.driver, desired.driver_opts, desired.labels)
            return
        for change in compare(plain(self.expected(desired, there)), plain(there)):
            raise Permanent(
                f"a volume can't be changed ({change}); its data stay as they are",
                on=self.describe(desired),
                remedy="Put the setting back, or give the volume another name: that makes a new, empty one.",
            )

    def remove(self, call: Call[Engine, VolumeState], desired: VolumeInputs, there: VolumeState) -> None:
        if desired.delete_data and _may_remove(desired, there.owner):
            call.client.remove_volume(there.name)
        else:
            call.say(f"volume {there.name}: stays, with its data")


class Volume(KitResource, module="docker", name="Volume"):
    """A volume on a Docker host: users' data.

    Args:
        resource_name: Pulumi's name.
        name: the volume's name on the host.
        driver: its driver; default ``local``.
        driver_opts: the driver's options; on a VCH ``Capacity`` and ``VolumeStore`` (facts/vch-docker-api.md).
        labels: labels, given when it is made.
        delete_data: whether destroy deletes the volume; default False: it stays, and the next `up` takes it over.
        adopt: takes over one that exists and isn't this stack's.
        connection: ``{host, ca, cert, key, server_name}``; absent: DOCKER_HOST.

    Outputs: name, driver.
    """

    name: pulumi.Output[str]
    driver: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        driver: pulumi.Input[str] | None = None,
        driver_opts: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        labels: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        delete_data: pulumi.Input[bool] | None = None,
        adopt: pulumi.Input[bool] | None = None,
        connection: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        arguments = {
            "name": name,
            "driver": driver,
            "driver_opts": driver_opts,
            "labels": labels,
            "delete_data": delete_data,
            "adopt": adopt,
            "connection": connection,
        }
        super().__init__(VolumeProvider(), resource_name, arguments, opts)


# containers


class PublishedPort(_Part):
    """A port of the container on the host."""

    published: int = Field(ge=1, le=65535)
    target: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str | None = None


class VolumeMount(_Part):
    """A named volume in the container."""

    volume: str = Field(min_length=1)
    target: str = Field(pattern=r"^/")
    read_only: bool = False


class NetworkAttachment(_Part):
    """A network of the container, and its names there."""

    name: str = Field(min_length=1)
    aliases: list[str] = []


class ContainerInputs(DockerInputs):
    """Arguments of `Container`."""

    project: str = Field(min_length=1, description="The application that it belongs to.")
    service: str = Field(min_length=1, description="Its service.")
    number: int = Field(1, ge=1, description="Which one of the service's containers.")
    container_name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$", description="Its name on the host.")
    image: str = Field(min_length=1, description="Reference by tag or digest.")
    command: list[str] | None = Field(None, description="Replaces the image's command.")
    environment: dict[str, str] = Field({}, description="Variables.")
    secret_environment: dict[str, str] = Field({}, description="Variable -> text with ${name of a secret}.")
    ports: list[PublishedPort] = Field([], description="Published ports.")
    mounts: list[VolumeMount] = Field([], description="Named volumes.")
    networks: list[NetworkAttachment] = Field(min_length=1, description="Networks; the first one is joined at start.")
    restart: str = Field("no", pattern=r"^(no|always|unless-stopped|on-failure(:\d+)?)$", description="Policy.")
    stop_grace_period_s: int = Field(10, ge=0, le=3600, description="Seconds that it may take to stop.")
    wait_timeout_s: int = Field(60, ge=1, le=3600, description="Seconds until a new one must be proven.")

    @field_validator("image")
    @classmethod
    def _is_a_reference(cls, value: str) -> str:
        from providers.registry.reference import Reference

        Reference.parse(value)
        return value

    @field_validator("restart")
    @classmethod
    def _without_a_limit_of_none(cls, value: str) -> str:
        """``on-failure:0`` means no limit, and that is how the engine tells it."""
        return value.removesuffix(":0")

    def all_labels(self) -> dict[str, str]:
        """With those by which a container is found again."""
        return {**self.labels, **self.identity()}

    def identity(self) -> dict[str, str]:
        return {COMPOSE_PROJECT: self.project, COMPOSE_SERVICE: self.service, COMPOSE_NUMBER: str(self.number)}


class ContainerState(DockerState):
    """A container; `asked_image` is the reference that it was made from, `image` what that named."""

    container_id: str
    container_name: str
    image: str
    asked_image: str = ""
    running: bool
    environment: dict[str, str] = Field({})
    secrets: dict[str, str] = Field({})
    command: list[str] | None = None
    ports: list[str] = Field([])
    mounts: list[str] = Field([])
    networks: dict[str, list[str]] = Field({})
    restart: str = "no"
    labels: dict[str, str] = Field({})


class ContainerProvider(DockerProvider[ContainerInputs, ContainerState]):
    """Makes a container, changes it by a swap, and removes it; its volumes are never touched."""

    kind = "docker.Container"
    inputs = ContainerInputs
    state = ContainerState
    replace_on = frozenset({"project", "host"})
    without_calls = DockerProvider.without_calls | {"stop_grace_period_s", "wait_timeout_s"}

    def describe(self, desired: ContainerInputs) -> str:
        return f"{self.kind} '{desired.container_name}'"

    def identify(self, desired: ContainerInputs, state: ContainerState) -> str:
        return f"{desired.project}/{desired.service}/{desired.number}"

    def observe(self, call: Call[Engine, ContainerState], desired: ContainerInputs) -> ContainerState | None:
        found = self._find(call.client, desired)
        if found is None or not (call.creating or self._belongs(desired, found)):
            return None  # ours is gone, whoever has its name now
        return self._state(call, desired, found)

    def ours(self, call: Call[Engine, ContainerState], desired: ContainerInputs, there: ContainerState) -> bool:
        return self._is_ours(desired, _owner(there.labels)) and self._is_same_service(desired, there.labels)

    def expected(self, desired: ContainerInputs, there: ContainerState) -> Mapping[str, Any]:
        """Variables, networks and our labels are compared as whole sets: the others are expected to be gone."""
        from providers.registry.reference import Reference

        found = dict(super().expected(desired, there))
        found |= {"running": True, "container_name": desired.container_name}
        found |= {"ports": _port_texts(desired), "mounts": _mount_texts(desired)}
        found["environment"] = {**dict.fromkeys(there.environment), **desired.environment}
        found["networks"] = {**dict.fromkeys(there.networks), **_network_names(desired)}
        found["labels"] = {**dict.fromkeys(there.labels), **desired.all_labels()}
        found["asked_image"] = found.pop("image")
        asked = Reference.parse(desired.image)
        if asked.digest:
            found["image"] = asked.by_digest
        return found

    def secret_values(self, settings: Settings, desired: ContainerInputs) -> Mapping[str, Secret]:
        return {
            f"environment.{name}": Secret(_rendered(text, settings))
            for name, text in desired.secret_environment.items()
        }

    def apply(self, call: Call[Engine, ContainerState], desired: ContainerInputs, there: ContainerState | None) -> None:
        swap = self._swap(call, desired)
        current = swap.recover(
            lambda found: self._belongs(desired, found), lambda found: self._is_right(call, desired, found)
        ) or self._find(call.client, desired)
        if current is not None and not self._belongs(desired, current):
            raise Permanent(
                f"the name is taken by a container of {_whose(_owner(current.labels)) or 'somebody else'}",
                on=self.describe(desired),
                remedy="Remove or rename that one, or set `adopt=True` to replace it.",
            )
        if current is not None and self._is_right(call, desired, current):
            if current.restarting:  # starting it does nothing while it waits for its next try
                call.client.stop(current.id, desired.stop_grace_period_s)
            if not current.running or current.restarting:
                swap.start(current.id)
            return
        spec = self._spec(call, desired, self._pulled(call, desired, there))
        call.say(f"container {spec.name}: {'starts' if current is None else 'is replaced'}")
        if current is None:
            swap.make(spec)
        else:
            swap.replace(current, spec)

    def remove(self, call: Call[Engine, ContainerState], desired: ContainerInputs, there: ContainerState) -> None:
        from providers.docker.swap import OLD_SUFFIX

        for name in dict.fromkeys([there.container_name, desired.container_name, desired.container_name + OLD_SUFFIX]):
            found = call.client.container(name)
            if found is not None and self._belongs(desired, found):
                call.client.stop(found.id, desired.stop_grace_period_s)
                call.client.remove_container(found.id)

    def _swap(self, call: Call[Engine, ContainerState], desired: ContainerInputs) -> Swap:
        from providers.docker.swap import Swap

        return Swap(call.client, desired.container_name, desired.stop_grace_period_s, desired.wait_timeout_s)

    def _find(self, engine: Engine, desired: ContainerInputs) -> ContainerInfo | None:
        """Ours by name, else by labels: under another name, or left half-way in a swap; else whoever has the name."""
        named = engine.container(desired.container_name)
        if named is not None and self._belongs(desired, named):
            return named
        others = (one for one in engine.containers(desired.identity()) if self._belongs(desired, one))
        return next(others, named)

    def _belongs(self, desired: ContainerInputs, found: ContainerInfo) -> bool:
        """Whether a container is ours to change and remove: made by this stack for this service, or adopted."""
        if desired.adopt:
            return True
        made_here = SPEC in found.labels and found.labels.get(OWNER) == desired.labels.get(OWNER)
        return made_here and self._is_same_service(desired, found.labels)

    def _is_same_service(self, desired: ContainerInputs, labels: Mapping[str, str]) -> bool:
        """Also under another project: an earlier run's, which is killed before it could tell, is replaced."""
        wanted = desired.identity()
        return all(labels.get(name) == wanted[name] for name in (COMPOSE_SERVICE, COMPOSE_NUMBER))

    def _state(
        self, call: Call[Engine, ContainerState], desired: ContainerInputs, found: ContainerInfo
    ) -> ContainerState:
        secret = desired.secret_environment.keys() & found.environment.keys()
        return ContainerState(
            container_id=found.id,
            container_name=found.name,
            image=found.image,
            asked_image=found.labels.get(ASKED_IMAGE, ""),
            running=found.running and not found.restarting,
            environment=_shown_environment(desired, found, call.client.image_environment(found.image_id)),
            secrets={f"environment.{name}": call.seal(found.environment[name]) for name in sorted(secret)},
            command=None if desired.command is None else list(found.command),
            ports=sorted(found.ports),
            mounts=sorted(found.mounts),
            networks={name: sorted(aliases & _aliases(desired, name)) for name, aliases in found.networks.items()},
            restart=found.restart,
            labels={name: found.labels[name] for name in sorted(desired.all_labels()) if name in found.labels},
        )

    def _is_right(self, call: Call[Engine, ContainerState], desired: ContainerInputs, found: ContainerInfo) -> bool:
        """Whether a container is made as desired; what only its making could tell is in its label."""
        state = self._state(call, desired, found)
        wanted = {**self.expected(desired, state), "running": state.running, "container_name": state.container_name}
        sealed = {path: call.seal(value.reveal()) for path, value in self.secret_values(call.settings, desired).items()}
        same = not any(compare(plain(wanted), plain(state))) and sealed == state.secrets
        return same and found.name == desired.container_name and found.labels.get(SPEC) == _fingerprint_of(desired)

    def _pulled(
        self, call: Call[Engine, ContainerState], desired: ContainerInputs, there: ContainerState | None
    ) -> str:
        """The image by digest, on the host. A tag is resolved by ourselves first: the engine would trust anyone
        on loopback, and may know an older image by that tag. A tag that was resolved stays where it is."""
        from providers.registry.client import Login
        from providers.registry.reference import Reference

        asked = Reference.parse(desired.image)
        if there is not None and there.asked_image == desired.image and "@" in there.image:
            asked = Reference.parse(there.image)
        login = Login.of(call.settings)
        if login is None or login.registry != asked.registry:
            return self._pulled_from_elsewhere(call, asked)
        exact = asked if asked.digest else asked.at(_resolved(login, asked))
        if not call.client.has_image(exact.by_digest):
            call.say(f"image {asked}: is pulled")
            user = (login.user, login.password) if login.user and login.password else None
            call.client.pull(exact.at(exact.digest), user, call.say)
        return exact.by_digest

    def _pulled_from_elsewhere(self, call: Call[Engine, ContainerState], asked: Reference) -> str:
        exact = asked.at(asked.digest) if asked.digest else asked
        if not call.client.has_image(str(exact)):
            call.say(f"image {asked}: is pulled")
            call.client.pull(exact, None, call.say)
        digest = asked.digest or call.client.digest_of(asked)
        return asked.at(digest).by_digest if digest else str(asked)

    def _spec(self, call: Call[Engine, ContainerState], desired: ContainerInputs, image: str) -> ContainerSpec:
        from providers.docker.client import ContainerSpec

        secret = {
            path.partition(".")[2]: value.reveal() for path, value in self.secret_values(call.settings, desired).items()
        }
        return ContainerSpec(
            name=desired.container_name,
            image=image,
            command=desired.command,
            environment={**desired.environment, **secret},
            ports=[(one.target, one.protocol, one.host_ip, one.published) for one in desired.ports],
            mounts=_mount_texts(desired),
            networks={one.name: one.aliases for one in desired.networks},
            restart=desired.restart,
            labels={**desired.all_labels(), ASKED_IMAGE: desired.image, SPEC: _fingerprint_of(desired)},
        )


class Container(KitResource, module="docker", name="Container"):
    """A container on a Docker host; changes are always a swap: the old one goes when the new one is proven.

    Args:
        resource_name: Pulumi's name.
        project, service, number: what it is in its application; the Pulumi id is ``project/service/number``.
        container_name: its name on the host.
        image: reference by tag or digest. A tag is resolved once, over verified TLS, and moves only when this changes.
        command: replaces the image's command.
        environment: plain variables.
        secret_environment: variable → text with ``${name}`` of secrets of the stack; ``$$`` is the sign itself.
        ports: ``{published, target, protocol, host_ip}``.
        mounts: ``{volume, target, read_only}``.
        networks: ``{name, aliases}``.
        restart: ``no``, ``always``, ``unless-stopped`` or ``on-failure[:n]``; default ``no``.
        labels: labels; ``drydock.stack`` says whose it is.
        stop_grace_period_s: seconds that it may take to stop; default 10.
        wait_timeout_s: seconds until a new one must be proven; default 60.
        adopt: takes over one that exists and isn't this stack's.
        connection: ``{host, ca, cert, key, server_name}``; absent: DOCKER_HOST.

    Outputs: container_id, container_name, image (by digest), running.

    Errors: a new container that ends or stays unhealthy brings the old one back; the error has the end of its log.
    """

    container_id: pulumi.Output[str]
    container_name: pulumi.Output[str]
    image: pulumi.Output[str]
    running: pulumi.Output[bool]

    def __init__(
        self,
        resource_name: str,
        *,
        project: pulumi.Input[str],
        service: pulumi.Input[str],
        container_name: pulumi.Input[str],
        image: pulumi.Input[str],
        networks: pulumi.Input[Sequence[Any]],
        number: pulumi.Input[int] | None = None,
        command: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        environment: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        secret_environment: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        ports: pulumi.Input[Sequence[Any]] | None = None,
        mounts: pulumi.Input[Sequence[Any]] | None = None,
        restart: pulumi.Input[str] | None = None,
        labels: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        stop_grace_period_s: pulumi.Input[int] | None = None,
        wait_timeout_s: pulumi.Input[int] | None = None,
        adopt: pulumi.Input[bool] | None = None,
        connection: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        arguments = {
            "project": project,
            "service": service,
            "number": number,
            "container_name": container_name,
            "image": image,
            "command": command,
            "environment": environment,
            "secret_environment": secret_environment,
            "ports": ports,
            "mounts": mounts,
            "networks": networks,
            "restart": restart,
            "labels": labels,
            "stop_grace_period_s": stop_grace_period_s,
            "wait_timeout_s": wait_timeout_s,
            "adopt": adopt,
            "connection": connection,
        }
        super().__init__(ContainerProvider(), resource_name, arguments, opts)


def _resolved(login: Login, asked: Reference) -> str:
    """What a tag names. The session is shared, so that a refused login is tried once in a run, not once a container."""
    with SESSIONS.lend(("registry", login), lambda: _registry(login)) as registry:
        return registry.resolve(asked)


def _registry(login: Login) -> Registry:
    from providers.registry.client import Registry

    registry = Registry(login)
    try:
        registry.check_login()
    except BaseException:
        registry.close()
        raise
    return registry


def _shown_environment(desired: ContainerInputs, found: ContainerInfo, of_the_image: frozenset[str]) -> dict[str, str]:
    """The plain variables that were asked for, and, without their values, those that nobody has asked for."""
    extra = {
        name: HIDDEN
        for name, value in found.environment.items()
        if name not in desired.secret_environment and f"{name}={value}" not in of_the_image
    }
    asked = {name: found.environment[name] for name in desired.environment if name in found.environment}
    return {**extra, **asked}


def _rendered(text: str, settings: Settings) -> str:
    return _SECRET.sub(lambda found: "$" if found["escaped"] else settings.secret(found["name"]).reveal(), text)


def _port_texts(desired: ContainerInputs) -> list[str]:
    from providers.docker.client import port_text

    return sorted(port_text(one.host_ip, one.published, one.target, one.protocol) for one in desired.ports)


def _mount_texts(desired: ContainerInputs) -> list[str]:
    from providers.docker.client import mount_text

    return sorted(mount_text(one.volume, one.target, one.read_only) for one in desired.mounts)


def _network_names(desired: ContainerInputs) -> dict[str, list[str]]:
    return {one.name: sorted(one.aliases) for one in desired.networks}


def _aliases(desired: ContainerInputs, network: str) -> frozenset[str]:
    return frozenset(alias for one in desired.networks if one.name == network for alias in one.aliases)


def _fingerprint_of(desired: ContainerInputs) -> str:
    """What a container was made from, but for secrets and for what needs no new one."""
    left_out = {"connection", "adopt", "stop_grace_period_s", "wait_timeout_s"}
    made_of = desired.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
