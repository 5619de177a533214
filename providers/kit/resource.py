"""The base of every dynamic resource: declares its outputs, hides its memory, ends the run when work is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import Resource
from pulumi.output import UNKNOWN

from providers.kit.model import MEMORY
from providers.kit.provider import NAME_KEY, Provider


class KitResource(Resource):
    """A resource of one of our providers.

    Args:
        provider: an instance of its provider class, without any state of its own.
        name: Pulumi's name of the resource.
        arguments: what the user set; `None` means not set.
        opts: Pulumi's resource options.

    Outputs:
        remembered: what the kit remembers; secret, so always encrypted in state.
    """

    remembered: pulumi.Output[Mapping[str, Any]]

    def __init__(
        self,
        provider: Provider[Any, Any, Any],
        name: str,
        arguments: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        outputs = dict.fromkeys([*provider.state.model_fields, MEMORY])
        hides = provider.inputs.secret_fields  # else they would stand in the clear among the state's inputs
        known = {key: value for key, value in arguments.items() if value is not None}
        given = {key: pulumi.Output.secret(value) if key in hides else value for key, value in known.items()}
        above = opts.parent.pulumi_resource_name if opts is not None and opts.parent is not None else ""
        given[NAME_KEY] = f"{above}/{name}" if above else name
        hidden = pulumi.ResourceOptions(additional_secret_outputs=[MEMORY, *sorted(provider.secret_outputs)])
        super().__init__(provider, name, {**outputs, **given}, pulumi.ResourceOptions.merge(hidden, opts))
        self.remembered.apply(end_run_when_unfinished)
        for output in provider.not_shown & provider.state.model_fields.keys():
            setattr(self, output, getattr(self, output).apply(observed))


def observed(value: Any) -> Any:
    """A preview shows the argument of an output's name in its place; what will be observed is unknown then."""
    return value if isinstance(value, Mapping) else UNKNOWN


def end_run_when_unfinished(memory: Mapping[str, Any] | None) -> None:
    """A partial success returns normally (raising would forget it), so the run is ended here: exit code and line."""
    failed = (memory or {}).get("failed") or {}
    if failed and not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(failed["message"])
