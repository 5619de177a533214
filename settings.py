"""The stack's settings: one model, read once, from the config of the stack (`Pulumi.<stack>.yaml`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components.compose_app import ComposeAppSettings
from components.esxi_firewall import EsxiFirewallRuleSettings
from components.photon_vm import PhotonVmSettings
from components.vch import VchSettings
from providers.kit.model import BadInputs, nearest, parse

PROJECT = "drydock"


class Settings(BaseModel):
    """Everything that a stack can set. A part that isn't set isn't made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vm: PhotonVmSettings | None = Field(None, description="The Photon OS VM.")
    firewall: EsxiFirewallRuleSettings | None = Field(None, description="The ESXi firewall rule.")
    vch: VchSettings | None = Field(None, description="The Virtual Container Host; without it: docker_host.")
    app: ComposeAppSettings | None = Field(None, description="The application.")
    vsphere_thumbprint: str | None = Field(
        None,
        pattern=r"^[0-9A-Fa-f:]{40,95}$",
        description="The vCenter certificate's SHA-1 or SHA-256 thumbprint; else VSPHERE_THUMBPRINT.",
    )
    docker_host: str | None = Field(
        None,
        pattern=r"^(unix|tcp)://.+",
        description="The Docker host, unix:///path or tcp://address:port; else DOCKER_HOST.",
    )
    docker_cert_path: str | None = Field(
        None, description="Folder with ca.pem, cert.pem and key.pem of the Docker host; else DOCKER_CERT_PATH."
    )
    registry: str | None = Field(None, description="The registry that needs a login, host:port; else REGISTRY.")
    registry_user: str | None = Field(None, description="Its user; else REGISTRY_USER.")
    registry_ca: str | None = Field(None, description="Path of its CA's PEM file; else REGISTRY_CA.")
    registry_password: object = Field(None, description="Its password, set with --secret; else REGISTRY_PASSWORD.")

    @classmethod
    def of_this_stack(cls) -> Settings:
        """The settings of the running program's stack; wrong ones end the run with one line each."""
        config = pulumi.runtime.config.CONFIG.get() or pulumi.runtime.config.get_config_env()
        try:
            return cls.from_values(config)
        except BadInputs as error:
            problems = [f"setting {name}: {reason}" for name, reason in error.problems]
            raise pulumi.RunError(f"Pulumi.{pulumi.get_stack()}.yaml: " + "; ".join(problems)) from None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """The settings in a config mapping, ``namespace:key`` -> value or its JSON text.

        Raises:
            BadInputs: names each setting, its value and what is allowed.
        """
        prefix = f"{PROJECT}:"
        own = {key.removeprefix(prefix): _value(value) for key, value in values.items() if key.startswith(prefix)}
        secrets = _secret_names(own.get("app"))
        strangers = own.keys() - cls.model_fields.keys() - secrets
        if strangers:
            known = sorted({*cls.model_fields, *secrets})
            raise BadInputs([(key, "is not a known setting" + nearest(key, known)) for key in sorted(strangers)])
        return parse(cls, {key: value for key, value in own.items() if key in cls.model_fields})


def _value(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value


def _secret_names(app: Any) -> set[str]:
    """The config keys that the application's secrets refer to are settings as well, read by the providers only."""
    secrets = app.get("secrets") if isinstance(app, Mapping) else None
    return {str(name) for name in secrets.values()} if isinstance(secrets, Mapping) else set()
