"""Lets a public key into a VCH's appliance by vic-machine's debug, for `vch debug`; never sets a password."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from ops import vch_look, vch_stack
from ops.exit_codes import Exit
from ops.stack import Stack, StackError
from providers.esxi.vsphere import Endpoint, VSphere
from providers.kit.errors import Permanent
from providers.kit.model import BadInputs, Memory, parse
from providers.kit.secrets import Settings
from providers.vic.command_line import Options, command_line
from providers.vic.flags import Command
from providers.vic.output import Kind, Line
from providers.vic.resources import VchProvider
from providers.vic.resources.inputs import VchInputs
from providers.vic.resources.session import VicSession
from providers.vic.resources.state import VchState


def let_in(settings: Settings, stack: Stack, name: str, key: str, say: Callable[[str], None]) -> str:
    """Runs it; returns the appliance's address.

    Args:
        settings: the stack's config and the environment.
        stack: the stack that made the VCH: it knows its bundle.
        name: the VCH's, or its VM's id.
        key: the public key, one line.
        say: gets vic-machine's progress.

    Raises:
        StackError: the stack has no such VCH.
        DrydockError: the vCenter isn't reached, or vic-machine fails.
    """
    desired, state = _of_stack(stack, name)
    endpoint = Endpoint.of(settings)
    pinned = replace(endpoint, thumbprint=desired.thumbprint or endpoint.thumbprint)
    with closing(VicSession(VSphere(pinned))) as session:
        vch = vch_look.one(session.site(), state.vm_id, endpoint.label)
        address = vch.addresses.get("client")
        if vch.power != "poweredOn" or not address:
            raise Permanent("it is powered off or reports no address", on=f"VCH {vch.name}", remedy="Run `up` first.")
        source = desired.bundle.as_source()
        if state.bundle_sha256 and state.version == desired.bundle.version:
            source = replace(source, sha256=state.bundle_sha256)
        bundle = session.bundle(source, say)
        options = Options(id=vch.id, enable_ssh=True, authorized_key=key)
        line = command_line(Command.DEBUG, bundle.version, session.login(), desired.settings(), options)
        say(f"VCH {vch.name}: switching SSH on for this key with vic-machine {bundle.version}, usually some seconds")

        def on_line(one: Line) -> None:
            text = one.text.strip(" -#")
            if text and one.kind in (Kind.PROGRESS, Kind.WARNING):
                say(f"VCH {vch.name}: {text}")

        finished = session.run(bundle, line, _Named(settings).thing(desired), on_line)
        if not finished.verdict.succeeded:
            raise finished.failure(f"VCH {vch.name}")
    return address


def _of_stack(stack: Stack, name: str) -> tuple[VchInputs, VchState]:
    """What a stack's state knows of a VCH."""
    known = [(VchState.model_validate(one.kept), Memory.of(one.kept)) for one in vch_stack.kept(stack) if one.kept]
    found = [(state, memory) for state, memory in known if name in (state.name, state.vm_id)]
    if not found:
        names = [state.name for state, _ in known]
        raise StackError(vch_stack.unknown(name, names, f"stack '{stack.name}'"), Exit.RESOURCE)
    state, memory = found[0]
    applied = {key: value for key, value in memory.applied.items() if key in VchInputs.model_fields}
    try:
        return parse(VchInputs, applied), state
    except BadInputs as error:
        raise StackError(f"VCH {state.name}: what the stack's state says of it is refused now: {error}") from error


class _Named(VchProvider):
    """The provider where only its names for things are wanted: logs lie under them."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings

    @property
    def settings(self) -> Settings:
        return self._given
