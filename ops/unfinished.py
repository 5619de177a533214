"""What an interrupted run has left in a stack's state: operations without an end, VMs that are made but not known.

Our own providers take over what is theirs when they create it again. The vSphere plugin doesn't: it would make a second
VM, or be refused by the vCenter. So a VM that carries the stack's line in its annotation is imported before `up` or
`down`, with Pulumi's own import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ops import site
from ops.exit_codes import Exit
from ops.stack import Stack, StackError

MACHINE = "vsphere:index/virtualMachine:VirtualMachine"
MARK = "drydock.stack="


def settle(stack: Stack, say: Callable[[str], None], *, interrupted: bool) -> None:
    """Makes the state whole, so that the next run finishes the job without asking.

    Args:
        stack: the stack.
        say: shows one line.
        interrupted: whether a run is known to have been interrupted. Where the backend isn't a folder, only then is
            it asked, since that costs a command.

    Raises:
        StackError: a VM can't be imported.
    """
    state = _state(stack, interrupted=interrupted)
    pending = state.get("pending_operations") or []
    if not pending:
        return
    known = {one["urn"] for one in state.get("resources") or []}
    lost = {line: one for line, one in _machines_begun(pending) if one["urn"] not in known}
    if lost:
        _import_those_made(stack, lost, say)
    say("Clears what the interrupted run had begun; this run finishes it")
    # An import of one's own export changes nothing but this; `refresh` would ask every system about everything.
    stack.ask("stack", "import", given=stack.ask("stack", "export"))


def _state(stack: Stack, *, interrupted: bool) -> Mapping[str, Any]:
    checkpoint = stack.checkpoint()
    if checkpoint is not None:
        return checkpoint.get("latest") or {}
    if not interrupted:
        return {}
    return dict(json.loads(stack.ask("stack", "export")).get("deployment") or {})


def _machines_begun(pending: list[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The stack's line in the annotation → the resource, for each VM whose creation has begun."""
    for operation in pending:
        resource = operation["resource"]
        if operation.get("type") == "creating" and resource["type"] == MACHINE:
            annotation = str((resource.get("inputs") or {}).get("annotation") or "")
            line = next((line for line in annotation.splitlines() if line.startswith(MARK)), None)
            if line:
                yield line, resource


def _import_those_made(stack: Stack, lost: Mapping[str, Mapping[str, Any]], say: Callable[[str], None]) -> None:
    say(f"Looks whether the interrupted run made its VM ({', '.join(_name(one['urn']) for one in lost.values())})")
    for line, path in site.machines(stack, lost.keys()).items():
        _import(stack, lost[line], path, say)


def _import(stack: Stack, resource: Mapping[str, Any], path: str, say: Callable[[str], None]) -> None:
    name = _name(resource["urn"])
    say(f"Takes over VM {path}, which an interrupted run made (usually 2 seconds)")
    # The parent gets a name of its own here: by its real one the command would find the child, if that is named alike.
    parent = ["--parent", f"parent={resource['parent']}"] if resource.get("parent") else []
    options = ["--yes", "--skip-preview", "--protect=false", "--generate-code=false"]
    try:
        stack.ask("import", MACHINE, name, path, *parent, *options)
    except StackError as error:
        raise StackError(
            f"VM {path} was made by an interrupted run and can't be taken over ({error}): "
            "correct that, or remove the VM by hand, then run this again",
            Exit.RESOURCE,
        ) from error


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
