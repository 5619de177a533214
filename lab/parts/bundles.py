"""The bundles of vic-machine's stand-in: files, as a VIC appliance offers them for download; no process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.parts.part import Part
from lab.parts.vcenter import VCenter
from lab.processes import Process
from ops.toolchain import digest_of

VERSIONS = ("1.1.1", "1.5.6", "1.5.7")
MAKE_LIMIT_S = 60.0

_CHECKOUT = Path(__file__).resolve().parents[2]
_SOURCE = _CHECKOUT / "lab" / "stand_ins"


class Bundles(Part):
    """A bundle for each version; made once, since a bundle of the same content has another digest each time."""

    name = "bundles"

    @property
    def address(self) -> str:
        """Files have none of their own; they are for the vCenter."""
        return VCenter(self.premises).address

    def install(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._note.is_file() and self._note.read_text() == digest_of(_SOURCE) and self._made():
            return
        for version in VERSIONS:
            unfinished = self._file(version).with_suffix(".unfinished")
            make = [sys.executable, "-m", "lab.stand_ins.vic_machine.bundle", version, str(unfinished)]
            subprocess.run(make, cwd=_CHECKOUT, check=True, timeout=MAKE_LIMIT_S)
            unfinished.replace(self._file(version))
        self._note.write_text(digest_of(_SOURCE))

    def start(self) -> None:
        self._offered.touch()

    def is_as_wanted(self, found: Sequence[Process]) -> bool:
        return self._offered.exists()

    def healthy(self) -> bool:
        return self._offered.exists() and self._made()

    def stop(self) -> None:
        """The files stay: made anew they would have another digest."""
        self._offered.unlink(missing_ok=True)

    def variables(self) -> dict[str, str]:
        return {"VIC_BUNDLE": str(self._file("{version}"))}

    @property
    def _offered(self) -> Path:
        return self.folder / "offered"

    def _made(self) -> bool:
        return all(self._file(version).is_file() for version in VERSIONS)

    @property
    def _note(self) -> Path:
        return self.folder / "made-from"

    def _file(self, version: str) -> Path:
        return self.folder / f"vic_{version}.tar.gz"
