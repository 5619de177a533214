"""A stack's volumes on its Docker host or VCH, for `down`: what stays, and what is deleted when that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ops import site, vch_stack
from ops.stack import Stack

if TYPE_CHECKING:
    from providers.docker.client import Engine

LABEL = "drydock.stack"


class Volumes:
    """The volumes that carry a stack's label.

    Args:
        host: the Docker host's address.
        engine: a session with it.
        stack: whose volumes.
        stores: label → place of the volume stores, where the host is a VCH.
    """

    def __init__(self, host: str, engine: Engine, stack: Stack, stores: Mapping[str, str] | None = None) -> None:
        self.host = host
        self.stores = stores
        self._engine = engine
        self._label = f"{LABEL}={stack.label}"

    def names(self) -> list[str]:
        """Their names."""
        return sorted(one.name for one in self._engine.volumes(self._label))

    def delete(self, name: str) -> None:
        """Deletes one, with all that is in it."""
        self._engine.remove_volume(name)


@contextmanager
def volumes_of(stack: Stack) -> Iterator[Volumes]:
    """A stack's volumes, on its VCH, else on the Docker host that its settings or the environment name.

    Raises:
        DrydockError: the Docker host isn't reached.
        StackError: the stack's VCH isn't made.
    """
    vch = vch_stack.reached(stack) if vch_stack.makes_one(stack) else None
    with site.docker(site.settings_of(stack.config()), vch.connection if vch else None) as engine:
        yield Volumes(engine.connection.host, engine, stack, vch.volume_stores if vch else None)
