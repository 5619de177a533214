"""Files of variables: ``.env`` and what `env_file` and `label_file` name.

Source: Compose specification, "env_file format", and Docker's "Environment variables in Compose: .env file syntax".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath

from components.compose.interpolation import Unset, blank, interpolate
from components.compose.located import ComposeError, Place, Wrong, text_file

_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_EXPORT = re.compile(r"export[ \t]+(?=\S)")
_NAME = re.compile(r"[\w.\-\[\] \t]*")
_SPACES = " \t\v\f\r\x85\xa0"
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0[0-7]{1,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}


def read(
    file: FilePath, outside: Mapping[str, str], *, before: Mapping[str, str] | None = None, unset: Unset = blank
) -> dict[str, str]:
    """The variables of a file.

    Args:
        file: where they are.
        outside: what a variable in a value means; it goes before those of the file.
        before: variables of files that were read before, which this one's values may name.
        unset: what a variable means that nobody has set.

    Raises:
        ComposeError: it can't be read, or a line in it can't be understood.
    """
    reader = _Reader(file, text_file(file).removeprefix("\ufeff"), outside, dict(before or {}), unset)
    reader.all()
    return reader.own


def read_raw(file: FilePath, outside: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file whose values are taken as they stand: no quotes, comments or variables in them."""
    found = {}
    for number, line in enumerate(text_file(file).removeprefix("\ufeff").splitlines(), 1):
        name, sign, value = line.lstrip().partition("=")
        if not line.strip() or name.startswith("#"):
            continue
        if not name or " " in name or "\t" in name:
            raise ComposeError(Place(file, number, 1), "this is no name: write NAME=value")
        if sign:
            found[name] = value
        elif name in outside:
            found[name] = outside[name]
    return found


class _Reader:
    def __init__(
        self, file: FilePath, text: str, outside: Mapping[str, str], known: dict[str, str], unset: Unset
    ) -> None:
        self._file, self._text, self._at = file, text.replace("\r\n", "\n"), 0
        self._outside, self._known, self._unset = outside, known, unset
        self.own: dict[str, str] = {}

    def all(self) -> None:
        while self._skip_blank():
            self._statement()

    def _skip_blank(self) -> bool:
        blank_part = _BLANK.match(self._text, self._at)
        self._at = blank_part.end() if blank_part else self._at
        return self._at < len(self._text)

    def _statement(self) -> None:
        start = self._at
        export = _EXPORT.match(self._text, self._at)
        self._at = export.end() if export else self._at
        found = _NAME.match(self._text, self._at)
        name, end = (found[0], found.end()) if found else ("", self._at)
        sign = self._text[end : end + 1]
        if sign not in ("=", ":", "\n", ""):
            raise self._wrong(end, f"{sign!r} can't stand in a variable's name: write NAME=value")
        name = name.rstrip()
        if " " in name or "\t" in name:
            raise self._wrong(start, "the name has a space in it: write NAME=value")
        self._at = end + 1
        if sign in ("=", ":"):
            self._put(name, self._value(start))
        elif name in self._outside:
            self._put(name, self._outside[name])

    def _put(self, name: str, value: str) -> None:
        self.own[name] = self._known[name] = value

    def _value(self, start: int) -> str:
        while self._text[self._at : self._at + 1] in _SPACES and self._at < len(self._text):
            self._at += 1
        quote = self._text[self._at : self._at + 1]
        if quote in ("'", '"'):
            return self._quoted(quote, start)
        end = self._text.find("\n", self._at)
        end = len(self._text) if end < 0 else end
        line, self._at = self._text[self._at : end], end
        return self._interpolated(line.partition(" #")[0].rstrip(), start)

    def _quoted(self, quote: str, start: int) -> str:
        chars: list[str] = []
        at = self._at + 1
        while at < len(self._text):
            char = self._text[at]
            if char == quote:
                self._at = at + 1
                text = "".join(chars)
                return self._interpolated(_unescaped(text), start) if quote == '"' else text
            if char == "\\" and self._text[at + 1 : at + 2]:
                following = self._text[at + 1]
                chars.append(following if following == quote else char + following)
                at += 2
                continue
            chars.append(char)
            at += 1
        raise self._wrong(self._at, f"the value's opening {quote} is never closed")

    def _interpolated(self, value: str, start: int) -> str:
        try:
            return interpolate(value, {**self._known, **self._outside}, self._unset)
        except Wrong as error:
            raise self._wrong(start, error.reason) from None

    def _wrong(self, at: int, reason: str) -> ComposeError:
        line = self._text.count("\n", 0, at) + 1
        return ComposeError(Place(self._file, line, at - self._text.rfind("\n", 0, at)), reason)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0][1]
    if letter == "$":
        return "$$"
    if letter == "0":
        return chr(int(match[0][2:], 8)) if len(match[0]) == 5 else match[0]
    return _ESCAPED.get(letter, match[0])
