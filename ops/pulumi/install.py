"""Finds Pulumi, or gets it: the one on PATH, else by Pulumi's own installer, else built from Go modules.

For `ops setup` and for everyone who asks `ops.toolchain.pulumi_environment()`. Standard library only.
The engine looks for its plugins on PATH (and warns), beside its own executable, then in `$PULUMI_HOME/plugins`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ops import toolchain
from ops.pulumi import venv
from ops.toolchain import SetupError, say

HERE = Path(__file__).resolve().parent
ENGINE_MODULE = "github.com/pulumi/pulumi/pkg/v3"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
PLUGIN = f"resource-vsphere-v{toolchain.VSPHERE_PLUGIN_VERSION}"

INSTALLER = "https://get.pulumi.com/install.sh"
REACH_LIMIT_S = 8.0
INSTALLER_LIMIT_S = 300.0
PLUGIN_DOWNLOAD_LIMIT_S = 300.0
VERSION_LIMIT_S = 20.0
INSTALLER_TRIED_AGAIN_AFTER_S = 24 * 3600.0


@dataclass(frozen=True)
class Pulumi:
    """A Pulumi that can be used.

    Args:
        bin: the folder of its command line and language host.
        home: the `PULUMI_HOME` to set; None for the user's own Pulumi, whose home (and login) is left alone.
        offline: whether its site wasn't reached, so that the engine needn't try to download plugins.
    """

    bin: Path
    home: Path | None
    offline: bool

    @property
    def plugins(self) -> Path:
        """Where its engine looks for plugins."""
        home = self.home or Path(os.environ.get("PULUMI_HOME") or "~/.pulumi").expanduser()
        return home / "plugins"


def environment() -> dict[str, str]:
    """The variables for using what `install` chose; see `ops.toolchain.pulumi_environment`."""
    variables = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    first: list[Path] = []
    pulumi = find()
    if pulumi is not None and pulumi.home is not None:
        first.append(pulumi.bin)
        variables["PULUMI_HOME"] = str(pulumi.home)
        if pulumi.offline:
            variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    elif pulumi is not None and not _has_plugin(pulumi) and _built_plugin_folder().exists():
        first.append(_built_plugin_folder())
    path = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(entry) not in first]
    variables["PATH"] = os.pathsep.join([*map(str, first), *path])
    return variables


def ready() -> bool:
    """Whether everything is there; only looks at names of files."""
    pulumi = find()
    return pulumi is not None and (_has_plugin(pulumi) or (pulumi.home is None and _built_plugin_folder().exists()))


def install(python: Path) -> None:
    """Gets what is missing of Pulumi.

    Args:
        python: an interpreter with Pulumi's SDK, for Pulumi's own installer.
    """
    pulumi = _own_looked_at() or find() or _installed_by_pulumi(python) or _built()
    if not _has_plugin(pulumi):
        _install_plugin(pulumi)


def find() -> Pulumi | None:
    """The Pulumi that will be used, if it is there already."""
    own = _own()
    if own is not None:
        return own
    if (_installed_folder() / "bin" / "pulumi").exists():
        return Pulumi(bin=_installed_folder() / "bin", home=_folder() / "home", offline=False)
    if _is_whole(_built_folder()):
        return Pulumi(bin=_built_folder() / "bin", home=_home_of_the_built(), offline=True)
    return None


def recent_enough(version: str) -> bool:
    """Whether a `pulumi version` is one that we work with: 3.227 (exit codes declared stable) or later, below 4."""
    found = re.match(r"v?(\d+)\.(\d+)\.", version)
    return found is not None and toolchain.PULUMI_OLDEST <= (int(found[1]), int(found[2])) < (4, 0)


def _folder() -> Path:
    return toolchain.cache_dir() / "pulumi"


def _home_of_the_built() -> Path:
    """Keyed by the plugin's source: a changed plugin never takes the place of one that another checkout runs."""
    return _folder() / f"home-{_plugin_key()}"


def _plugin_key() -> str:
    return toolchain.digest_of(HERE / "vsphere")[:12]


def _installed_folder() -> Path:
    return _folder() / f"installed-{toolchain.PULUMI_VERSION}"


def _built_folder() -> Path:
    key = toolchain.digest_of(HERE / "language_host.py", HERE / "requirements.txt")[:12]
    return _folder() / f"built-{toolchain.PULUMI_VERSION}-{key}"


def _built_plugin_folder() -> Path:
    return _folder() / f"{PLUGIN}-built-{_plugin_key()}"


def _is_whole(built: Path) -> bool:
    """The host's interpreter is a link into the system's Python, which may have been removed or replaced since."""
    return (built / "bin" / "pulumi").exists() and venv.works(built / "host")


def _has_plugin(pulumi: Pulumi) -> bool:
    return (pulumi.plugins / PLUGIN / "pulumi-resource-vsphere").exists()


# --- the user's own, on PATH ---


def _own_command() -> Path | None:
    """The `pulumi` on PATH that isn't one of ours, if a language host is with it."""
    ours = str(toolchain.cache_dir())
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(entry for entry in entries if not entry.startswith(ours))
    command = shutil.which("pulumi", path=path)
    if command is None:
        return None
    beside = Path(command).resolve().with_name("pulumi-language-python")
    return Path(command) if beside.exists() or shutil.which("pulumi-language-python", path=path) else None


def _own() -> Pulumi | None:
    """The user's own Pulumi, as far as its version has been looked at before (starting it costs half a second)."""
    command = _own_command()
    if command is None or not recent_enough(_noted_version(command)):
        return None
    return Pulumi(bin=command.parent, home=None, offline=False)


def _own_looked_at() -> Pulumi | None:
    command = _own_command()
    if command is not None and not _noted_version(command):
        version = _version_of(command)
        if not recent_enough(version):
            oldest = ".".join(map(str, toolchain.PULUMI_OLDEST))
            say(f"Leaves {command} aside: version {version or 'unknown'}, wanted is {oldest} or later, below 4")
        _note_file().parent.mkdir(exist_ok=True)
        _note_file().write_text(json.dumps({**_identity(command), "version": version or "unknown"}))
    return _own()


def _note_file() -> Path:
    return _folder() / "on-path.json"


def _identity(command: Path) -> dict[str, object]:
    seen = command.stat()
    return {"command": str(command), "modified_ns": seen.st_mtime_ns, "size": seen.st_size}


def _noted_version(command: Path) -> str:
    try:
        note = json.loads(_note_file().read_text())
    except (OSError, ValueError):
        return ""
    version = note.pop("version", "")
    return str(version) if note == _identity(command) else ""


def _version_of(command: Path) -> str:
    try:
        said = subprocess.run(
            [command, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            capture_output=True,
            text=True,
            timeout=VERSION_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip()


# --- by Pulumi's own installer ---


def _installed_by_pulumi(python: Path) -> Pulumi | None:
    """Pulumi by the SDK's own installer; None where its site isn't reached, which is remembered for a day."""
    tried = _folder() / "installer-not-reached"
    if tried.exists() and time.time() - tried.stat().st_mtime < INSTALLER_TRIED_AGAIN_AFTER_S:
        return None
    log = toolchain.log_file(f"pulumi-installer-{toolchain.PULUMI_VERSION}")
    reach = f"import urllib.request; urllib.request.urlopen({INSTALLER!r}, timeout=5).read(1)"
    fetch = (
        "import sys, semver, socket; from pulumi.automation import PulumiCommand; socket.setdefaulttimeout(30);"
        "PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))"
    )

    def make(unfinished: Path) -> None:
        argv = [str(python), "-c", fetch, str(unfinished), toolchain.PULUMI_VERSION]
        toolchain.run_logged(argv, what="Pulumi's own installer", log=log, limit_s=INSTALLER_LIMIT_S)

    try:
        toolchain.run_logged([str(python), "-c", reach], what="the installer's site", log=log, limit_s=REACH_LIMIT_S)
        toolchain.kept(
            _installed_folder(),
            make,
            what=f"Fetches Pulumi {toolchain.PULUMI_VERSION} with its own installer",
            usually="half a minute",
        )
    except SetupError:
        say("Pulumi's own installer can't be reached: builds Pulumi from Go modules instead")
        tried.parent.mkdir(exist_ok=True)
        tried.touch()
        return None
    return find()


# --- built from Go modules ---


def _built() -> Pulumi:
    built = _built_folder()
    if built.exists() and not _is_whole(built):
        say("The kept language host's Python is gone: makes it again")
        shutil.rmtree(built)
    command = toolchain.go_build(
        "pulumi",
        toolchain.PULUMI_VERSION,
        module=ENGINE_MODULE,
        package=f"{ENGINE_MODULE}/cmd/pulumi",
        requires=[f"{SDK_MODULE}@v{toolchain.PULUMI_VERSION}"],
        ldflags=f"-X {SDK_MODULE}/go/common/version.Version=v{toolchain.PULUMI_VERSION}",
        usually="4 minutes on two cores",
    )

    def make(unfinished: Path) -> None:
        programs = unfinished / "bin"
        programs.mkdir(parents=True)
        # A link proper, not a symbolic one: the engine looks for its plugins beside its resolved executable.
        _link(command, programs / "pulumi")
        log = toolchain.log_file(f"pulumi-language-host-{toolchain.PULUMI_VERSION}")
        sdk = _module_folder(f"{SDK_MODULE}@v{toolchain.PULUMI_VERSION}")
        for file in (sdk / "python/cmd/pulumi-language-python-exec", sdk / "python/dist/pulumi-resource-pulumi-python"):
            _program(programs / file.name, file.read_text())
        venv.make(unfinished / "host", HERE / "requirements.txt", log=log)
        _program(programs / "language_host.py", (HERE / "language_host.py").read_text())
        # A shell line finds its own folder, so that neither the move nor a space in a path matters.
        host = '#!/bin/sh\nexec "${0%/*}/../host/bin/python" -E -s "${0%/*}/language_host.py" "$@"\n'
        _program(programs / "pulumi-language-python", host)

    toolchain.kept(built, make, what="Makes Pulumi's language host for Python", usually="15 seconds")
    return Pulumi(bin=built / "bin", home=_home_of_the_built(), offline=True)


def _install_plugin(pulumi: Pulumi) -> None:
    if not pulumi.offline and _downloaded_plugin(pulumi):
        return
    program = toolchain.go_build(
        "pulumi-resource-vsphere",
        toolchain.VSPHERE_PLUGIN_VERSION,
        source=HERE / "vsphere",
        usually="2 minutes on two cores",
    )

    def make(unfinished: Path) -> None:
        unfinished.mkdir()
        _link(program, unfinished / "pulumi-resource-vsphere")

    # Into a home of ours; the user's own plugins stay what Pulumi made them, and ours goes by PATH.
    target = _built_plugin_folder() if pulumi.home is None else pulumi.plugins / PLUGIN
    toolchain.kept(target, make, what="Puts the vSphere plugin in its place", usually="a moment")


def _downloaded_plugin(pulumi: Pulumi) -> bool:
    say(f"Fetches Pulumi's vSphere plugin {toolchain.VSPHERE_PLUGIN_VERSION} (usually half a minute)")
    home = {"PULUMI_HOME": str(pulumi.home)} if pulumi.home else {}
    try:
        toolchain.run_logged(
            [str(pulumi.bin / "pulumi"), "plugin", "install", "resource", "vsphere", toolchain.VSPHERE_PLUGIN_VERSION],
            what="the download of the vSphere plugin",
            log=toolchain.log_file("pulumi-resource-vsphere-download"),
            env={**home, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            limit_s=PLUGIN_DOWNLOAD_LIMIT_S,
        )
    except SetupError as error:
        say(f"{error}: builds it from Go modules instead")
        return False
    return _has_plugin(pulumi)


def _module_folder(module: str) -> Path:
    go = toolchain.needed("go", why="to build Pulumi", remedy="install Go 1.26 or later and put it on PATH")
    said = subprocess.run(
        [go, "mod", "download", "-json", module],
        env={**os.environ, "GOWORK": "off"},
        cwd=toolchain.cache_dir(),
        capture_output=True,
        text=True,
        timeout=INSTALLER_LIMIT_S,
    )
    try:
        return Path(json.loads(said.stdout)["Dir"])
    except (ValueError, KeyError):
        reason = (said.stdout + said.stderr).strip().split("\n")[-1]
        raise SetupError(f"the Go module {module} could not be fetched: {reason}") from None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)
