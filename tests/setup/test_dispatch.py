"""`python -m ops`: finds commands without importing them, and ends with one line and Pulumi's exit codes."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ops import __main__ as dispatch
from ops.toolchain import SetupError
from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary

COMMAND = '"""Does something.\n\nMore."""\nraise ImportError\ndef add_arguments(parser): ...\ndef run(args): ...\n'


def command_that(outcome: Exception | int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(args: argparse.Namespace) -> int:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    module = SimpleNamespace(add_arguments=lambda parser: None, run=run, __doc__="A command.")
    monkeypatch.setattr(dispatch, "commands", lambda folder: {"try-it": "A command."})
    monkeypatch.setitem(sys.modules, "ops.try_it", module)  # type: ignore[arg-type]


def test_commands_are_found_without_importing_them(tmp_path: Path) -> None:
    (tmp_path / "take_down.py").write_text(COMMAND)
    (tmp_path / "library.py").write_text("def run(): ...")

    assert dispatch.commands(tmp_path) == {"take-down": "Does something."}


def test_help_and_set_up_need_no_installed_package(checkout: Path) -> None:
    script = "import sys, runpy; import ops.setup; sys.argv[1:] = ['--help']\n"
    script += "try: runpy.run_module('ops', run_name='__main__')\nexcept SystemExit as end: assert not end.code\n"
    script += "assert not any('site-packages' in str(getattr(m, '__file__', '')) for m in sys.modules.values())"

    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=checkout, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert re.search(r"setup +Sets the checkout up", done.stdout)


def test_an_unknown_command_names_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch.main(["setpu"]) == 2

    assert capsys.readouterr().err == "There is no command 'setpu'. Did you mean 'setup'?\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SetupError("one line"), 2),
        (Authentication("login refused", on="vCenter", remedy="Check the password."), 3),
        (Permanent("not found", on="cluster C", remedy="Check the name."), 4),
        (Temporary("busy", on="host H", remedy="Try again."), 4),
    ],
)
def test_our_errors_end_as_one_line_with_pulumis_exit_code(
    error: SetupError | DrydockError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command_that(error, monkeypatch)

    assert dispatch.main(["try-it"]) == code
    assert capsys.readouterr().err == f"{error}\n"


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    command_that(ZeroDivisionError(), monkeypatch)

    with pytest.raises(ZeroDivisionError):
        dispatch.main(["try-it"])


def test_a_commands_exit_code_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    command_that(7, monkeypatch)

    assert dispatch.main(["try-it"]) == 7


def test_ctrl_c_ends_as_cancelled(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command_that(0, monkeypatch)

    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["ops.try_it"], "run", interrupted)

    assert dispatch.main(["try-it"]) == 8
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_missing_package_says_which_python_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    command_that(0, monkeypatch)

    def no_such_module(name: str) -> None:
        raise ModuleNotFoundError("No module named 'pydantic'", name="pydantic")

    monkeypatch.setattr(dispatch.importlib, "import_module", no_such_module)

    with pytest.raises(SetupError, match=r"'pydantic' isn't installed in .* then `\.venv/bin/python -m ops try-it`"):
        dispatch.run("try-it", [])
