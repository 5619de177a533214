"""The ground that both images stand on: busybox, the C library, and the users, as a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import packages

GROUND = ("busybox-static", "libc6")
APPLETS = (
    "sh", "env", "cat", "chmod", "chown", "cp", "id", "kill", "ls", "mkdir", "mktemp", "mv", "nc", "printf", "ps",
    "rm", "sed", "sleep", "su", "test", "touch", "tr", "wget", "uname", "basename", "dirname", "cut", "head",
)  # fmt: skip
NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/locale", "usr/share/initramfs-tools")


def lay(root: Path, more: Sequence[str], users: Mapping[str, int]) -> None:
    """Fills a folder.

    Args:
        root: the folder.
        more: further Debian packages.
        users: name → uid, beside root.
    """
    packages.unpack(root, [*GROUND, *more])
    packages.remove(root, NOT_NEEDED)
    for applet in APPLETS:
        for place in ("bin", "usr/bin"):
            link = root / place / applet
            link.parent.mkdir(parents=True, exist_ok=True)
            if place == "bin" or applet == "env":
                link.unlink(missing_ok=True)
                link.symlink_to("/bin/busybox")
    for folder in ("etc", "tmp", "root", "proc", "sys", "dev", "run", "var/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/tmp").chmod(0o1777)
    everyone = {"root": 0, **users}
    (root / "etc/passwd").write_text("".join(f"{n}:x:{u}:{u}::/:/bin/sh\n" for n, u in everyone.items()))
    (root / "etc/group").write_text("".join(f"{n}:x:{u}:\n" for n, u in everyone.items()))
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
