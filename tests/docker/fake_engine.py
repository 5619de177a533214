"""A Docker host at the client's boundary: what is there, what is called, and what breaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from providers.docker.client import ContainerInfo, ContainerSpec, NetworkInfo, VolumeInfo, port_text
from providers.kit.errors import Permanent
from providers.registry.reference import Reference


class FakeEngine:
    """Spoken to as `Engine` is.

    Args:
        before_call: called with each changing call's name; may raise.
    """

    def __init__(self, before_call: Callable[[str], None] = lambda call: None) -> None:
        self.calls: list[str] = []
        self.networks: dict[str, NetworkInfo] = {}
        self.volumes_there: dict[str, VolumeInfo] = {}
        self.containers_there: dict[str, ContainerInfo] = {}
        self.images: set[str] = set()
        self.broken_images: set[str] = set()
        self.before_call = before_call
        self.closed = 0
        self._made = 0

    def close(self) -> None:
        self.closed += 1

    def _note(self, call: str) -> None:
        self.before_call(call)
        self.calls.append(call)

    def network(self, name: str) -> NetworkInfo | None:
        return self.networks.get(name)

    def create_network(self, name: str, driver: str, labels: Mapping[str, str]) -> None:
        self._note(f"create network {name}")
        self.networks[name] = NetworkInfo(f"id-{name}", name, driver, dict(labels))

    def remove_network(self, name: str) -> None:
        self._note(f"remove network {name}")
        self.networks.pop(name, None)

    def volume(self, name: str) -> VolumeInfo | None:
        return self.volumes_there.get(name)

    def create_volume(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self._note(f"create volume {name}")
        self.volumes_there[name] = VolumeInfo(name, driver, dict(options), dict(labels))

    def remove_volume(self, name: str) -> None:
        self._note(f"remove volume {name}")
        self.volumes_there.pop(name, None)

    def container(self, name: str) -> ContainerInfo | None:
        return self.containers_there.get(name)

    def containers(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        return [one for one in self.containers_there.values() if labels.items() <= one.labels.items()]

    def create_container(self, spec: ContainerSpec) -> None:
        self._note(f"create container {spec.name} from {spec.image}")
        if spec.name in self.containers_there:
            raise Permanent("the name is taken", on=spec.name, remedy="")
        self._made += 1
        self.containers_there[spec.name] = ContainerInfo(
            id=f"c{self._made}",
            name=spec.name,
            image=spec.image,
            running=False,
            restarting=False,
            restarts=0,
            exit_code=0,
            health="",
            environment={"PATH": "/bin", **spec.environment},
            command=tuple(spec.command or ("default",)),
            ports=frozenset(port_text(ip, out, into, kind) for into, kind, ip, out in spec.ports),
            mounts=frozenset(spec.mounts),
            networks={name: frozenset([*aliases, f"c{self._made}"]) for name, aliases in spec.networks.items()},
            restart=spec.restart,
            labels={"from": "image", **spec.labels},
        )

    def start(self, name: str) -> None:
        self._note(f"start {name}")
        broken = self.containers_there[name].image in self.broken_images
        self.change(name, running=not broken, restarting=False, exit_code=3 if broken else 0)

    def stop(self, name: str, grace_s: int) -> None:
        self._note(f"stop {name}")
        if name in self.containers_there:
            self.change(name, running=False)

    def rename(self, name: str, to: str) -> None:
        self._note(f"rename {name} to {to}")
        self.containers_there[to] = dataclasses.replace(self.containers_there.pop(name), name=to)

    def remove_container(self, name: str) -> None:
        self._note(f"remove {name}")
        self.containers_there.pop(name, None)

    def log_tail(self, name: str, lines: int) -> str:
        return "it said this\nand then ended"

    def has_image(self, reference: str) -> bool:
        return reference in self.images

    def digest_of(self, reference: Reference) -> str:
        return ""

    def pull(self, reference: Reference, login: Any, say: Callable[[str], None]) -> None:
        self._note(f"pull {reference}")
        self.images.add(str(reference))

    def change(self, name: str, **fields: Any) -> None:
        """Changes a container behind our back."""
        self.containers_there[name] = dataclasses.replace(self.containers_there[name], **fields)
