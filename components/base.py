"""What all components share: their settings' rules, and one place that registers children and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import pulumi
from pydantic import BaseModel, ConfigDict


class ComponentSettings(BaseModel):
    """A component's part of the stack's settings: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


T = TypeVar("T", bound=ComponentSettings)


class Component(pulumi.ComponentResource, Generic[T]):
    """A component: `build` makes its children and returns its outputs.

    Args:
        name: Pulumi's name, unique in the stack.
        settings: the component's settings.
        opts: Pulumi's resource options; children inherit what Pulumi hands down.
    """

    def __init__(self, name: str, settings: T, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"drydock:components:{type(self).__name__}", name, None, opts)
        self.name = name
        self.outputs = dict(self.build(settings))
        self.register_outputs(self.outputs)

    def build(self, settings: T) -> Mapping[str, Any]:
        """Makes the children, each with `self.child()`; returns the outputs by name."""
        raise NotImplementedError

    def child(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        """The options of a child that is made after the given resources."""
        return pulumi.ResourceOptions(parent=self, depends_on=list(after))


def stack_label() -> str:
    """What marks a thing as this stack's: ``<project>/<stack>``."""
    return f"{pulumi.get_project()}/{pulumi.get_stack()}"
