"""The resources of vSphere Integrated Containers: the vic-machine bundle, and the Virtual Container Host.

State refers to the providers by the names here as well as by their modules': both are public.
"""

from providers.vic.resources.bundle import Bundle, BundleProvider
from providers.vic.resources.host import VchArguments, VirtualContainerHost
from providers.vic.resources.vch import VchProvider

__all__ = ["Bundle", "BundleProvider", "VchArguments", "VchProvider", "VirtualContainerHost"]
