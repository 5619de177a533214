"""Tools that are made once and kept: the cache, Go builds and Pulumi's environment, for set-up, the lab and benches.

Standard library only: all of this runs before the virtual environment exists.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PULUMI_VERSION = "3.259.0"
PULUMI_OLDEST = (3, 227)
VSPHERE_PLUGIN_VERSION = "4.18.2"

_SIGN_OF_LIFE_S = 15.0
_PR_SET_PDEATHSIG = 1
_PS_LIMIT_S = 10.0
_LONGEST_COMMAND_S = 3600.0


class SetupError(Exception):
    """A step that could not be done; its text is one line for the user: what, why, how to get it."""


def cache_dir() -> Path:
    """The folder for everything that outlives a checkout: `DRYDOCK_CACHE`, else `~/.cache/drydock`; made if absent."""
    folder = Path(os.environ.get("DRYDOCK_CACHE") or "~/.cache/drydock").expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"the cache folder {folder} can't be made ({error.strerror}): "
            "set DRYDOCK_CACHE to a folder that can be written"
        ) from error
    return folder


def say(text: str) -> None:
    """Prints one line for the person at the terminal, on stderr."""
    print(text, file=sys.stderr, flush=True)


def kept(target: Path, make: Callable[[Path], None], *, what: str, usually: str) -> Path:
    """Makes a file or folder once, and only ever shows it whole.

    Args:
        target: where it will be. What exists there is believed.
        make: makes it at the path that it is given, a sibling of the target's with the same last name. What it
            makes must bear being moved.
        what: the line that is said before working, for example ``Builds the registry``.
        usually: how long that takes, for example ``a minute``.

    Returns:
        The target. Two at once make it once; a step killed in the middle is done again.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f".{target.name}.lock"), what):
        if target.exists():
            return target
        say(f"{what} (usually {usually})")
        unfinished = f".{target.name}.unfinished-"
        for left_over in target.parent.glob(f"{_glob_escaped(unfinished)}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        workshop = Path(tempfile.mkdtemp(prefix=unfinished, dir=target.parent))
        try:
            make(workshop / target.name)
            os.rename(workshop / target.name, target)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return target


@contextmanager
def locked(lock: Path, what: str) -> Iterator[None]:
    """Holds a file lock; two at once wait for each other, and a killed holder lets go.

    Args:
        lock: the lock's file, made if absent and left there.
        what: what the holder does, for the line that is said while waiting.
    """
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waits for another run that is at it: {what}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def go_build(
    name: str,
    version: str,
    *,
    module: str = "",
    package: str = "",
    source: Path | None = None,
    requires: Sequence[str] = (),
    ldflags: str = "",
    env: Mapping[str, str] | None = None,
    usually: str,
) -> Path:
    """A Go program, built once and kept as `tools/NAME-VERSION` in the cache.

    Args:
        name: the program's name.
        version: its version, as the file's name shows it.
        module: a published module's path; built at `v` + version unless it says `path@version` itself.
        package: the package with the main function; absent: the module's root.
        source: instead of `module`, a folder with the main function, go.mod and go.sum. The kept file's name gets a
            digest of the folder's files too, so that a changed source is built anew.
        requires: further `path@version` that the module build must use.
        ldflags: flags for Go's linker, beside those that leave out debug tables.
        env: variables on top of ours (which say: no cgo, no workspace).
        usually: how long a cold build takes.

    Raises:
        SetupError: Go is missing, or the build failed; the whole output is in the cache's `logs`.
    """
    if source is not None:
        version = f"{version}-{digest_of(source)[:12]}"
    target = cache_dir() / "tools" / f"{name}-{version}"

    def make(unfinished: Path) -> None:
        variables = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-buildvcs=false -trimpath", **(env or {})}
        log = log_file(f"{name}-{version}")
        started_s = time.monotonic()
        go = needed("go", why=f"to build {name}", remedy="install Go 1.26 or later and put it on PATH")

        def run(*arguments: str, folder: Path) -> None:
            what = f"the build of {name} {version}"
            run_logged([go, *arguments], what=what, log=log, env=variables, cwd=folder, since_s=started_s)

        build = ["build", "-v", "-ldflags", f"-s -w {ldflags}".strip(), "-o", str(unfinished)]
        if source is not None:
            run(*build, ".", folder=source)
            return
        workspace = unfinished.with_name("module")
        workspace.mkdir()
        wanted = module if "@" in module else f"{module}@v{version.removeprefix('v')}"
        run("mod", "init", f"drydock.local/{name}", folder=workspace)
        run("get", wanted_package(wanted, package), *requires, folder=workspace)
        run(*build, package or wanted.partition("@")[0], folder=workspace)

    return kept(target, make, what=f"Builds {name} {version} from Go modules", usually=usually)


def wanted_package(module: str, package: str) -> str:
    """`package@version` for `go get`, so that it brings what that package imports, not only its module."""
    path, _, version = module.partition("@")
    return f"{package or path}@{version}"


def digest_of(*roots: Path) -> str:
    """A digest over names and contents of files, or of all files below folders (caches and hidden ones left out)."""
    digest = hashlib.sha256()
    for root in roots:
        files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
        for file in files:
            inside = file.relative_to(root.parent)
            if any(part.startswith(".") or part == "__pycache__" for part in inside.parts[1:]):
                continue
            digest.update(f"{inside.as_posix()}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def needed(program: str, *, why: str, remedy: str) -> str:
    """The path of a program on PATH; SetupError says what is missing, why it is needed and how to get it."""
    found = shutil.which(program)
    if found is None:
        raise SetupError(f"'{program}' is missing, it is needed {why}: {remedy}")
    return found


def log_file(name: str) -> Path:
    """The cache's log file of that name, emptied."""
    log = cache_dir() / "logs" / f"{name}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    return log


def run_logged(
    argv: Sequence[str],
    *,
    what: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit_s: float = _LONGEST_COMMAND_S,
    since_s: float | None = None,
) -> None:
    """Runs a command with its output in a log file; a long one shows every 15 s that it lives, and what it does.

    Args:
        argv: the command. It ends with us, also when we are killed.
        what: what the user knows it as, for example ``the build of pulumi 3.259.0``.
        log: where its output is added.
        env: variables on top of our own.
        cwd: where it runs.
        limit_s: how long it may take, in seconds.
        since_s: `time.monotonic()` at the start of the work that this is a part of; absent: now.

    Raises:
        SetupError: it failed or took too long; names its last line and the log.
    """
    started_s = time.monotonic()
    since_s = started_s if since_s is None else since_s
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ends_with_us(),
        )
        try:
            while child.poll() is None:
                left_s = started_s + limit_s - time.monotonic()
                if left_s <= 0:
                    raise SetupError(f"{what} took longer than {limit_s:.0f} s and was stopped: see {log}")
                try:
                    child.wait(timeout=min(_SIGN_OF_LIFE_S, left_s))
                except subprocess.TimeoutExpired:
                    passed_s = time.monotonic() - since_s
                    say(f"  {what}: {passed_s:.0f} s so far, now {last_line(log) or 'starting'}")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
    if code:
        raise SetupError(f"{what} failed: {last_line(log) or f'exit code {code}'} (all of it: {log})")


def ends_with_us() -> Callable[[], None] | None:
    """A `preexec_fn` with which a child process gets SIGTERM when the thread that started it ends (on Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    parent = os.getpid()

    def ask_the_kernel() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)

    return ask_the_kernel


def end_with_parent() -> None:
    """From now on this process gets SIGTERM when its parent ends (on Linux), for example when make is killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def started_at(pid: int) -> str:
    """When a process began, as the system says it: with its id it names one process for good; empty if it has ended."""
    if not sys.platform.startswith("linux"):
        state, _, began = ps("-p", str(pid), "-o", "state=,lstart=").strip().partition(" ")
        return "" if state.startswith("Z") else began.strip()
    try:
        # The command's name is in parentheses and may itself hold any character, so count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def ps(*arguments: str) -> str:
    """What `ps` prints, for systems without /proc."""
    done = subprocess.run(["ps", *arguments], capture_output=True, text=True, timeout=_PS_LIMIT_S, check=False)
    return done.stdout


def last_line(log: Path) -> str:
    """The last line of a log file that says something, at most 200 characters of it."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def pulumi_environment() -> dict[str, str]:
    """The variables with which `pulumi` and its plugins are found, to be laid over the process's environment.

    `PATH` with Pulumi's command line and language host first, `PULUMI_SKIP_UPDATE_CHECK`; where Pulumi isn't the
    user's own, also `PULUMI_HOME` (unless the user set one). Only looks; `python -m ops setup` makes what it names.
    """
    from ops.pulumi import install

    return install.environment()


def _glob_escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
