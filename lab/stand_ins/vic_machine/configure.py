"""``configure``: changes what can be changed of a VCH that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.stand_ins.vic_machine import (
    certificates,
    machine,
    stores,
    target,
    update,
    upgrade,
    vch_settings,
    versions,
    wanted,
)
from lab.stand_ins.vic_machine.certificates import Certificates
from lab.stand_ins.vic_machine.checks import Checked, Checks
from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.create import asked_certificates
from lab.stand_ins.vic_machine.extra_config import Settings, read_only, text, texts, truth
from lab.stand_ins.vic_machine.inventory import Found, Inventory
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused, TimedOut
from lab.stand_ins.vic_machine.readiness import Trail
from lab.stand_ins.vic_machine.target import Target
from lab.stand_ins.vic_machine.update import NotReverted, NotUpdated, Update
from lab.stand_ins.vic_machine.vsphere import Fault, NotThere, reference, told
from lab.stand_ins.vic_machine.wanted import Store, Wanted

CALLER = "vic/cmd/vic-machine/configure.(*Configure).Run:368"
TIMED_OUT = "Configure timed out: use --timeout to add more time"

_TRAIL = Trail(
    "vic-machine-linux",
    (f"{CALLER} vic-machine-linux", "vic/cmd/vic-machine/common.NewOperation:27 vic-machine-linux"),
)
_PROXIES = (("http-proxy", "HTTP_PROXY"), ("https-proxy", "HTTPS_PROXY"), ("no-proxy", "NO_PROXY"))


def run(command: Command) -> None:
    """Configures a VCH.

    Raises:
        Refused: it failed before the in-progress flag was set, or its time ran out; all else ends well, as with the
            real one.
    """
    login = target.read(command.log, command.options)
    work = _Configuration(command, login)
    command.limit()
    work.read()
    command.log.info("### Configuring VCH ####")
    inventory = command.connected(login, "Configure", "configure failed")
    with command.in_time(inventory, "Configure"):
        work.run(inventory)


class _Configuration:
    def __init__(self, command: Command, login: Target) -> None:
        self._command, self._login = command, login
        self._log, self._options = command.log, command.options
        self._wanted = Wanted(command.options.text("name"), command.options)
        self._password = ""
        self._certificates = Certificates()

    def read(self) -> None:
        """What was given, checked without vSphere."""
        options = self._options
        wanted.name_servers(self._log, self._wanted)
        wanted.proxies(self._wanted)
        wanted.container_networks(self._log, self._wanted)
        if options.has("ops-password") and not options.has("ops-user"):
            raise Refused("Password for operations user specified without user having been specified")
        if options.has("ops-user"):
            given = options.has("ops-password")
            user = options.text("ops-user")
            self._password = options.text("ops-password") if given else target.asked(self._log, user)
        wanted.volume_stores(self._command.build, self._wanted)
        wanted.registries(self._log, self._wanted)
        self._command.no_rest()

    def run(self, inventory: Inventory) -> None:
        log = self._log
        log.info("Validating target")
        found = self._command.find_or_refuse(inventory, "configure")
        log.info("")
        log.info(f"VCH ID: {reference(found.machine)}")
        if self._options.yes("reset-progress"):
            upgrade.reset(self._command, inventory, found, "configure")
            return
        settings = upgrade.opened(self._command, inventory, found, "configure")
        theirs = versions.of_settings(settings)
        if theirs is None or settings.number("init/version/PluginVersion") < self._command.build.plugin:
            shown = versions.text_of(settings)
            log.error(f"Cannot configure VCH with version {shown}, please upgrade first")
            raise Refused("configure failed")
        if self._options.yes("rollback"):
            self._roll_back(inventory, found, theirs.number)
            return
        self._merge_stores(settings)
        self._provide_certificates(settings)
        checked = self._check(inventory, found, settings)
        if self._command.in_progress(inventory.session, found.machine):
            upgrade.refuse_in_progress(self._command, "Configure")
        update.set_progress(inventory, found.machine, on=True)
        self._change(inventory, found, settings, checked, theirs.number)

    def _roll_back(self, inventory: Inventory, found: Found, number: str) -> None:
        if self._command.in_progress(inventory.session, found.machine):
            upgrade.refuse_in_progress(self._command, "Configure")
        update.set_progress(inventory, found.machine, on=True)
        change = Update(self._command, inventory, found, "configure", number, (), CALLER, own_limit=False)
        try:
            update.roll_back(change, "configure")
            self._log.info("Completed successfully")
        except Refused:
            # The real one forgets its error when it clears its flag.
            self._log.debug("the error is lost")
        finally:
            update.set_progress(inventory, found.machine, on=False)

    def _change(self, inventory: Inventory, found: Found, settings: Settings, checked: Checked, number: str) -> None:
        log = self._log
        pool = inventory.session.get(found.pool, "config")
        late = False
        try:
            self._change_pool(inventory, found, machine.changed_pool_specification(self._options, pool))
            self._apply(settings, checked)
            change = Update(self._command, inventory, found, "configure", number, (), CALLER, own_limit=False)
            change.prepare = lambda: self._make_stores(inventory, settings, checked)
            self._change_group(inventory, found)
            change.run(settings)
            log.info("Completed successfully")
        except NotUpdated:
            # The real one forgets its error when it clears its flag.
            self._change_pool(inventory, found, pool)
        except Fault as error:
            log.debug(str(error))
        except (NotReverted, TimedOut):
            late = True
        finally:
            if not late:
                update.set_progress(inventory, found.machine, on=False)
        if late:
            self._end_late()

    def _end_late(self) -> None:
        log = self._log
        log.error(_TRAIL.at("vic/pkg/vsphere/tasks.WaitForResultAndRetryIf"))
        log.error("Failed to reset UpdateInProgress")
        log.error("context deadline exceeded")
        for _ in range(2):
            log.error(_TRAIL.at("vic/cmd/vic-machine/configure.(*Configure).Run.func2"))
        raise Refused(TIMED_OUT)

    def _merge_stores(self, settings: Settings) -> None:
        """Stores can be added, not dropped: those that are there have to be given again."""
        there = {label: _store(settings, label) for label in settings.names("storage/VolumeLocations")}
        given = self._wanted.volume_stores
        missing = sorted(set(there) - set(given)) if given else []
        if missing:
            self._log.error("Configuring cannot continue: copying configuration failed")
            raise Refused(f"Existing volume stores must be specified with --volume-store: {', '.join(missing)}")
        self._wanted.volume_stores = {**there, **given}

    def _provide_certificates(self, settings: Settings) -> None:
        log, options = self._log, self._options
        own = options.text("tls-server-cert") and options.text("tls-server-key")
        if not options.text("tls-cname") and not options.yes("no-tlsverify") and not own:
            nothing = "No new certificates provided. Certificates left unchanged."
            log.info(f"No certificate regeneration requested. {nothing}")
            return
        folder = options.text("tls-cert-path") or settings.hidden("init/common/name")
        if Path(folder).exists():
            where = f'Specified or default certificate output location "{folder}" already exists.'
            how = "Specify a location that does not yet exist with --tls-cert-path to continue"
            instead = f"or do not specify --tls-noverify if, instead, you want to load certificates from {folder}"
            raise Refused(f"{where} {how} {instead}")
        self._certificates = certificates.provide(log, asked_certificates(self._command, self._wanted, folder))

    def _check(self, inventory: Inventory, found: Found, settings: Settings) -> Checked:
        """All checks again, of what is there with what was given on top."""
        session, whole = inventory.session, self._wanted
        for role in ("client", "public", "management"):
            getattr(whole, role).name = _network_name(session, settings, role)
        whole.bridge = _network_name(session, settings, "bridge")
        if not whole.container_networks:
            names = [name for name in settings.names("network/container_networks") if name != "bridge"]
            at = "network/container_networks|{}/Common/id"
            for name in names:
                vsphere = str(session.get(session.object(settings.text(at.format(name))), "name"))
                whole.container_networks[name] = wanted.ContainerNetwork(vsphere)
        store = settings.text("storage/image_stores|0/Host")
        path = settings.text("storage/image_stores|0/Path")
        checks = Checks(self._command, inventory, whole)
        # By its id a VCH is found without its place, which then is where its pool is.
        place = self._options.text("compute-resource")
        if not place and self._options.text("id"):
            place = str(session.get(self._command.compute_of(inventory, found.pool), "name"))
        return checks.run("Configure", place, f"ds://{store}/{path}")

    def _change_pool(self, inventory: Inventory, found: Found, specification: Any) -> None:
        if specification is None or str(inventory.session.get(found.pool, "name")) != found.name:
            return
        try:
            with told():
                found.pool.UpdateConfig(name=None, config=specification)
        except (Fault, NotThere) as error:
            self._log.error(f"Failed to set resource pool of {quoted(found.name)}: {error}")
            raise NotUpdated(str(error)) from error

    def _change_group(self, inventory: Inventory, found: Found) -> None:
        if self._options.has("affinity-vm-group"):
            compute = self._command.compute_of(inventory, found.pool)
            vm = found.machine if self._options.yes("affinity-vm-group") else None
            machine.set_group(inventory.session, compute, found.name, vm)

    def _make_stores(self, inventory: Inventory, settings: Settings, checked: Checked) -> None:
        checked.volume_stores = stores.make_volume_stores(self._log, inventory, checked.volume_stores)
        settings.values |= vch_settings.volume_stores(checked.volume_stores)

    def _apply(self, settings: Settings, checked: Checked) -> None:
        """The given flags, in the settings."""
        options, values = self._options, settings.values
        values[read_only("connect/target_thumbprint")] = self._login.thumbprint
        if options.has("ops-user"):
            values[read_only("connect/username")] = options.text("ops-user")
            settings.plain[vch_settings.TOKEN] = self._password.encode()
        if options.has("ops-grant-perms"):
            values[read_only("grant_permissions")] = text("ADD" if options.yes("ops-grant-perms") else "")
        if options.has("dns-server"):
            for role in settings.names("init/networks"):
                settings.drop(f"init/networks|{role}/network/dns")
                values |= vch_settings.name_servers(role, self._wanted.dns)
        if options.has("container-network"):
            settings.drop("network/container_networks")
            values |= vch_settings.container_networks(self._command.build, self._wanted, checked)
        self._apply_numbers(settings)
        self._apply_proxies(settings)
        values |= vch_settings.syslog(options)
        values |= vch_settings.registry(self._wanted)
        if self._certificates.certificate:
            settings.drop("cert/CertificateAuthorities")
            open_, sealed = vch_settings.tls(self._certificates)
            values |= open_
            settings.plain |= sealed

    def _apply_numbers(self, settings: Settings) -> None:
        options, values = self._options, settings.values
        if options.has("storage-quota"):
            quota = (options.number("storage-quota") or 0) * vch_settings.GIB_BYTES
            values[read_only("storage/storage_quota")] = str(quota)
        if options.has("containers"):
            values[read_only("container/container_count")] = str(options.number("containers") or 0)
        if options.has("container-name-convention"):
            convention = options.text("container-name-convention")
            values[read_only("container/ContainerNameConvention")] = text(convention)
        if options.has("affinity-vm-group"):
            on = options.yes("affinity-vm-group")
            values[read_only("container/UseVMGroup")] = truth(on)
            if on:
                values[read_only("container/VMGroupName")] = settings.hidden("init/common/name")
        if options.has("debug"):
            level = str(options.number("debug") or 0)
            values[read_only("init/diagnostics/debug")] = level

    def _apply_proxies(self, settings: Settings) -> None:
        for component, prefix in (("docker-personality", ""), ("vicadmin", "VICADMIN_")):
            at = f"init/sessions|{component}/cmd/Env"
            environment = settings.texts(at)
            for flag, name in _PROXIES:
                if not self._options.has(flag):
                    continue
                environment = [one for one in environment if not one.startswith(f"{prefix}{name}=")]
                value = self._options.text(flag)
                environment += [f"{prefix}{name}={value}"] if value else []
            settings.values |= texts(read_only(at), environment)


def _store(settings: Settings, label: str) -> Store:
    at = f"storage/VolumeLocations|{label}"
    scheme, path = settings.text(f"{at}/Scheme"), settings.text(f"{at}/Path")
    path = path.partition("] ")[2] if scheme == "ds" else path
    return Store(scheme, settings.text(f"{at}/Host"), path, settings.text(f"{at}/RawQuery"))


def _network_name(session: Any, settings: Settings, role: str) -> str:
    identity = settings.text(f"init/networks|{role}/network/Common/id")
    try:
        return str(session.get(session.object(identity), "name"))
    except NotThere:
        return identity
