"""The images of the example application: built from registries' packages, pushed to the lab's registry."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

from ops.toolchain import cache_dir, digest_of, kept

_SHARED = ("image.py", "rootfs.py")
_DIFF_ID = "diff-id"
_LAYER = "layer.tar.gz"


def publish(registry: str, user: str, password: str, ca: Path) -> dict[str, str]:
    """Builds what the cache lacks and pushes what the registry lacks.

    Args:
        registry: host and port.
        user, password: its login.
        ca: PEM file of its CA.

    Returns:
        ``repository:tag`` → digest of the index.

    Raises:
        SetupError: a part can't be had, or the registry refused something.
    """
    from lab.images import gitea, postgres
    from lab.images.image import image
    from lab.images.push import Pusher

    pusher = Pusher(registry, user, password, ca)
    digests = {}
    for recipe in (postgres, gitea):
        folder = _built(recipe)
        one = image(folder / _LAYER, (folder / _DIFF_ID).read_text(), recipe.SETTINGS)
        if pusher.digest(recipe.REPOSITORY, recipe.TAG) != one.index.digest:
            pusher.push(recipe.REPOSITORY, recipe.TAG, one)
        digests[f"{recipe.REPOSITORY}:{recipe.TAG}"] = one.index.digest
    return digests


def _built(recipe: ModuleType) -> Path:
    """The layer of an image, built once and kept by the recipe's version and content."""
    here = Path(__file__).parent
    name = recipe.__name__.rpartition(".")[2]
    sources = [*(here / shared for shared in _SHARED), *sorted(here.glob(f"{name}*"))]
    version = f"{recipe.VERSION}-{digest_of(*sources)[:12]}"

    def make(folder: Path) -> None:
        from lab.images.image import write_layer

        folder.mkdir()
        root = folder / "root"
        recipe.fill(root)
        (folder / _DIFF_ID).write_text(write_layer(root, folder / _LAYER))
        shutil.rmtree(root)
        for left in folder.iterdir():
            if left.name not in (_DIFF_ID, _LAYER):
                left.unlink()

    what = f"Builds the image {recipe.REPOSITORY}:{recipe.TAG}"
    return kept(cache_dir() / "images" / f"{name}-{version}", make, what=what, usually="half a minute, after its parts")
