"""Names near to a mistyped one, for the errors of this package."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_OFFERED = 3

_LIKENESS = 0.5


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are most like a given one, best first; capitals make no difference."""
    by_folded = {one.casefold(): one for one in sorted(known)}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=MOST_OFFERED, cutoff=_LIKENESS)
    return [by_folded[one] for one in found]
