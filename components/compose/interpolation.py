"""Replaces variables in a text: ``$NAME``, ``${NAME}`` and the forms with a default, an error or a replacement.

Source: Compose specification, "Interpolation"; what it leaves open is read off docker compose v2.40.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from components.compose.located import Wrong

Unset = Callable[[str], str]
"""What a variable means that has no value and no default."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RULE = re.compile(r":?[-?+]")


def blank(_name: str) -> str:
    """As docker compose has it: nothing."""
    return ""


def refused(name: str) -> str:
    """Where a missing value would end up in a running container."""
    raise Wrong(f"variable '{name}' has no value: set it under app.environment or app.secrets")


def interpolate(text: str, variables: Mapping[str, str], unset: Unset = refused) -> str:
    """Replaces all variables; ``$$`` is ``$``, and so is one that starts no variable, as in ``$(date)``.

    Args:
        text: what may hold variables.
        variables: name → value.
        unset: what to do about a name without value and default.

    Raises:
        Wrong: a ``${`` starts no variable, or a variable has no value.
    """
    if "$" not in text:
        return text
    return _Text(text, variables, unset).whole()


class _Text:
    def __init__(self, text: str, variables: Mapping[str, str], unset: Unset) -> None:
        self._text, self._variables, self._unset = text, variables, unset

    def whole(self) -> str:
        done, at = [], 0
        while (sign := self._text.find("$", at)) >= 0:
            done.append(self._text[at:sign])
            value, at = self._variable(sign + 1)
            done.append(value)
        return "".join([*done, self._text[at:]])

    def _variable(self, at: int) -> tuple[str, int]:
        """The value of what follows a ``$``, and where the text goes on."""
        if self._text.startswith("$", at):
            return "$", at + 1
        if self._text.startswith("{", at):
            end = _closing(self._text, at)
            if end < 0:
                raise Wrong("'${' is never closed with '}'; '$$' is the sign itself")
            return self._braced(self._text[at + 1 : end]), end + 1
        name = _NAME.match(self._text, at)
        if name is None:
            return "$", at
        return self._plain(name[0]), name.end()

    def _plain(self, name: str) -> str:
        value = self._variables.get(name)
        return self._unset(name) if value is None else value

    def _braced(self, inside: str) -> str:
        name = _NAME.match(inside)
        if name is not None and name.end() == len(inside):
            return self._plain(inside)
        rule = _RULE.match(inside, name.end()) if name else None
        if name is None or rule is None:
            forms = "${NAME}, ${NAME:-default}, ${NAME:?error} or ${NAME:+replacement}, also without ':'"
            # What stands there may be a part of a password, so it isn't repeated.
            raise Wrong(f"'${{' starts no variable: write {forms}; '$$' is the sign itself")
        return self._ruled(name[0], rule[0], inside[rule.end() :])

    def _ruled(self, name: str, rule: str, other: str) -> str:
        value = self._variables.get(name)
        given = value is not None and (value != "" or not rule.startswith(":"))
        other = interpolate(other, self._variables, self._unset if given == rule.endswith("+") else blank)
        if rule.endswith("+"):
            return other if given else value or ""
        if given:
            return str(value)
        if rule.endswith("-"):
            return other
        raise Wrong(f"variable '{name}' is required and has no value" + (f": {other}" if other else ""))


def _closing(text: str, at: int) -> int:
    """Where the brace that opens at a position closes; -1 where it never does.

    With more braces inside that open than close, as in ``${A:-{}``, it is the last one, as docker compose has it.
    """
    depth = 0
    for index in range(at, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return index
    return text.rfind("}", at)
