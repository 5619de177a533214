"""Drydock: from a vSphere site to a running application, step by step as the blog does it by hand."""

import pulumi

from components.compose_app import ComposeApp
from components.docker_host import DockerHost
from components.esxi_firewall import EsxiFirewallRule
from components.photon_vm import PhotonVm
from components.vch import Vch
from settings import Settings

settings = Settings.of_this_stack()
outputs: dict[str, object] = {"vm": {}, "firewall": {}, "vch": {}, "app_url": "", "images": {}}

# A Photon OS VM, booted from its ISO.
if settings.vm:
    outputs |= PhotonVm("photon", settings.vm).outputs

# Port 2377 open for outgoing connections on all ESXi hosts.
firewall = EsxiFirewallRule("vic", settings.firewall) if settings.firewall else None
outputs |= firewall.outputs if firewall else {}

# A Virtual Container Host; without one, the Docker host that is there.
vch = Vch("vch", settings.vch, registry_ca=settings.registry_ca, after=firewall) if settings.vch else None
outputs |= vch.outputs if vch else {}
host = vch.host if vch else DockerHost.of(settings.docker_host, settings.docker_cert_path)
outputs |= host.outputs()

# The application, from its compose file, on it.
if settings.app:
    outputs |= ComposeApp("app", settings.app, host=host, registry=settings.registry).outputs

for name, value in outputs.items():
    pulumi.export(name, value)
