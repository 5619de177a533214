"""Which vic-machine command lines an `up` of a stack would run for its VCH, for `vch command`; runs none of them.

The provider decides, in its own code: it applies what the program wants, on a session that reads the real site, writes
down what it is asked to do, and does none of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops.vch_stack import Declared
from providers.esxi.vsphere import Endpoint, VSphere
from providers.kit import journal
from providers.kit.errors import Permanent
from providers.kit.model import BadInputs, Memory, parse
from providers.kit.secrets import Settings, redact
from providers.vic import bundle as bundles
from providers.vic.bundle import Bundle, Source
from providers.vic.command_line import CommandLine
from providers.vic.docker_api import Entrance
from providers.vic.flags import Command
from providers.vic.output import Ending, Line, Verdict
from providers.vic.resources import VchProvider, decisions
from providers.vic.resources.decisions import Step
from providers.vic.resources.inputs import VchInputs
from providers.vic.resources.remains import Remains
from providers.vic.resources.session import VicSession
from providers.vic.resources.state import VchState
from providers.vic.resources.vch import VchCall
from providers.vic.runner import Finished, Usage

NOTHING = "nothing"
CREATE = "create"
DELETE = "delete"

_READS = frozenset({Command.INSPECT_CONFIG, Command.INSPECT, Command.LS, Command.VERSION})


@dataclass
class Plan:
    """What an `up` would do to one VCH.

    Args:
        name: the VCH's.
        steps: create, delete, or the provider's steps; nothing of it where all is as it should be.
        told: the provider's word on what that is and costs.
        lines: the runs of vic-machine, in their order.
        also: what is done through vSphere beside them, in words.
    """

    name: str
    steps: list[str] = field(default_factory=list)
    told: str = ""
    lines: list[CommandLine] = field(default_factory=list)
    also: list[str] = field(default_factory=list)

    def as_values(self) -> dict[str, Any]:
        """Plain values for JSON; no secrets."""
        return {
            "name": self.name,
            "steps": self.steps,
            "told": self.told,
            "also": self.also,
            "commands": [_line_as_values(one) for one in self.lines],
        }

    def text(self) -> str:
        """Ready to paste: what isn't a command stands in comments."""
        said = [f"# VCH {self.name}: {' '.join((self.told or ', '.join(self.steps)).split())}"]
        said += [f"# by vSphere, without vic-machine: {one}" for one in self.also]
        for one in self.lines:
            beside = f", with these files beside it: {', '.join(one.files)}" if one.files else ""
            said.append(f"# vic-machine {one.version}{beside}")
            said.append(redact(one.pasteable()))
        return "\n".join(said)


def plan(settings: Settings, declared: Declared) -> Plan:
    """What an `up` would do to a VCH of the program.

    Args:
        settings: the stack's config and the environment.
        declared: what the program wants, and what the state has.

    Raises:
        DrydockError: `up` would be refused as well, with the provider's own reason.
    """
    provider = _Rehearsing(settings)
    with _notes_of_its_own():
        return provider.rehearse(declared)


class _Rehearsing(VchProvider):
    """The provider on a session that does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings

    @property
    def settings(self) -> Settings:
        return self._given

    def rehearse(self, declared: Declared) -> Plan:
        memory = Memory.of(declared.kept) if declared.kept is not None else Memory.new()
        last = VchState.model_validate(declared.kept) if declared.kept is not None else None
        desired = self._wanted(memory.applied if declared.wanted is None else declared.wanted)
        made = Plan(desired.name)
        endpoint = Endpoint.of(self.settings)
        pinned = replace(endpoint, thumbprint=desired.thumbprint or endpoint.thumbprint)
        with closing(_Notebook(VSphere(pinned), made)) as client:
            call = _Quiet(client, self.settings, memory.key, creating=last is None, last=last, memory=memory)
            there = self.observe(call, desired)
            if there is not None and last is None:
                self._take_over(call, desired, there)
            if declared.wanted is None:
                self._left_out(call, desired, there, made)
            elif there is None:
                made.steps.append(CREATE)
                self.apply(replace(call, creating=True, last=None), desired, None)
            else:
                self._changed(call, desired, there, made)
        return made

    def _changed(self, call: VchCall, desired: VchInputs, there: VchState, made: Plan) -> None:
        changes = self.differences(desired, there, call.memory)
        steps = decisions.steps(changes, desired)
        made.told = self.foretell(desired, there, changes)
        made.steps += [one.value for one in steps] or [NOTHING]
        if steps == [Step.REPLACE]:
            applied = call.memory.applied
            self.remove(call, self._wanted(applied) if applied else desired, there)
            self.apply(replace(call, creating=True, last=None), desired, None)
        elif steps:
            self.apply(call, desired, there)

    def _left_out(self, call: VchCall, desired: VchInputs, there: VchState | None, made: Plan) -> None:
        """The program has it no more."""
        if there is None:
            made.steps.append(NOTHING)
            return
        made.steps.append(DELETE)
        data = "with its volume stores" if desired.force_destroy_volumes else decisions.kept(there)
        made.told = f"{DELETE}, since the program has it no more; {data}"
        self.remove(call, desired, there)

    def _wanted(self, given: Mapping[str, Any]) -> VchInputs:
        try:
            return parse(VchInputs, {name: value for name, value in given.items() if name in VchInputs.model_fields})
        except BadInputs as error:
            raise Permanent(str(error), on=self.kind, remedy="Correct the settings.") from None


class _Quiet(VchCall):
    """A call that tells nobody of what it doesn't do."""

    def say(self, text: str) -> None: ...


class _Notebook(VicSession):
    """Reads as the provider's session does; what would change something is written down and not done."""

    def __init__(self, vsphere: VSphere, plan: Plan) -> None:
        super().__init__(vsphere)
        self._plan = plan
        self._sources: dict[Path, Source] = {}

    def power_on(self, id_: str) -> None:
        self._plan.also.append(f"power on {id_}")

    def restart(self, id_: str) -> None:
        self._plan.also.append(f"restart {id_}")

    def resize(self, id_: str, cpu: int, memory_mb: int) -> None:
        self._plan.also.append(f"give {id_} {cpu} CPUs and {memory_mb} MB, with a restart")

    def move(self, id_: str, pool: str) -> None:
        self._plan.also.append(f"move {id_} into {pool}")

    def gather(self, name: str, pool: str, pooled: list[str], folder: str, filed: list[str]) -> None:
        moved = ", ".join(dict.fromkeys([*pooled, *filed]))
        self._plan.also.append(f"move {moved} into the pool and the folder of {name}")

    def connect(self, id_: str, cards: Mapping[int, str]) -> None:
        told = ", ".join(f"in slot {slot} on {network}" for slot, network in cards.items())
        self._plan.also.append(f"put the network cards of {id_} back: {told}")

    def mount(self, id_: str, iso: str) -> None:
        self._plan.also.append(f"put {iso} into the CD-ROM of {id_}, with a restart")

    def stop(self, entrance: Entrance | None, machines: list[str]) -> None:
        self._plan.also.append(f"stop the containers in the VMs {', '.join(machines)}")

    def clear(self, left: Remains, name: str) -> None:
        self._plan.also.append(f"remove the {left.kind} {left.path} that is left of an earlier VCH")

    def bundle(self, source: Source, say: Callable[[str], None]) -> Bundle:
        """What is in the cache; for a line of text no bundle is fetched."""
        found = bundles.cached(source)
        if found is None:
            build, commit = self._build_of(source.version)
            found = Bundle(source.version, build, commit, source.sha256 or "", Path(source.place))
            self._sources[found.folder] = source
        return found

    def run(self, there: Bundle, line: CommandLine, thing: str, on_line: Callable[[Line], None]) -> Finished:
        if line.command in _READS:
            source = self._sources.get(there.folder)
            return super().run(there if source is None else bundles.fetch(source, _nobody), line, thing, on_line)
        self._plan.lines.append(line)
        return Finished(line, 0, Verdict(Ending.SUCCESS), (), Path(), Usage())

    def _build_of(self, version: str) -> tuple[str, str]:
        """A bundle that isn't here is taken for the one that made the VCH of its version."""
        vchs = [one for one in self.site().named(self._plan.name) if one.version == version]
        return (vchs[0].build, vchs[0].commit) if vchs else ("", "")


@contextmanager
def _notes_of_its_own() -> Iterator[None]:
    """The provider notes what it is about to make: here into a copy, so that nothing is noted that isn't made."""
    real, given = journal.folder(), os.environ.get(journal.FOLDER)
    with tempfile.TemporaryDirectory(prefix="drydock-") as copy:
        if (real / "before").is_dir():
            shutil.copytree(real / "before", Path(copy, "before"))
        for name in ("scratch", "logs"):
            real.mkdir(parents=True, exist_ok=True, mode=0o700)
            (real / name).mkdir(exist_ok=True, mode=0o700)
            Path(copy, name).symlink_to(real / name)
        os.environ[journal.FOLDER] = copy
        try:
            yield
        finally:
            if given is None:
                del os.environ[journal.FOLDER]
            else:
                os.environ[journal.FOLDER] = given


def _nobody(text: str) -> None: ...


def _line_as_values(line: CommandLine) -> dict[str, Any]:
    return {
        "command": line.command.value,
        "version": line.version,
        "arguments": [redact(one) for one in (*line.login_arguments, *line.arguments)],
        "asks_for_passwords": len(line.answers) + sum("PASSWORD" in name for name in line.environment),
        "files": {path: f"{file.mode:o}" for path, file in line.files.items()},
        "pasteable": redact(line.pasteable()),
    }
