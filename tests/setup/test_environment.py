"""The checkout's `.venv`: made anew or left alone, by what its stamp says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.pulumi import venv
from ops.setup import Environment
from ops.toolchain import SetupError

PINNED = "six==1.0 --hash=sha256:00\n"


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Path:
    folder = tmp_path / "a check out"
    folder.mkdir()
    (folder / "requirements.txt").write_text(PINNED)
    return folder


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked for; the packages appear without a registry."""
    calls: list[str] = []

    def pretend(call: str, folder: Path) -> None:
        calls.append(call)
        (folder / "lib/python3/site-packages/six-1.0.dist-info").mkdir(parents=True, exist_ok=True)
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin/python").unlink(missing_ok=True)
        (folder / "bin/python").symlink_to(sys.executable)
        (folder / venv.MADE_WITH).write_text(os.path.realpath(sys.executable))

    monkeypatch.setattr(venv, "make", lambda folder, requirements, log: pretend("made", folder))
    return calls


def test_a_whole_environment_is_left_alone(project: Path, done: list[str]) -> None:
    Environment(project).ensure()
    Environment(project).ensure()

    assert done == ["made"]


def test_after_changed_requirements_it_is_made_again(project: Path, done: list[str]) -> None:
    Environment(project).ensure()
    (project / "requirements.txt").write_text(PINNED.replace("1.0", "1.1"))

    Environment(project).ensure()

    assert done == ["made", "made"]


def remove_package(folder: Path) -> None:
    next(folder.glob("lib/*/site-packages/six-*")).rmdir()


def lose_interpreter(folder: Path) -> None:
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("/no/such/python")


def change_interpreter(folder: Path) -> None:
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to("/bin/sh")


def break_stamp(folder: Path) -> None:
    (folder / "made-from.json").write_text("{")


@pytest.mark.parametrize("breaks", [remove_package, lose_interpreter, change_interpreter, break_stamp])
def test_a_broken_one_is_made_again(project: Path, done: list[str], breaks: Callable[[Path], None]) -> None:
    Environment(project).ensure()
    breaks(project / ".venv")

    Environment(project).ensure()

    assert done == ["made", "made"]


def test_one_that_was_killed_while_it_was_made_is_made_again(
    project: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, requirements: Path, log: Path) -> None:
        (folder / "bin").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(venv, "make", killed)
        with pytest.raises(KeyboardInterrupt):
            Environment(project).ensure()

    Environment(project).ensure()

    assert done == ["made"]


def test_one_that_was_moved_is_made_again(project: Path, done: list[str]) -> None:
    Environment(project).ensure()
    moved = project.rename(project.with_name("moved"))

    Environment(moved).ensure()

    assert done == ["made", "made"]


@pytest.fixture
def installers(monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[str]:
    """What installs: `uv` (which fails while the cache's `uv-broken` is there) and `pip`; nothing is fetched."""
    calls: list[str] = []

    def run(argv: list[str], **_: object) -> None:
        if argv[1:3] == ["-m", "venv"]:
            folder = Path(argv[-1])
            (folder / "bin").mkdir(parents=True, exist_ok=True)
            (folder / "bin/python").unlink(missing_ok=True)
            (folder / "bin/python").symlink_to(sys.executable)
            return
        by_uv = "uv-" in Path(argv[0]).name
        what = "uv itself" if argv[-1].endswith("uv-requirement.txt") else "all"
        calls.append(f"{'uv' if by_uv else 'pip'}: {what}")
        if what == "uv itself":
            (Path(argv[0]).parent / "uv").write_text("uv")
        if by_uv and (cache / "uv-broken").exists():
            raise SetupError("no route")

    monkeypatch.setattr(venv.toolchain, "run_logged", run)
    return calls


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("six==1.0 \\\n    --hash=sha256:00\nuv==0.1 \\\n    --hash=sha256:01\n    # via drydock\n")
    return file


def test_the_first_time_pip_brings_uv_and_uv_the_rest(
    tmp_path: Path, requirements: Path, installers: list[str]
) -> None:
    venv.make(tmp_path / "one", requirements, log=tmp_path / "log")

    assert installers == ["pip: uv itself", "uv: all"]


def test_a_second_environment_needs_no_pip(tmp_path: Path, requirements: Path, installers: list[str]) -> None:
    venv.make(tmp_path / "one", requirements, log=tmp_path / "log")
    installers.clear()

    venv.make(tmp_path / "two", requirements, log=tmp_path / "log")

    assert installers == ["uv: all"]


def test_where_uv_fails_pip_does_it_all(tmp_path: Path, requirements: Path, installers: list[str], cache: Path) -> None:
    cache.mkdir(exist_ok=True)
    (cache / "uv-broken").touch()

    venv.make(tmp_path / "one", requirements, log=tmp_path / "log")

    assert installers == ["pip: uv itself", "uv: all", "pip: all"]


def test_a_link_is_replaced_and_what_it_points_to_stays(
    tmp_path: Path, requirements: Path, installers: list[str]
) -> None:
    somebodys = tmp_path / "somebody's"
    somebodys.mkdir()
    (somebodys / "file").touch()
    (tmp_path / "one").symlink_to(somebodys)

    venv.make(tmp_path / "one", requirements, log=tmp_path / "log")

    assert (somebodys / "file").exists()
    assert not (tmp_path / "one").is_symlink()


def test_a_python_without_ensurepip_names_the_package_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(venv.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SetupError, match=r"apt-get install python3\.\d+-venv"):
        Environment(project).ensure()


def test_an_old_python_is_refused_in_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv.sys, "version_info", (3, 9, 2))

    with pytest.raises(SetupError, match=r"^Python 3\.9 is too old, 3\.10 or later is needed: "):
        Environment(project).ensure()


def test_with_everything_there_set_up_starts_no_process_and_loads_no_package(checkout: Path) -> None:
    script = (
        "import sys\n"
        "sys.addaudithook(lambda event, args: event in ('subprocess.Popen', 'os.posix_spawn') and sys.exit(event))\n"
        "from ops.__main__ import main\n"
        "code = main(['setup'])\n"
        "sys.exit(code or {'pulumi', 'pydantic', 'grpc'} & set(sys.modules) or 0)"
    )

    run = subprocess.run([sys.executable, "-c", script], cwd=checkout, capture_output=True, text=True)

    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
