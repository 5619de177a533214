"""The systems behind a stack's settings, reached through our clients, for what runs around `up` and `down`."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.stack import Stack
from providers.kit.model import BadInputs
from providers.kit.secrets import Settings

if TYPE_CHECKING:
    from providers.docker.client import Engine
    from providers.esxi.vsphere import VSphere
    from settings import Settings as StackSettings

NAMESPACE = "drydock"
CREATION_LIMIT_S = 60.0

_POLL_S = 0.5
_CREATION = "Folder.createVm"


class WrongSettings(Exception):
    """The stack's settings don't fit the model.

    Args:
        lines: one a setting.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


class Problems(Exception):
    """Several things are wrong with one system.

    Args:
        lines: one a thing.
    """

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


@dataclass(frozen=True)
class Site:
    """What a stack's settings say about its systems.

    Args:
        stack: the stack.
        settings: its settings, checked.
        values: config and environment, as the providers read them.
    """

    stack: Stack
    settings: StackSettings
    values: Settings

    @classmethod
    def of(cls, stack: Stack) -> Site:
        """Reads a stack's settings.

        Raises:
            StackError: the file can't be read.
            WrongSettings: names each wrong setting, its value and what is allowed.
        """
        from settings import Settings as StackSettings

        config = stack.config()
        try:
            checked = StackSettings.from_values(config)
        except BadInputs as error:
            lines = [f"{stack.file.name}: setting {name}: {reason}" for name, reason in error.problems]
            raise WrongSettings(lines) from error
        return cls(stack, checked, settings_of(config))


def settings_of(config: Mapping[str, Any]) -> Settings:
    """A stack's config, as the providers read it: `key` stands for `drydock:key`; then comes the environment."""
    return Settings(
        config=lambda key: config.get(key if ":" in key else f"{NAMESPACE}:{key}"),
        environ=os.environ,
    )


@contextmanager
def vcenter(settings: Settings) -> Iterator[VSphere]:
    """A session with the vCenter that the settings name; the login is tried once."""
    from providers.esxi.vsphere import Endpoint, VSphere

    with closing(VSphere(Endpoint.of(settings))) as session:
        yield session


@contextmanager
def docker(settings: Settings, given: Mapping[str, Any] | None = None) -> Iterator[Engine]:
    """A session with a Docker host: as given, ``{host, ca, cert, key, server_name}``, else as the settings name it."""
    from providers.docker.client import Connection, Engine

    with closing(Engine(Connection.of(settings, given))) as engine:
        yield engine


def machines(stack: Stack, lines: Collection[str]) -> dict[str, str]:
    """Line of an annotation → inventory path, for those of the lines that a VM's annotation holds.

    A creation that is still going on in the vCenter is waited for, since nobody else would ever see its end.
    """
    from pyVmomi import vim

    from providers.esxi.vsphere import inventory_path

    with vcenter(settings_of(stack.config())) as session:
        _wait_for_creations(session)
        tree = ["name", "parent"]
        kinds = {vim.VirtualMachine: [*tree, "config.annotation"], vim.Folder: tree, vim.Datacenter: tree}
        known = dict(session.collect(kinds))
    found = {}
    for one, properties in known.items():
        for line in str(properties.get("config.annotation") or "").splitlines():
            if line in lines:
                found[line] = inventory_path(one, known)
    return found


def _wait_for_creations(session: VSphere) -> None:
    from pyVmomi import vim

    deadline = time.monotonic() + CREATION_LIMIT_S
    while time.monotonic() < deadline:
        with session.speaking():
            tasks = list(session.content.taskManager.recentTask)
        kinds = {vim.Task: ["info.descriptionId", "info.state"]}
        states = [task for _, task in session.collect(kinds, roots=tasks)]
        if not any(
            task.get("info.descriptionId") == _CREATION and task.get("info.state") in ("queued", "running")
            for task in states
        ):
            return
        time.sleep(_POLL_S)
