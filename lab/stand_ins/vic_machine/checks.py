"""Looks whether vSphere is as a VCH needs it, from compute and storage to licences and DRS; before any change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyVmomi import vim, vmodl

from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.inventory import Inventory, NotFound, Place
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused
from lab.stand_ins.vic_machine.vsphere import Fault, reference, told
from lab.stand_ins.vic_machine.wanted import Network, Store, Wanted, store

PERSISTENT_BACKING = "config.vpxd.SerialPort.PersistNetworkBacking"
BACKCHANNEL_PORT = 2377
ROLES = ("public", "client", "management")
NICS_MOST = 3

_FEATURES = ("serialuri", "dvs")


@dataclass
class Checked:
    """What the checks found: the objects that create works with."""

    place: Place | None = None
    datastore: Any = None
    image_store: Store = field(default_factory=lambda: Store("ds", "", ""))
    volume_stores: dict[str, Store] = field(default_factory=dict)
    networks: dict[str, Any] = field(default_factory=dict)
    container_networks: dict[str, Any] = field(default_factory=dict)


class Checks:
    """One run through all of them; what is wrong is collected and said at the end."""

    def __init__(self, command: Command, inventory: Inventory, wanted: Wanted) -> None:
        self._command, self._inventory, self._wanted = command, inventory, wanted
        self._log, self._session, self._first = command.log, inventory.session, command.build.is_first
        self._issues: list[str] = []
        self.found = Checked()

    def run(self, action: str, compute: str, image_store: str) -> Checked:
        """All checks.

        Args:
            action: what can't continue if something is wrong: ``Create``.
            compute: the compute resource.
            image_store: where the images are to be.

        Raises:
            Refused: something is wrong.
        """
        self._log.info("Validating supplied configuration")
        self._compute(compute)
        self._storage(image_store)
        self._networks()
        if not self._first:
            self._settings()
        if self.found.place is not None:
            self._firewalls()
            if not self._first:
                self._log.info("vCenter settings check OK")
            self._licences()
            self._drs()
        self._list(action)
        return self.found

    def _compute(self, given: str) -> None:
        try:
            self.found.place = self._command.place(self._inventory, given)
        except NotFound as error:
            self._issues.append(str(error))

    def _storage(self, given: str) -> None:
        self.found.image_store = self._store(given, "", "--image-store")
        if self.found.datastore is None:
            known = dict(self._inventory.datastores())
            self.found.datastore = known.get(self.found.image_store.host)
        for label, one in self._wanted.volume_stores.items():
            if one.scheme == "ds":
                one = self._store(f"ds://{one.host}/{one.path}", label, "--volume-store")
            self.found.volume_stores[label] = one

    def _store(self, given: str, label: str, flag: str) -> Store:
        asked = store(self._command.build, given)
        known = dict(self._inventory.datastores())
        if not asked.host and len(known) == 1:
            asked = Store("ds", next(iter(known)), asked.path)
            self._log.info(f"Using default datastore: {asked.host}")
        if asked.host not in known:
            shown = f"{given.removeprefix('ds://')}:{label}" if label else given
            self._log.info(f"Suggesting valid values for {flag} based on {quoted(shown)}")
            self._log.info(f"Suggested values for {flag}:")
            for name in known:
                self._log.info(f"  {quoted(f'{name}:{label}' if label else name)}")
            self._issues.append(f"datastore '{asked.host}' not found" if asked.host else "datastore empty")
        return asked

    def _networks(self) -> None:
        wanted = self._wanted
        for role in ("client", "management"):
            network = getattr(wanted, role)
            if network.gateway is not None and not network.destinations:
                self._issues.append(f"{role} network gateway specified without at least one routing destination")
        if wanted.public.gateway is not None and wanted.public.destinations:
            said = (
                "public network has the default route and must not have any routing destinations specified for gateway"
            )
            self._issues.append(said)
        wanted.client.name = wanted.client.name or wanted.public.name
        wanted.management.name = wanted.management.name or wanted.client.name
        self._share_addresses()
        for role in ROLES:
            self._role(role)
        self._bridge()
        for name, one in wanted.container_networks.items():
            self._container_network(name, one.vsphere)
        distinct = {one._GetMoId() for one in self.found.networks.values()}
        if len(distinct) > NICS_MOST:
            self._issues.append(
                "Four different networks including bridge network are not allowed at this time. At least two network"
                " roles of client network, management network and public network should share same network"
            )

    def _share_addresses(self) -> None:
        """An address counts for every role on the same network, and only one is allowed there."""
        roles: dict[str, Network] = {role: getattr(self._wanted, role) for role in ("management", "client", "public")}
        by_name: dict[str, list[Network]] = {}
        for network in roles.values():
            if network.ip is not None:
                by_name.setdefault(network.name, []).append(network)
        for name, fixed in by_name.items():
            if len(fixed) > 1:
                shown = " ".join(str(one.ip.ip) for one in fixed if one.ip is not None)
                said = f"Port group {quoted(name)} is configured for networks with more than one static IP: [{shown}]"
                self._log.error(said)
                self._log.error("All VCH networks on the same port group must have the same IP address")
                self._issues.append(f"Incorrect static IP configuration for networks on port group {quoted(name)}")
                continue
            self._log.info(f"Configuring static IP for additional networks using port group {quoted(name)}")
            for network in roles.values():
                if network.name == name and network.ip is None:
                    network.ip, network.gateway = fixed[0].ip, fixed[0].gateway
                    network.destinations = fixed[0].destinations

    def _role(self, role: str) -> None:
        network: Network = getattr(self._wanted, role)
        try:
            self.found.networks[role] = self._inventory.network(network.name)
        except NotFound as error:
            self._issues.append(f"Error checking network for --{role}-network: {error}")
            self._suggest(f"--{role}-network", all_kinds=True)
        if network.name == self._wanted.bridge:
            self._shared_with_bridge(role, self._wanted.bridge)

    def _shared_with_bridge(self, role: str, bridge: str) -> None:
        said = f"the bridge network must not be shared with another network role - {role} also uses {quoted(bridge)}"
        self._issues.append(said)

    def _bridge(self) -> None:
        name = self._wanted.bridge
        try:
            network = self._distributed(name)
        except NotFound as error:
            kinds = "distributed port group" if self._first else "distributed port group or opaque network"
            self._issues.append(f"An existing {kinds} must be specified for bridge network on vCenter: {error}")
            self._suggest("--bridge-network", all_kinds=False)
            return
        self.found.networks["bridge"] = network
        self._check_members(name, network)

    def _container_network(self, alias: str, name: str) -> None:
        if alias == "bridge":
            self._issues.append('Cannot use reserved name "bridge" for container network')
            return
        try:
            network = self._distributed(name)
        except NotFound as error:
            self._issues.append(f"Error adding container network {quoted(alias)}: {error}")
            self._suggest("--container-network", all_kinds=True)
            return
        if name == self._wanted.bridge:
            shared = "the bridge network must not be shared with another network role"
            self._issues.append(f"{shared} - {quoted(name)} also mapped as container network {quoted(alias)}")
        self.found.container_networks[alias] = network
        self._check_members(name, network)

    def _distributed(self, name: str) -> Any:
        network = self._inventory.network(name)
        kinds: tuple[type, ...] = (vim.dvs.DistributedVirtualPortgroup,)
        if not self._first:
            kinds += (vim.OpaqueNetwork,)
        if self._session.is_vcenter and not isinstance(network, kinds):
            raise NotFound(f"{quoted(name)} is not a Distributed Port Group")
        return network

    def _check_members(self, name: str, network: Any) -> None:
        """Whether all hosts of the cluster are on the distributed switch."""
        place = self.found.place
        if place is None or not isinstance(network, vim.dvs.DistributedVirtualPortgroup):
            return
        members = {host._GetMoId() for host in self._session.get(network, "host") or []}
        hosts = self._inventory.hosts(place.compute, place.path)
        missing = [path for path, host in hosts if host._GetMoId() not in members]
        kind = "vDS" if self._first else "Network"
        if missing:
            self._log.error(f"{kind} configuration incorrect on {quoted(name)}. All cluster hosts must be in the vDS.")
            self._log.error(f"  {quoted(name)} is missing hosts:")
            for path in missing:
                self._log.error(f"    {quoted(path)}")
            self._issues.append(
                f"All cluster hosts must be in the vDS. {quoted(name)} is missing hosts: [{' '.join(missing)}]"
            )
            return
        self._log.info(f"{kind} configuration OK on {quoted(name)}")

    def _suggest(self, flag: str, *, all_kinds: bool) -> None:
        if self._first:
            self._log.info(f"Suggesting valid networks for {flag}")
        kinds: tuple[type, ...] = (vim.Network,) if all_kinds else (vim.dvs.DistributedVirtualPortgroup,)
        names = [name for name, one in self._inventory.networks() if isinstance(one, kinds)]
        self._log.info(f"Suggested values for {flag}:")
        for name in names:
            self._log.info(f"  {quoted(name)}")

    def _settings(self) -> None:
        """A vCenter setting without which serial ports over the network don't outlive a move of a VM."""
        options = self._session.content.setting
        try:
            found = options.QueryOptions(PERSISTENT_BACKING)
            is_set = any(str(one.value).lower() == "true" for one in found)
        except vmodl.MethodFault:
            is_set = False
        if is_set:
            self._log.info("vCenter settings check OK")
            return
        try:
            with told():
                options.UpdateOptions([vim.option.OptionValue(key=PERSISTENT_BACKING, value="true")])
            self._log.info("Set vCenter settings OK")
        except Fault as error:
            said = f'Failed to set required value "true" for {PERSISTENT_BACKING}: {error}'
            self._log.error(said)
            self._issues.append(said)

    def _attached(self) -> list[tuple[str, Any]]:
        place = self.found.place
        assert place is not None
        if self.found.datastore is None:
            return self._inventory.hosts(place.compute, place.path)
        return self._inventory.hosts_with(self.found.datastore, place.compute, place.path)

    def _firewalls(self) -> None:
        right: list[str] = []
        wrong_on: list[str] = []
        wrong_off: list[str] = []
        for path, host in self._attached():
            is_on = self._session.firewall_is_on(host)
            if is_on is not None:
                self._log.info(f"Firewall status: {'ENABLED' if is_on else 'DISABLED'} on {quoted(path)}")
            if self._lets_out(host):
                right.append(path)
            elif is_on is False:
                wrong_off.append(path)
            else:
                wrong_on.append(path)
        self._say_firewalls(right, wrong_on, wrong_off)

    def _say_firewalls(self, right: list[str], wrong_on: list[str], wrong_off: list[str]) -> None:
        rule = f"Firewall must permit dst {BACKCHANNEL_PORT}/tcp outbound to"
        if right:
            self._log.info("Firewall configuration OK on hosts:")
            for path in right:
                self._log.info(f"\t{quoted(path)}")
        if wrong_on:
            self._log.error("Firewall configuration incorrect on hosts:")
            for path in wrong_on:
                self._log.error(f"\t{quoted(path)}")
            self._log.error(f"{rule} the VCH management interface")
            self._note_unless_forced(f"{rule} the VCH management interface")
        if wrong_off:
            self._log.warning("Firewall configuration will be incorrect if firewall is reenabled on hosts:")
            for path in wrong_off:
                self._log.warning(f"\t{quoted(path)}")
            self._log.info(f"{rule} VCH management interface if firewall is reenabled")

    def _lets_out(self, host: Any) -> bool:
        """Whether a rule that is on lets the containers' serial ports out to the VCH, to all addresses."""
        system = self._session.get(host, "configManager.firewallSystem")
        info = self._session.get(system, "firewallInfo") if system is not None else None
        for ruleset in getattr(info, "ruleset", None) or []:
            everywhere = ruleset.allowedHosts is None or ruleset.allowedHosts.allIp
            if ruleset.enabled and everywhere and any(_is_backchannel(rule) for rule in ruleset.rule):
                return True
        return False

    def _licences(self) -> None:
        manager = self._session.get(self._session.content.licenseManager, "licenseAssignmentManager")
        good: list[str] = []
        bad: list[str] = []
        for path, host in self._attached():
            with told():
                assigned = manager.QueryAssignedLicenses(host._GetMoId())
            features = {
                str(prop.value.key).partition(":")[0]
                for one in assigned
                for prop in one.assignedLicense.properties
                if prop.key == "feature"
            }
            missing = [feature for feature in _FEATURES if feature not in features]
            bad += [f"{quoted(path)} - license missing feature {quoted(feature)}" for feature in missing]
            good += [] if missing else [path]
        if good:
            self._log.info("License check OK on hosts:")
            for path in good:
                self._log.info(f"  {quoted(path)}")
        if bad:
            self._log.error("License check FAILED on hosts:")
            for said in bad:
                self._log.error(f"  {quoted(said)}")
            self._note_unless_forced("License does not meet minimum requirements to use VIC")

    def _drs(self) -> None:
        place = self.found.place
        assert place is not None
        if not isinstance(place.compute, vim.ClusterComputeResource):
            return
        drs = self._session.get(place.compute, "configurationEx").drsConfig
        if drs is not None and drs.enabled:
            self._log.info("DRS check OK on:")
            self._log.info(f"  {quoted(place.path)}")
            return
        self._log.error("DRS check FAILED")
        self._log.error(f"  DRS must be enabled on cluster {quoted(place.path)}")
        self._issues.append("DRS must be enabled to use VIC")

    def _note_unless_forced(self, issue: str) -> None:
        """Keeps what ``--force`` goes on past."""
        if not self._command.options.yes("force"):
            self._issues.append(issue)

    def _list(self, action: str) -> None:
        if not self._issues:
            return
        self._log.error("--------------------")
        for issue in self._issues:
            self._log.error(issue)
        self._log.error(f"{action} cannot continue: configuration validation failed")
        raise Refused("validation of configuration failed")


def identity(network: Any) -> str:
    """A network as a VCH's settings name it."""
    return reference(network)


def _is_backchannel(rule: Any) -> bool:
    end = rule.endPort or rule.port
    return (
        str(rule.direction) == "outbound"
        and str(rule.protocol) == "tcp"
        and str(rule.portType or "dst") == "dst"
        and rule.port <= BACKCHANNEL_PORT <= end
    )
