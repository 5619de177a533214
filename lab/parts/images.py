"""The application's images in the lab's registry: no process, but ready only when the registry holds every digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lab.parts.part import Part, write_settings
from lab.parts.registry import USER, Registry
from lab.processes import Process
from ops.toolchain import digest_of

_RECIPES = Path(__file__).resolve().parents[1] / "images"
_KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class Images(Part):
    """The images that `lab.images` builds and pushes."""

    name = "images"
    needs = ("registry",)

    @property
    def address(self) -> str:
        return self._registry.address

    def install(self) -> None:
        """Nothing apart: `start` builds what is missing, for it needs the registry to know."""

    def start(self) -> None:
        from lab.images import publish

        digests = publish(self.address, USER, self.premises.passwords["registry"], self.premises.certificates.authority)
        noted = {"recipes": digest_of(_RECIPES), "digests": digests}
        write_settings(self._note, json.dumps(noted, indent=2, sort_keys=True) + "\n")

    def is_as_wanted(self, found: Sequence[Process]) -> bool:
        return self._noted().get("recipes") == digest_of(_RECIPES)

    def healthy(self) -> bool:
        return bool(self.digests) and self._registry.holds(self.digests, _KINDS)

    def stop(self) -> None:
        """Nothing runs."""

    @property
    def digests(self) -> dict[str, str]:
        """`repository:tag` → digest, as pushed."""
        found = self._noted().get("digests")
        return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}

    @property
    def _registry(self) -> Registry:
        return Registry(self.premises)

    @property
    def _note(self) -> Path:
        return self.folder / "published.json"

    def _noted(self) -> dict[str, object]:
        try:
            return dict(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
