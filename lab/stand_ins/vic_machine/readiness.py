"""Waits for what a booted VCH reports, and says what it said; for create, configure and upgrade."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim, vmodl

from lab.stand_ins.vic_machine import docker_api, extra_config
from lab.stand_ins.vic_machine.certificates import Certificates
from lab.stand_ins.vic_machine.docker_api import DEADLINE, Endpoint
from lab.stand_ins.vic_machine.extra_config import NOTHING, Settings
from lab.stand_ins.vic_machine.log import Log, quoted
from lab.stand_ins.vic_machine.outcome import TimedOut
from lab.stand_ins.vic_machine.vch_settings import COMPONENTS
from lab.stand_ins.vic_machine.vsphere import Clock, Fault, NotThere, Session, message

LOOK_S = 0.1
ROLES_SHOWN = ("public", "client", "management", "bridge")
COMPONENTS_SHOWN = ("vicadmin", "docker-personality", "port-layer")

_PROGRAM_LIMIT_S = 10.0
_MAY_STILL = "but the VCH may still function normally"


class NotReady(Exception):
    """The VCH isn't ready, and won't be by waiting."""


@dataclass(frozen=True)
class Trail:
    """What Go's client adds where the time runs out: in which operation, and who called whom.

    Args:
        operation: such as ``Create``.
        callers: function and line, innermost first.
    """

    operation: str
    callers: tuple[str, ...]

    def at(self, function: str) -> str:
        """The line that says where it was noticed."""
        return "\n".join([f"{function}: {self.operation} error: {DEADLINE}", *self.callers])


@dataclass
class Waiting:
    """One wait.

    Args:
        client: whose client certificate is shown to the API; none if there is none.
        inner: what Go's client logs on top where there is no address in time.
    """

    log: Log
    session: Session
    machine: Any
    clock: Clock
    trail: Trail
    client: Certificates | None = None
    explains: bool = False
    settings: Settings = field(default_factory=lambda: Settings({}))

    def run(self) -> Endpoint:
        """Waits until the VCH is ready.

        Raises:
            NotReady: it says something that won't change.
            TimedOut: the time is up; what there is was said.
        """
        address = self._initialized()
        self.log.info("Checking VCH connectivity with vSphere target")
        self._check_way_back()
        where = docker_api.endpoint(self.settings, address)
        try:
            docker_api.wait(self.log, where, self.settings, self.client, self.clock)
        except docker_api.Failed as error:
            self.log.info(f"Docker API endpoint check failed: {error}")
            raise NotReady(f"Docker API endpoint check failed: {error}") from error
        except TimedOut:
            if not self._late:
                self.log.error(self.trail.at("vic/lib/install/management.(*Dispatcher).CheckDockerAPI"))
            self.log.info(f"Docker API endpoint check failed: {DEADLINE}")
            raise
        return where

    _late: bool = False

    def _initialized(self) -> str:
        """The client's address."""
        self.log.info("Waiting for IP information")
        client = extra_config.written("init/networks|client/assigned/IP")
        if self._reported(client):
            self.log.info("Waiting for major appliance components to launch")
            for name in COMPONENTS:
                if not self._reported(extra_config.written(f"init/sessions|{name}/started")):
                    break
        if self.clock.is_up():
            self._late = True
            self._say_late()
        else:
            self._look()
        for name in COMPONENTS:
            started = self.settings.written(f"init/sessions|{name}/started")
            if started not in ("", "true"):
                self.log.error(f"  Component did not launch successfully - {name}: {started}")
        address = self.settings.address("init/networks|client/assigned/IP", is_written=True)
        if address is not None:
            self.log.info(f"Obtained IP address for client interface: {quoted(str(address))}")
            return str(address)
        self._explain()
        raise TimedOut

    def _reported(self, key: str) -> bool:
        """Waits for a key to be set; says whether it was in time."""
        while not self.clock.is_up():
            self._look()
            if self.settings.values.get(key, "") not in ("", NOTHING):
                return True
            try:
                self.clock.sleep(LOOK_S)
            except TimedOut:
                return False
        return False

    def _look(self) -> None:
        try:
            self.settings = Settings.of(self.session.extra_config(self.machine))
        except (Fault, NotThere) as error:
            self.log.debug(f"Unable to get vm config: {error}")

    def _say_late(self) -> None:
        gone = f'Unable to get vm config: Post "https://{self.session.target.address}/sdk": {DEADLINE}'
        if not self.explains:
            self.log.error(gone)
            return
        within = "vic/lib/install/management.(*Dispatcher).ensureApplianceInitializes"
        for function in ("net/http.(*persistConn).roundTrip", within, "net/http.(*Transport).roundTrip"):
            self.log.error(self.trail.at(function))
        self.log.error(gone)
        self.log.error(self.trail.at(within))

    def _explain(self) -> None:
        self.log.info("")
        self.log.error("Failed to obtain IP address for client interface")
        self.log.info("Use vic-machine inspect to see if VCH has received an IP address at a later time")
        self.log.info("  State of all interfaces:")
        self._look()
        for role in ROLES_SHOWN:
            address = self.settings.address(f"init/networks|{role}/assigned/IP", is_written=True)
            self.log.info(f"    {quoted(role)} IP: {quoted(str(address) if address else 'waiting for IP')}")
        self.log.info("  State of components:")
        for name in COMPONENTS_SHOWN:
            started = self.settings.values.get(extra_config.written(f"init/sessions|{name}/started"), "")
            shown = {"true": "started successfully", "": "waiting to launch"}.get(started, started)
            self.log.info(f"    {quoted(name)}: {quoted(shown)}")

    def _check_way_back(self) -> None:
        """Has the appliance itself try the way to vSphere, where its guest tools run."""
        target = self.settings.text("connect/target")
        try:
            if self._late:
                raise Fault("Failed to get appliance power state, service might not be available at this moment.")
            if str(self.session.get(self.machine, "guest.toolsRunningStatus")) != "guestToolsRunning":
                raise Fault("Tools are not running in the appliance, unable to continue")
            code = self.run_in_guest("test-vc-api", target)
        except (Fault, NotThere) as error:
            self.log.warning(f"Could not run VCH vSphere API target check due to {error} {_MAY_STILL}")
            return
        if code == 0:
            self.log.info(f"vSphere API Test: {target} vSphere API target responds as expected")
        else:
            self.log.warning(f"vSphere API Test: {target} vSphere API target does not respond as expected ({code})")

    def run_in_guest(self, program: str, arguments: str) -> int:
        """Runs a program of the appliance's and gives its exit code; raises Fault where that can't be."""
        manager = self.session.content.guestOperationsManager.processManager
        login = vim.vm.guest.NamePasswordAuthentication(username="", password="", interactiveSession=False)
        spec = vim.vm.guest.ProcessManager.ProgramSpec(programPath=program, arguments=arguments)
        limit = Clock(self.clock.end)
        try:
            process = manager.StartProgramInGuest(vm=self.machine, auth=login, spec=spec)
            for _ in range(int(_PROGRAM_LIMIT_S / LOOK_S)):
                found = manager.ListProcessesInGuest(vm=self.machine, auth=login, pids=[process])
                if found and found[0].exitCode is not None:
                    return int(found[0].exitCode)
                limit.sleep(LOOK_S)
        except vmodl.MethodFault as error:
            raise Fault(f"ServerFaultCode: {message(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Fault(str(error)) from error
        raise Fault(f"{program} doesn't end")
