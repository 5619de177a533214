"""The advanced settings of ESXi hosts, typed by each host's own definitions: reading many at once and changing one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import VmomiSupport, vim

from providers.esxi.elements import HostElements
from providers.esxi.inventory import Host
from providers.esxi.options import Definition, Value, typed
from providers.esxi.vsphere import VSphere

SETTINGS = "setting"
DEFINITIONS = "supportedOption"


@dataclass(frozen=True)
class Option:
    """One advanced setting of one host.

    Args:
        key: its key, for example ``UserVars.SuppressShellWarning``.
        value: of the type that the host defines.
        definition: what the host allows.
    """

    key: str
    value: Value
    definition: Definition


class AdvancedSettings:
    """The advanced settings of many hosts (vSphere API: HostSystem.configManager.advancedOption, an OptionManager)."""

    system = "advancedOption"

    def __init__(self, vsphere: VSphere) -> None:
        self._vsphere = vsphere
        self._values = HostElements(vsphere, vim.option.OptionManager, SETTINGS)
        self._definitions = HostElements(vsphere, vim.option.OptionManager, DEFINITIONS)

    def read(self, hosts: Sequence[Host], keys: Sequence[str]) -> dict[str, dict[str, Option]]:
        """Host name → key → setting, in two calls for all hosts; what a host doesn't show is left out."""
        values, definitions = self._values.read(hosts, keys), self._definitions.read(hosts, keys)
        return {host: _options(known, definitions[host]) for host, known in values.items()}

    def keys(self, host: Host) -> list[str]:
        """Every advanced setting that a host has, by key."""
        return self._values.keys(host)

    def apply(self, host: Host, wanted: Option, there: Option) -> None:
        """Writes one setting."""
        value = _WIRE[wanted.definition.kind](wanted.value)
        with self._vsphere.speaking(f"host {host.name}"):
            host.system.UpdateOptions(changedValue=[vim.option.OptionValue(key=wanted.key, value=value)])


# A host refuses an xsd:int where it defines an xsd:long.
_WIRE: Mapping[str, Callable[[Any], Any]] = {
    "bool": bool,
    "int": int,
    "long": VmomiSupport.vmodlTypes["long"],
    "float": VmomiSupport.vmodlTypes["double"],
    "string": str,
    "choice": str,
}


def _options(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Option]:
    found = {}
    for key, one in values.items():
        definition = _definition(kinds.get(key), one.value)
        found[key] = Option(key, typed(one.value, definition), definition)
    return found


def _definition(one: Any, value: Any) -> Definition:
    if one is None:  # a setting without a definition keeps the type that it has
        return Definition(_kind_of(value))
    kind = one.optionType
    read_only = bool(kind.valueIsReadonly)
    if isinstance(kind, vim.option.BoolOption):
        return Definition("bool", read_only=read_only)
    if isinstance(kind, vim.option.ChoiceOption):
        return Definition("choice", choices=tuple(each.key for each in kind.choiceInfo), read_only=read_only)
    for name, type_ in (
        ("int", vim.option.IntOption),
        ("long", vim.option.LongOption),
        ("float", vim.option.FloatOption),
    ):
        if isinstance(kind, type_):
            return Definition(name, lowest=kind.min, highest=kind.max, read_only=read_only)
    return Definition("string", read_only=read_only)


def _kind_of(value: Any) -> str:
    kinds = {bool: "bool", VmomiSupport.vmodlTypes["long"]: "long", int: "int", float: "float"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "string")
