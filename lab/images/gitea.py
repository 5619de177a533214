"""The Gitea image, in Gogs's place: Gitea from its Go module with our entry point, git and bash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lab.images import rootfs
from ops.toolchain import SetupError, go_build, needed

VERSION = "1.26.0"
REPOSITORY, TAG = "gogs/gogs", "1.26"
UID = 1000
MODULE = "code.gitea.io/gitea"
SETTINGS: dict[str, Any] = {
    "Entrypoint": ["/app/gitea", "entrypoint"],
    "Env": ["PATH=/app:/usr/local/bin:/usr/bin:/bin", "GITEA_WORK_DIR=/data/gitea"],
    "ExposedPorts": {"22/tcp": {}, "3000/tcp": {}},
    "Volumes": {"/data": {}},
}
_SOURCE = Path(__file__).with_name("gitea")
_ASSETS = Path(__file__).with_name("gitea-assets")
_ASK_LIMIT_S = 300.0


def fill(root: Path) -> None:
    """Fills the image's file system."""
    binary = go_build(
        "gitea", VERSION, source=_SOURCE, ldflags=f"-X main.Version={VERSION}", usually="two to four minutes"
    )
    rootfs.lay(root, ["bash", "git", "libpcre2-8-0", "libtinfo6", "zlib1g"], {"git": UID})
    app = root / "app"
    app.mkdir()
    shutil.copy(binary, app / "gitea")
    module = _module()
    for part in ("templates", "options", "public"):
        shutil.copytree(module / part, app / part, symlinks=True)
    shutil.copytree(_ASSETS, app / "public" / "assets", dirs_exist_ok=True)
    # The index of its built pages, which Gitea misses in its log at every request: its module has none.
    index = app / "public/assets/.vite/manifest.json"
    index.parent.mkdir()
    index.write_text("{}\n")
    for path in app.rglob("*"):  # Go's module cache is read-only
        path.chmod(path.stat().st_mode | 0o200)


def _module() -> Path:
    """Gitea's module in Go's module cache, fetched if it isn't there: templates, translations and pictures."""
    go = needed("go", why="to find Gitea's templates", remedy="install Go 1.26 or later and put it on PATH")
    asked = subprocess.run(
        [go, "mod", "download", "-json", f"{MODULE}@v{VERSION}"],
        cwd=_SOURCE,
        env={**os.environ, "GOWORK": "off", "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=_ASK_LIMIT_S,
    )
    found = json.loads(asked.stdout or "{}")
    if asked.returncode or "Dir" not in found:
        raise SetupError(f"Gitea's module {VERSION} can't be had: {found.get('Error') or asked.stderr.strip()}")
    return Path(found["Dir"])
