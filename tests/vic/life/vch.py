"""One VCH in a program on the real engine: vic-machine's stand-in makes it in the lab's vCenter, the site boots it."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from pyVmomi import vim
from requests.adapters import HTTPAdapter

from lab.supervisor import Lab
from tests.program import Program
from tests.site import eyes
from tests.tasks import finished

API = "1.25"
DATASTORE = "LocalDS_0"
IMPORTS = """import json, pathlib
import pulumi
from providers.vic.resources import Bundle, VirtualContainerHost

given = json.loads(pathlib.Path("arguments.json").read_text())
version, source, sha256 = given.pop("version"), given.pop("source"), given.pop("sha256", None)
bundle = Bundle("bundle", version=version, source=source, sha256=sha256)
place = {"version": bundle.version, "source": bundle.source, "sha256": bundle.sha256}
vch = VirtualContainerHost("vch", bundle=place, **given)
for name in ("vm_id", "version", "docker_host", "server_name", "docker_api", "portal", "power", "not_after"):
    pulumi.export(name, getattr(vch, name))
for name in ("volumes", "running", "stranded", "volume_stores", "ca", "client_cert", "client_key"):
    pulumi.export(name, getattr(vch, name))
"""


class Named(HTTPAdapter):
    """Reaches an address under the name that stands in its certificate: nobody's DNS knows it here."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, server_hostname=self._name, assert_hostname=self._name, **named)


@dataclass
class LivingVch:
    """A program with a bundle and a VCH.

    Args:
        lab: with vCenter, site and bundles.
        program: the program.
        name: the VCH's.
    """

    lab: Lab
    program: Program
    name: str

    @classmethod
    def fresh(cls, lab: Lab, base: Path) -> LivingVch:
        """With a name of its own and a program on a new backend; nothing of it is made yet."""
        return cls(lab, Program.made(base, lab.environment(), IMPORTS), f"vch-{uuid.uuid4().hex[:6]}")

    def declare(self, version: str = "1.5.6", **changes: Any) -> None:
        """Writes what the program asks for; an argument that is given as None is left out."""
        given = {
            "name": self.name,
            "version": version,
            "source": str(self.lab.part("bundles").folder / f"vic_{version}.tar.gz"),
            "compute_resource": "DC0_C0",
            "image_store": f"{DATASTORE}/images/{self.name}",
            "volume_stores": {"default": f"{DATASTORE}/volumes/{self.name}"},
            "bridge_network": "DC0_DVPG0",
            "tls": {"mode": "none"},
            **changes,
        }
        (self.program.folder / "arguments.json").write_text(
            json.dumps({name: value for name, value in given.items() if value is not None})
        )

    def up(self, version: str = "1.5.6", expect: int = 0, **changes: Any) -> str:
        """Declares and makes it; what was printed."""
        self.declare(version, **changes)
        return self.program.up(expect=expect)

    def outputs(self) -> dict[str, Any]:
        return self.program.outputs()

    @contextmanager
    def machine(self) -> Iterator[Any]:
        """Its VM, through a session that is not ours."""
        with eyes.vcenter(self.program.environment) as content:
            yield eyes.every(content, vim.VirtualMachine)[self.name]

    def is_there(self) -> bool:
        with eyes.vcenter(self.program.environment) as content:
            return self.name in eyes.every(content, vim.VirtualMachine)

    def power_off(self) -> None:
        """As a colleague does it."""
        with self.machine() as machine:
            finished(machine.PowerOffVM_Task())

    def reconfigure(self, **spec: Any) -> None:
        """As a colleague does it."""
        with self.machine() as machine:
            finished(machine.ReconfigVM_Task(spec=vim.vm.ConfigSpec(**spec)))

    @contextmanager
    def engine(self, *, with_client_certificate: bool = True) -> Iterator[docker.APIClient]:
        """docker-py with nothing but the outputs."""
        told = self.outputs()
        with tempfile.TemporaryDirectory() as folder:
            paths = _written(Path(folder), told)
            client = docker.APIClient(told["docker_host"], version=API, timeout=60)
            if paths["ca"]:
                pair = paths["client_cert"], paths["client_key"]
                tls = docker.tls.TLSConfig(
                    client_cert=pair if with_client_certificate and all(pair) else None,
                    ca_cert=paths["ca"],
                    verify=True,
                )
                url = told["docker_host"].replace("tcp://", "https://")
                client = docker.APIClient(url, tls=tls, version=API, timeout=60)
                if told.get("server_name"):  # nobody's DNS knows the name in its certificate here
                    client.get_adapter("https://").init_poolmanager(4, 4, server_hostname=told["server_name"])
            client.trust_env = False
            try:
                yield client
            finally:
                client.close()

    def ask(self, path: str, *, pair: tuple[str, str] | None = None, anonymous: bool = False) -> requests.Response:
        """`requests` with nothing but the outputs.

        Args:
            path: of the Docker API, without the version.
            pair: another client's certificate and key, PEM.
            anonymous: without a client certificate.
        """
        told = self.outputs()
        if pair is not None:
            told |= {"client_cert": pair[0], "client_key": pair[1]}
        with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
            paths = _written(Path(folder), told)
            session.trust_env = False
            root = told["docker_host"].replace("tcp://", "https://" if paths["ca"] else "http://")
            if paths["ca"]:
                session.verify = paths["ca"]
                if told.get("server_name"):
                    session.mount("https://", Named(told["server_name"]))
            if paths["client_cert"] and paths["client_key"] and not anonymous:
                session.cert = paths["client_cert"], paths["client_key"]
            return session.get(f"{root}/v{API}{path}", timeout=60)

    def cleared(self) -> None:
        """Away with it at a test's end, in whatever state the test has left it."""
        self.program.pulumi("destroy", "--yes", "--skip-preview", "--refresh", expect=None)
        with eyes.vcenter(self.program.environment) as content:
            own = eyes.every(content, vim.VirtualMachine).get(self.name)
            pool = eyes.every(content, vim.ResourcePool).get(self.name)
            # Its containers first: they hold the image in its folder that they boot from.
            for machine in [one for one in (pool.vm if pool else []) if one.name != self.name]:
                tear_out(content, machine)
            if own is not None:
                tear_out(content, own)
            for kind in (vim.ResourcePool, vim.Folder):
                left = eyes.every(content, kind).get(self.name)
                if left is not None:
                    finished(left.Destroy_Task())


def tear_out(content: Any, machine: Any) -> None:
    """A VCH's VM goes with its files, as an administrator does it: vic-machine has disabled its deletion."""
    if str(machine.runtime.powerState) == "poweredOn":
        finished(machine.PowerOffVM_Task())
    folder = machine.config.files.vmPathName.rpartition("/")[0]
    center = eyes.every(content, vim.Datacenter)["DC0"]
    above = machine.parent
    machine.UnregisterVM()
    finished(content.fileManager.DeleteDatastoreFile_Task(folder, center))
    if not above.childEntity:
        finished(above.Destroy_Task())


def _written(folder: Path, told: Mapping[str, Any]) -> dict[str, str | None]:
    paths: dict[str, str | None] = {}
    for name in ("ca", "client_cert", "client_key"):
        text = told.get(name)
        paths[name] = str(folder / f"{name}.pem") if text else None
        if text:
            (folder / f"{name}.pem").write_text(text)
    return paths
