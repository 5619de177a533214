"""What people and other programs do around a VCH in the lab, and what they see there; nothing of ours is asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import docker
from pyVmomi import vim

from lab.parts.vcenter import VCenter
from lab.stand_ins.vic_machine import bundle as bundles
from lab.stand_ins.vic_machine.builds import named
from tests.lab.site.conftest import probe_of, pull_probe
from tests.site import eyes
from tests.tasks import finished
from tests.vic.life.vch import API, DATASTORE, LivingVch

LIMIT_S = 60
_ENGINES_OWN = "update failed|preview failed|nothing more was done|destroy failed|unhandled error"
CONTENT = "kept"  # what the probe puts into a file


def traces(vch: LivingVch) -> dict[str, int]:
    """How many things in the vCenter have the VCH's name, by kind; kinds without any are left out."""
    found: dict[str, int] = {}
    with eyes.vcenter(vch.program.environment) as content:
        for kind in (vim.VirtualMachine, vim.ResourcePool, vim.Folder):
            view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
            count = [one.name for one in view.view].count(vch.name)
            view.Destroy()
            found |= {kind.__name__.rpartition(".")[2]: count} if count else {}
    return found


def stored(vch: LivingVch, path: str) -> Path:
    """A path on the lab's datastore, as the folder that it really is."""
    return Path(vch.lab.part("vcenter").folder, "state", "datastores", DATASTORE, path)


def extra_config(vch: LivingVch) -> dict[str, str]:
    with vch.machine() as machine:
        return {one.key: str(one.value) for one in machine.config.extraConfig}


def identity(vch: LivingVch) -> str:
    with vch.machine() as machine:
        return str(machine._moId)


def authority(vch: LivingVch) -> str:
    """The authority that the lab's registry is trusted by."""
    return Path(vch.lab.environment()["REGISTRY_CA"]).read_text()


@contextmanager
def client(vch: LivingVch) -> Iterator[docker.DockerClient]:
    """docker-py's larger client, for a VCH without TLS."""
    one = docker.DockerClient(base_url=vch.outputs()["docker_host"], version=API, timeout=60)
    one.api.trust_env = False
    try:
        yield one
    finally:
        one.close()


def put_data(vch: LivingVch, volume: str) -> None:
    """A container writes a file into a volume and ends."""
    with client(vch) as engine:
        pull_probe(vch.lab, engine)
        ended = _probe(vch, engine, ["put", "/data/it"], f"put-{volume}", volume)
        ended.wait(timeout=LIMIT_S)
        assert ended.logs() == b""
        ended.remove()


def serve_data(vch: LivingVch, volume: str, name: str) -> None:
    """A container serves a volume's files, and goes on."""
    with client(vch) as engine:
        pull_probe(vch.lab, engine)
        _probe(vch, engine, ["serve", "/data"], name, volume, ports={"80/tcp": 8080})


def served_data(vch: LivingVch) -> str:
    """What that container serves at the VCH's own address."""
    return eyes.page(f"http://{eyes.address_of(vch.outputs()['docker_host'])}:8080/it")


def remove_container(vch: LivingVch, name: str) -> None:
    with client(vch) as engine:
        engine.containers.get(name).remove(force=True)


def _probe(vch: LivingVch, engine: docker.DockerClient, command: list[str], name: str, volume: str, **more: Any) -> Any:
    mounted = {volume: {"bind": "/data", "mode": "rw"}}
    image = probe_of(vch.lab)
    made = engine.containers.create(image, ["/probe", *command], name=name, volumes=mounted, **more)
    made.start()
    return made


def running_container(vch: LivingVch, name: str) -> None:
    """A container's VM in the VCH's pool and folder, as its port layer makes it."""
    with vch.machine() as machine:
        values = {"guestinfo.vice./version/Version": "v1.5.6", "guestinfo.vice./common/id": "c" * 64}
        spec = vim.vm.ConfigSpec(
            name=name,
            guestId="otherGuest64",
            files=vim.vm.FileInfo(vmPathName=f"[{DATASTORE}]"),
            extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()],
        )
        made = finished(machine.parent.CreateVM_Task(spec, machine.resourcePool))
        finished(made.PowerOnVM_Task())


def other_machine(vch: LivingVch, name: str) -> None:
    """Somebody's VM that is no VCH, in the cluster's own pool."""
    with eyes.vcenter(vch.program.environment) as content:
        pool = eyes.every(content, vim.ClusterComputeResource)["DC0_C0"].resourcePool
        folder = content.rootFolder.childEntity[0].vmFolder
        files = vim.vm.FileInfo(vmPathName=f"[{DATASTORE}]")
        finished(folder.CreateVM_Task(vim.vm.ConfigSpec(name=name, guestId="otherGuest64", files=files), pool))


def by_hand(vch: LivingVch, folder: Path, command: str, *arguments: str, version: str = "1.5.6") -> str:
    """vic-machine, run as a colleague runs it: with a bundle of their own and no program of ours."""
    archive = vch.lab.part("bundles").folder / f"vic_{version}.tar.gz"
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xzf", str(archive)], cwd=folder, check=True, timeout=LIMIT_S)
    told = vch.lab.environment()
    login = {
        "VIC_MACHINE_TARGET": told["VSPHERE_SERVER"],
        "VIC_MACHINE_USER": told["VSPHERE_USER"],
        "VIC_MACHINE_PASSWORD": told["VSPHERE_PASSWORD"],
        "VIC_MACHINE_THUMBPRINT": told["VSPHERE_THUMBPRINT"],
    }
    done = subprocess.run(
        ["./vic-machine-linux", *command.split(), f"--name={vch.name}", "--compute-resource=DC0_C0", *arguments],
        cwd=folder / "vic",
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **login},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def spoilt_bundle(target: Path, version: str, fault: str) -> Path:
    """A bundle whose appliance has a fault when it boots; which there are says `lab.site.watcher`."""
    bundles.write(named(version), target, fault=fault)
    return target


def told_errors(said: str) -> list[str]:
    """The lines that Pulumi shows as errors of ours, each once, without what the engine says around them."""
    lines = [line.partition("error: ")[2] for line in said.splitlines() if "error: " in line]
    ours = [line.rpartition("has a problem: ")[2] for line in lines if not re.search(_ENGINES_OWN, line)]
    return list(dict.fromkeys(ours))


def control(vch: LivingVch, path: str, wanted: Mapping[str, Any] | None = None) -> Any:
    """A switch of the vCenter thrown, or what it has counted."""
    vcenter = vch.lab.part("vcenter")
    assert isinstance(vcenter, VCenter)
    data = None if wanted is None else json.dumps(wanted).encode()
    with urllib.request.urlopen(f"http://{vcenter.control}{path}", data=data, timeout=LIMIT_S) as answer:
        return json.loads(answer.read())


def logins(vch: LivingVch) -> tuple[int, int]:
    """How many logins the vCenter has taken and refused since the last reset, other people's left out."""
    ours = [one for agent, one in control(vch, "/counts")["logins"].items() if not agent.startswith("pyvmomi")]
    return sum(one["ok"] for one in ours), sum(one["failed"] for one in ours)


def told(said: str, level: str = "info") -> list[str]:
    return [line.partition(f"{level}: ")[2] for line in said.splitlines() if f"{level}: " in line]


def resolvers(vch: LivingVch) -> set[str]:
    """The DNS servers that the appliance is told, out of its VM's settings."""
    packed = [value for key, value in extra_config(vch).items() if "/network/dns|" in key]
    return {str(ip_address(b64decode(one)[-4:])) for one in packed}


def rename_machine(vch: LivingVch, name: str) -> None:
    with vch.machine() as machine:
        finished(machine.Rename_Task(name))


def remove_machine(vch: LivingVch, name: str) -> None:
    with eyes.vcenter(vch.program.environment) as content:
        finished(eyes.every(content, vim.VirtualMachine)[name].Destroy_Task())
