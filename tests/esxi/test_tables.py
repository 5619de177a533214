"""The tables in `decisions/`: what is wanted and what the hosts have → the exact calls, or the sentence why not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pyVmomi import vim

from providers.esxi import resources
from providers.kit.provider import Failed
from tests.esxi.conftest import FakeHost

FILES = sorted((Path(__file__).parent / "decisions").glob("*.yaml"))
KNOWN = {"case", "wanted", "hosts", "calls", "nothing", "refused", "left"}
PROVIDERS = {
    "FirewallRuleset": resources.RulesetProvider,
    "FirewallDefaults": resources.DefaultsProvider,
    "HostService": resources.ServiceProvider,
    "AdvancedSetting": resources.SettingProvider,
}
CASES = [(file.stem, case) for file in FILES for case in yaml.safe_load(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("resource", "case"), CASES, ids=[f"{name}: {case['case']}" for name, case in CASES])
def test_what_is_sent(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    resource: str,
    case: dict[str, Any],
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, **_: said.append(text))
    stack = bench(*(_host(name, has) for name, has in case["hosts"].items()), provider=PROVIDERS[resource])

    if "refused" in case:
        problems = [reason for _, reason in stack.check(**case["wanted"])]
        with pytest.raises(Failed):
            stack.create(**case["wanted"])
        assert len(problems) == 1 and case["refused"] in problems[0]
        assert case["refused"] in capsys.readouterr().err
        assert stack.site.calls == []
        return
    outputs = stack.create(**case["wanted"])

    assert sorted(stack.site.calls) == sorted(case.get("calls", []))
    assert [call for call in stack.site.calls if call.startswith("a:")] == [
        call for call in case.get("calls", []) if call.startswith("a:")
    ]
    left = {name: part["error"] for name, part in outputs["hosts"].items() if "error" in part}
    assert left.keys() == case.get("left", {}).keys()
    assert all(case["left"][name] in reason for name, reason in left.items())
    if "calls" not in case:
        assert case["nothing"] in said[-1]


def test_every_case_says_what_happens_and_nothing_that_is_not_understood() -> None:
    for name, case in CASES:
        told = f"{name}: {case['case']}"
        assert case.keys() <= KNOWN, told
        assert len(case.keys() & {"calls", "nothing", "refused"}) == 1, told
        assert ("nothing" in case) == ("nothing is to do" in case["case"]), told


def test_every_resource_has_a_table() -> None:
    kinds = {name for name in resources.__all__ if not name.endswith("Provider")}
    assert {file.stem for file in FILES} == kinds == PROVIDERS.keys()


def _host(name: str, has: dict[str, Any]) -> FakeHost:
    host = FakeHost(name)
    for key, value in has.items():
        if key == "disconnected":
            host.connected = not value
        elif key == "busy":
            host.refuses, host.refusals = vim.fault.TaskInProgress(), value
        elif key == "lacks":
            host.refuses = vim.fault.NoPermission(privilegeId=value)
        elif key == "required":
            host.required = frozenset(value)
        elif key == "managed_by":
            host.managed_by = value
        elif key == "blocked":
            host.policy = "incoming" in value, "outgoing" in value
        elif isinstance(value, dict):
            host.options[key] = value["is"], _definition(value)
        elif value.startswith(("runs", "stopped")):
            state, _, policy = value.partition(", ")
            host.services[key] = state == "runs", policy
        else:
            host.rules[key] = _rule(value)
    return host


def _rule(text: str) -> tuple[bool, list[str]]:
    found = re.fullmatch(r"(open|closed)(?: for (.+))?", text)
    assert found, f"a ruleset is open, closed, or open for ADDRESSES, not '{text}'"
    return found[1] == "open", found[2].split(", ") if found[2] else []


def _definition(value: dict[str, Any]) -> Any:
    read_only = value.get("read_only", False)
    for name, kind in (("long", vim.option.LongOption), ("int", vim.option.IntOption)):
        if name in value:
            lowest, highest = value[name]
            return kind(valueIsReadonly=read_only, min=lowest, max=highest, defaultValue=lowest)
    if "bool" in value:
        return vim.option.BoolOption(valueIsReadonly=read_only, supported=True, defaultValue=False)
    if "choice" in value:
        option = vim.option.ChoiceOption(valueIsReadonly=read_only)
        option.choiceInfo = [vim.ElementDescription(key=one, label="", summary="") for one in value["choice"]]
        return option
    return vim.option.StringOption(valueIsReadonly=read_only, defaultValue="")
