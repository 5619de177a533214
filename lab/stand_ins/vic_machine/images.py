"""The two ISOs that a VCH needs: where they are, and of which version; for create and upgrade."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.stand_ins.vic_machine.command import Command
from lab.stand_ins.vic_machine.log import quoted
from lab.stand_ins.vic_machine.outcome import Refused

KINDS = ("appliance", "bootstrap")
# Where an ISO 9660 image keeps its publisher's name; the last word of it is the version.
PUBLISHER_AT = 0x8000 + 318
PUBLISHER_BYTES = 128


@dataclass(frozen=True)
class Image:
    """An ISO, and how it is called on the datastore."""

    kind: str
    file: Path
    target: str


def find(command: Command) -> list[Image]:
    """Both of them.

    Raises:
        Refused: one isn't there, or of another version than the program (unless ``--force``).
    """
    return [_image(command, kind) for kind in KINDS]


def version_of(file: Path) -> str:
    """What an ISO says it is of; nothing if it says nothing.

    Raises:
        OSError: it can't be read.
    """
    with file.open("rb") as content:
        content.seek(PUBLISHER_AT)
        words = content.read(PUBLISHER_BYTES).replace(b"\0", b" ").decode("ascii", "replace").split()
    return words[-1] if words else ""


def _image(command: Command, kind: str) -> Image:
    given = command.options.text(f"{kind}-iso")
    file = Path(given) if given else _beside(command, kind)
    try:
        version = version_of(file)
    except OSError as error:
        why = f"open {file}: {(error.strerror or '').lower()}"
        raise Refused(f"failed to open iso file {quoted(str(file))}: {why}") from error
    shown = version.lower() if "-" in version else ""
    mine = command.build.text
    if shown.rpartition("-")[0] != mine.rpartition("-")[0]:
        said = (
            f"iso file {quoted(str(file))} version {quoted(shown)} inconsistent with installer version {quoted(mine)}"
        )
        if not command.options.yes("force"):
            command.log.error(f"{said}. Specify --force to force create. ")
            raise Refused(f"{said}. Specify --force to force create. ")
        command.log.warning(said)
    return Image(kind, file, f"{shown}-{kind}.iso")


def _beside(command: Command, kind: str) -> Path:
    for folder in (".", command.beside):
        file = Path(os.path.join(folder, f"{kind}.iso"))
        if file.is_file():
            return file
    command.log.error(f"\t\tUnable to locate {kind}.iso in the current or installer directory.")
    raise Refused(f"Unable to locate {kind}.iso in the current or installer directory.")
