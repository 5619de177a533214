"""What says that a VCH was made by us: a note in the user's state folder, from before create to after delete.

A VM can't be marked before vic-machine has made it, and what a killed create leaves has nothing in it that tells whose
it is. So it is noted that no VCH of the name was there, that create went past its own check of the name, and, as soon
as the VM is there, the VM's id, which a vCenter never gives twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from providers.kit.journal import Journal


@dataclass(frozen=True)
class Mark:
    """What is noted.

    Args:
        id: the VM's managed object id; empty as long as it isn't known.
        begun: create has begun to make things, so that whatever has the name is ours.
        made: create came to its end.
        told: what create was told, without certificates; 1.1.1 can't tell it again.
    """

    id: str = ""
    begun: bool = False
    made: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)

    def having(self, **changes: Any) -> Mark:
        return replace(self, **changes)

    def fits(self, id_: str) -> bool:
        """Whether a VM of the name is the one that was made."""
        return self.id == id_ if self.id else self.begun


class Marks:
    """The note of one VCH.

    Args:
        thing: which VCH on which vCenter.
    """

    def __init__(self, thing: str) -> None:
        self._journal = Journal(f"mark of {thing}")

    def read(self) -> Mark | None:
        noted = self._journal.read()
        return None if noted is None else Mark(**noted)

    def write(self, mark: Mark) -> None:
        self._journal.write({"id": mark.id, "begun": mark.begun, "made": mark.made, "told": dict(mark.told)})

    def forget(self) -> None:
        self._journal.forget()
