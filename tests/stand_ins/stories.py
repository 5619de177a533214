"""The runs that the transcripts are of, told again: each run needs what the one before it left."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from pyVmomi import vim

from lab.stand_ins.vic_machine import bundle, machine
from lab.stand_ins.vic_machine.__main__ import main
from lab.stand_ins.vic_machine.builds import named
from lab.stand_ins.vic_machine.target import Target, check_certificate
from tests.esxi.simulator import PASSWORD, USER, Simulator
from tests.stand_ins.appliance import Appliances
from tests.stand_ins.transcripts import Run, run, transcript

SHORTER = {"20s": "2s", "5s": "3s"}
# After these the VM is looked at, key by key.
KEPT = {"1.5.6-create-ok-no-tls", "1.5.6-create-ok-tls", "1.1.1-create-ok-no-tls"}


@dataclass(frozen=True)
class Kept:
    """What a VCH's VM held when it was just made: its settings, its own file, and its devices and pool."""

    settings: dict[str, str]
    file: str
    machine: dict[str, Any]
    files: dict[str, str]


@dataclass
class Story:
    """Runs on one simulator, in one folder, and what came of them."""

    simulator: Simulator
    appliances: Appliances
    folder: Path
    runs: dict[str, Run] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)

    @property
    def login(self) -> list[str]:
        """Where to log in and as whom, as the transcripts' command lines say it."""
        address = ["--target", f"{self.simulator.address}/DC0", "--user", USER, "--password", PASSWORD]
        return [*address, "--thumbprint", self.thumbprint]

    @property
    def thumbprint(self) -> str:
        target = Target(self.simulator.address, "DC0", "", "", "")
        check_certificate(_Silent(), target, force=True)  # type: ignore[arg-type]
        return target.thumbprint

    def tell(self, name: str) -> Run:
        """Runs the stand-in with a transcript's command line."""
        known = transcript(name)
        self.isos(known.build)
        self.runs[name] = run(known.build, self.here(known.arguments), self.folder)
        if name in KEPT:
            self.keep(known.arguments[known.arguments.index("--name") + 1], name)
        return self.runs[name]

    def here(self, arguments: Sequence[str]) -> list[str]:
        """A transcript's command line, for this simulator."""
        words = list(arguments)
        for place, word in enumerate(words[:-1]):
            if word == "--target":
                words[place + 1] = f"{self.simulator.address}/DC0"
            elif word == "--user":
                words[place + 1] = USER
            elif word == "--password" and words[place + 1] == "pass":
                words[place + 1] = PASSWORD
            elif word == "--thumbprint":
                words[place + 1] = self.thumbprint
            elif word == "--timeout":
                words[place + 1] = SHORTER.get(words[place + 1], words[place + 1])
        return words

    def do(self, build: str, command: str, *arguments: str) -> Run:
        """Runs the stand-in for what a story needs and no transcript shows; it has to work."""
        self.isos(build)
        done = run(build, [*command.split(), *self.login, *arguments], self.folder)
        assert done.code == 0, done.output
        return done

    def create(self, name: str, build: str = "1.5.6", *arguments: str) -> Run:
        """A VCH without TLS."""
        place = ["--compute-resource", "DC0_C0", "--bridge-network", "DC0_DVPG0", "--timeout", "40s", "--no-tls"]
        stores = ["--image-store", f"LocalDS_0/VCHPOOL/{name}"]
        return self.do(build, "create", "--name", name, *place, *stores, *arguments)

    def isos(self, build: str) -> None:
        """The ISOs of a build, in the folder; ones that say nothing beside them."""
        for kind in ("appliance", "bootstrap"):
            (self.folder / f"{kind}.iso").write_bytes(bundle.iso(named(build), kind))
        for file in ("app.iso", "boot.iso"):
            (self.folder / file).write_bytes(b"\0" * 0x9000)

    def machine(self, content: Any, name: str) -> Any:
        """A VM by its name."""
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        try:
            return next(one for one in view.view if one.name == name)
        finally:
            view.Destroy()

    def keep(self, name: str, run_name: str) -> None:
        """Remembers what a VCH's VM holds now."""
        with self.simulator.looking() as content:
            machine = self.machine(content, name)
            devices = list(machine.config.hardware.device)
            facts = {
                "guest": (machine.config.guestId, machine.config.alternateGuestName),
                "version": machine.config.version,
                "size": (machine.config.hardware.numCPU, machine.config.hardware.memoryMB),
                "devices": [_kind(one) for one in devices],
                "isos": [one.backing.fileName for one in devices if _kind(one) == "VirtualCdrom"],
                "ports": [one.backing.fileName for one in devices if _kind(one) == "VirtualSerialPort"],
                "parent": machine.parent.name if machine.parent is not None else "",
                "pool": f"{_kind(machine.resourcePool)}:{machine.resourcePool._moId}",
                "id": f"VirtualMachine:{machine._moId}",
            }
            settings = {one.key: one.value for one in machine.config.extraConfig}
            path = machine.config.files.vmPathName
        text = self.appliances.file(path).decode()
        here = self.folder / name
        files = {one.name: f"{one.stat().st_mode & 0o777:o}" for one in here.iterdir()} if here.is_dir() else {}
        self.kept[run_name] = Kept(settings, text, facts, files)


class _Silent:
    def error(self, text: str) -> None:
        """Says nothing."""


def _kind(one: Any) -> str:
    name: str = type(one).__name__.rpartition(".")[2]
    return name


def released(story: Story) -> None:
    """The long one: 1.5.6, from the first create to the last."""
    for name in (
        "1.5.6-create-unknown-flag",
        "1.5.6-create-ok-no-tls",
        "1.5.6-ls-with-one-vch",
        "1.5.6-inspect-ok",
        "1.5.6-inspect-config",
        "1.5.6-create-twice",
        "1.5.6-configure-dns",
        "1.5.6-configure-memory",
        "1.5.6-configure-volume-store",
        "1.5.6-configure-nothing",
        "1.5.6-inspect-config-after-configure",
        "1.5.6-upgrade-same-version",
        "1.5.6-upgrade-same-version-force",
        "1.5.6-create-long-name",
        "1.5.6-create-bad-name",
        "1.5.6-create-no-image-store",
        "1.5.6-create-bad-cidr",
        "1.5.6-create-bad-datastore",
        "1.5.6-create-tls-without-cname",
        "1.5.6-delete-ok",
        "1.5.6-ls-empty",
    ):
        story.tell(name)


def encrypted(story: Story) -> None:
    """1.5.6 with TLS, in its three modes."""
    for name in (
        "1.5.6-create-ok-tls",
        "1.5.6-inspect-ok-tls",
        "1.5.6-inspect-config-tls",
        "1.5.6-delete-force-ok",
        "1.5.6-create-ok-no-tlsverify",
        "1.5.6-create-other-with-force",
    ):
        story.tell(name)
    story.do("1.5.6", "delete", "--compute-resource", "DC0_C0", "--name", "vch04")
    story.tell("1.5.6-create-ok-tls-name")
    story.tell("1.5.6-inspect-ok-tls-name")


def upgraded(story: Story) -> None:
    """From 1.5.6 to 1.5.7 and back."""
    story.create("vch05")
    for name in ("1.5.7-upgrade-ok", "1.5.7-ls-after-upgrade", "1.5.6-inspect-newer", "1.5.6-upgrade-downgrade"):
        story.tell(name)
    # The simulator of the transcript left a VM on that was reverted, and then refused to power it on.
    refusal = {"method": "PowerOnVM_Task", "fault": "InvalidState", "nth": 1, "times": -1}
    story.simulator.switch(failures=[refusal])
    story.tell("1.5.7-upgrade-rollback")
    story.simulator.switch(failures=[])
    story.do("1.5.7", "delete", "--force", "--compute-resource", "DC0_C0", "--name", "vch05")
    story.create("vch10")
    story.do("1.5.7", "upgrade", "--compute-resource", "DC0_C0", "--name", "vch10", "--timeout", "40s")
    story.tell("1.5.7-upgrade-rollback-ok")


def late(story: Story) -> None:
    """Updates that run out of time, and what they leave."""
    story.create("vch11")
    story.appliances.behave("vch11", starts=False, answers="starting")
    story.tell("1.5.7-upgrade-times-out-rolled-back")
    for name in (
        "1.5.6-configure-times-out",
        "1.5.6-configure-in-progress",
        "1.5.6-upgrade-in-progress",
        "1.5.6-configure-reset-progress",
    ):
        story.tell(name)


def failed(story: Story) -> None:
    """A configure whose VCH then doesn't answer as it should."""
    store = "LocalDS_0/VCHPOOL/vch12:default"
    story.create("vch12", "1.5.6", "--volume-store", store)
    story.appliances.behave("vch12", answers="garbage")
    story.tell("1.5.6-configure-fails-rolled-back")


def unreleased(story: Story) -> None:
    """A build that nobody released: 1.5.6 with ISOs that say nothing, and no appliance that ever reports."""
    for name in (
        "1.5.6-version",
        "1.5.6-firewall-no-thumbprint",
        "1.5.6-firewall-allow",
        "1.5.6-firewall-deny",
        "1.5.6-firewall-allow-and-deny",
        "1.5.6-firewall-neither",
        "1.5.6-firewall-bad-cluster",
        "1.5.6-create-iso-version-mismatch",
        "1.5.6-create-bad-network",
        "1.5.6-create-no-bridge",
        "1.5.6-create-bad-password",
    ):
        story.tell(name)
    story.appliances.behave("vch02.domain.sddc", reports=False, starts=False, answers="nothing")
    for name in ("1.5.6-create-times-out-waiting-for-ip", "1.5.6-ls", "1.5.6-inspect"):
        story.tell(name)
    _lose_key(story, "vch02.domain.sddc")
    for name in ("1.5.6-debug", "1.5.6-delete-without-force", "1.5.6-delete-missing"):
        story.tell(name)


def first(story: Story) -> None:
    """1.1.1, as it was released and as it wasn't."""
    for name in (
        "1.1.1-version",
        "1.1.1-create-unknown-flag",
        "1.1.1-firewall-no-thumbprint",
        "1.1.1-firewall-allow",
        "1.1.1-firewall-deny",
        "1.1.1-firewall-allow-and-deny",
        "1.1.1-firewall-neither",
        "1.1.1-firewall-bad-cluster",
        "1.1.1-create-iso-version-mismatch",
        "1.1.1-create-bad-network",
        "1.1.1-create-no-bridge",
        "1.1.1-create-bad-password",
        "1.1.1-ls",
        "1.1.1-create-ok-no-tls",
        "1.1.1-ls-with-one-vch",
        "1.1.1-inspect-ok",
        "1.1.1-upgrade-same-version",
        "1.1.1-create-twice",
        "1.1.1-create-with-force",
        "1.1.1-delete-ok",
        "1.1.1-create-ok-tls",
        "1.1.1-delete-force-ok",
    ):
        story.tell(name)
    _empty_vapp(story, "vch02.domain.sddc")
    for name in ("1.1.1-inspect", "1.1.1-delete-without-force", "1.1.1-delete-missing"):
        story.tell(name)


def crashed(story: Story) -> None:
    """1.1.1 falls over a kind of distributed switch that isn't here: so its kind is said to be that."""
    name = "1.1.1-create-times-out-waiting-for-ip"
    known = transcript(name)
    story.isos(known.build)
    before, said = Path.cwd(), io.StringIO()
    os.chdir(story.folder)
    try:
        with (
            mock.patch.object(machine, "kind_of_switch", side_effect=_plain_switch),
            contextlib.redirect_stdout(said),
        ):
            code = main(["--version-is", known.build, *story.here(known.arguments)])
    finally:
        os.chdir(before)
    story.runs[name] = Run(said.getvalue(), "", code)


def _plain_switch(_: Any, network: Any) -> str:
    return "DistributedVirtualSwitch" if isinstance(network, vim.dvs.DistributedVirtualPortgroup) else ""


def _lose_key(story: Story, name: str) -> None:
    """Rewrites a VM's file without the key to its secrets, as the transcript's simulator never had it there."""
    with story.simulator.looking() as content:
        path = story.machine(content, name).config.files.vmPathName
    story.appliances.file(path, b'displayName = "lost"\n')


def _empty_vapp(story: Story, name: str) -> None:
    """A vApp with nothing in it, as a create that crashes leaves it."""
    with story.simulator.looking() as content:
        datacenter = content.rootFolder.childEntity[0]
        cluster = next(one for one in datacenter.hostFolder.childEntity if one.name == "DC0_C0")
        allocation = vim.ResourceAllocationInfo(
            limit=-1, reservation=0, expandableReservation=True, shares=vim.SharesInfo(level="normal", shares=0)
        )
        spec = vim.ResourceConfigSpec(cpuAllocation=allocation, memoryAllocation=allocation)
        cluster.resourcePool.CreateVApp(name, spec, vim.vApp.VAppConfigSpec(), datacenter.vmFolder)


ALL = (released, encrypted, upgraded, late, failed, unreleased, first, crashed)
