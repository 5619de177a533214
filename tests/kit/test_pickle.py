"""State refers to a provider by its name: a reformat, a rename of a local or another Python changes nothing."""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dill  # type: ignore[import-untyped]
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from providers.kit.provider import Provider

CHECKOUT = Path(__file__).parents[2]
SITE_PACKAGES = Path(dill.__file__).parents[1]
LONGEST_BYTES = 100

FIRST = """
from pathlib import Path
from providers.kit.model import Inputs, State
from providers.kit.provider import Provider

class LampInputs(Inputs):
    on: bool = True

class LampState(State):
    on: bool
    seen_by: str = ""

class Session:
    def close(self): pass

class LampProvider(Provider[LampInputs, LampState, Session]):
    kind = "test.Lamp"
    inputs = LampInputs
    state = LampState
    always_there = True
    def endpoint(self, settings, desired): return "here"
    def connect(self, settings, desired): return Session()
    def describe(self, desired): return self.kind
    def identify(self, desired, state): return "lamp"
    def observe(self, call, desired):
        found = Path(__file__).with_name("lamp").read_text() == "on"
        return LampState(on=found, seen_by="first")
    def apply(self, call, desired, there):
        text = "on" if desired.on else "off"
        Path(__file__).with_name("lamp").write_text(text)
"""

REFORMATTED = FIRST.replace("    def ", "\n\n    # a comment more\n    def ").replace("text", "renamed_local")
REFORMATTED = REFORMATTED.replace("read_renamed_local", "read_text").replace("write_renamed_local", "write_text")
TODAY = REFORMATTED.replace('seen_by="first"', 'seen_by="today"')

DRIVER = """
import base64, json, sys
import dill
from pulumi.dynamic.dynamic import serialize_provider

state = json.load(sys.stdin)
from lamps import LampProvider
pickled = serialize_provider(LampProvider())
provider = dill.loads(base64.b64decode(state["__provider"] if state else pickled))
if state:
    read = provider.read("lamp", state)
    again = {**read.outs, "__provider": pickled}
    answer = {"changes": provider.diff("lamp", again, {"on": True, "__provider": pickled}).changes, "outs": read.outs}
else:
    answer = {"outs": {**provider.create({"on": True}).outs, "__provider": pickled}}
json.dump({**answer, "pickled": pickled}, sys.stdout)
"""

# Where the SDK's compiled parts don't load, dill alone shows that the bytes mean a name and nothing else.
DRIVER_WITHOUT_SDK = """
import base64, json, pickle, sys
import dill

state = json.load(sys.stdin)
provider = dill.loads(base64.b64decode(state["__provider"]))
again = dill.dumps(provider, protocol=4, recurse=True)
json.dump({"answers": provider.answer(), "pickled": base64.b64encode(again).decode()}, sys.stdout)
"""

WITHOUT_SDK = "class LampProvider:\n    def answer(self):\n        return 'today'\n"


def pythons() -> dict[str, Path]:
    """Every Python at hand, by version; the one that runs the tests is always among them."""
    names = ["python3", *(f"python3.{minor}" for minor in range(10, 16))]
    paths = [Path(path) for path in map(shutil.which, names) if path]
    paths += [Path("/usr/bin/python3"), *sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))]
    found = {".".join(map(str, sys.version_info[:3])): Path(sys.executable)}
    for path in paths:
        asked = [str(path), "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"]
        try:
            answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            continue
        if tuple(map(int, answer.split(".")[:2])) >= (3, 10):
            found.setdefault(answer, path)
    return found


PYTHONS = pythons()
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}."
SAME_MINOR = {version: path for version, path in PYTHONS.items() if version.startswith(HERE)}


def run(python: Path, driver: str, folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (folder, CHECKOUT, SITE_PACKAGES)))}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [str(python), "-c", driver],
        input=json.dumps(state),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with the provider's module as it was first, and the state that it made."""
    folder = tmp_path_factory.mktemp("lamps")
    (folder / "lamps.py").write_text(FIRST)
    (folder / "lamp").write_text("off")
    return folder, run(Path(sys.executable), DRIVER, folder, {})["outs"]


def test_the_state_holds_the_name_of_the_class_and_no_code(made: tuple[Path, dict[str, Any]]) -> None:
    pickled = base64.b64decode(made[1]["__provider"])
    assert len(pickled) < LONGEST_BYTES
    assert b"lamps" in pickled and b"LampProvider" in pickled and b"observe" not in pickled


def test_a_class_in_main_would_be_pickled_with_its_code() -> None:
    """The control: what the proof above would show if the class were not importable."""
    code = 'import pulumi.dynamic as d, dill\nclass P(d.ResourceProvider):\n  def observe(self): return "code"\n'
    code += "print(b'observe' in dill.dumps(P(), recurse=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("version", SAME_MINOR)
@pytest.mark.parametrize("source", [FIRST, REFORMATTED], ids=["as it was", "reformatted, a local renamed"])
def test_the_bytes_are_the_same_and_the_preview_is_clean(
    made: tuple[Path, dict[str, Any]], source: str, version: str
) -> None:
    folder, state = made
    (folder / "lamps.py").write_text(source)
    answer = run(SAME_MINOR[version], DRIVER, folder, state)
    assert answer["pickled"] == state["__provider"]
    assert answer["changes"] is False


def test_a_refresh_runs_todays_code_and_not_the_states(made: tuple[Path, dict[str, Any]]) -> None:
    folder, state = made
    assert state["seen_by"] == "first"
    (folder / "lamps.py").write_text(TODAY)
    assert run(Path(sys.executable), DRIVER, folder, state)["outs"]["seen_by"] == "today"


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_at_hand_reads_the_bytes_and_writes_the_same(
    made: tuple[Path, dict[str, Any]], version: str, tmp_path: Path
) -> None:
    (tmp_path / "lamps.py").write_text(WITHOUT_SDK)
    answer = run(PYTHONS[version], DRIVER_WITHOUT_SDK, tmp_path, made[1])
    assert answer == {"answers": "today", "pickled": made[1]["__provider"]}


def test_every_provider_of_ours_is_pickled_by_name() -> None:
    seen = 0
    for module in sorted((CHECKOUT / "providers").glob("*/resources.py")):
        name = f"providers.{module.parent.name}.resources"
        for _, one in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if issubclass(one, Provider) and one.__module__ == name and hasattr(one, "kind"):
                pickled = base64.b64decode(serialize_provider(one()))
                assert len(pickled) < LONGEST_BYTES and one.__name__.encode() in pickled
                seen += 1
    assert seen


def test_states_of_the_first_version_still_find_the_firewalls_provider() -> None:
    """They name the module that has become a package since."""
    reference = b"\x80\x02cproviders.esxi.resources\nRulesetProvider\n)\x81."

    provider = dill.loads(reference)

    assert type(provider).__name__ == "RulesetProvider" and provider.kind == "esxi.FirewallRuleset"
