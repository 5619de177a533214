"""What `vch` takes of a stack: its outputs with their secrets, its VCHs as the state has them and the program wants."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops import up
from ops.exit_codes import Exit
from ops.progress import ECHO
from ops.stack import CHECKOUT, QUESTION_LIMIT_S, Stack, StackError
from providers.esxi.names import near
from providers.kit.model import holds
from providers.kit.secrets import Secret, redact

PREVIEW_LIMIT_S = 300.0
SETTING = "drydock:vch"

_VCH = ":VirtualContainerHost"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's own sign for a value that a preview can't know
_WRAPPED = "4dabf18193072939515e22adb298388d"  # and the key of its sign for a secret


@dataclass(frozen=True)
class Reached:
    """How clients reach the VCH that a stack has made.

    Args:
        name: the VCH's.
        id: its VM's managed object id.
        docker_host: ``tcp://host:port``.
        ca, cert: PEM texts; empty where there are none.
        key: PEM text of the client's key.
        server_name: the name in its certificate, where nobody's DNS knows it; else empty.
        volume_stores: label → place.
    """

    name: str
    id: str
    docker_host: str
    ca: str
    cert: str
    key: Secret
    server_name: str = ""
    volume_stores: Mapping[str, str] = field(default_factory=dict)

    @property
    def connection(self) -> dict[str, Any]:
        """As our Docker client takes it."""
        texts = {"ca": self.ca, "cert": self.cert, "key": self.key.reveal(), "server_name": self.server_name}
        return {"host": self.docker_host, **{name: text or None for name, text in texts.items()}}


@dataclass(frozen=True)
class Declared:
    """A VCH of a program.

    Args:
        urn: Pulumi's name for it.
        wanted: its arguments, as the program gives them; `None` where it doesn't have it any more.
        kept: its outputs in the stack's state; `None` where that doesn't know it. Secrets are in both.
    """

    urn: str
    wanted: Mapping[str, Any] | None = field(default=None, repr=False)
    kept: Mapping[str, Any] | None = field(default=None, repr=False)


def chosen(name: str | None) -> Stack:
    """The stack of that name; without one, the one that `pulumi stack select` has chosen.

    Raises:
        StackError: none is chosen.
    """
    if name is not None:
        return Stack(name)
    argv = ["pulumi", "stack", "--show-name", "--non-interactive", "--color", "never"]
    done = _run(argv, QUESTION_LIMIT_S)
    found = done.stdout.strip()
    if done.returncode or not found:
        raise StackError("no stack is selected here: give --stack NAME")
    return Stack(found)


def reached(stack: Stack, name: str | None = None) -> Reached:
    """The VCH in a stack's outputs.

    Args:
        stack: the stack.
        name: which VCH is meant; absent: the stack's.

    Raises:
        StackError: the stack has no VCH, or another one.
    """
    told = json.loads(stack.ask("stack", "output", "--show-secrets", "--json"))
    vch = told.get("vch") or {}
    if not vch.get("name"):
        raise StackError(f"stack '{stack.name}' has no VCH yet: make it with `python -m ops up --stack {stack.name}`")
    if name is not None and name not in (vch["name"], vch.get("id")):
        raise StackError(unknown(name, [vch["name"]], f"stack '{stack.name}'"), Exit.RESOURCE)
    host = vch.get("docker_host") or told.get("docker_host") or ""
    if not host:
        raise StackError(
            f"VCH {vch['name']} reports no address yet: see `python -m ops vch inspect {vch['name']}`", Exit.RESOURCE
        )
    ca, cert, key = (str(told.get(f"docker_{part}") or "") for part in ("ca", "cert", "key"))
    name_there, stores = str(vch.get("server_name") or ""), vch.get("volume_stores") or {}
    return Reached(str(vch["name"]), str(vch.get("id") or ""), str(host), ca, cert, Secret(key), name_there, stores)


def makes_one(stack: Stack) -> bool:
    """Whether a stack's settings ask for a VCH."""
    return bool(stack.configured().get(SETTING))


def kept(stack: Stack) -> list[Declared]:
    """The VCHs that a stack's state knows; also a stack without any is no error."""
    told = json.loads(stack.ask("stack", "export", "--show-secrets"))
    resources = (told.get("deployment") or {}).get("resources") or []
    return [
        Declared(one["urn"], kept=_plain(one.get("outputs") or {}))
        for one in resources
        if str(one.get("type", "")).endswith(_VCH) and not one.get("delete")
    ]


def declared(stack: Stack) -> list[Declared]:
    """The VCHs of a stack: what the program gives them now, by a preview, beside what the state has.

    Raises:
        StackError: the preview fails; Pulumi's own line.
    """
    stack.require_file()
    if not up.exists(stack):
        up.say(f"Makes the empty stack '{stack.name}', as `up` would: nothing else is changed")
        stack.ask("stack", "init")
    known = {one.urn: one.kept for one in kept(stack)}
    wanted = wanted_by(_preview(stack))
    urns = dict.fromkeys([*wanted, *known])
    return [Declared(urn, wanted.get(urn), known.get(urn)) for urn in urns]


def wanted_by(preview: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """URN → arguments of every VCH in the JSON of a preview.

    What is not known before the bundle is made stands in the bundle's own arguments.

    Raises:
        StackError: another argument is only known once something else is made.
    """
    states = {one["urn"]: one.get("newState") or {} for one in preview.get("steps") or []}
    found: dict[str, Mapping[str, Any]] = {}
    for urn, state in states.items():
        if not str(state.get("type", "")).endswith(_VCH):
            continue
        given = _arguments(state)
        if holds(given.get("bundle"), _UNKNOWN):
            above = (state.get("propertyDependencies") or {}).get("bundle") or []
            places = [_arguments(states.get(one, {})) for one in above]
            given["bundle"] = _filled(given["bundle"], {name: value for one in places for name, value in one.items()})
        later = sorted(name for name, value in given.items() if holds(value, _UNKNOWN))
        if later:
            raise StackError(
                f"VCH {given.get('name', urn)}: {', '.join(later)} is only known once what it comes from is made: "
                "run `up`, or give it in the settings",
                Exit.RESOURCE,
            )
        found[urn] = given
    return found


def unknown(name: str, known: Iterable[str], where: str) -> str:
    """The line for a VCH that isn't there, with near names, else all."""
    names = sorted(set(known))
    alike = near(name, names)
    if alike:
        return f"{where}: there is no VCH '{name}'. Near names: {', '.join(alike)}."
    return f"{where}: there is no VCH '{name}'." + (f" There is: {', '.join(names)}." if names else " There is none.")


def _preview(stack: Stack) -> Mapping[str, Any]:
    # Refreshed as by `up`: the provider refuses some changes by what it saw last.
    argv = ["pulumi", "preview", "--refresh", "--json", "--show-secrets", "--stack", stack.name, "--non-interactive"]
    done = _run([*argv, "--color", "never"], PREVIEW_LIMIT_S, stack)
    try:
        told: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        told = {}
    if done.returncode or not told:
        said = [str(one.get("message", "")) for one in told.get("diagnostics", []) if _is_error(one)]
        lines = [line.strip() for text in [*said, done.stderr] for line in text.splitlines() if line.strip()]
        lines = [line for line in lines if not ECHO.search(line.removeprefix("error: "))] or lines
        line = lines[0] if lines else "its preview said nothing"
        code = Exit(done.returncode) if done.returncode in Exit._value2member_map_ else Exit.GENERIC
        raise StackError(redact(line.removeprefix("error:").strip()), code or Exit.GENERIC)
    return told


def _is_error(told: Mapping[str, Any]) -> bool:
    """A provider's own line comes as what its process has printed."""
    printed = told.get("severity") == "info#err" and str(told.get("message", "")).startswith("error: ")
    return printed or told.get("severity") == "error"


def _run(argv: list[str], limit_s: float, stack: Stack | None = None) -> subprocess.CompletedProcess[str]:
    folder = stack.folder if stack else CHECKOUT
    try:
        return subprocess.run(
            argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"`pulumi {argv[1]}` did not answer within {limit_s:.0f} s", Exit.TIMEOUT) from None
    except FileNotFoundError:
        raise StackError("'pulumi' is not on PATH: run `python3 -m ops setup` first") from None


def _arguments(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of a resource: without what Pulumi and the kit add, and what isn't given."""
    inputs = _plain(state.get("inputs") or {})
    return {name: value for name, value in inputs.items() if not name.startswith("__") and value is not None}


def _filled(bundle: Any, place: Mapping[str, Any]) -> dict[str, Any]:
    """A bundle's place with what the program gives to the bundle itself where its outputs aren't known yet."""
    known = bundle if isinstance(bundle, Mapping) else dict.fromkeys(place, _UNKNOWN)
    filled = {name: place.get(name) if value == _UNKNOWN else value for name, value in known.items()}
    return {name: value for name, value in filled.items() if value is not None}


def _plain(value: Any) -> Any:
    """A value of Pulumi's state with its secrets opened."""
    if isinstance(value, Mapping):
        if _WRAPPED in value:
            return _plain(json.loads(value["plaintext"])) if "plaintext" in value else None
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
