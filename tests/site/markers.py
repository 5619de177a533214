"""Looks for marker passwords everywhere that a run leaves something, in every way a secret is usually written."""

from __future__ import annotations

import base64
import html
import json
import shlex
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

SAMPLE_PAUSE_S = 0.005
CHUNK_BYTES = 8 * 1024 * 1024


def spellings(secret: str) -> dict[str, bytes]:
    """The ways in which a secret could stand somewhere, by name."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "utf-16": secret.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": urllib.parse.quote(secret, safe="").encode(),
        "url lower case": urllib.parse.quote(secret, safe="").lower().encode(),
        "form": urllib.parse.quote_plus(secret).encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json utf-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "json in json": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        "html": html.escape(secret).encode(),
        "repr": repr(secret)[1:-1].encode(),
        "shell": shlex.quote(secret).encode(),
    }
    for shift in range(3):  # base64 looks different by where the secret starts in what was encoded
        for name, encode in (("base64", base64.b64encode), ("base64 url", base64.urlsafe_b64encode)):
            text = encode(b"\0" * shift + raw)
            start = -(-shift * 8 // 6)
            whole = (shift + len(raw)) * 8 // 6
            found[f"{name} +{shift}"] = text[start:whole]
    return found


class Watch:
    """The secrets of one run, and where they were seen.

    Args:
        secrets: name → value.
    """

    def __init__(self, secrets: dict[str, str]) -> None:
        self._patterns = [
            (f"{name} as {spelling}", pattern)
            for name, value in secrets.items()
            for spelling, pattern in spellings(value).items()
        ]

    def in_bytes(self, data: bytes) -> list[str]:
        """Which secret, in which spelling."""
        return [what for what, pattern in self._patterns if pattern in data]

    def in_text(self, text: str) -> list[str]:
        return self.in_bytes(text.encode())

    def in_files(self, roots: Iterable[Path], left_out: Callable[[Path], bool] = lambda path: False) -> list[str]:
        """Which file holds which secret, below the given folders."""
        found = []
        for file in _files(roots, left_out):
            found += [f"{file}: {what}" for what in self._in_file(file)]
        return found

    def _in_file(self, file: Path) -> set[str]:
        longest = max(len(pattern) for _, pattern in self._patterns)
        found: set[str] = set()
        rest = b""
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    found |= set(self.in_bytes(rest + chunk))
                    rest = chunk[-longest:]
        except OSError:  # a file that is gone by now stays nowhere
            return found
        return found


class ArgumentsWatch:
    """Reads the command line of every process, again and again, as anyone on the machine can.

    Args:
        watch: the secrets.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.found: set[str] = set()
        self.processes = 0

    def __enter__(self) -> ArgumentsWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        seen: set[bytes] = set()
        while not self._stop.wait(SAMPLE_PAUSE_S):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = file.read_bytes()
                except OSError:
                    continue
                if line and line not in seen:
                    seen.add(line)
                    self.found |= {f"{line!r}: {what}" for what in self._watch.in_bytes(line)}
        self.processes = len(seen)


def _files(roots: Iterable[Path], left_out: Callable[[Path], bool]) -> Iterator[Path]:
    for root in roots:
        folders = [root]
        while folders:
            for path in sorted(folders.pop().iterdir()):
                if left_out(path) or path.is_symlink():
                    continue
                if path.is_dir():
                    folders.append(path)
                elif path.is_file():
                    yield path
