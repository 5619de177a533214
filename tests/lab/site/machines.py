"""VCHs made by hand through pyVmomi, as vic-machine makes them, for tests of the site."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.poly1305 import Poly1305
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from lab.site import secretbox
from tests.tasks import finished

DATASTORE = "LocalDS_0"
ISO = "v1.5.6-21029-2be3feb-appliance.iso"
LIMIT_S = 60.0

_SETTINGS = Path(__file__).parent / "vch-1.5.6.json"
_STARTED = "guestinfo.vice..init.sessions|{}.started"


@dataclass(frozen=True)
class Site:
    """A vCenter to make VCHs in, and the authority of the registry that they may pull from."""

    address: str
    thumbprint: str
    user: str
    password: str
    registry_authority: str


@dataclass(frozen=True)
class Papers:
    """Certificates as vic-machine makes them, PEM: the client's has its issuer's subject."""

    authority: str
    server: str
    server_key: str
    client: str
    client_key: str

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("ca", self.authority), ("cert", self.client), ("key", self.client_key)):
            (folder / f"{name}.pem").write_text(text)
        return folder


@dataclass
class VCH:
    """A VCH's VM."""

    site: Site
    name: str
    reference: str
    papers: Papers | None = None
    made: list[str] = field(default_factory=list)

    def values(self) -> dict[str, str]:
        with looking(self.site) as content:
            found = machine(content, self.reference).config.extraConfig
            return {one.key: one.value for one in found}

    def started(self, session: str = "port-layer") -> str:
        value = self.values().get(_STARTED.format(session), "")
        return "" if value == "<nil>" else value

    def address(self) -> str:
        packed = base64.b64decode(self.values()["guestinfo.vice..init.networks|client.assigned.IP"])
        return str(ipaddress.IPv4Address(packed[-4:]))

    def wait(self) -> str:
        """Waits until it reports; what it reports of its port layer."""
        end = time.monotonic() + LIMIT_S
        while not self.started():
            assert time.monotonic() < end, "the VCH doesn't come alive"
            time.sleep(0.05)
        return self.started()

    def power_on(self) -> VCH:
        with looking(self.site) as content:
            finished(machine(content, self.reference).PowerOnVM_Task())
        return self

    def power_off(self) -> None:
        with looking(self.site) as content:
            finished(machine(content, self.reference).PowerOffVM_Task())

    def forget_started(self) -> None:
        """As vic-machine does before a reboot."""
        self.write({_STARTED.format(one): "" for one in ("port-layer", "docker-personality", "vicadmin")})

    def write(self, values: Mapping[str, str]) -> None:
        with looking(self.site) as content:
            options = [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]
            finished(machine(content, self.reference).ReconfigVM_Task(spec=vim.vm.ConfigSpec(extraConfig=options)))

    def destroy(self) -> None:
        with looking(self.site) as content:
            one = machine(content, self.reference)
            if one.runtime.powerState == "poweredOn":
                finished(one.PowerOffVM_Task())
            finished(one.Destroy_Task())


@contextmanager
def looking(site: Site) -> Iterator[Any]:
    """An administrator's own session."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = site.address.rpartition(":")
    service = SmartConnect(host=host, port=int(port), user=site.user, pwd=site.password, sslContext=context)
    try:
        yield service.content
    finally:
        Disconnect(service)


def machines(site: Site) -> dict[str, Any]:
    """Name → power state, number of CPUs, memory in MB and the reference of every VM."""
    with looking(site) as content:
        found = every(content, vim.VirtualMachine)
        return {
            one.name: (one.runtime.powerState, one.config.hardware.numCPU, one.config.hardware.memoryMB, one._moId)
            for one in found
        }


def make(
    site: Site,
    name: str,
    *,
    store: str = "",
    papers: Papers | None = None,
    changes: Mapping[str, str] | None = None,
) -> VCH:
    """Makes a VCH's VM, off.

    Args:
        site: where.
        name: its name.
        store: the folder of its volume store on the datastore.
        papers: with TLS and verified clients; absent: without TLS.
        changes: settings that differ.
    """
    with looking(site) as content:
        pool = every(content, vim.ClusterComputeResource)[0].resourcePool
        datacenter = every(content, vim.Datacenter)[0]
        folder = f"[{DATASTORE}] {name}"
        content.fileManager.MakeDirectory(folder, datacenter, True)
        url = next(one for one in every(content, vim.Datastore) if one.name == DATASTORE).summary.url
        (Path(url) / name / ISO).write_bytes(b"an ISO")
        key = os.urandom(32)
        values = _values(site, name, store or f"stores/{name}", pool, key, papers) | dict(changes or {})
        spec = vim.vm.ConfigSpec(
            name=name,
            guestId="otherGuest64",
            numCPUs=1,
            memoryMB=2048,
            files=vim.vm.FileInfo(vmPathName=f"{folder}/{name}.vmx"),
            extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()],
            deviceChange=_devices(f"{folder}/{ISO}"),
        )
        task = datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool)
        reference = finished(task)._moId
        return VCH(site, name, reference, papers)


def papers(*addresses: str) -> Papers:
    """Certificates for a VCH at one of these addresses."""
    authority_key, authority = _certificate("vch", None, None, authority=True)
    issuer = (authority.subject, authority_key)
    server_key, server = _certificate(addresses[0], issuer, ExtendedKeyUsageOID.SERVER_AUTH, addresses=addresses)
    client_key, client = _certificate("vch", issuer, ExtendedKeyUsageOID.CLIENT_AUTH)
    return Papers(_pem(authority), _pem(server), _key_pem(server_key), _pem(client), _key_pem(client_key))


def every(content: Any, kind: type) -> list[Any]:
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


def machine(content: Any, reference: str) -> Any:
    return next(one for one in every(content, vim.VirtualMachine) if one._moId == reference)


def sealed(content: bytes, key: bytes) -> str:
    """A secret as vic-machine seals it."""
    nonce = os.urandom(secretbox.NONCE_BYTES)
    stream = secretbox._stream(key, nonce, 32 + len(content))
    hidden = bytes(a ^ b for a, b in zip(content, stream[32:], strict=True))
    return base64.b64encode(nonce + Poly1305.generate_tag(stream[:32], hidden) + hidden).decode()


def _values(site: Site, name: str, store: str, pool: Any, key: bytes, papers: Papers | None) -> dict[str, str]:
    values: dict[str, str] = json.loads(_SETTINGS.read_text())
    values |= {
        "guestinfo.ovfEnv": base64.b64encode(key).decode(),
        "init/common/name": name,
        "guestinfo.vice./connect/target": f"https://{site.address}",
        "guestinfo.vice./connect/target_thumbprint": site.thumbprint,
        "guestinfo.vice./connect/username": site.user,
        "guestinfo.vice./connect/token@secret": sealed(site.password.encode(), key),
        "guestinfo.vice./container/ComputeResources|0/Type": "ResourcePool",
        "guestinfo.vice./container/ComputeResources|0/Value": pool._moId,
        "guestinfo.vice./container/bootstrap_image_path": "",
        "guestinfo.vice./cert/RegistryCertificateAuthorities": _encoded(site.registry_authority),
        "guestinfo.vice./storage/image_stores|0/Path": f"images/{name}",
        "guestinfo.vice./storage/VolumeLocations|default/Path": f"[{DATASTORE}] {store}",
    }
    if papers:
        values |= {
            "guestinfo.vice./cert/HostCertificate/Cert": _encoded(papers.server),
            "guestinfo.vice./cert/HostCertificate/Key@secret": sealed(_encoded(papers.server_key).encode(), key),
            "guestinfo.vice./cert/CertificateAuthorities": _encoded(papers.authority),
        }
    return values


def _devices(iso: str) -> list[Any]:
    controller = vim.vm.device.VirtualIDEController(key=200, busNumber=0)
    drive = vim.vm.device.VirtualCdrom(
        key=-1,
        controllerKey=200,
        unitNumber=0,
        backing=vim.vm.device.VirtualCdrom.IsoBackingInfo(fileName=iso),
        connectable=vim.vm.device.VirtualDevice.ConnectInfo(
            startConnected=True, allowGuestControl=True, connected=True
        ),
    )
    add = vim.vm.device.VirtualDeviceSpec.Operation.add
    return [vim.vm.device.VirtualDeviceSpec(operation=add, device=one) for one in (controller, drive)]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _certificate(
    name: str, issuer: Any, purpose: Any, *, authority: bool = False, addresses: tuple[str, ...] = ()
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if addresses:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(one)) for one in addresses])
        builder = builder.add_extension(names, critical=False)
    return key, builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
