"""A Docker host at the client's boundary: what is there, what is called, what breaks, and which promises are broken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from providers.docker.client import ContainerInfo, ContainerSpec, NetworkInfo, VolumeInfo, port_text
from providers.docker.resources import COMPOSE_PROJECT, COMPOSE_SERVICE
from providers.kit.errors import DrydockError, Permanent
from providers.registry.reference import Reference

OF_THE_IMAGE = frozenset({"PATH=/bin"})


class Killed(BaseException):
    """The process ends here, as by ``kill -9``: nothing of ours may catch it."""


@dataclass
class FakeEngine:
    """Spoken to as `Engine` is.

    Args:
        images: reference → what the image itself sets, ``NAME=value``.
        missing: references that no registry has.
        broken_images, unhealthy_images: images whose containers end at once, or never get healthy.
        refuses: a changing call → the error that it raises.
        killed_at: the number of the changing call at which the process dies.
        done_when_killed: whether that call still got done.
        before_call: called with each changing call's name; may raise.
    """

    images: dict[str, frozenset[str]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    broken_images: set[str] = field(default_factory=set)
    unhealthy_images: set[str] = field(default_factory=set)
    refuses: dict[str, DrydockError] = field(default_factory=dict)
    killed_at: int | None = None
    done_when_killed: bool = True
    before_call: Callable[[str], None] = lambda call: None
    containers_there: dict[str, ContainerInfo] = field(default_factory=dict)
    networks: dict[str, NetworkInfo] = field(default_factory=dict)
    volumes_there: dict[str, VolumeInfo] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    logins: list[object] = field(default_factory=list)
    broken_promises: list[str] = field(default_factory=list)
    specs: list[ContainerSpec] = field(default_factory=list)
    closed: int = 0
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def close(self) -> None:
        self.closed += 1

    # looks

    def container(self, name: str) -> ContainerInfo | None:
        return self.containers_there.get(name)

    def containers(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        return [one for one in self.containers_there.values() if labels.items() <= one.labels.items()]

    def network(self, name: str) -> NetworkInfo | None:
        return self.networks.get(name)

    def volume(self, name: str) -> VolumeInfo | None:
        return self.volumes_there.get(name)

    def has_image(self, reference: str) -> bool:
        return reference in self.images

    def image_environment(self, image_id: str) -> frozenset[str]:
        return self.images.get(image_id, frozenset())

    def digest_of(self, reference: Reference) -> str:
        return ""

    def log_tail(self, name: str, lines: int) -> str:
        return "it said this\nand then ended"

    # changes

    def create_network(self, name: str, driver: str, labels: Mapping[str, str]) -> None:
        made = NetworkInfo(f"id-{name}", name, driver, dict(labels))
        self._change(f"create network {name}", lambda: self.networks.update({name: made}))

    def remove_network(self, name: str) -> None:
        self._change(f"remove network {name}", lambda: self.networks.pop(name, None))

    def create_volume(
        self, name: str, driver: str | None, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        made = VolumeInfo(name, driver or "local", dict(options), dict(labels))
        self._change(f"create volume {name}", lambda: self.volumes_there.update({name: made}))

    def remove_volume(self, name: str) -> None:
        self._change(f"remove volume {name}", lambda: self.volumes_there.pop(name, None))

    def pull(self, reference: Reference, login: object, say: Callable[[str], None]) -> None:
        if str(reference) in self.missing:
            raise Permanent("the registry doesn't have the image", on=f"image {reference}", remedy="Push it.")
        self.logins.append(login)
        self._change(f"pull {reference}", lambda: self.images.setdefault(str(reference), OF_THE_IMAGE))

    def create_container(self, spec: ContainerSpec) -> str:
        made = f"c{next(self._numbers)}"
        self.specs.append(spec)

        def make() -> None:
            if spec.name in self.containers_there:
                raise Permanent("the name is taken", on=f"container {spec.name}", remedy="Choose another.")
            self.containers_there[spec.name] = self._made(made, spec)

        self._change(f"create container {spec.name} from {spec.image}", make)
        return made

    def start(self, one: str, called: str | None = None) -> None:
        box = self._box(one)
        broken = box.image in self.broken_images
        health = "unhealthy" if box.image in self.unhealthy_images else ""
        now = replace(
            box,
            running=not broken,
            restarting=box.restarting and box.running,
            exit_code=3 if broken else 0,
            health=health,
        )
        self._change(f"start {box.name}", lambda: self._put(now))

    def stop(self, one: str, grace_s: int) -> None:
        box = self._box(one)
        self._change(f"stop {box.name}", lambda: self._put(replace(box, running=False, restarting=False)))

    def rename(self, one: str, to: str) -> None:
        box = self._box(one)
        self._change(f"rename {box.name} to {to}", lambda: self._renamed(box, to))

    def remove_container(self, one: str) -> None:
        box = self._box(one)
        self._change(f"remove {box.name}", lambda: self.containers_there.pop(box.name))

    # what tests say

    def running(self, service: str) -> list[ContainerInfo]:
        return [
            one for one in self.containers_there.values() if one.running and one.labels.get(COMPOSE_SERVICE) == service
        ]

    def stranger(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Somebody else's container of that name."""
        box = ContainerInfo(
            id=f"stranger-{name}",
            name=name,
            image="something:1",
            image_id="something:1",
            running=True,
            restarting=False,
            restarts=0,
            exit_code=0,
            health="",
            environment={},
            command=(),
            ports=frozenset(),
            mounts=frozenset(),
            networks={},
            restart="no",
            labels=dict(labels or {}),
        )
        self.containers_there[name] = box

    def change(self, called: str, /, **fields: Any) -> None:
        """Changes a container behind our back."""
        self._renamed(self.containers_there[called], fields.get("name", called))
        self._put(replace(self.containers_there[fields.get("name", called)], **fields))

    def _change(self, what: str, do: Callable[[], object]) -> None:
        self.before_call(what)
        number = len(self.calls)
        self.calls.append(what)
        dies = self.killed_at == number
        if what in self.refuses:
            raise self.refuses[what]
        if not dies or self.done_when_killed:
            do()
        for one in self.containers_there.values():
            service = one.labels.get(COMPOSE_SERVICE)
            if service and len(self.running(service)) > 1:
                self.broken_promises.append(f"two of {service} run after: {what}")
        if dies:
            raise Killed

    def _box(self, one: str) -> ContainerInfo:
        found = next((box for box in self.containers_there.values() if one in (box.id, box.name)), None)
        if found is None:
            raise Permanent("No such container", on=f"container {one}", remedy="It was removed meanwhile.")
        return found

    def _put(self, box: ContainerInfo) -> None:
        self.containers_there[box.name] = box

    def _renamed(self, box: ContainerInfo, to: str) -> None:
        self.containers_there.pop(box.name)
        self._put(replace(box, name=to))

    def _made(self, made: str, spec: ContainerSpec) -> ContainerInfo:
        image = dict(one.partition("=")[::2] for one in self.images.get(spec.image, ()))
        return ContainerInfo(
            id=made,
            name=spec.name,
            image=spec.image,
            image_id=spec.image,
            running=False,
            restarting=False,
            restarts=0,
            exit_code=0,
            health="",
            environment={**image, **spec.environment},
            command=tuple(spec.command or ("default",)),
            ports=frozenset(port_text(host, place, target, kind) for target, kind, host, place in spec.ports),
            mounts=frozenset(spec.mounts),
            networks={name: frozenset([*aliases, made]) for name, aliases in spec.networks.items()},
            restart=spec.restart,
            labels={"from": "image", **spec.labels},
        )


def ours(project: str = "shop", service: str = "web", stack: str = "drydock/lab") -> dict[str, str]:
    """The labels of somebody's container of a stack."""
    return {COMPOSE_PROJECT: project, COMPOSE_SERVICE: service, "drydock.stack": stack}


def names(boxes: Iterable[ContainerInfo]) -> list[str]:
    return sorted(one.name for one in boxes)
