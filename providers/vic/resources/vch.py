"""vic.VirtualContainerHost: what Pulumi needs to know about a VCH, over its whole life."""

from __future__ import annotations

import datetime
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from providers.kit.claims import CLAIMS
from providers.kit.difference import Change, plain
from providers.kit.errors import DrydockError, Permanent
from providers.kit.model import Memory
from providers.kit.provider import Call, Foresight, Provider
from providers.kit.secrets import Secret, Settings
from providers.vic.flags import Command, has_command
from providers.vic.output import Ending, Kind, Line
from providers.vic.resources import decisions
from providers.vic.resources.decisions import Step
from providers.vic.resources.inputs import DEFAULTS, VchInputs
from providers.vic.resources.mark import Mark, Marks
from providers.vic.resources.remains import FOLDER, Remains
from providers.vic.resources.state import (
    CONNECTED,
    ITS_OWN,
    KNOWN,
    LOST,
    NO_CARD,
    ON,
    RUNNING,
    SHOWN_SETTINGS,
    UNKNOWN,
    VchState,
    api_there,
    astray,
    cards_astray,
    certificates_there,
    client_material,
    configuration_of,
    doors,
    entrance_of,
    fitting,
    machine_there,
    settings_there,
)
from providers.vic.settings import TlsMode, refused_by

if TYPE_CHECKING:  # the program that only declares resources needs neither vSphere nor certificates
    from providers.vic.bundle import Bundle
    from providers.vic.certificates import Material
    from providers.vic.command_line import Options
    from providers.vic.docker_api import Entrance
    from providers.vic.inspected import Configuration
    from providers.vic.resources.session import VicSession
    from providers.vic.runner import Finished
    from providers.vic.vm import Site, Vch

_MATERIAL, _BUNDLE, _VCH, _VIEW = "material", "bundle", "vch", "view"
_ADMINISTRATOR = "vsphere_password"

# What vic-machine doesn't do itself, so that it doesn't wait either.
_STARTED_BY_US = frozenset({Step.POWER_ON, Step.MOUNT, Step.RESIZE, Step.RESTART})
_BY_VIC_MACHINE = frozenset({Step.UPGRADE, Step.CONFIGURE})
LOOK_S = 1.0
STILL_AT_WORK_S = 300.0  # beside its own time, twice: an upgrade waits once more for its way back

VchCall = Call["VicSession", VchState]


class VchProvider(Provider[VchInputs, VchState, "VicSession"]):
    """Makes, changes, upgrades and removes a VCH by vic-machine; never loses a volume unless told to."""

    kind = "vic.VirtualContainerHost"
    inputs = VchInputs
    state = VchState
    replace_on = decisions.REPLACED
    without_calls = decisions.UNTOUCHED
    secret_outputs = frozenset({"ca", "client_cert", "client_key"})
    looks_ahead = True
    # A bundle that is fetched in the same run doesn't tell these before.
    may_come_later = frozenset({"bundle.sha256", "bundle.build", "bundle.commit"})
    looks_before_replacing = True

    def endpoint(self, settings: Settings, desired: VchInputs) -> Hashable:
        from providers.esxi.vsphere import Endpoint

        one = Endpoint.of(settings)
        return one.server, one.user, desired.thumbprint or one.thumbprint

    def connect(self, settings: Settings, desired: VchInputs) -> VicSession:
        from providers.esxi.vsphere import Endpoint, VSphere
        from providers.vic.resources.session import VicSession

        one = Endpoint.of(settings)
        return VicSession(VSphere(replace(one, thumbprint=desired.thumbprint or one.thumbprint)))

    def describe(self, desired: VchInputs) -> str:
        return f"{self.kind} '{desired.name}'"

    def thing(self, desired: VchInputs) -> str:
        within = "/".join(filter(None, [desired.datacenter, desired.compute_resource]))
        return f"{desired.name} in {within or 'the vCenter'} at {self._server()}"

    def identify(self, desired: VchInputs, state: VchState) -> str:
        return f"{self._server()}/{state.name}"

    # What is there

    def observe(self, call: VchCall, desired: VchInputs) -> VchState | None:
        site = call.client.site(fresh=not call.looking)
        mark = Marks(self.thing(desired)).read()
        vch = self._found(call, site, desired, mark)
        if vch is None:
            return None
        call.looks[_VCH] = vch
        ours = mark is not None and mark.fits(vch.id)
        made_now = call.learned.get(_MATERIAL)
        if made_now is None and ours and mark is not None and not mark.made:
            made_now = call.learned[_MATERIAL] = self._left(call, desired)
        wanted = desired.settings()
        material = fitting(client_material(wanted, made_now, call.last), vch)
        view = None
        entrance = entrance_of(vch, material)
        if vch.power != "poweredOn":
            from providers.vic.docker_api import View

            view = View("it is powered off")
        elif entrance is not None and (vch.tls_mode is not TlsMode.MUTUAL or entrance.client_cert):
            view = call.client.look(entrance)
        call.looks[_VIEW] = view
        unfinished = (mark is not None and ours and not mark.made) or bool(call.last and call.last.half_made)
        half_made = unfinished and (view is None or view.status != RUNNING)
        told = None if half_made else self._inspected(call, desired, vch)
        known = certificates_there(vch, material, call.last, made=made_now is not None)
        bundle: Bundle | None = call.learned.get(_BUNDLE)
        sha256 = bundle.sha256 if bundle else (call.last.bundle_sha256 if call.last else desired.bundle.sha256)
        fields = {
            **settings_there(vch, told, wanted, _known_before(call.last, mark if ours else None)),
            **machine_there(vch, site, view),
            **api_there(vch, view, call.last),
            **known,
            **doors(vch, call.last, known["certificate"]),
            "name": desired.name,
            "vcenter_shows": call.client.thumbprint(),
            "half_made": half_made,
            "made_here": ours or made_now is not None or bool(call.last and call.last.made_here),
            "inspected": {} if told is None else {name: list(values) for name, values in told.values.items()},
            "bundle_sha256": sha256 or "",
        }
        return VchState.model_validate(fields)

    def ours(self, call: VchCall, desired: VchInputs, there: VchState) -> bool:
        mark = Marks(self.thing(desired)).read()
        return mark is not None and mark.fits(there.vm_id)

    def expected(self, desired: VchInputs, there: VchState) -> Mapping[str, Any]:
        if there.half_made:
            return {"half_made": False}  # it is made anew, whatever else it lacks
        told = desired.settings().model_dump(mode="json", exclude_unset=True)
        seen = plain(there)
        found = {name: _set_parts(value) for name, value in told.items() if name in SHOWN_SETTINGS and name in seen}
        found["tls"] = {**_set_parts(told.get("tls", {})), "mode": desired.tls.mode.value}
        found |= {
            "version": desired.bundle.version,
            "vcenter_thumbprint": there.vcenter_shows,
            "power": ON,
            "pool": ITS_OWN,
            "iso": ITS_OWN,
            "networks": dict.fromkeys(there.networks, CONNECTED),
            "stranded": [],
            "update_in_progress": False,
            "half_made": False,
        }
        if there.power == ON and there.docker_api != UNKNOWN and not there.half_made:
            found["docker_api"] = RUNNING
            found["volume_stores_online"] = dict.fromkeys(there.volume_stores_online, True)
        return {**found, **self._expected_certificates(desired, there)}

    def default(self, name: str, there: VchState) -> Any:
        if name in DEFAULTS:
            return DEFAULTS[name]
        if name == "public_network":
            from providers.vic.inspected import DEFAULT_PUBLIC_NETWORK

            return {"name": DEFAULT_PUBLIC_NETWORK}
        # vic-machine chooses then: whatever it is, it is right.
        return getattr(there, name)

    def differences(self, desired: VchInputs, there: VchState, memory: Memory) -> list[Change]:
        """Without what can't be mended and loses nothing, and without what nobody knows.

        A volume store that the program names no more stays. What login a VCH has that was taken over can't be seen.
        """
        unknown = {_ADMINISTRATOR, "ops_password"} - memory.fingerprints.keys()
        found = [one for one in super().differences(desired, there, memory) if one.path not in unknown]
        return [one for one in found if not (one.path.startswith("volume_stores.") and one.wanted is None)]

    def same(self, name: str, then: Any, now: Any, there: VchState) -> bool:
        if name == "registry_cas":
            from providers.vic.certificates import fingerprints

            return fingerprints(then or []) == fingerprints(now or [])
        if name == "bundle" and isinstance(then, Mapping) and isinstance(now, Mapping):
            # The version is told by its own field.
            return {**then, "version": ""} == {**now, "version": ""} or then.get("version") != now.get("version")
        return bool(then == now)

    def secret_values(self, settings: Settings, desired: VchInputs) -> Mapping[str, Secret]:
        """What the VCH keeps of logins: another one here, and it has to be told."""
        if desired.ops_user is not None and desired.ops_password is not None:
            return {"ops_password": settings.secret(desired.ops_password)}
        password = settings.credential("vsphere:password", "VSPHERE_PASSWORD")
        return {} if password is None else {_ADMINISTRATOR: password}

    def verify(self, settings: Settings, desired: VchInputs) -> list[tuple[str, str]]:
        return refused_by(desired.settings(), desired.bundle.version) + _ended(desired)

    def look_ahead(self, call: VchCall, desired: VchInputs) -> tuple[None, Foresight]:
        from providers.vic.resources.surroundings import missing, refuse_taken

        names = call.client.names()
        problems = missing(desired, names)
        if call.creating and not problems:
            mark = Marks(self.thing(desired)).read()
            vch = self._found(call, call.client.site(), desired, mark)
            # One that is to be replaced is in the program, and claimed.
            known = vch is not None and (desired.adopt or CLAIMS.has(self._key(vch.id)))
            ours = mark is not None and (mark.begun if vch is None else mark.fits(vch.id))
            if not (known or ours):
                refuse_taken(desired, self.describe(desired), vch, names)
        return None, Foresight(problems)

    def replaces(self, change: Change, desired: VchInputs) -> bool:
        return decisions.step_of(change, desired)[0] is Step.REPLACE

    def foretell(self, desired: VchInputs, there: VchState, changes: Sequence[Change]) -> str:
        told = decisions.foretold(changes, desired, there)
        if Step.REPLACE in decisions.steps(changes, desired) and not desired.replace_protection:
            CLAIMS.give_up(self._key(there.vm_id))
        return told

    def claims(self, desired: VchInputs, there: VchState) -> Mapping[str, str]:
        return {self._key(there.vm_id): f"VCH {there.name}"}

    def marked(self, state: VchState, failed: Mapping[str, str]) -> VchState:
        return state

    def incomplete(self, desired: VchInputs, failed: Mapping[str, str], state: VchState) -> DrydockError:
        return Permanent(
            "not all of it is as it should be",
            on=self.describe(desired),
            remedy="The rest is done. Mend these by hand, then run the same command again.",
            items=failed,
        )

    # What is done

    def apply(self, call: VchCall, desired: VchInputs, there: VchState | None) -> Mapping[str, str]:
        there = self._afterwards(call, desired, there)
        if there is None:
            self._create(call, desired)
            return {}
        decisions.refuse_downgrade(desired, there)
        changes = self.differences(desired, there, call.memory)
        planned = decisions.steps(changes, desired)
        if planned == [Step.REPLACE] and not call.creating:
            # The engine replaces what needs it before it comes here; what is left is of no use without it.
            raise Permanent(
                f"needs a replacement ({', '.join(sorted(one.path for one in changes))})",
                on=self.describe(desired),
                remedy="Run the same command again: it replaces it.",
            )
        if not planned:
            call.say(f"VCH {desired.name}: nothing is to do")
        for number, step in enumerate(planned):
            if step in _BY_VIC_MACHINE and _STARTED_BY_US.intersection(planned[:number]):
                self._boots(call, desired, there)
            self._take(step, call, desired, there, changes)
            if step is Step.FINISH:
                break  # it was made anew, as it is wanted
        failed = {} if Step.FINISH in planned else _untouched(changes, there)
        if set(planned) & _STARTED_BY_US and not self._comes_up(call, desired, there):
            failed["its Docker API"] = f"doesn't say RUNNING {desired.timeout_s} s after it was started; see its portal"
        marks = Marks(self.thing(desired))
        mark = marks.read()
        if mark is None or not mark.made:
            mark = mark or Mark()
            marks.write(mark.having(id=mark.id or self._there(call).id, begun=True, made=True))
        return failed

    def remove(self, call: VchCall, desired: VchInputs, there: VchState) -> Mapping[str, str] | None:
        now = self._afterwards(call, desired, there)
        if now is None:
            self.clear(call, desired)
            return None
        there = now
        if there.running and CLAIMS.is_given_up(self._key(there.vm_id)):
            self._stop_containers(call, desired, there)
        else:
            decisions.refuse_delete(there)
        marks = Marks(self.thing(desired))
        self._delete(call, desired, there, desired.force_destroy_volumes)
        CLAIMS.went(there.docker_host)
        marks.forget()
        if desired.force_destroy_volumes:
            call.say(f"VCH {there.name}: is deleted, with its volume stores")
        else:
            call.say(f"VCH {there.name}: is deleted; {decisions.kept(there)}")
        return None

    def clear(self, call: VchCall, desired: VchInputs) -> None:
        self._await_at_work(call, desired)
        marks = Marks(self.thing(desired))
        mark = marks.read()
        for left in self._remains(call, desired) if mark is not None and mark.begun else []:
            others = [one for one in left.machines if one != desired.name]
            if others:
                call.say(f"VCH {desired.name}: is gone; its container VMs {', '.join(others)} stay in {left.path}")
            else:
                call.client.clear(left, desired.name)
        marks.forget()

    # How it is done

    def _take(self, step: Step, call: VchCall, desired: VchInputs, there: VchState, changes: Sequence[Change]) -> None:
        if step is Step.FINISH:
            self._finish(call, desired, there)
        elif step is Step.RESET:
            self._reset(call, desired, there)
        elif step is Step.MOVE:
            call.say(f"VCH {there.name}: moving it back into its pool")
            call.client.move(there.vm_id, self._there(call).home)
        elif step is Step.GATHER:
            self._gather(call, there)
        elif step is Step.CONNECT:
            call.say(f"VCH {there.name}: putting its network cards back on their networks")
            call.client.connect(there.vm_id, cards_astray(self._there(call)))
        elif step is Step.MOUNT:
            vch = self._there(call)
            folder = vch.vm_path.rpartition("/")[0]
            call.say(f"VCH {there.name}: putting its ISO back, which restarts it")
            call.client.mount(vch.id, f"{folder}/v{vch.version}-{vch.build}-{vch.commit}-appliance.iso")
        elif step is Step.RESIZE:
            cpu = desired.endpoint_cpu or DEFAULTS["endpoint_cpu"]
            memory_mb = desired.endpoint_memory or DEFAULTS["endpoint_memory"]
            call.say(f"VCH {there.name}: {cpu} CPUs and {memory_mb} MB, which restarts it")
            call.client.resize(there.vm_id, cpu, memory_mb)
        elif step is Step.POWER_ON:
            self._power_on(call, there)
        elif step is Step.UPGRADE:
            self._upgrade(call, desired, there)
        elif step is Step.CONFIGURE:
            self._configure(call, desired, there, changes)
        elif step is Step.RESTART:
            call.say(f"VCH {there.name}: {there.docker_api}; giving it time, since it may be booting")
            if not self._comes_up(call, desired, there):
                call.say(f"VCH {there.name}: restarting it")
                call.client.restart(there.vm_id)

    def _gather(self, call: VchCall, there: VchState) -> None:
        site = call.client.site()
        vch = site.by_id(there.vm_id)
        if vch is None:
            return
        found = astray(vch, site)
        call.say(f"VCH {there.name}: moving its containers {', '.join(one.name for one in found)} back")
        pooled = [one.id for one, places in found.items() if "pool" in places]
        filed = [one.id for one, places in found.items() if "folder" in places]
        call.client.gather(there.name, vch.home, pooled, vch.folder, filed)

    def _stop_containers(self, call: VchCall, desired: VchInputs, there: VchState) -> None:
        call.say(f"VCH {there.name}: stopping the containers {', '.join(there.running)}, which its replacement loses")
        vch = self._there(call)
        machines = [one.id for one in call.client.site().containers_of(vch) if one.power == "poweredOn"]
        call.client.stop(_way_in(desired, there, vch), machines)

    def _power_on(self, call: VchCall, there: VchState) -> None:
        now = call.client.site(fresh=True).by_id(there.vm_id)
        if now is not None and now.power != "poweredOn":
            call.say(f"VCH {there.name}: powering it on, usually a minute until its Docker API is back")
            call.client.power_on(there.vm_id)

    def _create(self, call: VchCall, desired: VchInputs) -> None:
        marks = Marks(self.thing(desired))
        self._clear_remains(call, desired, marks)
        bundle = self._bundle(call, desired)
        name = desired.name
        told_now = desired.settings().model_dump(mode="json", exclude_unset=True, exclude={"certificates"})
        marks.write(Mark(told=told_now))

        def on_line(line: Line) -> None:
            mark = marks.read() or Mark()
            # Its own check of the name is behind it; what has the name from here on is ours.
            if not mark.begun and line.text.startswith(("Creating Resource Pool", "Creating virtual app")):
                marks.write(mark.having(begun=True))
            elif mark.begun and not mark.id and line.text.startswith(("Uploading", "Waiting for IP")):
                made = self._found(call, call.client.site(fresh=True), desired, None)
                if made is not None:
                    marks.write(mark.having(id=made.id))
            self._progress(call, name, line)

        call.say(f"VCH {name}: creating it with vic-machine {bundle.version}, usually some minutes")
        finished = self._run(call, Command.CREATE, desired, bundle, on_line=on_line)
        if finished.verdict.succeeded:
            from providers.vic.output import told

            mark = marks.read() or Mark()
            marks.write(mark.having(id=told(finished.lines).id or mark.id, begun=True, made=True))
            call.learned[_BUNDLE] = bundle
            self._learn(call, finished)
            return
        failure = finished.failure(self.describe(desired))
        with suppress(DrydockError):  # it stays then, and the next run removes it
            self._clear_remains(call, desired, marks)
        raise failure

    def _clear_remains(self, call: VchCall, desired: VchInputs, marks: Marks) -> None:
        """A pool or folder of that name without a VCH makes create fail; only what is of our own VCH is removed."""
        mark = marks.read()
        for left in self._remains(call, desired):
            others = [one for one in left.machines if one != desired.name]
            if mark is None or not mark.begun:
                said = f"has no VCH but the VMs {', '.join(others)}" if others else "exists already"
                raise Permanent(
                    f"the {left.kind} {left.path} {said} and was not made by this stack",
                    on=self.describe(desired),
                    remedy="Remove it, or choose another name.",
                )
            if others and desired.replace_protection:
                raise Permanent(
                    f"its VM is gone, and its container VMs {', '.join(others)} are left in {left.path}; "
                    "no VCH can use them again",
                    on=self.describe(desired),
                    remedy="Don't delete them: that deletes the volumes which they hold. Run once with "
                    "`replace_protection=False`: they are switched off and taken out of the inventory, and all "
                    "files stay.",
                )
            call.say(f"VCH {desired.name}: removing the {left.kind} {left.path} that is left of it")
            call.client.clear(left, desired.name)

    def _remains(self, call: VchCall, desired: VchInputs) -> list[Remains]:
        found = call.client.remains(desired.name)
        return [one for one in found if _within(one.path, desired, anywhere=one.kind == FOLDER)]

    def _finish(self, call: VchCall, desired: VchInputs, there: VchState) -> None:
        """What a create that was killed or timed out has left, and what doesn't run: away with it, and once more."""
        call.say(f"VCH {there.name}: an earlier create was not finished; removing what it left")
        decisions.refuse_delete(there)
        self._delete(call, desired, there, force=False)
        Marks(self.thing(desired)).write(Mark(begun=True))
        self._create(call, desired)

    def _delete(self, call: VchCall, desired: VchInputs, there: VchState, force: bool) -> None:
        from providers.vic.command_line import Options

        bundle = self._bundle(call, desired, there)
        if (bundle.version, bundle.build) != (there.version, there.build):
            raise Permanent(
                f"it was made by vic-machine {there.version} build {there.build}, and the bundle is {bundle.version} "
                f"build {bundle.build}, which refuses to delete it",
                on=self.describe(desired),
                remedy=f"Give the bundle of {there.version} build {there.build}.",
                argument="bundle",
            )
        call.say(f"VCH {there.name}: deleting it, usually a minute")
        options = Options(id=there.vm_id, force_destroy_volumes=force)
        finished = self._run(call, Command.DELETE, desired, bundle, options)
        if not finished.verdict.succeeded:
            raise finished.failure(self.describe(desired))

    def _reset(self, call: VchCall, desired: VchInputs, there: VchState) -> None:
        from providers.vic.command_line import Options

        busy = call.client.at_work_on(there.vm_id)
        if busy:
            raise Permanent(
                f"is being changed by somebody else: {', '.join(busy)}",
                on=self.describe(desired),
                remedy="Wait until that has ended, then run it again.",
            )
        call.say(f"VCH {there.name}: an earlier change was not finished; resetting its mark, since nobody is at work")
        bundle = self._bundle(call, desired, there)
        options = Options(id=there.vm_id, reset_progress=True)
        finished = self._run(call, Command.CONFIGURE, desired, bundle, options)
        if not finished.verdict.succeeded:
            raise finished.failure(self.describe(desired))

    def _upgrade(self, call: VchCall, desired: VchInputs, there: VchState) -> None:
        from providers.vic.command_line import Options

        bundle = self._bundle(call, desired)
        options = Options(id=there.vm_id)
        call.say(f"VCH {there.name}: upgrading from {there.version} to {bundle.version}, usually some minutes")
        finished = self._run(call, Command.UPGRADE, desired, bundle, options)
        if finished.verdict.ending is Ending.ROLLED_BACK:
            raise Permanent(
                f"the upgrade to {bundle.version} failed ({finished.verdict.told_cause}); "
                f"vic-machine has put it back to {there.version}",
                on=self.describe(desired),
                remedy="See why the new version doesn't come up, or give it more time (timeout_s), then run it again. "
                f"Its whole log: {finished.log}",
            )
        if not finished.verdict.succeeded:
            raise finished.failure(self.describe(desired))
        call.learned[_BUNDLE] = bundle
        wrong = self._unhealthy(call, desired, there)
        if not wrong:
            return
        call.say(f"VCH {there.name}: {wrong}; going back to {there.version}")
        back = self._run(call, Command.UPGRADE, desired, bundle, replace(options, rollback=True))
        call.learned.pop(_BUNDLE)
        if not back.verdict.succeeded:
            raise back.failure(self.describe(desired))
        raise Permanent(
            f"the upgrade to {bundle.version} left it unhealthy ({wrong}); it was put back to {there.version}",
            on=self.describe(desired),
            remedy=f"See its log, {finished.log}, and its portal, then run it again.",
        )

    def _boots(self, call: VchCall, desired: VchInputs, there: VchState) -> None:
        """Waits until it has reported, well or not: vic-machine would switch off what is still booting."""
        for _ in range(int(desired.timeout_s / LOOK_S)):
            vch = call.client.site(fresh=True).by_id(there.vm_id)
            if vch is None or all(vch.started.values()):
                return
            call.client.wait(LOOK_S)

    def _comes_up(self, call: VchCall, desired: VchInputs, there: VchState) -> bool:
        """Waits until it has reported and its Docker API says RUNNING, as long as vic-machine would."""
        end = time.monotonic() + desired.timeout_s
        for _ in range(int(desired.timeout_s / LOOK_S)):
            vch = call.client.site(fresh=True).by_id(there.vm_id)
            if vch is None:
                return False
            entrance = _way_in(desired, there, vch)
            has_reported = all(vch.started.values())  # else it may still be what is on its way down
            if has_reported and entrance is not None and vch.tls_mode is TlsMode.MUTUAL and not entrance.client_cert:
                return True  # nobody here can look
            if has_reported and entrance is not None and call.client.look(entrance).status == RUNNING:
                return True
            if time.monotonic() > end:
                return False
            call.client.wait(LOOK_S)
        return False

    def _unhealthy(self, call: VchCall, desired: VchInputs, there: VchState) -> str:
        """What is wrong after an upgrade, of what was right before; empty where nothing is."""
        vch = call.client.site(fresh=True).by_id(there.vm_id)
        if vch is None:
            return "its VM is gone"
        if there.docker_api != RUNNING:
            return ""
        entrance = _way_in(desired, there, vch)
        if entrance is None:
            return "it reports no address"
        view = call.client.look(entrance)
        if view.status != RUNNING:
            return view.status
        lost = sorted(label for label, on in there.volume_stores_online.items() if on and label not in view.stores)
        return f"the volume stores {', '.join(lost)} are not online" if lost else ""

    def _configure(self, call: VchCall, desired: VchInputs, there: VchState, changes: Sequence[Change]) -> None:
        from providers.vic.command_line import Options
        from providers.vic.inspected import keeping

        changed = decisions.configured(changes, desired)
        taken_out = {name: DEFAULTS[name] for name in changed - desired.model_fields_set if name in DEFAULTS}
        login_user = self._administrator() if any(one.path == _ADMINISTRATOR for one in changes) else {}
        wanted = desired.settings(**{**taken_out, **login_user})
        applied = self._applied(call.memory).settings() if call.memory.applied else None
        settings = keeping(wanted, applied, plain(there))
        bundle = self._bundle(call, desired)
        call.say(f"VCH {there.name}: configuring {', '.join(sorted(changed)) or 'its way to the vCenter'}")
        options = Options(id=there.vm_id)
        finished = self._run(call, Command.CONFIGURE, desired, bundle, options, settings=settings, changed=changed)
        if finished.verdict.succeeded:
            if changed & {"tls", "certificates"}:
                self._learn(call, finished)
            return
        failure = finished.failure(self.describe(desired))
        gone = call.client.missing_files(self._there(call))
        if gone:
            raise Permanent(
                f"{failure.what}; and the files {', '.join(gone)} are gone",
                on=self.describe(desired),
                remedy="A failed configure deletes the VCH's own folder as far as it can: don't power it off before "
                f"the files are back. Its whole log: {finished.log}",
            ) from failure
        raise failure

    def _run(
        self,
        call: VchCall,
        command: Command,
        desired: VchInputs,
        bundle: Bundle,
        options: Options | None = None,
        *,
        settings: Any = None,
        changed: frozenset[str] = frozenset(),
        on_line: Any = None,
    ) -> Finished:
        from providers.vic.command_line import command_line

        wanted = settings or desired.settings()
        login = call.client.login()
        if wanted.ops_user is not None and wanted.ops_password is not None:
            mine = wanted.ops_password == _ADMINISTRATOR
            login = replace(login, ops_password=login.password if mine else call.secret(wanted.ops_password))
        line = command_line(command, bundle.version, login, wanted, options, changed)
        say = on_line or (lambda one: self._progress(call, desired.name, one))
        return call.client.run(bundle, line, self.thing(desired), say)

    def _progress(self, call: VchCall, name: str, line: Line) -> None:
        text = line.text.strip(" -#")
        if text and line.kind in (Kind.PROGRESS, Kind.WARNING):
            call.say(f"VCH {name}: {text}")

    def _learn(self, call: VchCall, finished: Finished) -> None:
        from providers.vic.certificates import of_files

        if finished.made:
            call.learned[_MATERIAL] = of_files(finished.made)

    def _left(self, call: VchCall, desired: VchInputs) -> Material | None:
        """Certificates that a create has made whose end we have not seen."""
        from providers.vic.certificates import of_files

        left = [one for one in call.client.leftovers(self.thing(desired)) if one.command is Command.CREATE]
        return next((of_files(one.made) for one in reversed(left) if one.made), None)

    def _await_at_work(self, call: VchCall, desired: VchInputs) -> bool:
        """Waits for a vic-machine that a killed run has left at work; whether there was one."""
        for waited in range(int((2 * desired.timeout_s + STILL_AT_WORK_S) / LOOK_S)):
            busy = [one for one in call.client.leftovers(self.thing(desired)) if one.at_work]
            if not busy:
                return waited > 0
            if not waited:
                which = f"vic-machine {busy[0].command.value} (process {busy[0].pid})"
                call.say(f"VCH {desired.name}: waiting for an earlier run's {which} to end")
            call.client.wait(LOOK_S)
        raise Permanent(
            f"an earlier run's vic-machine {busy[0].command.value} (process {busy[0].pid}) is still at work",
            on=self.describe(desired),
            remedy="It must not be killed: wait until it has ended, then run it again.",
        )

    def _afterwards(self, call: VchCall, desired: VchInputs, there: VchState | None) -> VchState | None:
        """What is there once nobody of ours is at work any more."""
        if not self._await_at_work(call, desired):
            return there
        return self.observe(call, desired)

    def _bundle(self, call: VchCall, desired: VchInputs, there: VchState | None = None) -> Bundle:
        """The bundle of the arguments; for an existing VCH that which it was made with, where that is known."""
        source = desired.bundle.as_source()
        same = there is not None and there.bundle_sha256 and there.version == desired.bundle.version
        if there is not None and same:
            source = replace(source, sha256=there.bundle_sha256)
        return call.client.bundle(source, call.say)

    def _inspected(self, call: VchCall, desired: VchInputs, vch: Vch) -> Configuration | None:
        """What `inspect config` says; asked only where the VM shows a change since we last looked."""
        version = desired.bundle.version
        if not has_command(vch.version, Command.INSPECT_CONFIG) or not has_command(version, Command.INSPECT_CONFIG):
            return None
        if call.last is not None and call.last.seen == vch.hash and call.last.inspected:
            return configuration_of(call.last.inspected)
        from providers.vic.command_line import Options
        from providers.vic.inspected import configuration

        bundle = call.client.bundle(desired.bundle.as_source(), call.say)
        finished = self._run(
            call, Command.INSPECT_CONFIG, desired, bundle, Options(id=vch.id), on_line=lambda line: None
        )
        if not finished.verdict.succeeded:
            raise finished.failure(self.describe(desired))
        return configuration([line.text for line in finished.lines], self.describe(desired))

    def _found(self, call: VchCall, site: Site, desired: VchInputs, mark: Mark | None) -> Vch | None:
        """The VCH: by the id that we know, else by its name in its place."""
        for known in (call.last.vm_id if call.last else "", mark.id if mark else ""):
            vch = site.by_id(known) if known else None
            if vch is not None and vch.name == desired.name:
                return vch
        found = [one for one in site.named(desired.name) if _within(one.pool_path, desired)]
        if len(found) > 1:
            raise Permanent(
                f"the vCenter has several: {', '.join(one.pool_path for one in found)}",
                on=self.describe(desired),
                remedy="Say which by datacenter and compute_resource.",
                argument="compute_resource",
            )
        return found[0] if found else None

    def _there(self, call: VchCall) -> Vch:
        found: Vch = call.looks[_VCH]
        return found

    def _expected_certificates(self, desired: VchInputs, there: VchState) -> dict[str, Any]:
        if there.tls.get("mode") == TlsMode.NONE.value:
            return {}
        found: dict[str, Any] = {}
        if desired.certificates is not None:
            from providers.vic.certificates import shown

            return {"certificate": shown(desired.certificates.server_cert).fingerprint}
        if there.known_certificate:
            found["certificate"] = there.known_certificate
        if there.made_here and there.client_certificate == LOST:
            found["client_certificate"] = KNOWN
        now = datetime.datetime.now(datetime.timezone.utc)
        if there.made_here and there.ends is not None and there.ends - desired.renewal <= now:
            found["not_after"] = "renewed"
        return found

    def _administrator(self) -> dict[str, Any]:
        """configure writes another password of the administrator only where it is told as the ops user's."""
        from providers.esxi.vsphere import Endpoint

        return {"ops_user": Endpoint.of(self.settings).user, "ops_password": _ADMINISTRATOR}

    def _key(self, id_: str) -> str:
        return f"{self._server()} {id_}"

    def _server(self) -> str:
        return self.settings.value("vsphere:vsphereServer", "VSPHERE_SERVER") or "vCenter"


def _within(path: str, desired: VchInputs, *, anywhere: bool = False) -> bool:
    """Whether an inventory path lies in the datacenter and, unless anywhere in it, the compute resource."""
    steps = [one for one in path.split("/") if one]
    if desired.datacenter and desired.datacenter.strip("/").rpartition("/")[2] not in steps:
        return False
    wanted = [one for one in (desired.compute_resource or "").split("/") if one and one not in ("host", "Resources")]
    steps = [one for one in steps if one not in ("host", "Resources")]
    return anywhere or not wanted or any(steps[at : at + len(wanted)] == wanted for at in range(len(steps)))


def _way_in(desired: VchInputs, there: VchState, vch: Vch) -> Entrance | None:
    """To its Docker API as it is now, with what was known of it before."""
    return entrance_of(vch, fitting(client_material(desired.settings(), None, there), vch))


def _known_before(last: VchState | None, mark: Mark | None) -> Mapping[str, Any]:
    """What a VCH was told, where it can't be asked."""
    if last is not None:
        return {name: getattr(last, name) for name in SHOWN_SETTINGS}
    return mark.told if mark is not None else {}


def _set_parts(value: Any) -> Any:
    """As it is compared: of nested settings what the user set."""
    if isinstance(value, Mapping):
        return {name: _set_parts(inner) for name, inner in value.items() if inner is not None}
    return value


def _untouched(changes: Sequence[Change], there: VchState) -> dict[str, str]:
    """What no step of ours mends, by part, with what can be done."""
    found: dict[str, str] = {}
    for one in changes:
        group, _, rest = one.path.partition(".")
        if group == "volume_stores_online":
            found[f"volume store '{rest}'"] = f"is not online: see {there.volume_stores.get(rest, 'its place')}"
        elif group == "networks" and one.there == NO_CARD:
            found[f"network card '{rest}'"] = "is gone: add one on its network, or replace the VCH"
    return found


def _ended(desired: VchInputs) -> list[tuple[str, str]]:
    """Given certificates that nobody accepts."""
    given = desired.certificates
    if given is None:
        return []
    from providers.vic.certificates import Material, ended

    found = ended(Material(ca=given.ca, server_cert=given.server_cert, client_cert=given.client_cert))
    return [(f"certificates.{field}", f"{what}; give one that is valid") for field, what in found.items()]
