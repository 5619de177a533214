"""What a `VirtualContainerHost` takes: all settings of the VCH, and what is only ours to know about it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from providers.vic.resources.bundle import BundlePlace
from providers.vic.settings import DEFAULT_BRIDGE_RANGE, DEFAULT_BRIDGE_WIDTH, Settings

# What vic-machine does where nothing is said, for an argument that is taken out of the program again.
DEFAULTS: dict[str, Any] = {
    "bridge_network_range": DEFAULT_BRIDGE_RANGE,
    "bridge_network_width": DEFAULT_BRIDGE_WIDTH,
    "http_proxy": "",
    "https_proxy": "",
    "memory": 0,
    "memory_reservation": 0,
    "memory_shares": "normal",
    "cpu": 0,
    "cpu_reservation": 0,
    "cpu_shares": "normal",
    "endpoint_memory": 2048,
    "endpoint_cpu": 1,
    "storage_quota": 0,
    "containers": 0,
    "affinity_vm_group": False,
    "asymmetric_routes": False,
    "debug": 0,
    "dns_servers": [],
    "no_proxy": [],
    "insecure_registries": [],
    "whitelist_registries": [],
    "registry_cas": [],
}

MADE_FOR_DAYS = 365  # by vic-machine (facts/vic-machine.md); a longer time would renew in every run


def _days(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,3}d", text):
        raise ValueError("a number of days such as 30d is allowed")
    if int(text[:-1]) >= MADE_FOR_DAYS:
        raise ValueError(f"less than the {MADE_FOR_DAYS}d that a made certificate is valid for is allowed")
    return text


class VchInputs(Settings):
    """Arguments of `VirtualContainerHost`."""

    bundle: BundlePlace = Field(description="The vic-machine bundle: the outputs of a Bundle, or version and source.")
    adopt: bool = Field(False, description="Takes over a VCH of this name that was made by hand.")
    replace_protection: bool = Field(
        True, description="Refuses a replacement while volume stores hold volumes or containers run."
    )
    force_destroy_volumes: bool = Field(False, description="Delete takes the volume stores with all volumes with it.")
    renew_before: Annotated[str, AfterValidator(_days)] | None = Field(
        None, description="Made certificates are renewed this long before they end, for example 30d."
    )
    thumbprint: str | None = Field(
        None,
        pattern=r"^(?:[0-9A-Fa-f]{2}:?){20}$|^(?:[0-9A-Fa-f]{2}:?){32}$",
        description="SHA-1 or SHA-256 of the vCenter's certificate; absent: the stack's `vsphere_thumbprint`.",
    )

    def settings(self, **otherwise: Any) -> Settings:
        """What vic-machine is to make, and nothing that is only ours."""
        given = self.model_dump(mode="json", exclude_unset=True)
        return Settings.model_validate(
            {name: value for name, value in {**given, **otherwise}.items() if name in Settings.model_fields}
        )

    @property
    def renewal(self) -> timedelta:
        """How long before their end made certificates are renewed; without an argument when they have ended."""
        return timedelta(days=int(self.renew_before[:-1])) if self.renew_before else timedelta()
