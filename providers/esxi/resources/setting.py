"""esxi.AdvancedSetting: one advanced setting of ESXi hosts, in the type that each host defines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pulumi
from pydantic import Field, field_validator
from typing_extensions import Unpack

from providers.esxi.options import Definition, Value, converted
from providers.esxi.resources.hosts import HostPart, HostsInputs, HostsProvider, HostsResource, HostsState, Where

if TYPE_CHECKING:
    from providers.esxi.advanced import Option
    from providers.esxi.fleet import Client
    from providers.esxi.vsphere import VSphere


class SettingInputs(HostsInputs):
    """Arguments of `AdvancedSetting`."""

    key: str = Field(min_length=1, description="Its key, for example UserVars.SuppressShellWarning.")
    value: Value = Field(description="Its value; text is read as a number or truth value where the host defines one.")

    @field_validator("value")
    @classmethod
    def _whole(cls, value: Value) -> Value:
        """Pulumi hands every number over as a fraction."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class HostSetting(HostPart):
    """One host's setting and what the host allows; where the host doesn't show it, only its key and the reason."""

    key: str
    value: Value | None = None
    kind: str = "string"
    lowest: int | float | None = None
    highest: int | float | None = None
    choices: list[str] | None = None
    read_only: bool | None = None

    @property
    def which(self) -> str:
        return self.key

    @property
    def shown(self) -> bool:
        return self.value is not None

    @property
    def definition(self) -> Definition:
        return Definition(self.kind, self.lowest, self.highest, tuple(self.choices or ()), bool(self.read_only))


class SettingState(HostsState):
    """Every host's setting."""

    hosts: dict[str, HostSetting]


class SettingProvider(HostsProvider[SettingInputs, SettingState, HostSetting, "Option"]):
    """Writes one advanced setting."""

    kind = "esxi.AdvancedSetting"
    inputs = SettingInputs
    state = SettingState
    part = HostSetting
    setting = "advanced setting"
    named_by = "key"
    replace_on = HostsProvider.replace_on | {"key"}

    def client(self, vsphere: VSphere) -> Client[Option]:
        from providers.esxi.advanced import AdvancedSettings

        return AdvancedSettings(vsphere)

    def show(self, desired: SettingInputs, there: Option) -> Mapping[str, Any]:
        rule = there.definition
        found: dict[str, Any] = {"key": there.key, "value": there.value, "kind": rule.kind}
        found |= {"lowest": rule.lowest, "highest": rule.highest, "choices": list(rule.choices) or None}
        return {**found, "read_only": True} if rule.read_only else found

    def hide(self, key: str) -> Mapping[str, Any]:
        return {"key": key}

    def wanted(self, desired: SettingInputs, there: Option) -> Option:
        return replace(there, value=converted(desired.value, there.definition))

    def restored(self, before: HostSetting, there: Option) -> Option:
        return there if before.value is None else replace(there, value=before.value)

    def expected_on(self, desired: SettingInputs, part: HostSetting) -> Mapping[str, Any]:
        try:
            return {"value": converted(desired.value, part.definition)}
        except ValueError:
            return {"value": desired.value}  # refused, with the reason, before anything is changed

    def refusal(self, desired: SettingInputs, part: HostSetting) -> tuple[str, str] | None:
        try:
            wanted = converted(desired.value, part.definition)
        except ValueError as error:
            return "value", f"'{part.key}': {error}"
        if part.read_only and wanted != part.value:
            return "key", f"'{part.key}' can't be changed"
        return None

    def words(self, value: Option) -> str:
        return f"{value.key} is {value.value}"


class AdvancedSetting(HostsResource, module="esxi", name="AdvancedSetting"):
    """An advanced setting of ESXi hosts (vSphere API: HostSystem.configManager.advancedOption).

    Args:
        resource_name: Pulumi's name.
        cluster, host, hosts: which hosts, as for `FirewallRuleset`.
        key: its key, for example ``UserVars.SuppressShellWarning``.
        value: its value, of the type that the hosts define for the key; text is read as a number or truth value where
            they define one. No secrets: hosts show their settings to everybody who may look.
        allow_empty, on_delete, at_once: as for `FirewallRuleset`.

    Outputs:
        target: inventory path of the cluster or host.
        hosts: host name → path, key, value, kind (``bool``, ``int``, ``long``, ``float``, ``string``, ``choice``),
            lowest, highest, choices, reason, error.

    Errors: as of `FirewallRuleset`; a value that a host's definition doesn't allow is refused in the preview, with
    what is allowed.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        key: pulumi.Input[str],
        value: pulumi.Input[Value],
        opts: pulumi.ResourceOptions | None = None,
        **where: Unpack[Where],
    ) -> None:
        arguments = {"key": key, "value": value}
        super().__init__(SettingProvider(), resource_name, {**arguments, **where}, opts)
