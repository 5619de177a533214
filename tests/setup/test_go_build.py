"""Go programs from modules and from sources; Go itself is a script that writes down its calls and makes a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.toolchain import SetupError, go_build

Put = Callable[[str, str], Path]

FAKE_GO = """
echo "$@" >> "{calls}"
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo built > "$2"; shift; done
exit 0
"""


@pytest.fixture
def go(program: Put, tmp_path: Path) -> Path:
    calls = tmp_path / "go-calls"
    calls.touch()
    program("go", FAKE_GO.format(calls=calls))
    return calls


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "main.go").write_text("package main")
    return folder


def test_a_published_package_is_built_in_a_module_of_our_own(cache: Path, go: Path) -> None:
    built = go_build(
        "crane", "1.2.0", module="example.com/m", package="example.com/m/cmd", requires=["x.org/y@v2"], usually="1 s"
    )

    assert built == cache / "tools" / "crane-1.2.0"
    assert built.read_text() == "built\n"
    init, get, build = go.read_text().splitlines()
    assert init == "mod init drydock.local/crane"
    assert get == "get example.com/m/cmd@v1.2.0 x.org/y@v2"
    assert build.startswith("build ")
    assert build.endswith(" example.com/m/cmd")


def test_a_built_program_is_kept(cache: Path, go: Path) -> None:
    go_build("crane", "1.2.0", module="example.com/m", usually="1 s")
    before = go.read_text()

    go_build("crane", "1.2.0", module="example.com/m", usually="1 s")

    assert go.read_text() == before


def test_a_changed_source_is_built_anew(cache: Path, go: Path, source: Path) -> None:
    first = go_build("simulator", "1", source=source, usually="1 s")
    (source / "main.go").write_text("package main // changed")

    second = go_build("simulator", "1", source=source, usually="1 s")

    assert first != second
    assert second.exists()


def test_without_go_one_line_says_what_why_and_how(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupError) as failure:
        go_build("crane", "1.2.0", module="example.com/m", usually="1 s")

    assert str(failure.value) == (
        "'go' is missing, it is needed to build crane: install Go 1.26 or later and put it on PATH"
    )


def test_a_failed_build_names_its_last_line_and_its_log(cache: Path, program: Put, source: Path) -> None:
    program("go", "echo 'main.go:1: syntax error'; exit 1")

    with pytest.raises(
        SetupError, match=r"^the build of simulator 1-\w+ failed: main.go:1: syntax error \(all of it: "
    ):
        go_build("simulator", "1", source=source, usually="1 s")

    assert not list((cache / "tools").glob("simulator*"))
