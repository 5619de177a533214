"""How a run looks on a terminal, and in a log."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ops.progress import Progress

BASE = "urn:pulumi:lab::drydock::drydock:components:ComposeApp$pulumi-python:dynamic/docker:"
GOGS, DATABASE = f"{BASE}Container::app-gogs", f"{BASE}Container::app-gogsdb"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def begin(urn: str, operation: str = "create") -> dict[str, Any]:
    return {"resourcePreEvent": {"metadata": {"op": operation, "urn": urn, "type": kind(urn)}}}


def done(urn: str, operation: str = "create") -> dict[str, Any]:
    return {"resOutputsEvent": {"metadata": {"op": operation, "urn": urn, "type": kind(urn)}}}


def kind(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def message(text: str, severity: str = "error", urn: str = GOGS, **more: Any) -> dict[str, Any]:
    return {"diagnosticEvent": {"message": text, "severity": severity, "urn": urn, **more}}


def shown(*events: dict[str, Any], out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    one = Progress(out)
    for event in events:
        one.take(event)
    one.tick()
    one.end()
    return out.getvalue()


def test_each_resource_is_one_line_when_it_is_done() -> None:
    text = shown(begin(GOGS), done(GOGS), begin(DATABASE, "update"), done(DATABASE, "update"))

    assert text == "  made docker Container app-gogs\n  changed docker Container app-gogsdb\n"


def test_what_is_as_before_and_pulumis_bookkeeping_are_no_lines() -> None:
    stack = "urn:pulumi:lab::drydock::pulumi:pulumi:Stack::drydock-lab"
    component = "urn:pulumi:lab::drydock::drydock:components:ComposeApp::app"

    assert (
        shown(begin(GOGS, "same"), done(GOGS, "same"), *(f(u) for u in (stack, component) for f in (begin, done))) == ""
    )


def test_our_own_line_is_shown_and_the_engines_echo_of_it_is_not() -> None:
    text = shown(
        message("Exception calling application: nothing more was done here; the reason stands in the line above"),
        message("host esx1: not connected. Reconnect it.\n"),
        message("Exception calling application: nothing more was done here; the reason stands in the line above"),
        message("update failed", urn=""),
    )

    assert text == "host esx1: not connected. Reconnect it.\n"


def test_what_a_dynamic_provider_logs_comes_as_output_and_is_told_by_its_kind() -> None:
    text = shown(
        begin(GOGS),
        message("info: container gogs: starts\n\n", "info#err", urn=""),
        message("error: host esx1: not connected. Reconnect it.\n\n", "info#err", urn=""),
        message("Exception calling application: nothing more was done here; the reason stands in the line above"),
    )

    assert text == "host esx1: not connected. Reconnect it.\n"


def test_an_error_that_only_the_engine_tells_is_shown() -> None:
    assert shown(message("Exception calling application: boom")) == "Exception calling application: boom\n"


def test_errors_are_red_on_a_terminal_only() -> None:
    assert shown(message("no"), out=Terminal()) == "\x1b[31mno\x1b[0m\n"
    assert shown(message("no")) == "no\n"


def test_pulumis_colour_marks_are_taken_out() -> None:
    assert shown(message("<{%reset%}>no<{%fg 1%}>")) == "no\n"


def test_a_warning_is_shown_once() -> None:
    assert shown(message("old", "warning"), message("old", "warning")) == "  warning: old\n"


def test_a_terminal_shows_live_what_is_done_now_and_wipes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    out = Terminal()
    one = Progress(out)

    one.take(begin(GOGS))
    one.take(message("pulls gogs/gogs, 40 %", "info", ephemeral=True))
    clock[0] += 3
    one.tick()
    live = out.getvalue()
    one.take(done(GOGS))

    assert live == "  makes docker Container app-gogs: pulls gogs/gogs, 40 % (3 s)"
    assert out.getvalue() == live + "\r\x1b[K  made docker Container app-gogs (3 s)\n"


def test_a_log_gets_a_sign_of_life_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    out = io.StringIO()
    one = Progress(out)
    one.take(begin(GOGS))
    one.take(begin(DATABASE))

    for _ in range(40):
        clock[0] += 1
        one.tick()

    assert out.getvalue() == (
        "  makes docker Container app-gogs (15 s, and 1 more)\n  makes docker Container app-gogs (30 s, and 1 more)\n"
    )


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("hung up")

    one = Progress(Gone())
    one.take(message("no"))

    assert one.errors == ["no"]


def test_a_volume_is_not_called_removed_since_its_data_may_stay() -> None:
    volume = BASE + "Volume::app-data"

    assert shown(begin(volume, "delete"), done(volume, "delete")) == "  let go of docker Volume app-data\n"
