"""Shows how a Pulumi command goes, from the engine's events: one calm line a resource, a live line on a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

BEGUN = {
    "create": "makes",
    "create-replacement": "makes again",
    "update": "changes",
    "delete": "removes",
    "delete-replaced": "removes the old",
    "refresh": "looks at",
    "import": "takes over",
}
DONE = {
    "create": "made",
    "create-replacement": "made again",
    "update": "changed",
    "delete": "removed",
    "delete-replaced": "removed the old",
    "import": "taken over",
}
SIGN_OF_LIFE_S = 15.0

# Pulumi's delete of a volume leaves the data where they are, unless its settings say otherwise.
_MAY_STAY = ("delete", "pulumi-python:dynamic/docker:Volume")
_LET_GO = "let go of"
_SLOW_S = 1.0
_LIVE_EVERY_S = 0.2
_WIDTH_IF_UNKNOWN = 100
# Pulumi's components and providers are bookkeeping: what stands in them is what people know.
_SILENT_TYPES = re.compile(r"^(pulumi:|drydock:components:)")
_COLOUR_MARK = re.compile(r"<\{%.*?%\}>")
# In a dynamic provider's process the SDK's log has no engine to go to: it prints, and the engine shows that as output.
_LOGGED = re.compile(r"(debug|info|warning|error): ")
# Said by us, in other words.
_STOPPED = re.compile(r"^(update|destroy) canceled$")
# The engine's own words around an error that we tell better; they may come before it.
ECHO = re.compile(
    r"^(update|preview|destroy) failed$|Exception calling application|^an unhandled error occurred: "
    r"|^resource .* has a problem: $"
)


class Progress:
    """Takes events, writes lines.

    Args:
        out: where lines go. On a terminal the last one is live, and errors are red.
        columns: the terminal's width.

    Attributes:
        changes: operation → number of resources, for those that people know; the rest is Pulumi's bookkeeping.
        duration_s: how long the engine worked.
        errors: what was told as an error.
    """

    def __init__(self, out: TextIO, *, columns: int = _WIDTH_IF_UNKNOWN) -> None:
        self.changes: dict[str, int] = {}
        self.duration_s = 0.0
        self.errors: list[str] = []
        self._out = out
        self._columns = columns
        self._live = out.isatty()
        self._at_work: dict[str, tuple[str, float]] = {}
        self._news = ""
        self._told: set[str] = set()
        self._echoes: list[str] = []
        self._shown = ""
        self._last_sign_s = time.monotonic()

    def take(self, event: Mapping[str, Any]) -> None:
        """One event of the engine's (`apitype.EngineEvent`); kinds that nobody needs to see are passed over."""
        if "resourcePreEvent" in event:
            self._begin(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            self._done(event["resOutputsEvent"]["metadata"])
        elif "resOpFailedEvent" in event:
            self._at_work.pop(event["resOpFailedEvent"]["metadata"]["urn"], None)
        elif "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "summaryEvent" in event:
            self.duration_s = float(event["summaryEvent"].get("durationSeconds") or 0)

    def say(self, text: str) -> None:
        """One line that stays."""
        self._write(f"{self._wiped()}{text}\n")
        self._last_sign_s = time.monotonic()

    def tick(self) -> None:
        """Called several times a second: renews the live line, or shows now and then that work goes on."""
        if not self._at_work:
            return
        passed_s = time.monotonic() - self._last_sign_s
        if self._live and passed_s >= _LIVE_EVERY_S:
            line = self._status()[: self._columns - 1]
            self._write(f"{self._wiped()}{line}")
            self._shown, self._last_sign_s = line, time.monotonic()
        elif not self._live and passed_s >= SIGN_OF_LIFE_S:
            self.say(self._status())

    def end(self) -> None:
        """Takes the live line away; tells the engine's own words where nothing better was said."""
        self._at_work.clear()
        if not self.errors:
            for text in dict.fromkeys(self._echoes):
                self._tell_error(text)
        self._write(self._wiped())

    def _begin(self, metadata: Mapping[str, Any]) -> None:
        if metadata["op"] in BEGUN and not _SILENT_TYPES.match(metadata["type"]):
            self._at_work[metadata["urn"]] = (BEGUN[metadata["op"]], time.monotonic())

    def _done(self, metadata: Mapping[str, Any]) -> None:
        begun = self._at_work.pop(metadata["urn"], None)
        self._news = ""
        done = _LET_GO if (metadata["op"], metadata["type"]) == _MAY_STAY else DONE.get(metadata["op"])
        if not _SILENT_TYPES.match(metadata["type"]):
            self.changes[metadata["op"]] = self.changes.get(metadata["op"], 0) + 1
        if begun is None or done is None:
            return
        took_s = time.monotonic() - begun[1]
        took = f" ({took_s:.0f} s)" if took_s >= _SLOW_S else ""
        self.say(f"  {done} {_what(metadata['urn'])}{took}")

    def _diagnostic(self, one: Mapping[str, Any]) -> None:
        text = _COLOUR_MARK.sub("", one.get("message") or "").strip()
        severity, ephemeral = one.get("severity"), bool(one.get("ephemeral"))
        if severity == "info#err" and (logged := _LOGGED.match(text)):
            severity, text, ephemeral = logged[1], text[logged.end() :], True
        if not text or severity == "debug":
            return
        if severity == "error":
            self._error(text)
        elif severity == "warning":
            self._warning(text)
        elif ephemeral:
            self._news = text
        else:
            self.say(f"  {text}")

    def _warning(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(f"  warning: {text}")

    def _error(self, text: str) -> None:
        if _STOPPED.match(text) or text in self.errors:
            return
        if ECHO.search(text):
            self._echoes.append(text)
            return
        self._tell_error(text)

    def _tell_error(self, text: str) -> None:
        self.errors.append(text)
        self.say(f"\x1b[31m{text}\x1b[0m" if self._live else text)

    def _status(self) -> str:
        """What is being done for the longest time, how long, and the newest word about how far it is."""
        urn, (doing, since_s) = min(self._at_work.items(), key=lambda item: item[1][1])
        passed_s = time.monotonic() - since_s
        more = f", and {len(self._at_work) - 1} more" if len(self._at_work) > 1 else ""
        news = f": {self._news}" if self._news else ""
        return f"  {doing} {_what(urn)}{news} ({passed_s:.0f} s{more})"

    def _wiped(self) -> str:
        wiped, self._shown = ("\r\x1b[K" if self._shown else ""), ""
        return wiped

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal may be gone, which is no reason to leave Pulumi alone
            self._out.write(text)
            self._out.flush()


def _what(urn: str) -> str:
    """``vsphere VirtualMachine photon`` for an URN."""
    types, _, name = urn.partition("::")[2].partition("::")[2].partition("::")
    module, _, kind = types.rpartition("$")[2].rpartition(":")
    package = module.partition("/")[2] if module.startswith("pulumi-python:dynamic") else module.partition(":")[0]
    return f"{package} {kind} {name}"
