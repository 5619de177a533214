"""The corpus: compose files with what docker compose makes of them, and wrong ones with what we say about them.

A case is a folder: compose files, what they refer to, and perhaps `case.yml` with options. `corpus/` has the peer's
answer beside each in `oracle.json`, `wrong/` our words in `error.txt`. What stays different is in `differences.yml`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from components.compose.project import escaped, read
from components.compose.sources import Request

HERE = Path(__file__).resolve().parent
CORPUS, WRONG = HERE / "corpus", HERE / "wrong"
DIFFERENCES = HERE / "differences.yml"
_LIMIT_S = 60.0
_OPTIONS = {"files", "env_files", "profiles", "name", "environment", "peer_accepts"}


@dataclass(frozen=True)
class Case:
    """A folder of the corpus with the options of `case.yml`.

    Attributes:
        folder: where it is.
        options: files, env_files, profiles, name, environment; peer_accepts: why the peer takes a wrong file.
    """

    folder: Path
    options: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": "/home/drydock", **self.options.get("environment", {})}

    @property
    def request(self) -> Request:
        return Request(
            files=tuple(map(Path, self.options.get("files", ()))),
            env_files=tuple(map(Path, self.options.get("env_files", ()))),
            profiles=tuple(self.options.get("profiles", ())),
            name=self.options.get("name", ""),
            environment=self.environment,
            folder=self.folder,
        )

    def ours(self) -> Any:
        """Our reading, in the shape of the peer's answer."""
        with mock.patch.dict(os.environ, {"HOME": self.environment["HOME"]}):
            return self.placed(json.loads(json.dumps(escaped(read(self.request).config))))

    def golden(self) -> Any:
        return json.loads((self.folder / "oracle.json").read_text(encoding="utf-8"))

    def asked(self, peer: Path) -> subprocess.CompletedProcess[str]:
        """What the peer prints."""
        options = [*_each("-f", self.options.get("files")), *_each("--env-file", self.options.get("env_files"))]
        options += _each("--profile", self.options.get("profiles"))
        options += ["-p", self.options["name"]] if "name" in self.options else []
        return subprocess.run(
            [str(peer), *options, "config", "--format", "json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )

    def answer(self, peer: Path) -> Any:
        """The peer's answer as data; of one that it refuses, that it does."""
        said = self.asked(peer)
        return {"refused": True} if said.returncode else self.placed(json.loads(said.stdout))

    def placed(self, value: Any) -> Any:
        """A value in which this folder's place on this machine doesn't matter."""
        return json.loads(json.dumps(value).replace(str(self.folder.parent), f"/{self.folder.parent.name}"))


def cases(parent: Path) -> list[Case]:
    found = []
    for folder in sorted(one for one in parent.iterdir() if one.is_dir()):
        file = folder / "case.yml"
        options = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
        assert options.keys() <= _OPTIONS, f"{file}: {options.keys() - _OPTIONS}"
        found.append(Case(folder, options))
    return found


def listed_differences() -> dict[str, dict[str, str]]:
    """Case → path → why ours stays different there."""
    found: dict[str, dict[str, str]] = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))["differences"]
    return found


def oracle_version() -> str:
    return str(yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))["oracle"])


def differing(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where two answers differ, as dotted paths; only ``refused`` where the peer refuses what we read."""
    if theirs == {"refused": True}:
        yield "refused"
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            here = f"{path}.{key}" if path else key
            if key in ours and key in theirs:
                yield from differing(ours[key], theirs[key], here)
            else:
                yield here
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differing(one, other, f"{path}[{number}]")
    elif ours != theirs or isinstance(ours, bool) is not isinstance(theirs, bool):
        yield path


def _each(option: str, values: list[str] | None) -> list[str]:
    return [word for value in values or () for word in (option, value)]
