"""``create``: makes a VCH and waits until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyVmomi import vim

from lab.stand_ins.vic_machine import (
    certificates,
    docker_api,
    durations,
    extra_config,
    images,
    machine,
    show,
    stores,
    target,
    vch_settings,
    wanted,
)
from lab.stand_ins.vic_machine.certificates import Certificates
from lab.stand_ins.vic_machine.checks import Checked, Checks
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.command_line import PROGRAM
from lab.stand_ins.vic_machine.docker_api import Endpoint
from lab.stand_ins.vic_machine.images import Image
from lab.stand_ins.vic_machine.inventory import CREATING, Inventory
from lab.stand_ins.vic_machine.log import FILE, quoted
from lab.stand_ins.vic_machine.outcome import Refused, TimedOut
from lab.stand_ins.vic_machine.readiness import NotReady, Trail, Waiting
from lab.stand_ins.vic_machine.target import NoConnection, Target
from lab.stand_ins.vic_machine.vch_settings import Surroundings
from lab.stand_ins.vic_machine.vsphere import Fault, options_of, reference, told
from lab.stand_ins.vic_machine.wanted import Wanted

TRAIL = Trail(
    "Create",
    (
        "vic/cmd/vic-machine/create.(*Create).Run:734 Create",
        "vic/cmd/vic-machine/common.NewOperation:27 vic-machine-linux",
    ),
)


def run(command: Command) -> None:
    """Creates a VCH.

    Raises:
        Refused: it can't be, or it doesn't come up.
    """
    command.log.info("### Installing VCH ####")
    login = target.read(command.log, command.options)
    work = _Creation(command, login)
    work.read()
    found = images.find(command)
    try:
        inventory = command.connect(login)
    except NoConnection as error:
        command.log.error("Create cannot continue: failed to create validator")
        raise Refused(str(error)) from error
    try:
        work.run(inventory, found)
    finally:
        inventory.session.close()


class _Creation:
    def __init__(self, command: Command, login: Target) -> None:
        self._command, self._login = command, login
        self._build, self._log, self._options = command.build, command.log, command.options
        self._wanted = Wanted(command.options.text("name"), command.options)
        self._user, self._password = login.user, login.password
        self._certificates = Certificates()
        self._folder = ""

    def read(self) -> None:
        """What was given, checked without vSphere."""
        self._command.no_rest()
        wanted.check_name(self._build, self._wanted.name)
        wanted.container_networks(self._log, self._wanted)
        self._operations_user()
        wanted.networks(self._wanted)
        wanted.name_servers(self._log, self._wanted)
        self._provide_certificates()
        wanted.volume_stores(self._build, self._wanted)
        wanted.scratch(self._wanted)
        wanted.registries(self._log, self._wanted)
        wanted.proxies(self._wanted)

    def run(self, inventory: Inventory, found: list[Image]) -> None:
        """Checks vSphere, makes all, waits."""
        options = self._options
        compute, image_store = options.text("compute-resource"), options.text("image-store")
        checked = Checks(self._command, inventory, self._wanted).run("Create", compute, image_store)
        assert checked.place is not None
        self._log.info("")
        self._command.diagnostic_logs(inventory, checked.place.compute)
        try:
            vm = self._make(inventory, checked, found)
        except Refused as error:
            self._log.error(str(error))
            raise
        self._wait(inventory, vm, checked)

    def _operations_user(self) -> None:
        options = self._options
        if not options.has("ops-user"):
            if options.has("ops-password"):
                raise Refused("Password for operations user specified without user having been specified")
            if options.yes("ops-grant-perms"):
                why = "Cannot setup Roles and Permissions for administrative user."
                raise Refused(f"Invalid use of flag: --ops-grant-perms. {why}")
            advice = "use --ops-user to improve security (see -x for advanced help)"
            self._log.warning(f"Using administrative user for VCH operation - {advice}")
            return
        self._user = options.text("ops-user")
        given = options.has("ops-password")
        self._password = options.text("ops-password") if given else target.asked(self._log, self._user)

    def _provide_certificates(self) -> None:
        options, name = self._options, self._wanted.name
        self._folder = options.text("tls-cert-path") or name
        if options.yes("no-tls"):
            self._log.warning("Configuring without TLS - all communications will be insecure")
            return
        asked = asked_certificates(self._command, self._wanted, self._folder)
        self._certificates = certificates.provide(self._log, asked)
        if options.has("organization"):
            options.values["organization"] = asked.organization

    def _make(self, inventory: Inventory, checked: Checked, found: list[Image]) -> Any:
        assert checked.place is not None
        pool = self._pool(inventory, checked)
        if self._build.is_first:
            checked.volume_stores = stores.make_volume_stores(self._log, inventory, checked.volume_stores)
        self._log.info("Creating appliance on target")
        nics = machine.nics(self._build, self._log, inventory.session, checked.networks)
        try:
            vm = self._vm(inventory, checked, pool, nics)
            self._finish(inventory, checked, pool, nics, vm, found)
            folder = machine.folder_of(inventory.session, vm)
            stores.upload(self._log, inventory, checked.image_store.host, folder, found, first=self._build.is_first)
            with told():
                task = vm.PowerOnVM_Task()
            inventory.session.run(task)
        except Fault as error:
            raise Refused(f"Creating the appliance failed with {error}. Exiting...") from error
        return vm

    def _pool(self, inventory: Inventory, checked: Checked) -> Any:
        assert checked.place is not None
        name, session = self._wanted.name, inventory.session
        pool = inventory.child_pool(checked.place.pool, name)
        if pool is not None:
            self._refuse_existing(inventory, pool)
        as_pool = not self._build.is_first or self._options.yes("use-rp")
        specification = machine.pool_specification(self._options)
        try:
            with told():
                if as_pool:
                    self._log.info(f"Creating Resource Pool {quoted(name)}")
                    return pool or checked.place.pool.CreateResourcePool(name, specification)
                self._log.info(f"Creating virtual app {quoted(name)}")
                folder = session.get(inventory.datacenter, "vmFolder")
                return pool or checked.place.pool.CreateVApp(name, specification, vim.vApp.VAppConfigSpec(), folder)
        except Fault as error:
            kind = "resource pool" if as_pool else "virtual app"
            raise Refused(f"Creating {kind} failed: {error}") from error

    def _refuse_existing(self, inventory: Inventory, pool: Any) -> None:
        name = self._wanted.name
        for known, vm in inventory.machines_in(pool):
            if known != name:
                continue
            if not inventory.is_vch(vm):
                other = "but it is not a VCH. Please choose a different virtual app."
                raise Refused(f"Found virtual machine {quoted(name)}, {other}")
            if self._build.is_first:
                raise Refused(f"Appliance {quoted(name)} exists, to install with same name, please delete it first.")
            other = "Please choose a different name before attempting another install"
            raise Refused(f"A VCH with the name {quoted(name)} already exists. {other}")

    def _vm(self, inventory: Inventory, checked: Checked, pool: Any, nics: machine.Nics) -> Any:
        session, name = inventory.session, self._wanted.name
        around = self._surroundings(inventory, checked, pool, CREATING, "", "")
        settings = vch_settings.whole(
            self._build, self._wanted, checked, self._certificates, around, nics.slots, components=False
        )
        store = checked.image_store.host
        spec = machine.specification(self._build, self._options, name, store, nics, settings.sealed())
        folder = session.get(inventory.datacenter, "vmFolder")
        if self._build.is_first:
            with told():
                is_vapp = reference(pool).startswith("VirtualApp:")
                task = pool.CreateChildVM_Task(spec) if is_vapp else folder.CreateVM_Task(spec, pool)
            return session.run(task)
        if session.is_vcenter:
            self._log.info("Creating the VCH folder")
            try:
                with told():
                    folder = folder.CreateFolder(name)
            except Fault as error:
                taken = f"a VM or folder already exists on the path for VCH folder ({inventory.path}/vm/{name})"
                raise Fault(taken) from error
        self._log.info("Creating the VCH VM")
        with told():
            task = folder.CreateVM_Task(spec, pool)
        vm = session.run(task)
        if self._options.yes("affinity-vm-group"):
            assert checked.place is not None
            machine.set_group(session, checked.place.compute, name, vm)
        checked.volume_stores = stores.make_volume_stores(self._log, inventory, checked.volume_stores)
        try:
            session.disable_destroy(vm)
        except Fault as error:
            self._log.warning(f"Failed to disable method Destroy_Task for {reference(vm)}: {error}")
        return vm

    def _finish(
        self, inventory: Inventory, checked: Checked, pool: Any, nics: machine.Nics, vm: Any, found: list[Image]
    ) -> None:
        """What can only be said once the VM is there: its id, its folder, its boot devices."""
        session = inventory.session
        folder = machine.folder_of(session, vm)
        names = {one.kind: one.target for one in found}
        around = self._surroundings(inventory, checked, pool, reference(vm), folder, names["bootstrap"])
        settings = vch_settings.whole(self._build, self._wanted, checked, self._certificates, around, nics.slots)
        devices = machine.boot_devices(session, vm, checked.image_store.host, folder, names["appliance"])
        spec = vim.vm.ConfigSpec(deviceChange=devices, extraConfig=extra_options(settings))
        session.reconfigure(vm, spec)

    def _surroundings(
        self, inventory: Inventory, checked: Checked, pool: Any, identity: str, folder: str, bootstrap: str
    ) -> Surroundings:
        assert checked.place is not None
        return Surroundings(
            target=self._login.url,
            thumbprint=self._login.thumbprint,
            user=self._user,
            password=self._password,
            machine=identity,
            pool=pool,
            datacenter=inventory.name,
            compute_path=checked.place.path,
            pool_path=checked.place.pool_path,
            folder=folder,
            bootstrap=bootstrap,
        )

    def _wait(self, inventory: Inventory, vm: Any, checked: Checked) -> None:
        log, session = self._log, inventory.session
        clock = self._command.limit()
        session.clock = type(clock)()
        client = self._certificates
        waiting = Waiting(log, session, vm, clock, TRAIL, client, explains=True)
        try:
            where = waiting.run()
        except (NotReady, TimedOut) as error:
            self._say_slow(waiting)
            self._leave_log(inventory, vm, checked)
            if isinstance(error, NotReady):
                raise Refused(str(error)) from error
            log.error(TRAIL.at("vic/cmd/vic-machine/create.(*Create).Run.func3"))
            limit = durations.text_of(self._options.timeout_s)
            advice = "Please increase the timeout using --timeout to accommodate for a busy vSphere target"
            raise Refused(f"Creating VCH exceeded time limit of {limit}. {advice}") from error
        log.info("Initialization of appliance successful")
        self._show(waiting, vm, where)
        log.info("Installer completed successfully")
        self._leave_log(inventory, vm, checked)

    def _say_slow(self, waiting: Waiting) -> None:
        log = self._log
        log.info("\tAPI may be slow to start - try to connect to API after a few minutes:")
        address = waiting.settings.address("init/networks|client/assigned/IP", is_written=True)
        if address is None:
            how = "to find API connection command and run the command if ip address is ready"
            log.info(f"\t\tRun {PROGRAM} inspect {how}")
        else:
            where = docker_api.endpoint(waiting.settings, str(address))
            log.info(f"\t\tRun command: {show.docker_command(where, self._certificates)}")
        outcome = "If command fails, VCH failed to install - see documentation for troubleshooting."
        log.info(f"\t\tIf command succeeds, VCH is started. {outcome}")

    def _show(self, waiting: Waiting, vm: Any, where: Endpoint) -> None:
        environment = f"{self._folder}/{self._wanted.name}.env"
        shown = show.Shown(vm._GetMoId(), where, self._folder, self._certificates, environment)
        show.show(self._build, self._log, waiting.settings, shown)

    def _leave_log(self, inventory: Inventory, vm: Any, checked: Checked) -> None:
        folder = machine.folder_of(inventory.session, vm)
        content = Path(FILE).read_bytes() if Path(FILE).is_file() else b""
        stores.write_log(inventory, checked.image_store.host, folder, "create", content)


def asked_certificates(command: Command, wanted_: Wanted, folder: str) -> certificates.Asked:
    """What a command line says about certificates; a fixed address is the name where none is given."""
    options, log = command.options, command.log
    cname = options.text("tls-cname")
    roles = [("client", wanted_.client)]
    if not command.build.is_first:
        roles += [("public", wanted_.public), ("management", wanted_.management)]
    for role, network in roles:
        if not cname and network.ip is not None:
            cname = str(network.ip.ip)
            advice = "use --tls-cname to override"
            log.info(f"Using {role}-network-ip as cname where needed - {advice}: {options.text(f'{role}-network-ip')}")
    return certificates.Asked(
        folder=folder,
        cname=cname,
        organization=options.every("organization"),
        verify=not options.yes("no-tlsverify"),
        key_bits=options.number("certificate-key-size") or 2048,
        authorities=options.every("tls-ca"),
        certificate=options.text("tls-server-cert"),
        key=options.text("tls-server-key"),
        force=options.yes("force"),
        first=command.build.is_first,
    )


def extra_options(settings: extra_config.Settings) -> list[Any]:
    """Settings as they go into a VM, sealed."""
    return options_of(settings.sealed())
