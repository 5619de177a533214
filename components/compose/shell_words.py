"""A command line in words, as docker compose splits one.

Source: go-shellwords, which docker compose uses. It knows less than a shell, and `shlex` differs: a backslash counts in
double quotes before every letter, and ``;``, ``&``, ``|``, ``<``, ``>`` outside of quotes end the command.
"""

from __future__ import annotations

from components.compose.located import Wrong

_ENDS = ";&|<>"


def split(line: str) -> list[str]:
    """The words of a command line.

    Raises:
        Wrong: a quote is never closed, or a parenthesis stands outside of quotes.
    """
    return _Words(line).all()


class _Words:
    def __init__(self, line: str) -> None:
        self._line = line
        self._words: list[str] = []
        self._word: str | None = None
        self._quote = ""

    def all(self) -> list[str]:
        letters = iter(self._line)
        for letter in letters:
            if letter == "\\" and self._quote != "'":
                letter = next(letters, "")
                if not letter:
                    raise Wrong(f"the command {self._line!r} ends with a backslash")
                self._add(letter)
            elif self._quote:
                self._in_quotes(letter)
            elif letter in _ENDS:
                self._end_at(letter)
                break
            else:
                self._outside(letter)
        if self._quote:
            raise Wrong(f"a quote or a parenthesis in the command {self._line!r} is never closed")
        self._end_word()
        return self._words

    def _in_quotes(self, letter: str) -> None:
        if letter == "(" and self._quote == ")":
            raise Wrong(f"a parenthesis in the command {self._line!r} must be in quotes")
        if letter != self._quote:
            self._add(letter)
            return
        self._quote = ""
        if letter in ")`":
            self._add(letter)

    def _outside(self, letter: str) -> None:
        if letter in " \t\r\n":
            self._end_word()
        elif letter in "'\"":
            self._quote = letter
            self._add("")
        elif letter in "()":
            self._substitution(letter)
        else:
            self._quote = "`" if letter == "`" else ""
            self._add(letter)

    def _substitution(self, letter: str) -> None:
        """``$(…)`` stays together; nothing is run. So does what stands between two closing ones."""
        if letter == "(" and not (self._word or "").endswith("$"):
            raise Wrong(f"a parenthesis in the command {self._line!r} must be in quotes")
        self._quote = ")"
        self._add(letter)

    def _end_at(self, letter: str) -> None:
        # The number before `>` says which output is meant: it is no word.
        if letter == ">" and self._word and self._word[0].isdigit():
            self._word = None

    def _add(self, letter: str) -> None:
        self._word = (self._word or "") + letter

    def _end_word(self) -> None:
        if self._word is not None:
            self._words.append(self._word)
            self._word = None
