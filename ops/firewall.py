"""Shows the ESXi hosts' firewall rulesets and for whom they are open; changes nothing, needs no Pulumi and no stack.

The vCenter or ESXi host is found by VSPHERE_SERVER, VSPHERE_USER, VSPHERE_PASSWORD and VSPHERE_THUMBPRINT.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ops.exit_codes import Exit
from providers.esxi.firewall import VIC, VIC_ENGINE, VSPC, Firewalls, Ruleset, key_on, keys_of
from providers.esxi.inventory import Host, Inventory, NotThere
from providers.esxi.names import near
from providers.esxi.vsphere import Endpoint, VSphere
from providers.kit.errors import Permanent
from providers.kit.secrets import Settings
from providers.kit.words import few

WIDEST = 100
NARROWEST = 80
MOST_NAMES = 6
MANY_HOSTS = 200
ALLOWED_WIDTH = 30
LEAST_HOSTS_WIDTH = 20

_TITLES = ("RULESET", "STATE", "ALLOWED HOSTS", "HOSTS")
_GAP = "  "
_MARK = "*"
_ABSENT = ("absent", "-")


@dataclass(frozen=True)
class Look:
    """One host and what was seen of its firewall.

    Args:
        host: the host.
        rulesets: those that were asked for and that it has, by key.
    """

    host: Host
    rulesets: Mapping[str, Ruleset]

    @property
    def told(self) -> bool:
        """Whether a ruleset that isn't shown isn't there; a host that is cut off may have it all the same."""
        return bool(self.rulesets) or (self.host.connected and self.host.system is not None)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m ops firewall`."""
    status = parser.add_subparsers(dest="action", required=True, metavar="status").add_parser(
        "status",
        help="a table of the rulesets",
        description="A table of the rulesets; hosts that are alike share a line.",
    )
    where = status.add_mutually_exclusive_group()
    where.add_argument("--cluster", help="the hosts of this cluster, by inventory path or name; absent: all hosts")
    where.add_argument("--host", help="this host, by inventory path or name")
    what = status.add_mutually_exclusive_group()
    what.add_argument(
        "--ruleset",
        nargs="+",
        action="extend",
        metavar="KEY",
        help=f"only these, by key; '{VIC}' is on each host {VIC_ENGINE} where it has it, else {VSPC}",
    )
    what.add_argument("--all", action="store_true", help=f"also those that no host has open ({VIC}'s are always shown)")
    status.add_argument("--json", action="store_true", help="every ruleset of every host, by its inventory path")


def run(args: argparse.Namespace) -> int:
    """Looks, and shows; returns 0, or 2 where the environment names no vCenter.

    Raises:
        Authentication: the login was refused.
        NotThere: there is no such cluster, host or ruleset, or no host at all.
        DrydockError: the vCenter isn't reached, or tells something else.
    """
    try:
        endpoint = Endpoint.of(Settings())
    except Permanent as error:
        print(f"{error.on}: {error.what}. This command takes it from the environment.", file=sys.stderr)
        return Exit.CONFIGURATION
    asked = list(dict.fromkeys(args.ruleset or []))
    with closing(VSphere(endpoint)) as session:
        where, hosts = _hosts(session, args.cluster, args.host)
        looks = look(session, hosts, asked)
    _print(
        as_json(looks, asked) if args.json else table(looks, asked, where=where, everything=args.all, width=_width())
    )
    return Exit.OK


def look(session: VSphere, hosts: Sequence[Host], asked: Sequence[str]) -> list[Look]:
    """Reads the rulesets of all hosts in one call.

    Args:
        session: a session with their vCenter.
        hosts: the hosts.
        asked: only these rulesets, by key or as `vic`; none: all of them.

    Raises:
        NotThere: no host has a ruleset of that name; near ones are named.
    """
    firewalls = Firewalls(session)
    if not asked:
        if len(hosts) > MANY_HOSTS:
            print(f"Reads every ruleset of {len(hosts)} hosts (usually 5 seconds for 1000)", file=sys.stderr)
        found = firewalls.read_all(hosts)
        return [Look(host, found[host.name]) for host in hosts]
    found = firewalls.read(hosts, list(dict.fromkeys(key for name in asked for key in keys_of(name))))
    looks = [Look(host, found[host.name]) for host in hosts]
    unknown = next((name for name in asked if _on_no_host(name, looks)), None)
    if unknown is not None:
        raise _no_ruleset(unknown, firewalls.read_all(hosts).values(), session.endpoint.label)
    return looks


def as_json(looks: Sequence[Look], asked: Sequence[str] = ()) -> str:
    """Inventory path → host with its rulesets, as JSON; those that were asked for, else all."""
    return json.dumps({one.host.path: _as_values(one, asked) for one in looks}, indent=2)


def table(
    looks: Sequence[Look],
    asked: Sequence[str] = (),
    *,
    where: str,
    everything: bool = False,
    width: int = WIDEST,
) -> str:
    """The rulesets as lines for a person: per ruleset one line for all hosts that are alike, most hosts first.

    Args:
        looks: the hosts.
        asked: the rulesets to show, by key or as `vic`; none: those that a host has open, and always those of `vic`.
        where: what was looked at, for the first line.
        everything: with none asked, also those that no host has open.
        width: in characters.
    """
    keys = {key for one in looks for key in one.rulesets}
    open_somewhere = {key for one in looks for key, rule in one.rulesets.items() if rule.enabled}
    names = list(asked) or sorted(keys if everything else open_somewhere | {VIC_ENGINE, VSPC}, key=str.casefold)
    cells = [cell for name in names for cell in _cells(name, [one for one in looks if one.told], len(looks) == 1)]
    hidden = set() if asked else keys - set(names)
    left_out = (
        f"Left out, since open nowhere: {len(hidden)} of {len(keys)} rulesets; --all shows them." if hidden else ""
    )
    parts = [
        _wrap(f"{where}: {_hosts_in_words(looks)}", width),
        _lines([_TITLES[: len(cells[0])], *cells], width) if cells else [],
        [line for note in _notes(looks, left_out) for line in _wrap(note, width)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _hosts(session: VSphere, cluster: str | None, host: str | None) -> tuple[str, list[Host]]:
    """What is looked at, in words, and its hosts."""
    inventory, server = Inventory(session), session.endpoint.server
    if host is not None:
        where, hosts = server, [inventory.host(host)]
    elif cluster is not None:
        where = f"{inventory.path_of_cluster(cluster)} on {server}"
        hosts = inventory.hosts_of_cluster(cluster, allow_empty=True)
    else:
        where, hosts = server, inventory.all_hosts()
    if not hosts:
        raise NotThere("there is no host that the user may see", on=where, remedy="")
    return (f"{hosts[0].path} on {server}" if len(hosts) == 1 else where), hosts


def _on_no_host(name: str, looks: Iterable[Look]) -> bool:
    """Whether no host has it, though one would tell; `vic` is known everywhere."""
    told = [one for one in looks if one.told]
    return name != VIC and bool(told) and not any(name in one.rulesets for one in told)


def _no_ruleset(name: str, known: Iterable[Mapping[str, Ruleset]], on: str) -> NotThere:
    keys = {key for rulesets in known for key in rulesets}
    alike = near(name, keys)
    remedy = f"Near names: {', '.join(alike)}." if alike else "Give --all in place of --ruleset to see every one."
    return NotThere(f"no host has a ruleset '{name}'", on=on, remedy=remedy, argument="ruleset")


def _as_values(one: Look, asked: Sequence[str]) -> dict[str, Any]:
    keys = {key_on(name, one.rulesets) for name in asked} or set(one.rulesets)
    shown = {key: one.rulesets[key] for key in sorted(keys & set(one.rulesets))}
    return {
        "name": one.host.name,
        "connected": one.host.connected,
        "version": one.host.version,
        "rulesets": {
            key: {"enabled": rule.enabled, "required": rule.required, "allowed_hosts": rule.allowed_hosts}
            for key, rule in shown.items()
        },
    }


def _cells(name: str, looks: Sequence[Look], alone: bool) -> list[tuple[str, ...]]:
    """One row for each way in which hosts have a ruleset; its name stands in the first."""
    groups: dict[tuple[str, str, str], list[Look]] = {}
    for one in looks:
        key = key_on(name, one.rulesets)
        label = f"{VIC} ({key})" if name == VIC else key
        groups.setdefault((label, *_state(one.rulesets.get(key))), []).append(one)
    rows: list[tuple[str, ...]] = []
    before = ""
    for row, alike in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[0])):
        label, state, allowed = row
        first = "" if label == before else label
        before = label
        rows.append((first, state, allowed) if alone else (first, state, allowed, _who(alike, groups.values())))
    return rows


def _state(rule: Ruleset | None) -> tuple[str, str]:
    """Its state and its allowed hosts, in words."""
    if rule is None:
        return _ABSENT
    state = ("open" if rule.enabled else "closed") + (" (required)" if rule.required else "")
    allowed = rule.allowed_hosts if isinstance(rule.allowed_hosts, str) else ", ".join(rule.allowed_hosts)
    return state, allowed or "none"


def _who(alike: Sequence[Look], groups: Iterable[Sequence[Look]]) -> str:
    """How many hosts, and their names, but for the many that are as most are."""
    sizes = [len(group) for group in groups]
    if len(sizes) == 1:
        return f"all {len(alike)}"
    if len(alike) > MOST_NAMES and len(alike) == max(sizes):
        return f"{len(alike)} of {sum(sizes)}"
    return f"{len(alike)}: {few([_marked(one) for one in _by_name(alike)], MOST_NAMES)}"


def _notes(looks: Sequence[Look], left_out: str) -> list[str]:
    """What the table can't say by itself."""
    cut_off = [one.host.name for one in _by_name(looks) if one.told and not one.host.connected]
    silent = [one for one in _by_name(looks) if not one.told]
    told = []
    if cut_off and len(looks) == 1:
        told += ["It is shown as the vCenter last knew it."]
    elif cut_off:
        told += [f"{_MARK} not connected, shown as the vCenter last knew it: {few(cut_off, MOST_NAMES)}"]
    if silent:
        names = [one.host.name + ("" if one.host.connected else " (not connected)") for one in silent]
        told += [f"Not in the table, since nothing is known of it: {few(names, MOST_NAMES)}"]
    return [*told, left_out] if left_out else told


def _hosts_in_words(looks: Sequence[Look]) -> str:
    """``128 hosts, ESXi 8.0.2 on 126, 6.5.0 on 2, 1 not connected``."""
    versions = Counter(one.host.version or "unknown" for one in looks).most_common()
    if len(looks) == 1:
        return f"ESXi {versions[0][0]}" + ("" if looks[0].host.connected else "; not connected")
    listed = ", ".join(f"{version} on {count}" for version, count in versions) if len(versions) > 1 else versions[0][0]
    cut_off = sum(not one.host.connected for one in looks)
    return f"{len(looks)} hosts, ESXi {listed}" + (f"; {cut_off} not connected" if cut_off else "")


def _lines(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Rows as aligned columns; what is too long for its column goes on below."""
    label, state = (max(len(row[column]) for row in rows) for column in (0, 1))
    wrapped = [_wrap(row[2], ALLOWED_WIDTH) for row in rows]
    allowed = max(len(part) for parts in wrapped for part in parts)
    rest = max(LEAST_HOSTS_WIDTH, width - label - state - allowed - 3 * len(_GAP))
    lines = []
    for row, parts in zip(rows, wrapped, strict=True):
        hosts = _wrap(row[3], rest) if len(row) > 3 else [""]
        for number in range(max(len(parts), len(hosts))):
            cells = (
                f"{row[0] if number == 0 else '':<{label}}",
                f"{row[1] if number == 0 else '':<{state}}",
                f"{parts[number] if number < len(parts) else '':<{allowed}}",
                hosts[number] if number < len(hosts) else "",
            )
            lines.append(_GAP.join(cells).rstrip())
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _marked(one: Look) -> str:
    return one.host.name + ("" if one.host.connected else _MARK)


def _by_name(looks: Iterable[Look]) -> list[Look]:
    """As people count: esx2 before esx10."""
    parts = re.compile(r"(\d+)")
    return sorted(
        looks,
        key=lambda one: [int(part) if part.isdecimal() else part for part in parts.split(one.host.name.casefold())],
    )


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 0)).columns))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read it, `head` for example, has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
