"""Looks whether `up` can be done, before anything is changed: tools, settings, vCenter, Docker host, registry."""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ops import site
from ops.exit_codes import Exit
from ops.site import Site
from ops.stack import Stack, StackError
from providers.kit.errors import Authentication, DrydockError, Permanent
from providers.kit.secrets import UnknownSecret

if TYPE_CHECKING:
    from providers.docker.client import Engine

OK = "ok"
FAILED = "failed"
SKIPPED = "skipped"
PIN = "drydock:vsphere_thumbprint"
COMPOSE_PROJECT = "com.docker.compose.project"
ANSWER_LIMIT_S = 0.5


@dataclass(frozen=True)
class Check:
    """What one look has found.

    Args:
        name: what was looked at.
        state: ok, failed or skipped.
        text: what was found; for a failure the user's line.
        code: the exit code that a failure means.
    """

    name: str
    state: str
    text: str
    code: Exit = Exit.OK


@dataclass(frozen=True)
class Found:
    """All that was looked at."""

    checks: tuple[Check, ...]

    @property
    def problems(self) -> list[Check]:
        return [check for check in self.checks if check.state == FAILED]

    @property
    def code(self) -> Exit:
        """A refused login before everything else: it must not be tried again as it is."""
        codes = {check.code for check in self.problems}
        return Exit.AUTHENTICATION if Exit.AUTHENTICATION in codes else max(codes, default=Exit.OK)

    def text(self) -> str:
        """The problems, one after the other."""
        return "\n".join(check.text for check in self.problems)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops preflight`."""
    parser.add_argument("--stack", required=True, help="the stack; its settings are in Pulumi.<stack>.yaml")
    parser.add_argument("--json", action="store_true", help="name, state and text of every check, on stdout")
    parser.add_argument("--pin", action="store_true", help="first write the vCenter's thumbprint into the settings")


def run(args: argparse.Namespace) -> int:
    """Looks, and tells; returns 0, 3 where a login was refused, 4 where something else is wrong."""
    try:
        stack = Stack(args.stack)
        if args.pin:
            print(pin(stack), file=sys.stderr)
        found = look(stack)
    except StackError as error:
        print(error, file=sys.stderr)
        return error.code
    if args.json:
        checks = [{key: value for key, value in asdict(check).items() if key != "code"} for check in found.checks]
        print(json.dumps({"checks": checks}, indent=2))
    else:
        for check in found.checks:
            print(f"{check.state:<8} {check.name:<12} {check.text}".rstrip())
    return found.code


def look(stack: Stack) -> Found:
    """Looks at everything that the stack's settings name, at once; the slowest answer decides how long it takes.

    Raises:
        StackError: there are no settings that could be read.
    """
    try:
        one = Site.of(stack)
    except site.WrongSettings as error:
        return Found((_tools(), *(Check("settings", FAILED, line, Exit.RESOURCE) for line in error.lines)))
    compose = _checked("application", lambda: _application(one))
    looks: list[tuple[str, Callable[[], str]]] = [
        ("secrets", lambda: _secrets(one)),
        ("vCenter", lambda: _vcenter(one)),
        ("bundle", lambda: _bundle(one)),
        ("Docker", lambda: _docker(one)),
        ("registry", lambda: _registry(one)),
    ]
    if any(check.state == FAILED for check in compose):
        looks = looks[:3]  # what the application needs there isn't known
    with ThreadPoolExecutor(len(looks)) as threads:
        told = threads.map(lambda item: _checked(*item), looks)
        rest = [check for some in told for check in some]
    return Found((_tools(), Check("settings", OK, stack.file.name), *compose, *rest))


def pin(stack: Stack) -> str:
    """Writes the thumbprint of the certificate that the vCenter shows now into the stack's settings; says which.

    Raises:
        StackError: the settings can't be read.
        DrydockError: the vCenter isn't reached.
    """
    from providers.esxi.vsphere import Endpoint, thumbprints

    endpoint = Endpoint.of(site.settings_of(stack.config()))
    _, sha256, _ = thumbprints(endpoint.host, endpoint.port, endpoint.label)
    text = stack.file.read_text(encoding="utf-8")
    line = f"  {PIN}: {sha256}"
    if re.search(rf"^  {PIN}:", text, re.M):
        text = re.sub(rf"^  {PIN}:.*$", line, text, flags=re.M)
    elif re.search(r"^config:[ \t]*$", text, re.M):
        text = re.sub(r"^config:[ \t]*$", f"config:\n{line}", text, count=1, flags=re.M)
    else:
        raise StackError(f"{stack.file.name} has no section 'config:' to write into: add the line\n{line}")
    stack.file.write_text(text, encoding="utf-8")
    return (
        f"Pinned {endpoint.label} in {stack.file.name}: SHA-256 {sha256}\n"
        "Compare it with what the vCenter's own console or its administrator says."
    )


class _Skip(Exception):
    """The settings name nothing to look at."""


def _checked(name: str, look_at: Callable[[], str]) -> list[Check]:
    try:
        return [Check(name, OK, look_at())]
    except _Skip as skipped:
        return [Check(name, SKIPPED, str(skipped))]
    except Authentication as error:
        return [Check(name, FAILED, str(error), Exit.AUTHENTICATION)]
    except (DrydockError, UnknownSecret) as error:
        return [Check(name, FAILED, str(error), Exit.RESOURCE)]
    except site.Problems as problems:
        return [Check(name, FAILED, line, Exit.RESOURCE) for line in problems.lines]


def _tools() -> Check:
    from ops.pulumi import install

    if install.ready():
        return Check("tools", OK, "Pulumi and its vSphere plugin are there")
    return Check("tools", FAILED, "Pulumi isn't set up: run `python3 -m ops setup`", Exit.RESOURCE)


def _secrets(one: Site) -> str:
    names = list(one.settings.app.secrets.values()) if one.settings.app else []
    if not names:
        raise _Skip("no secrets are set")
    for name in names:
        one.values.secret(name)
    return ", ".join(names)


def _application(one: Site) -> str:
    from ops.application import asked

    wanted = asked(one)
    if wanted is None:
        raise _Skip("'app' is not set")
    return f"{one.settings.app and one.settings.app.file}: {', '.join(wanted.images)}"


def _vcenter(one: Site) -> str:
    if not one.settings.vm and not one.settings.firewall and not one.settings.vch:
        raise _Skip("neither 'vm' nor 'firewall' nor 'vch' is set")
    from ops.vcenter_names import missing

    with site.vcenter(one.values) as session:
        problems = missing(session, one.settings)
        if problems:
            raise site.Problems(problems)
        about = session.content.about
        return f"{session.endpoint.server}: {about.fullName or about.version}"


def _bundle(one: Site) -> str:
    vch = one.settings.vch
    if vch is None:
        raise _Skip("'vch' is not set")
    try:
        source = vch.bundle.place()
    except ValueError as error:
        raise site.Problems([str(error)]) from None
    if not source.startswith("https://") and not Path(source).is_file():
        raise site.Problems([f"vic-machine {vch.bundle.version}: {source} is no file: correct vch.bundle.source"])
    return f"vic-machine {vch.bundle.version} from {source}"


def _docker(one: Site) -> str:
    from ops.application import asked

    wanted = asked(one)
    if wanted is None:
        raise _Skip("'app' is not set")
    if one.settings.vch:
        raise _Skip(f"it is the VCH '{one.settings.vch.name}', which `up` makes")
    with site.docker(one.values) as engine:
        taken = [line for port, name in wanted.ports.items() if (line := _taken(engine, wanted.project, port, name))]
        if taken:
            raise site.Problems(taken)
        ports = ", ".join(map(str, wanted.ports))
        free = f"; the ports {ports} are free or ours" if ports else ""
        return f"{engine.connection.host}: Docker {engine.version()}{free}"


def _taken(engine: Engine, project: str, port: int, service: str) -> str | None:
    """The line for a port that something else answers on; None if it is free, or the application's own."""
    address = urlsplit(engine.connection.host).hostname or "localhost"
    try:
        socket.create_connection((address, port), timeout=ANSWER_LIMIT_S).close()
    except OSError:
        return None
    if _publishes(engine, port, {COMPOSE_PROJECT: project}):
        return None
    holder = _publishes(engine, port, {})
    who = f"container {holder}" if holder else f"another program on {address}"
    return (
        f"{engine.label}: port {port}, which service '{service}' publishes, is taken by {who}. "
        "Stop it, or publish another port in the compose file."
    )


def _publishes(engine: Engine, port: int, labels: Mapping[str, str]) -> str | None:
    for one in engine.containers(labels):
        if one.running and any(re.match(rf"(.*:)?{port}:\d+/", text) for text in one.ports):
            return one.name
    return None


def _registry(one: Site) -> str:
    from ops.application import asked
    from providers.registry.client import Login, Registry

    wanted, login = asked(one), Login.of(one.values)
    if wanted is None:
        raise _Skip("'app' is not set")
    if login is None:
        raise _Skip("no registry is set: the Docker host pulls without a login")
    registry, problems, found = Registry(login), [], []
    with closing(registry):
        registry.check_login()
        for reference in wanted.images.values():
            if reference.registry != login.registry:
                continue
            try:
                registry.resolve(reference)
                found.append(str(reference))
            except Permanent as error:
                problems.append(str(error))
    if problems:
        raise site.Problems(problems)
    return f"{login.registry} has {', '.join(found)}" if found else login.registry
