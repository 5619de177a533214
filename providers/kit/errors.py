"""The one error type of the whole project, for everyone who reads or raises one.

DrydockError
 ├── Permanent        the same call will fail again: something has to be changed first
 │    └── Untrusted     what answers isn't what we know, or doesn't know us
 ├── Temporary        worth trying again, after `retry_after_s` if the system said so
 │    ├── Unreachable   nobody answers
 │    └── SessionLost   as Temporary, with a new session
 └── Authentication   never tried again: a repeated wrong password locks directory accounts
"""

from __future__ import annotations

from collections.abc import Mapping

from providers.kit.secrets import redact

MOST_ITEMS_SHOWN = 50


class DrydockError(Exception):
    """What failed, on which object, what to do.

    Args:
        what: what went wrong, without a full stop.
        on: the object, in the words of its system, for example ``host esx07.example.com``.
        remedy: what the user can do, an imperative sentence.
        items: reason per part, where one object has many (hosts, layers).
        argument: the argument of a resource that is wrong, where the error is about one.
    """

    def __init__(
        self, what: str, *, on: str, remedy: str, items: Mapping[str, str] | None = None, argument: str = ""
    ) -> None:
        self.what = redact(what)
        self.on = redact(on)
        self.remedy = redact(remedy)
        self.argument = argument
        self.items = {redact(name): redact(reason) for name, reason in (items or {}).items()}
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.on}: {self.what}"
        if not self.items:
            return f"{line}. {self.remedy}" if self.remedy else line
        reasons = [f"\n  {name}: {reason}" for name, reason in self.items.items()]
        more = len(reasons) - MOST_ITEMS_SHOWN
        shown = "".join(reasons[:MOST_ITEMS_SHOWN]) + (f"\n  and {more} more" if more > 0 else "")
        return f"{line}{shown}\n{self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))


class Permanent(DrydockError):
    """The same call will fail again: something has to be changed first."""


class Untrusted(Permanent):
    """What answers shows a certificate that isn't trusted, or doesn't take ours."""


class Temporary(DrydockError):
    """Worth trying again.

    Args:
        retry_after_s: seconds to wait, where the system named them.
    """

    def __init__(
        self,
        what: str,
        *,
        on: str,
        remedy: str,
        items: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(what, on=on, remedy=remedy, items=items)


class Unreachable(Temporary):
    """Nobody answers there, or not in time."""


class SessionLost(Temporary):
    """The session ended on the server's side; the next try logs in again."""


class Authentication(DrydockError):
    """The login was refused. Never retried: repeated logins lock directory accounts."""


def _rebuild(kind: type[DrydockError], fields: dict[str, object]) -> DrydockError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    Exception.__init__(error, str(error))
    return error
