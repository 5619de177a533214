"""A YAML file as values with places: YAML 1.2's scalars, anchors, merge keys, and compose's own tags.

Source: YAML 1.2.2, chapter 10.3, with what go-yaml v3 (docker compose's) keeps of 1.1; Compose specification, "Merge"
for ``!reset`` and ``!override``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from components.compose.located import ComposeError, Map, Path, Place, Seq, Wrong, dotted, text_file

Text = Callable[[str, Path], Any]
"""Makes a text's value: its variables replaced, cast where the key asks for it."""

_STR, _NULL, _BOOL, _INT, _FLOAT, _MERGE = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "bool", "int", "float", "merge")
)
_RESET, _OVERRIDE = "!reset", "!override"

_MOST_VALUES = 1_000_000
"""Aliases of aliases make endless data of a few lines."""

_INTEGER = r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|(?:0|[1-9][0-9_]*))"
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class _Loader(yaml.SafeLoader):
    """PyYAML with YAML 1.2's plain scalars: `yes` and `22:22` are texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own attribute


for _tag, _pattern, _first in (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_INT, _INTEGER, list("-+0123456789")),
    (_FLOAT, _NUMBER, list("-+.0123456789")),
    (_MERGE, r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


@dataclass
class Document:
    """One document of a file.

    Attributes:
        data: what it says.
        resets: paths tagged ``!reset`` or ``!override``: what earlier files say there doesn't count.
    """

    data: Any
    resets: list[Path] = field(default_factory=list)


def documents(file: FilePath, text: Text) -> Iterator[Document]:
    """The documents of a file, one after the other.

    Args:
        file: the compose file.
        text: makes each text's value.

    Raises:
        ComposeError: it can't be read, isn't YAML, or `text` refused a value.
    """
    for root in _roots(file):
        reader = _Reader(file, text)
        data = reader.value(root, ())
        yield Document(data, reader.resets)


def _roots(file: FilePath) -> Iterator[yaml.Node]:
    source = text_file(file)
    try:
        yield from (root for root in yaml.compose_all(source, Loader=_Loader) if root is not None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise ComposeError(where, f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ComposeError(Place(file), f"not YAML: {' '.join(str(error).split())}") from None


class _Reader:
    def __init__(self, file: FilePath, text: Text) -> None:
        self._file, self._text = file, text
        self._open: list[yaml.Node] = []
        self._count = 0
        self.resets: list[Path] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        if any(node is one for one in self._open):
            raise ComposeError(self._place(node), f"{dotted(path)}: the alias refers to what it is part of")
        self._count += 1
        if self._count > _MOST_VALUES:
            raise ComposeError(self._place(node), f"its aliases make more than {_MOST_VALUES} values of the file")
        if node.tag == _OVERRIDE:
            self.resets.append(path)
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Map:
        mapping = Map(self._place(node))
        for key, value in self._entries(node, path):
            here = (*path, key.value)
            if value.tag == _RESET:
                self.resets.append(here)
            else:
                mapping.put(key.value, self.value(value, here), self._place(key))
        return mapping

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> Seq:
        kept = [item for item in node.value if item.tag != _RESET]
        return Seq(
            ((self.value(item, (*path, index)), self._place(item)) for index, item in enumerate(kept)),
            self._place(node),
        )

    def _entries(self, node: yaml.MappingNode, path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
        """A mapping's entries, those it merges in last and only where it has none of its own."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            name = self._key(key, path)
            if name in own:
                first = own[name][0].start_mark.line + 1
                raise ComposeError(
                    self._place(key), f"{dotted((*path, name))}: the key is there twice, first in line {first}"
                )
            own[name] = (key, value)
        for one in merged:
            for key, value in self._merged(one, path):
                own.setdefault(key.value, (key, value))
        return list(own.values())

    def _merged(self, node: yaml.Node, path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise ComposeError(self._place(node), f"{dotted(path)}: '<<' takes a mapping or a list of mappings")
        if any(node is one for one in self._open):
            raise ComposeError(self._place(node), f"{dotted(path)}: the alias refers to what it is part of")
        self._open.append(node)
        try:
            return self._entries(node, path)
        finally:
            self._open.pop()

    def _key(self, key: yaml.Node, path: Path) -> str:
        if isinstance(key, yaml.ScalarNode) and key.tag == _STR:
            return str(key.value)
        at = f"in {dotted(path)}" if path else "at the top"
        said = f" '{key.value}'" if isinstance(key, yaml.ScalarNode) else ""
        raise ComposeError(self._place(key), f"the key{said} {at} is no text: put it in quotes")

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        tag, text = node.tag, str(node.value)
        if tag in (_RESET, _OVERRIDE):
            tag = _resolved(node)
        try:
            if tag == _NULL:
                return None
            if tag == _BOOL:
                return text.lower() == "true"
            if tag == _INT:
                return _integer(text)
            if tag == _FLOAT:
                return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
            return self._text(text, path)
        except Wrong as error:
            at = f"{dotted((*path, *error.path))}: " if path else ""
            raise ComposeError(self._place(node), at + error.reason) from None
        except ValueError:
            raise ComposeError(self._place(node), f"{dotted(path)}: '{text}' is not of the type {tag}") from None

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _resolved(node: yaml.Node) -> str:
    """The tag that a scalar would have without its own."""
    if getattr(node, "style", None) is not None:
        return _STR
    loader = _Loader("")
    try:
        return str(loader.resolve(yaml.ScalarNode, node.value, (True, False)))  # type: ignore[no-untyped-call]
    finally:
        loader.dispose()


def _integer(text: str) -> int:
    plain = text.replace("_", "")
    sign, digits = (plain[0], plain[1:]) if plain[0] in "-+" else ("", plain)
    # A leading zero means octal to go-yaml, as in YAML 1.1.
    old_octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    return int(sign + digits, 8) if old_octal else int(sign + digits, 0)
