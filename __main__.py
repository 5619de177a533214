"""Drydock: from a vSphere site to a running application, step by step as the blog does it by hand."""

import pulumi

from components.compose_app import ComposeApp
from components.docker_host import DockerHost
from components.esxi_firewall import EsxiFirewallRule
from components.photon_vm import PhotonVm
from settings import Settings

settings = Settings.of_this_stack()
outputs: dict[str, object] = {"vm": {}, "firewall": {}, "vch": {}, "app_url": "", "images": {}}

# A Photon OS VM, booted from its ISO.
if settings.vm:
    outputs |= PhotonVm("photon", settings.vm).outputs

# Port 2377 open for outgoing connections on all ESXi hosts.
if settings.firewall:
    outputs |= EsxiFirewallRule("vic", settings.firewall).outputs

# The application, from its compose file, on the Docker host.
host = DockerHost.of(settings.docker_host, settings.docker_cert_path)
outputs |= host.outputs()
if settings.app:
    outputs |= ComposeApp("app", settings.app, host=host, registry=settings.registry).outputs

for name, value in outputs.items():
    pulumi.export(name, value)
