"""VirtualContainerHost: a Docker API over vSphere, from its vic-machine bundle to an endpoint that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from pydantic import Field

from components.base import Component, ComponentSettings
from components.docker_host import DockerHost
from providers.vic.resources import Bundle, VirtualContainerHost
from providers.vic.resources.inputs import VchInputs

BUNDLE = "VIC_BUNDLE"


class BundleSettings(ComponentSettings):
    """Which vic-machine, and where it comes from."""

    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="vic-machine's version, for example 1.5.6.")
    source: str | None = Field(
        None, description="https URL or path of the bundle's .tar.gz, {version} in it is the version; else VIC_BUNDLE."
    )
    sha256: str | None = Field(None, description="SHA-256 of the .tar.gz.")
    ca: str | None = Field(None, description="Path of the PEM file of the CA that the server is verified by.")
    thumbprint: str | None = Field(None, description="The server certificate's thumbprint, instead of a CA.")

    def place(self) -> str:
        """Where it comes from. Raises ValueError where neither a setting nor the environment says it."""
        found = self.source or os.environ.get(BUNDLE)
        if not found:
            raise ValueError(f"setting vch.bundle.source is not set, and {BUNDLE} isn't either: set one of the two")
        return found.replace("{version}", self.version)


class VchSettings(VchInputs, ComponentSettings):
    """The VCH in vic-machine's words, and its bundle."""

    bundle: BundleSettings = Field(description="Which vic-machine, and where it comes from.")  # type: ignore[assignment]


class Vch(Component[VchSettings]):
    """A Virtual Container Host.

    Makes: a ``vic.Bundle`` and a ``vic.VirtualContainerHost``.

    Args:
        registry_ca: path of a PEM file with the CA of the registry that the VCH pulls from; else REGISTRY_CA.
        after: what must be there before, such as the firewall's rule.

    Outputs:
        vch: name, id, version, api_version, portal, docker_api (RUNNING), server_name, volume_stores, not_after.
        docker_host, docker_ca, docker_cert, docker_key: how clients reach it; the key is secret.
    """

    def __init__(
        self,
        name: str,
        settings: VchSettings,
        *,
        registry_ca: str | None = None,
        after: pulumi.Resource | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._registry_ca = registry_ca or os.environ.get("REGISTRY_CA") or None
        self._after = [] if after is None else [after]
        super().__init__(name, settings, opts)

    def build(self, settings: VchSettings) -> Mapping[str, Any]:
        place = _place(settings.bundle)
        bundle = Bundle(f"{self.name}-bundle", **place, opts=self.child())
        given = settings.model_dump(mode="json", exclude_unset=True, exclude={"bundle"})
        if self._registry_ca and not settings.registry_cas:
            given["registry_cas"] = [_pem(self._registry_ca)]
        given["bundle"] = {"version": bundle.version, "source": bundle.source, "sha256": bundle.sha256}
        given["bundle"] |= {name: value for name, value in place.items() if name in ("ca", "thumbprint") and value}
        vch = VirtualContainerHost(self.name, **given, opts=self.child(bundle, *self._after))
        self.host = DockerHost.reached(vch.docker_host, vch.ca, vch.client_cert, vch.client_key, vch.server_name)
        shown = ("name", "version", "api_version", "portal", "docker_api", "server_name", "volume_stores", "not_after")
        return {"vch": {"id": vch.vm_id, **{name: getattr(vch, name) for name in shown}}}


def _place(bundle: BundleSettings) -> dict[str, Any]:
    try:
        source = bundle.place()
    except ValueError as error:
        raise pulumi.RunError(str(error)) from None
    given = {"version": bundle.version, "source": source, "sha256": bundle.sha256, "thumbprint": bundle.thumbprint}
    return {**given, "ca": _pem(bundle.ca) if bundle.ca else None}


def _pem(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise pulumi.RunError(f"{path} can't be read: {error.strerror}") from None
