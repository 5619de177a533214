"""The resources of ESXi hosts: one setting on a host, on several, or on every host of a cluster at all times.

State refers to the providers by the names here as well as by their modules': both are public.
"""

from providers.esxi.resources.defaults import DefaultsProvider, FirewallDefaults
from providers.esxi.resources.ruleset import FirewallRuleset, RulesetProvider
from providers.esxi.resources.service import HostService, ServiceProvider
from providers.esxi.resources.setting import AdvancedSetting, SettingProvider

__all__ = [
    "AdvancedSetting",
    "DefaultsProvider",
    "FirewallDefaults",
    "FirewallRuleset",
    "HostService",
    "RulesetProvider",
    "ServiceProvider",
    "SettingProvider",
]
