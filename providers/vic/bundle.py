"""The vic-machine bundle: fetched or found, verified, unpacked safely, and kept once for all stacks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from providers.kit.errors import DrydockError, Permanent, Temporary
from providers.kit.retry import CALL_TIMEOUT_S, CONNECT_TIMEOUT_S, RetryPolicy, with_retries
from providers.kit.tls import colons, digits, shown_certificate
from providers.vic.flags import Version
from providers.vic.output import parse, version_told

APPLIANCE_PORT = 9443
CACHE = "DRYDOCK_CACHE"
MOST_BUNDLE_BYTES = 4 * 1024**3
MOST_UNPACKED_BYTES = 8 * 1024**3
MOST_ENTRIES = 20_000
LOCK_LIMIT_S = 3600.0
VERSION_LIMIT_S = 60.0
ISOS = ("appliance.iso", "bootstrap.iso")

# Bundles are large and appliances slow: a break is continued several times.
POLICY = RetryPolicy(attempts=8, first_wait_s=1.0, longest_wait_s=15.0, total_s=3600.0)

_INNER = "vic"
_NOTE = "bundle.json"
_CHUNK_BYTES = 1024 * 1024
_MOST_REDIRECTS = 5
_LOCK_LOOK_S = 0.2
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)
_PROGRESS_S = 5.0


@dataclass(frozen=True)
class Source:
    """Where a bundle comes from.

    Args:
        version: which vic-machine is expected in it.
        place: an https URL, or the path of a file.
        sha256: of the ``.tar.gz``; absent: it isn't known beforehand.
        ca: PEM text of the authority that the server's certificate is verified by; absent: the system's.
        thumbprint: SHA-1 or SHA-256 of the server's certificate, instead of an authority.
    """

    version: str
    place: str
    sha256: str | None = None
    ca: str | None = None
    thumbprint: str | None = None


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle that has been looked at.

    Args:
        version, build, commit: what its binary says of itself.
        sha256: of the archive that it came from.
        folder: where binary and ISOs lie.
    """

    version: str
    build: str
    commit: str
    sha256: str
    folder: Path

    @property
    def binary(self) -> Path:
        return self.folder / program()


def appliance_url(appliance: str, version: str) -> str:
    """Where a VIC appliance serves its bundle (facts/vic-machine.md)."""
    place = appliance if re.search(r":\d+$", appliance) else f"{appliance}:{APPLIANCE_PORT}"
    return f"https://{place}/vic_{version}.tar.gz"


def program() -> str:
    """The binary for this system, as the bundle calls it."""
    return "vic-machine-darwin" if sys.platform == "darwin" else "vic-machine-linux"


def cache_folder() -> Path:
    """`DRYDOCK_CACHE`, else ``drydock`` in the user's folder for caches; shared by all stacks."""
    return Path(os.environ.get(CACHE) or "~/.cache/drydock").expanduser().absolute() / "vic"


def fetch(source: Source, on_progress: Callable[[str], None] | None = None) -> Bundle:
    """The bundle, from the cache where it is there.

    Args:
        source: where it comes from.
        on_progress: gets a sentence now and then.

    Raises:
        Permanent: it can't be had, is another one than expected, or is not safe to unpack.
        Temporary: the server can't be reached, after several tries.
    """
    tell = on_progress or (lambda sentence: None)
    _refuse_malformed(source)
    with _locked(source, tell):
        known = source.sha256.lower() if source.sha256 else _remembered(source)
        there = _cached(known) if known else None
        if there is None:
            with _archive(source, tell) as archive:
                digest = _digest(archive)
                _refuse_other_digest(source, digest)
                there = _cached(digest) or _unpacked(source, archive, digest, tell)
            _remember(source, there.sha256)
        _refuse_other_version(source, there)
    return there


def cached(source: Source) -> Bundle | None:
    """The bundle, where it is in the cache already; nothing is fetched and nothing is waited for."""
    digest = source.sha256.lower() if source.sha256 else _remembered(source)
    found = _cached(digest) if digest else None
    if found is None or Version.of(found.version) != Version.of(source.version):
        return None
    return found


def _label(source: Source) -> str:
    return f"bundle {source.place}"


def _refuse_malformed(source: Source) -> None:
    on = _label(source)
    try:
        Version.of(source.version)
    except ValueError as error:
        raise Permanent(str(error), on=on, remedy="Correct `version`.", argument="version") from error
    if "://" in source.place and not source.place.startswith("https://"):
        raise Permanent(
            "only https is trusted", on=on, remedy="Give an https URL, or a file's path.", argument="source"
        )
    if urlsplit(source.place).password is not None and "://" in source.place:
        raise Permanent("its URL holds a password", on="bundle", remedy="Give it without.", argument="source")
    if source.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", source.sha256):
        raise Permanent("sha256 has not 64 hexadecimal digits", on=on, remedy="Correct it.", argument="sha256")
    if source.thumbprint is not None and _pin(source.thumbprint) is None:
        raise Permanent(
            f"the pinned thumbprint '{source.thumbprint}' is neither SHA-1 (40 digits) nor SHA-256 (64 digits)",
            on=on,
            remedy="Correct it.",
            argument="thumbprint",
        )


def _refuse_other_digest(source: Source, digest: str) -> None:
    if source.sha256 and not hmac.compare_digest(digest, source.sha256.lower()):
        raise Permanent(
            f"its SHA-256 is {digest}, not {source.sha256.lower()}",
            on=_label(source),
            remedy="Don't use it: see where it comes from, or correct `sha256`.",
            argument="sha256",
        )


def _refuse_other_version(source: Source, there: Bundle) -> None:
    if Version.of(there.version) != Version.of(source.version):
        raise Permanent(
            f"vic-machine in it is {there.version}, not {source.version}",
            on=_label(source),
            remedy="Correct `version`, or take the bundle of that version.",
            argument="version",
        )


# --- What is in the cache.


def _cached(digest: str) -> Bundle | None:
    """An unpacked bundle whose files are still as they were unpacked."""
    folder = cache_folder() / digest
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        whole = all((folder / path).stat().st_size == size for path, size in note["sizes"].items())
        if not whole or _digest(folder / _INNER / program()) != note["binary"]:
            return None
        return Bundle(note["version"], note["build"], note["commit"], digest, folder / _INNER)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _unpacked(source: Source, archive: Path, digest: str, tell: Callable[[str], None]) -> Bundle:
    tell("Unpacking vic-machine, usually some seconds.")
    on = _label(source)
    with _disk(on), tempfile.TemporaryDirectory(prefix="unpack-", dir=cache_folder()) as new:
        root = Path(new, "bundle")
        root.mkdir()
        sizes = _unpack(archive, root, on)
        missing = [name for name in (program(), *ISOS) if f"{_INNER}/{name}" not in sizes]
        if missing:
            raise Permanent(f"it lacks {_INNER}/{missing[0]}", on=on, remedy="Is it a vic-machine bundle?")
        version, build, commit = _asked_version(root / _INNER / program(), on)
        note = {"version": version, "build": build, "commit": commit, "sizes": sizes}
        note["binary"] = _digest(root / _INNER / program())
        there = Bundle(version, build, commit, digest, cache_folder() / digest / _INNER)
        _refuse_other_version(source, there)
        (root / _NOTE).write_text(json.dumps(note, indent=1), encoding="utf-8")
        shutil.rmtree(cache_folder() / digest, ignore_errors=True)
        os.replace(root, cache_folder() / digest)
    return there


def _asked_version(binary: Path, on: str) -> tuple[str, str, str]:
    """What the binary says of itself; it writes its log where it runs."""
    with tempfile.TemporaryDirectory(prefix="drydock-") as folder:
        try:
            said = subprocess.run(
                [str(binary), "version"],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=VERSION_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Permanent(
                f"the vic-machine in it can't be run ({type(error).__name__})",
                on=on,
                remedy="Is it for this system?",
            ) from error
    version, build, commit = version_told(map(parse, said.stdout.decode(errors="replace").splitlines()))
    if not version or said.returncode != 0:
        raise Permanent("the vic-machine in it doesn't say its version", on=on, remedy="Is it a vic-machine bundle?")
    return version, build, commit


def _index(source: Source) -> Path:
    told = [source.place, str(Version.of(source.version))]
    if "://" not in source.place:
        with suppress(OSError):
            found = Path(source.place).stat()
            told += [str(Path(source.place).absolute()), str(found.st_size), str(found.st_mtime_ns)]
    name = hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]
    return cache_folder() / "places" / f"{name}.json"


def _remembered(source: Source) -> str | None:
    try:
        return str(json.loads(_index(source).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(source: Source, digest: str) -> None:
    path = _index(source)
    with _disk(_label(source)):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"sha256": digest, "place": source.place}), encoding="utf-8")
        os.replace(new, path)


@contextmanager
def _locked(source: Source, tell: Callable[[str], None]) -> Iterator[None]:
    """One process a time fetches; the others then find it in the cache."""
    folder = cache_folder()
    with _disk(_label(source)):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    with lock:
        end = time.monotonic() + LOCK_LIMIT_S
        told = False
        while not _try_lock(lock):
            if not told:
                tell("Another run is fetching a bundle; waiting for it.")
                told = True
            if time.monotonic() > end:
                raise Temporary(
                    "another run has been fetching a bundle for an hour", on=_label(source), remedy="See to that one."
                )
            time.sleep(_LOCK_LOOK_S)
        for left in folder.glob("unpack-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _disk(on: str) -> Iterator[None]:
    """What the disk refuses, in one line."""
    try:
        yield
    except DrydockError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"{error.filename or 'a file'} can't be used ({error.strerror or error})"
        remedy = f"Make room in {cache_folder()}, or set {CACHE} to another folder."
        raise Permanent(what, on=on, remedy=remedy) from error


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


# --- Unpacking.


def _unpack(archive: Path, root: Path, on: str) -> dict[str, int]:
    """Path → size of what was unpacked; nothing gets outside of `root`."""
    sizes: dict[str, int] = {}
    entries = total = 0
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                entries += 1
                total += max(0, member.size)
                if entries > MOST_ENTRIES or total > MOST_UNPACKED_BYTES:
                    raise _unsafe(on, f"it unpacks to more than {MOST_ENTRIES} files or {MOST_UNPACKED_BYTES} bytes")
                _place(tar, member, root, sizes, on)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise Permanent(f"it is no whole .tar.gz ({error})", on=on, remedy="Fetch it again.") from error
    return sizes


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, sizes: dict[str, int], on: str) -> None:
    if ".." in member.name.split("/"):
        raise _unsafe(on, f"'{member.name}' leads out of it")
    target = _inside(root, member.name, on)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        raise _unsafe(on, f"'{member.name}' is in it twice")
    if member.issym():
        _inside(root, os.path.join(os.path.dirname(member.name), member.linkname), on)
        if os.path.isabs(member.linkname):
            raise _unsafe(on, f"the link '{member.name}' leads out of it")
        target.symlink_to(member.linkname)
    elif member.islnk():
        source = _inside(root, member.linkname, on)
        if source.is_symlink() or not source.is_file():
            raise _unsafe(on, f"the link '{member.name}' leads to no file of it")
        os.link(source, target)
    elif member.isreg():
        sizes[target.relative_to(root).as_posix()] = _write(tar, member, target)
    else:
        raise _unsafe(on, f"'{member.name}' is neither a file nor a folder")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> int:
    content = tar.extractfile(member)
    assert content is not None  # it is a regular file
    mode = 0o755 if member.mode & 0o111 else 0o644
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with content, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(content, file, _CHUNK_BYTES)
    return member.size


def _inside(root: Path, name: str, on: str) -> Path:
    """A name's place under `root`, also by the links that are there already."""
    wanted = os.path.normpath(os.path.join(root, name))
    real = os.path.realpath(wanted if not os.path.islink(wanted) else os.path.dirname(wanted))
    top = os.path.realpath(root)
    outside = [one for one in (wanted, real) if os.path.commonpath([one, top]) != top and one != str(root)]
    if os.path.isabs(name) or "\0" in name or outside:
        raise _unsafe(on, f"'{name}' leads out of it")
    return Path(wanted)


def _unsafe(on: str, what: str) -> Permanent:
    return Permanent(what, on=on, remedy="It is not safe to unpack: see where it comes from.")


# --- Fetching.


@contextmanager
def _archive(source: Source, tell: Callable[[str], None]) -> Iterator[Path]:
    """The archive as a file; a fetched one goes away afterwards, a part of one stays for the next run."""
    if "://" not in source.place:
        path = Path(source.place).expanduser()
        if not path.is_file():
            raise Permanent("there is no such file", on=_label(source), remedy="Correct `source`.", argument="source")
        yield path
        return
    part = _Part(source)
    with _disk(_label(source)):
        with_retries(
            lambda: _download(source, part, tell),
            POLICY,
            on_retry=lambda error, wait_s: tell(f"{error.what}; continuing in {wait_s:.0f} s."),
        )
    try:
        yield part.path
    finally:
        part.forget()


class _Part:
    """What has arrived of a download, and by what the server knows its version."""

    def __init__(self, source: Source) -> None:
        name = hashlib.sha256(source.place.encode()).hexdigest()[:32]
        folder = cache_folder() / "downloads"
        self.path = folder / f"{name}.part"
        self._note = folder / f"{name}.json"
        self._pinned = bool(source.sha256)
        with _disk(_label(source)):
            folder.mkdir(parents=True, exist_ok=True)

    def range_headers(self) -> dict[str, str]:
        """Asks for the rest; only where it is certain that it is the rest of the same file."""
        arrived = self.arrived
        validator = self._validator()
        if not arrived or not (validator or self._pinned):
            return {}
        return {"Range": f"bytes={arrived}-", **({"If-Range": validator} if validator else {})}

    @property
    def arrived(self) -> int:
        with suppress(OSError):
            return self.path.stat().st_size
        return 0

    def begin(self, headers: Mapping[str, str]) -> None:
        """A whole file comes now."""
        self.path.write_bytes(b"")
        strong = headers.get("ETag", "")
        validator = strong if strong and not strong.startswith("W/") else headers.get("Last-Modified", "")
        self._note.write_text(json.dumps({"validator": validator}), encoding="utf-8")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _validator(self) -> str:
        try:
            return str(json.loads(self._note.read_text(encoding="utf-8"))["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def _download(source: Source, part: _Part, tell: Callable[[str], None]) -> None:
    on = _label(source)
    headers = part.range_headers()
    with _answered(source, headers) as answer:
        if answer.status == 416:
            _finish_or_restart(answer.headers, part, on)
            return
        _refuse_status(answer.status, answer.reason or "", on)
        continued = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {part.arrived}-"
        )
        if answer.status == 206 and not continued:
            part.forget()
            raise Temporary("the server continued at another place than asked", on=on, remedy="It is fetched anew.")
        if not continued:
            part.begin(answer.headers)
        whole = part.arrived + int(answer.headers.get("Content-Length") or 0)
        _receive(answer, part, whole, on, tell)


def _finish_or_restart(headers: Mapping[str, str], part: _Part, on: str) -> None:
    """The server has nothing after what arrived: it is whole, or it is of another file."""
    if headers.get("Content-Range", "") == f"bytes */{part.arrived}":
        return
    part.forget()
    raise Temporary("what had arrived doesn't fit the server's file any more", on=on, remedy="It is fetched anew.")


def _receive(answer: urllib3.BaseHTTPResponse, part: _Part, whole: int, on: str, tell: Callable[[str], None]) -> None:
    next_word = time.monotonic()
    with part.path.open("ab") as file:
        try:
            for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                if file.tell() > MOST_BUNDLE_BYTES:
                    raise Permanent(f"it is larger than {MOST_BUNDLE_BYTES} bytes", on=on, remedy="Is it a bundle?")
                if time.monotonic() >= next_word:
                    tell(_progress(file.tell(), whole))
                    next_word = time.monotonic() + _PROGRESS_S
        except HTTPError as error:
            file.flush()
            raise Temporary(f"the connection broke after {file.tell()} bytes", on=on, remedy="Run it again.") from error


def _progress(arrived: int, whole: int) -> str:
    megabytes = arrived / 1e6
    if not whole:
        return f"Fetching vic-machine: {megabytes:.0f} MB so far."
    return f"Fetching vic-machine: {megabytes:.0f} of {whole / 1e6:.0f} MB."


def _refuse_status(status: int, reason: str, on: str) -> None:
    if status in (200, 206):
        return
    said = f"{status} {reason}".strip()
    if status in _WORTH_ANOTHER_TRY:
        raise Temporary(f"the server answered {said}", on=on, remedy="See that it is up.")
    remedy = "Correct the URL: `https://APPLIANCE:9443/vic_VERSION.tar.gz` is where an appliance serves it."
    raise Permanent(f"the server answered {said}", on=on, remedy=remedy, argument="source")


@contextmanager
def _answered(source: Source, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer of the server that has the file, over https all the way."""
    on = _label(source)
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=CALL_TIMEOUT_S)
    with _pool(source) as pool:
        url = source.place
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                answer = pool.request(
                    "GET",
                    url,
                    headers=dict(headers),
                    timeout=timeout,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
            except HTTPError as error:
                raise _translated(error, source) from error
            onward = answer.get_redirect_location()
            if not onward:
                try:
                    yield answer
                finally:
                    answer.close()
                return
            answer.close()
            url = urljoin(url, onward)
            if not url.startswith("https://"):
                raise Permanent("the server leads on to a place without https", on=on, remedy="Give that place itself.")
        raise Permanent("the server leads from one place to the next without end", on=on, remedy="Correct the URL.")


def _pool(source: Source) -> urllib3.PoolManager:
    pin = _pin(source.thumbprint) if source.thumbprint else None
    if pin:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return urllib3.PoolManager(ssl_context=context, assert_fingerprint=pin, assert_hostname=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if source.ca is None:
        context.load_default_certs()
        return urllib3.PoolManager(ssl_context=context)
    try:
        context.load_verify_locations(cadata=source.ca)
    except (ssl.SSLError, ValueError) as error:
        raise Permanent(
            "the given CA is no PEM text of certificates", on=_label(source), remedy="Correct `ca`.", argument="ca"
        ) from error
    return urllib3.PoolManager(ssl_context=context)


def _pin(thumbprint: str) -> str | None:
    pin = digits(thumbprint)
    return pin if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", pin) else None


def _translated(error: HTTPError, source: Source) -> DrydockError:
    on = _label(source)
    if isinstance(error, SSLError):
        text = " ".join(str(error).split())
        if re.search(r"EOF|reset|closed", text, re.IGNORECASE):
            return Temporary("the server ended the connection", on=on, remedy="See that it is up.")
        what = "its certificate is not the pinned one" if source.thumbprint else "its certificate is not trusted"
        shown = _shown_thumbprint(source)
        remedy = (
            f"If you know it, pin it: `thumbprint` is {shown}; or give its authority as `ca`."
            if shown
            else "Give its authority as `ca`, or its certificate's `thumbprint`."
        )
        return Permanent(what, on=on, remedy=remedy)
    return Temporary(
        f"the server can't be reached ({type(error).__name__})", on=on, remedy="See that it is up and the URL right."
    )


def _shown_thumbprint(source: Source) -> str:
    """SHA-256 of the certificate that the server shows; empty where it shows none."""
    parts = urlsplit(source.place)
    with suppress(OSError):
        shown = shown_certificate(parts.hostname or "", parts.port or 443)
        return colons(hashlib.sha256(shown).hexdigest())
    return ""
