"""vic.VirtualContainerHost as a program declares it: its arguments and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from typing_extensions import Required, TypedDict, Unpack

from providers.kit.resource import KitResource
from providers.vic.resources.vch import VchProvider


class VchArguments(TypedDict, total=False):
    """Arguments of `VirtualContainerHost`; what each means stands in `settings.Settings`, field by field."""

    name: Required[pulumi.Input[str]]
    datacenter: pulumi.Input[str] | None
    compute_resource: pulumi.Input[str] | None
    image_store: pulumi.Input[str] | None
    volume_stores: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None
    bridge_network: pulumi.Input[str] | None
    bridge_network_range: pulumi.Input[str] | None
    bridge_network_width: pulumi.Input[int] | None
    public_network: pulumi.Input[Mapping[str, Any]] | None
    client_network: pulumi.Input[Mapping[str, Any]] | None
    management_network: pulumi.Input[Mapping[str, Any]] | None
    container_networks: pulumi.Input[Mapping[str, Any]] | None
    dns_servers: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    http_proxy: pulumi.Input[str] | None
    https_proxy: pulumi.Input[str] | None
    no_proxy: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    memory: pulumi.Input[int] | None
    memory_reservation: pulumi.Input[int] | None
    memory_shares: pulumi.Input[str | int] | None
    cpu: pulumi.Input[int] | None
    cpu_reservation: pulumi.Input[int] | None
    cpu_shares: pulumi.Input[str | int] | None
    endpoint_memory: pulumi.Input[int] | None
    endpoint_cpu: pulumi.Input[int] | None
    storage_quota: pulumi.Input[int] | None
    containers: pulumi.Input[int] | None
    base_image_size: pulumi.Input[str] | None
    container_store: pulumi.Input[str] | None
    container_name_convention: pulumi.Input[str] | None
    affinity_vm_group: pulumi.Input[bool] | None
    tls: pulumi.Input[Mapping[str, Any]] | None
    certificates: pulumi.Input[Mapping[str, Any]] | None
    registry_cas: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    insecure_registries: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    whitelist_registries: pulumi.Input[Sequence[pulumi.Input[str]]] | None
    ops_user: pulumi.Input[str] | None
    ops_password: pulumi.Input[str] | None
    ops_grant_perms: pulumi.Input[bool] | None
    syslog_address: pulumi.Input[str] | None
    asymmetric_routes: pulumi.Input[bool] | None
    use_rp: pulumi.Input[bool] | None
    debug: pulumi.Input[int] | None
    timeout_s: pulumi.Input[int] | None
    bundle: Required[pulumi.Input[Mapping[str, Any]]]
    adopt: pulumi.Input[bool] | None
    replace_protection: pulumi.Input[bool] | None
    force_destroy_volumes: pulumi.Input[bool] | None
    renew_before: pulumi.Input[str] | None
    thumbprint: pulumi.Input[str] | None


class VirtualContainerHost(KitResource, module="vic", name="VirtualContainerHost"):
    """A Virtual Container Host: one Docker API over a vSphere cluster, host or pool (facts/vic-machine.md).

    Args:
        resource_name: Pulumi's name.
        bundle: the outputs of a `Bundle`, or ``{version, source, sha256, ca, thumbprint}``. A later version is an
            upgrade, with its rollback where the VCH isn't healthy afterwards; an earlier one is refused.
        name, compute_resource, image_store, volume_stores, …: the VCH in vic-machine's words, see
            `providers.vic.settings.Settings`: memory in MB, CPU in MHz, `storage_quota` in GB. What isn't set is
            vic-machine's to choose and isn't compared.
        timeout_s: vic-machine's own limit in seconds; default 180.
        adopt: takes over a VCH of this name that was made by hand; default False.
        replace_protection: refuses a replacement while its volume stores hold volumes or containers run; default True.
        force_destroy_volumes: delete takes the volume stores with it, with all data; default False: they stay.
        renew_before: made certificates are renewed this long before they end, ``30d``; absent: once they have ended.
        thumbprint: SHA-1 or SHA-256 of the vCenter's certificate; absent: the stack's ``vsphere_thumbprint``.

    Outputs:
        vm_id, name, version, build, commit, power, pool_path: the VM and what it runs.
        docker_host, docker_api, api_version, portal: how it is reached, and whether it runs.
        server_name: the name in its certificate, where no address of `docker_host` is in it and no DNS knows the name.
        ca, client_cert, client_key: what a client needs with TLS, as PEM texts; secret.
        not_after: when the first of its certificates ends.
        volume_stores, volume_stores_online, volumes, running: the users' part, so that a destroy preview shows it.
        stranded: its container VMs outside of its pool or folder.
        update_in_progress: a change of it was begun and not ended.
        vcenter_thumbprint: the vCenter's certificate that it knows; vcenter_shows: the one that there is.
        and the settings as they are, each under its argument's name.

    Errors: Permanent with vic-machine's first real cause and the path of its whole log; Authentication, never tried
        again, where the login is refused.
    """

    vm_id: pulumi.Output[str]
    name: pulumi.Output[str]
    version: pulumi.Output[str]
    build: pulumi.Output[str]
    commit: pulumi.Output[str]
    power: pulumi.Output[str]
    pool_path: pulumi.Output[str]
    docker_host: pulumi.Output[str]
    server_name: pulumi.Output[str]
    docker_api: pulumi.Output[str]
    api_version: pulumi.Output[str]
    portal: pulumi.Output[str]
    ca: pulumi.Output[str | None]
    client_cert: pulumi.Output[str | None]
    client_key: pulumi.Output[str | None]
    not_after: pulumi.Output[str | None]
    volume_stores: pulumi.Output[Mapping[str, str]]
    volume_stores_online: pulumi.Output[Mapping[str, bool]]
    volumes: pulumi.Output[Mapping[str, str] | None]
    running: pulumi.Output[Sequence[str]]
    stranded: pulumi.Output[Sequence[str]]
    update_in_progress: pulumi.Output[bool]
    vcenter_thumbprint: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        opts: pulumi.ResourceOptions | None = None,
        **arguments: Unpack[VchArguments],
    ) -> None:
        super().__init__(VchProvider(), resource_name, dict(arguments), opts)
