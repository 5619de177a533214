"""The Docker that `DOCKER_HOST` names, in the engine's place where the lab may not run one of its own.

It is someone else's: only what carries our label is ever removed from it.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from lab.parts.part import Part
from ops.toolchain import SetupError

if TYPE_CHECKING:
    from docker import DockerClient

OURS = "drydock.stack=drydock/lab"
ASK_LIMIT_S = 30


class HostEngine(Part):
    """A Docker Engine that was there before us."""

    name = "engine"

    @property
    def address(self) -> str:
        return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"

    def install(self) -> None:
        """Nothing to get: it is there."""

    def start(self) -> None:
        if not self.healthy():
            raise SetupError(
                f"the Docker at {self.address} doesn't answer, and only root on Linux gets an engine of the lab's own: "
                "set DOCKER_HOST (and DOCKER_TLS_VERIFY, DOCKER_CERT_PATH) to a Docker that you may use"
            )

    def healthy(self) -> bool:
        from docker.errors import DockerException

        try:
            with closing(self._client()) as client:
                return bool(client.ping())
        except DockerException:
            return False

    def stop(self) -> None:
        """Removes our containers and networks; volumes stay."""
        from docker.errors import DockerException

        try:
            with closing(self._client()) as client:
                for container in client.containers.list(all=True, filters={"label": OURS}):
                    container.remove(force=True)
                for network in client.networks.list(filters={"label": OURS}):
                    network.remove()
        except DockerException as error:
            raise SetupError(f"the Docker at {self.address} didn't let us remove what is ours: {error}") from error

    def forget(self) -> None:
        """Removes our volumes."""
        with closing(self._client()) as client:
            for volume in client.volumes.list(filters={"label": OURS}):
                volume.remove()

    def variables(self) -> dict[str, str]:
        names = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
        return {"DOCKER_HOST": self.address} | {name: os.environ[name] for name in names if name in os.environ}

    def _client(self) -> DockerClient:
        import docker

        return docker.from_env(timeout=ASK_LIMIT_S)
