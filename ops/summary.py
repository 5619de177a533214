"""What a person wants to read after `up` and `down`: what was made, where it answers, how to look, how to end it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from providers.kit.words import few

COLUMN = 14
USUAL = "lab"
MOST_NAMES = 4
_VERBS = {
    "create": "made",
    "create-replacement": "replaced",
    "update": "changed",
    "delete": "removed",
    "import": "taken over",
}
_OPEN = {True: "open", False: "closed"}
_DIGEST_SHOWN = len("@sha256:") + 12


def changes(counted: Mapping[str, int], duration_s: float) -> str:
    """One line: ``9 made, 1 changed, 3 as before, in 41 s.``"""
    told = [f"{counted[name]} {verb}" for name, verb in _VERBS.items() if counted.get(name)]
    same = [f"{counted['same']} as before"] if counted.get("same") else []
    return f"{', '.join([*told, *same])}, in {duration_s:.0f} s."


def unchanged(outputs: Mapping[str, Any]) -> str:
    """The one line where nothing was to be done."""
    page = f" The application answers at {outputs['app_url']}" if outputs.get("app_url") else ""
    return f"Nothing changed: everything is as the settings say.{page}"


def after_up(outputs: Mapping[str, Any], *, stack: str, look_hint: str | None) -> str:
    """The summary of a running stack.

    Args:
        outputs: the stack's outputs.
        stack: its name.
        look_hint: a line to type first, before the commands to look with work.
    """
    what = [
        *_rows("VM", _vm(outputs.get("vm"))),
        *_rows("Firewall", _firewall(outputs.get("firewall"))),
        *_rows("VCH", _vch(outputs.get("vch"))),
        *_rows("Application", [str(outputs["app_url"])] if outputs.get("app_url") else []),
        *_rows("Images", _images(outputs.get("images"))),
    ]
    how = [
        *_rows("Look", _look(outputs, stack, look_hint)),
        *_rows("Take it down", [_down(stack, has_app=bool(outputs.get("app_url")))]),
    ]
    return "\n".join([*what, "", *how] if what else how)


def kept_volumes(names: Sequence[str], *, host: str, stack: str, stores: Mapping[str, str] | None = None) -> str:
    """What stays after `down`.

    Args:
        names: the volumes.
        host: the Docker host that they are on.
        stack: the stack's name.
        stores: label → place of the volume stores, where the host was a VCH, which is gone as well.
    """
    if not names:
        return ""
    delete = f"`{make('down', stack)} DATA=delete`"
    if stores is None:
        place, way = f"on {host}", f"{delete} deletes them."
    else:
        place = "in the VCH's volume stores " + ", ".join(f"'{label}' at {at}" for label, at in sorted(stores.items()))
        way = f"to delete them: `{make('up', stack)}`, then {delete}."
    return f"The data stay, {place}: {', '.join(names)}. The next `up` takes them over again; {way}"


def make(target: str, stack: str) -> str:
    """The command for a stack: the lab's needs no name."""
    return f"make {target}" if stack == USUAL else f"make {target} STACK={stack}"


def _vm(vm: Any) -> list[str]:
    if not vm:
        return []
    address = vm.get("address") or "no address yet: its guest reports none"
    return [f"{vm.get('name')}  ({address})"]


def _firewall(hosts: Any) -> list[str]:
    by_rule: dict[tuple[str, str], list[str]] = {}
    for path, rule in sorted((hosts or {}).items()):
        state = str(rule.get("ruleset")), _OPEN.get(rule.get("enabled"), "unknown")
        by_rule.setdefault(state, []).append(path.rpartition("/")[2])
    return [f"{ruleset} {state} on {few(names, MOST_NAMES)}" for (ruleset, state), names in by_rule.items()]


def _vch(vch: Any) -> list[str]:
    return [f"{vch.get('name')}  {vch.get('version') or ''}  {vch.get('portal') or ''}".rstrip()] if vch else []


def _images(images: Any) -> list[str]:
    width = max(map(len, images or {}), default=0)
    return [f"{service:<{width}}  {_short(str(image))}" for service, image in sorted((images or {}).items())]


def _look(outputs: Mapping[str, Any], stack: str, hint: str | None) -> Iterable[str]:
    if hint:
        yield hint
    vch = outputs.get("vch") or {}
    if vch.get("name"):
        yield f".venv/bin/python -m ops vch inspect {vch['name']} --stack {stack}"
    elif outputs.get("docker_host"):
        yield f"docker -H {outputs['docker_host']} ps"
    yield f"pulumi stack output --stack {stack}"
    yield f"pulumi preview --stack {stack}"


def _down(stack: str, *, has_app: bool) -> str:
    stays = "  (the application's data stay, unless DATA=delete)" if has_app else ""
    return f"{make('down', stack)}{stays}"


def _rows(title: str, lines: Iterable[str]) -> list[str]:
    return [f"  {title if number == 0 else '':<{COLUMN}}{line}" for number, line in enumerate(lines)]


def _short(image: str) -> str:
    name, sign, digest = image.partition("@")
    return f"{name}{(sign + digest)[:_DIGEST_SHOWN]}…" if sign else image
