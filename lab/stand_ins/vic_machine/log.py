"""Writes what a command says: to standard output and to vic-machine.log, in the form of its version."""

from __future__ import annotations

import datetime
import json
import re
import sys
from pathlib import Path
from typing import TextIO

FILE = "vic-machine.log"

_PLAIN = re.compile(r"[A-Za-z0-9.-]+")
_SHORT = {"info": "INFO", "warning": "WARN", "error": "ERROR", "debug": "DEBUG"}


class Log:
    """The lines of one command.

    Args:
        first: whether they have the form of 1.1, not that of 1.5.
        debug: whether the terminal gets the debug lines, too; the file always does.
        silent: whether the terminal gets errors only, on standard error, as with ``inspect config --format raw``.
    """

    def __init__(self, *, first: bool, debug: bool = False, silent: bool = False) -> None:
        self._first, self._debug, self._silent = first, debug, silent
        self._file: TextIO | None = None
        try:
            self._file = Path(FILE).open("a", encoding="utf-8")  # noqa: SIM115 - open as long as the command runs
        except OSError as error:
            sys.stderr.write(f"Error opening logfile {FILE}: open {FILE}: {(error.strerror or '').lower()}\n")

    def info(self, text: str = "") -> None:
        self._say("info", text)

    def warning(self, text: str) -> None:
        self._say("warning", text)

    def error(self, text: str) -> None:
        self._say("error", text)

    def debug(self, text: str) -> None:
        self._say("debug", text)

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _say(self, level: str, text: str) -> None:
        line = self._line_of_first(level, text) if self._first else _line(level, text)
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
        if level == "debug" and not self._debug:
            return
        if not self._silent:
            sys.stdout.write(line)
            sys.stdout.flush()
        elif level == "error":
            sys.stderr.write(line)
            sys.stderr.flush()

    @staticmethod
    def _line_of_first(level: str, text: str) -> str:
        now = datetime.datetime.now(datetime.timezone.utc)
        return f"{now:%b} {now.day:2d} {now:%Y %H:%M:%S}.{now.microsecond // 1000:03d}Z {_SHORT[level]:5s} {text}\n"


def quoted(text: str) -> str:
    """A text in double quotes, with what is special in it escaped, as Go's ``%q`` does."""
    return json.dumps(text, ensure_ascii=False)


def _line(level: str, text: str) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    said = "" if not text else f"msg={text if _PLAIN.fullmatch(text) else quoted(text)} "
    return f'time="{now:%Y-%m-%dT%H:%M:%SZ}" level={level} {said}\n'
