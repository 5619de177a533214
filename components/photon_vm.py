"""PhotonVm: the virtual machine of the blog, made with pulumi-vsphere and booted from an ISO in a datastore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pydantic import Field, model_validator

from components.base import Component, ComponentSettings, stack_label


class PhotonVmSettings(ComponentSettings):
    """Where the VM goes and how big it is; the sizes' defaults are the blog's."""

    name: str = Field("photon", min_length=1, max_length=80, description="The VM's name in the inventory.")
    datacenter: str = Field(description="Name or inventory path of the datacenter.")
    host: str | None = Field(None, description="A host, whose root resource pool takes the VM.")
    cluster: str | None = Field(None, description="A cluster, instead of a host.")
    datastore: str = Field(description="Datastore of the VM's files and of the ISO.")
    network: str = Field(description="Network of its one adapter.")
    iso: str = Field(pattern=r".+\.iso$", description="Path of the installer's ISO in the datastore.")
    folder: str | None = Field(None, description="VM folder, relative to the datacenter's.")
    num_cpus: int = Field(1, ge=1, le=128, description="Virtual CPUs.")
    memory: int = Field(512, ge=256, multiple_of=4, description="Memory in MB.")
    disk_gb: int = Field(8, ge=1, le=62 * 1024, description="Size of the disk in GB.")
    hardware_version: int = Field(11, ge=4, le=21, description="Virtual hardware version; 11 needs ESXi 6.0.")
    guest_id: str = Field("other3xLinux64Guest", description="vSphere's identifier of the guest system.")

    @model_validator(mode="after")
    def _one_place(self) -> PhotonVmSettings:
        if (self.host is None) == (self.cluster is None):
            raise ValueError("give either 'host' or 'cluster'")
        return self


class PhotonVm(Component[PhotonVmSettings]):
    """A Photon OS VM with its ISO connected at power on.

    Makes: one ``vsphere.VirtualMachine``.

    Outputs:
        vm: name, id and address (empty as long as the guest reports none).

    Errors: a name that the vCenter doesn't know ends the run with one line that says which.
    """

    def build(self, settings: PhotonVmSettings) -> Mapping[str, Any]:
        import pulumi_vsphere as vsphere  # a slow import, needed only where the stack has a VM

        place = _Place(vsphere, settings)
        machine = vsphere.VirtualMachine(
            settings.name,
            name=settings.name,
            annotation=f"Made by Drydock.\ndrydock.stack={stack_label()}/{settings.name}",
            resource_pool_id=place.pool,
            datastore_id=place.datastore,
            folder=settings.folder,
            num_cpus=settings.num_cpus,
            memory=settings.memory,
            hardware_version=settings.hardware_version,
            guest_id=settings.guest_id,
            network_interfaces=[{"network_id": place.network}],
            disks=[{"label": "disk0", "size": settings.disk_gb}],
            cdroms=[{"datastore_id": place.datastore, "path": settings.iso}],
            wait_for_guest_net_timeout=0,  # the installer asks questions before it has a network
            opts=self.child(),
        )
        address = machine.default_ip_address.apply(lambda found: found or "")
        return {"vm": {"name": machine.name, "id": machine.id, "address": address}}


class _Place:
    """The ids behind the names in the settings, asked from the vCenter."""

    def __init__(self, vsphere: Any, settings: PhotonVmSettings) -> None:
        self._provider = vsphere
        center = self._ask("datacenter", settings.datacenter, vsphere.get_datacenter).id
        if settings.cluster:
            found = self._ask("cluster", settings.cluster, vsphere.get_compute_cluster, datacenter_id=center)
        else:
            found = self._ask("host", settings.host, vsphere.get_host, datacenter_id=center)
        self.pool = found.resource_pool_id
        self.datastore = self._ask("datastore", settings.datastore, vsphere.get_datastore, datacenter_id=center).id
        self.network = self._ask("network", settings.network, vsphere.get_network, datacenter_id=center).id

    @staticmethod
    def _ask(setting: str, name: str | None, function: Any, **arguments: str) -> Any:
        try:
            return function(name=name, **arguments)
        except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception for a refused invoke
            raise pulumi.RunError(_told(setting, name, str(error))) from None


def _told(setting: str, name: str | None, said: str) -> str:
    """One line of what the provider said, by whether the vCenter or the setting is at fault."""
    reason = " ".join(said.split()).rpartition("returned an error: ")[2]
    if any(sign in reason for sign in ("Login failure", "incorrect user name or password")):
        return "vCenter: the login was refused. Correct the user and password (VSPHERE_USER, VSPHERE_PASSWORD)."
    if any(sign in reason for sign in ("dial tcp", "connection refused", "no such host", "i/o timeout", "x509")):
        return f"vCenter: can't be reached: {reason}. Correct VSPHERE_SERVER, or see that it is up."
    return (
        f"setting vm.{setting}: '{name}' could not be read from the vCenter: {reason}. "
        "Correct the setting; `python -m ops preflight` names near ones."
    )
