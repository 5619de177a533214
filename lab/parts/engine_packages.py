"""Docker Engine from the distribution's packages, unpacked into the cache: nothing is installed, nothing is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import packages
from ops.toolchain import SetupError, cache_dir, kept, needed

PROGRAMS = ("docker.io", "containerd", "runc", "tini", "iptables")
# Debian's package for each shared library that the programs may ask for and a bare host may lack.
LIBRARIES = {
    "libdevmapper.so.1.02.1": "libdevmapper1.02.1",
    "libip4tc.so.2": "libip4tc2",
    "libip6tc.so.2": "libip6tc2",
    "libmnl.so.0": "libmnl0",
    "libnetfilter_conntrack.so.3": "libnetfilter-conntrack3",
    "libnfnetlink.so.0": "libnfnetlink0",
    "libnftnl.so.11": "libnftnl11",
    "libseccomp.so.2": "libseccomp2",
    "libudev.so.1": "libudev1",
    "libxtables.so.12": "libxtables12",
}

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ASK_LIMIT_S = 30.0
_RUN = ("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy", "docker-init", "iptables")
_NOT_NEEDED = (
    "etc",
    "lib/systemd",
    "usr/bin/ctr",
    "usr/bin/dnet",
    "usr/sbin/ovrouter",
    "usr/share",
    "var",
)


@dataclass(frozen=True)
class EnginePackages:
    """The unpacked programs.

    Attributes:
        folder: where they lie, as below `/`.
    """

    folder: Path

    @classmethod
    def unpacked(cls) -> EnginePackages:
        """Finds them in the cache, or gets them."""
        home = cache_dir() / "engine"
        found = sorted(home.glob("docker.io-*")) if home.is_dir() else []
        if found:
            return cls(found[-1])
        version = _offered_version()
        return cls(
            kept(
                home / f"docker.io-{version}",
                _unpack,
                what=f"Unpacks Docker Engine {version.partition('+')[0]} from the distribution's packages",
                usually="ten seconds",
            )
        )

    def environment(self) -> dict[str, str]:
        """The variables with which the programs run; the same whoever asks, or an engine would seem to be changed."""
        libraries = self.folder / "missing-libraries"
        variables = {"PATH": f"{self.folder / 'usr/sbin'}:{self.folder / 'usr/bin'}:{_SYSTEM_PATH}"}
        if any(libraries.iterdir()):
            variables["LD_LIBRARY_PATH"] = str(libraries)
        extensions = next(self.folder.glob("usr/lib/*/xtables"), None)
        if extensions:
            variables["XTABLES_LIBDIR"] = str(extensions)
        return variables


def _offered_version() -> str:
    """The version of docker.io that the distribution offers; asks for its lists if there are none."""
    needed(
        "apt-get",
        why="to get Docker Engine",
        remedy="use Debian or Ubuntu, or run as another user than root "
        "with DOCKER_HOST naming a Docker that you may use",
    )
    version = _candidate()
    if not version:
        packages.update_lists()
        version = _candidate()
    if not version:
        raise SetupError(
            "the distribution offers no package 'docker.io', needed for the lab's engine: "
            "add the distribution's main archive to apt's sources"
        )
    return version


def _candidate() -> str:
    asked = subprocess.run(
        ["apt-cache", "policy", "docker.io"],
        capture_output=True,
        text=True,
        timeout=_ASK_LIMIT_S,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = re.search(r"Candidate: (\S+)", asked.stdout)
    return "" if found is None or found[1] == "(none)" else found[1]


def _unpack(folder: Path) -> None:
    folder.mkdir()
    packages.unpack(folder, PROGRAMS)
    (folder / "usr/sbin/iptables").unlink(missing_ok=True)
    (folder / "usr/sbin/iptables").symlink_to("xtables-nft-multi")
    missing = folder / "missing-libraries"
    missing.mkdir()
    while lacking := _lacking(folder):
        unknown = sorted(lacking - set(LIBRARIES))
        if unknown:
            raise SetupError(
                f"the lab's engine needs the library {unknown[0]}, which isn't on this machine: "
                f"install the package that holds it"
            )
        packages.unpack(folder, sorted({LIBRARIES[name] for name in lacking}))
        for name in lacking:
            found = next(folder.glob(f"**/{name}"), None)
            if found is None:
                raise SetupError(f"the package {LIBRARIES[name]} doesn't hold {name}, which the lab's engine needs")
            shutil.copy(found, missing / name)
    packages.remove(folder, _NOT_NEEDED)


def _lacking(folder: Path) -> set[str]:
    """The shared libraries that the programs, and those libraries themselves, ask for and that aren't found."""
    files = [file for file in folder.glob("usr/*bin/*") if file.name in _RUN]
    files += sorted((folder / "missing-libraries").iterdir())
    lacking = set()
    for file in files:
        asked = subprocess.run(
            ["ldd", str(file)],
            capture_output=True,
            text=True,
            timeout=_ASK_LIMIT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": str(folder / "missing-libraries")},
        )
        lacking |= set(re.findall(r"(\S+) => not found", asked.stdout))
    return lacking
