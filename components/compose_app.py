"""ComposeApp: an application from its compose file, as networks, volumes and containers on a Docker host."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from pydantic import Field

from components.base import Component, ComponentSettings, stack_label
from components.compose_file import ComposeError, ComposeFile, Port, Service, read
from components.docker_host import DockerHost
from providers.docker.resources import Container, Network, Volume

_NAME = r"^[a-z0-9][a-z0-9_-]*$"
# Stands in a value while the file is read; no value of a settings file can hold a control character.
_SECRET_MARK = "\x01{}\x02"
_SECRET_IN_TEXT = re.compile("\x01(.+?)\x02")
# The same for the host's address, which a VCH has only once it is made.
_HOST_MARK = "\x03host\x04"
_MARKS = "\x01\x02\x03\x04"


class ComposeAppSettings(ComponentSettings):
    """Which file, and what its variables mean."""

    file: str = Field(description="Path of the compose file, relative to the project.")
    project_name: str | None = Field(
        None, pattern=_NAME, description="Compose's project; else the file's `name`, or its folder."
    )
    environment: dict[str, str] = Field({}, description="Values of the file's variables.")
    secrets: dict[str, str] = Field({}, description="Variables whose value is a secret of the stack, by its name.")
    images: dict[str, str] = Field({}, description="Service -> the image to run in place of the file's: the pins.")
    page: int | None = Field(None, ge=1, le=65535, description="Published port of the page; else the first one.")
    adopt: bool = Field(False, description="Takes over what another stack or compose itself has made.")
    delete_volumes: bool = Field(False, description="Whether destroy deletes the application's data.")


class ComposeApp(Component[ComposeAppSettings]):
    """An application from its compose file.

    Makes: one ``docker.Network`` per network, ``docker.Volume`` per volume, ``docker.Container`` per service,
    in the order of ``depends_on``.

    Args:
        host: where it runs.
        registry: what ``${REGISTRY}`` means in the file; else REGISTRY.

    Outputs:
        app_url: where the page answers.
        images: service -> reference by digest.

    Errors: a wrong compose file ends the run with one line that names file, line and column.
    """

    def __init__(
        self,
        name: str,
        settings: ComposeAppSettings,
        *,
        host: DockerHost,
        registry: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._host = host
        self._registry = registry or os.environ.get("REGISTRY") or ""
        super().__init__(name, settings, opts)

    def build(self, settings: ComposeAppSettings) -> Mapping[str, Any]:
        self._settings = settings
        app = self._read()
        self._project = app.name
        self._networks = {name: self._network(app, name) for name in _used_networks(app)}
        self._volumes = {name: self._volume(app, name) for name in app.volumes}
        self._containers: dict[str, Container] = {}
        for name in app.in_start_order():
            self._containers[name] = self._container(name, app.services[name])
        images = {name: container.image for name, container in self._containers.items()}
        return {"app_url": self._placed(self._url(app)), "images": images}

    def _read(self) -> ComposeFile:
        """Read twice: the page's own address, which the file may ask for, is known after the first time."""
        file, name = Path(self._settings.file), self._settings.project_name
        try:
            first = read(file, {**self._variables(), "APP_URL": "http://unknown"}, name)
            app = read(file, {**self._variables(), "APP_URL": self._url(first)}, name)
        except ComposeError as error:
            raise pulumi.RunError(str(error)) from None
        strangers = self._settings.images.keys() - app.services.keys()
        if strangers:
            names = ", ".join(sorted(strangers))
            raise pulumi.RunError(f"setting app.images: {self._settings.file} has no service {names}")
        return app

    def _variables(self) -> dict[str, str]:
        secrets = {name: _SECRET_MARK.format(secret) for name, secret in self._settings.secrets.items()}
        site = {"REGISTRY": self._registry} if self._registry else {}
        return {**site, **self._settings.environment, **secrets}

    def _url(self, app: ComposeFile) -> str:
        ports = [port for service in app.services.values() for port in service.ports if port.protocol == "tcp"]
        page = self._settings.page or (ports[0].published if ports else None)
        return f"http://{_HOST_MARK}:{page}/" if page else ""

    def _placed(self, text: str) -> pulumi.Input[str]:
        """A text with the host's address in its place."""
        if _HOST_MARK not in text:
            return text
        return self._host.reached_at.apply(lambda host: text.replace(_HOST_MARK, host))

    def _network(self, app: ComposeFile, name: str) -> Network:
        spec = app.networks[name]
        return Network(
            f"{self.name}-{name}",
            name=spec.name,
            driver=spec.driver,
            labels={**spec.labels, **self._labels(network=name)},
            adopt=self._settings.adopt or None,
            connection=self._host.connection,
            opts=self.child(),
        )

    def _volume(self, app: ComposeFile, name: str) -> Volume:
        spec = app.volumes[name]
        return Volume(
            f"{self.name}-{name}",
            name=spec.name,
            driver=spec.driver,
            driver_opts=spec.driver_opts or None,
            labels={**spec.labels, **self._labels(volume=name)},
            delete_data=self._settings.delete_volumes or None,
            adopt=self._settings.adopt or None,
            connection=self._host.connection,
            opts=self.child(),
        )

    def _container(self, name: str, service: Service) -> Container:
        self._refuse_marks_outside_the_environment(name, service)
        plain, secret = _split(service.environment)
        labels = self._labels(service=name) | {"com.docker.compose.container-number": "1"}
        return Container(
            f"{self.name}-{name}",
            project=self._project,
            service=name,
            container_name=service.container_name or f"{self._project}-{name}-1",
            image=self._settings.images.get(name, service.image),
            command=service.command,
            environment={key: self._placed(value) for key, value in plain.items()} or None,
            secret_environment={key: self._placed(value) for key, value in secret.items()} or None,
            ports=[_port_argument(port) for port in service.ports] or None,
            mounts=[
                {"volume": self._volumes[one.volume].name, "target": one.target, "read_only": one.read_only}
                for one in service.volumes
            ]
            or None,
            networks=[{"name": self._networks[one].name, "aliases": [name]} for one in service.networks],
            restart=service.restart,
            labels={**service.labels, **labels},
            adopt=self._settings.adopt or None,
            connection=self._host.connection,
            opts=self.child(*(self._containers[other] for other in service.depends_on)),
        )

    def _labels(self, **what: str) -> dict[str, str]:
        named = {f"com.docker.compose.{kind}": name for kind, name in what.items()}
        return {"com.docker.compose.project": self._project, **named, "drydock.stack": stack_label()}

    def _refuse_marks_outside_the_environment(self, name: str, service: Service) -> None:
        for key, value in service.model_dump(exclude={"environment"}).items():
            text = _with_marks(value)
            secret = _SECRET_IN_TEXT.search(text)
            if secret:
                raise pulumi.RunError(
                    f"{self._settings.file}: services.{name}.{key}: the secret '{secret[1]}' may only stand in "
                    "'environment'; everything else can be seen by whoever lists containers"
                )
            if _HOST_MARK in text:
                raise pulumi.RunError(
                    f"{self._settings.file}: services.{name}.{key}: APP_URL may only stand in 'environment'; it is "
                    "known once its Docker host is there"
                )


def _used_networks(app: ComposeFile) -> list[str]:
    """Compose makes those that a service uses."""
    return sorted({name for service in app.services.values() for name in service.networks})


def _with_marks(value: Any) -> str:
    """A value of any shape as one text, in which our marks can be looked for."""
    text = repr(value)
    for mark in _MARKS:
        text = text.replace(repr(mark)[1:-1], mark)
    return text


def _split(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Plain values, and templates of those with a secret in them: ``${name}``, with ``$$`` for the sign itself."""
    secret = {
        name: _SECRET_IN_TEXT.sub(lambda found: "${" + found[1] + "}", value.replace("$", "$$"))
        for name, value in environment.items()
        if _SECRET_IN_TEXT.search(value)
    }
    return {name: value for name, value in environment.items() if name not in secret}, secret


def _port_argument(port: Port) -> dict[str, Any]:
    return port.model_dump(exclude_none=True)
