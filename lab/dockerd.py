"""What each Docker daemon of the lab is started with, so that the host stays as it is.

Facts behind the flags: docs of dockerd 20.10, and what was measured (facts `lab.md`): without firewall rules and
forwarding of the host's, bridges, names, published ports and isolation work; only outbound traffic doesn't.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# What a container's processes get to end, before the daemon kills them.
_CONTAINERS_STOP_S = 10

# The daemon writes below /etc (a key), /run (sockets of containers' keepers) and /opt, whatever its flags say. It sees
# a layer of its own over these, in a mount namespace of its own; only the folder with our sockets stays the host's.
_START = """set -e
short=$1
shift
mkdir -p "$short/private"
mount -t tmpfs -o size=64m,mode=700 drydock "$short/private"
cd "$short/private"
mkdir short
mount --bind "$short" short
for place in etc opt run; do
  if [ -d "/$place" ]; then
    mkdir "$place" "$place.work"
    mount -t overlay -o "lowerdir=/$place,upperdir=$place,workdir=$place.work" drydock "/$place"
  fi
done
mkdir -p "$short"
mount --bind short "$short"
cd /
exec "$@"
"""


def apart(name: str, short: Path, program: Sequence[str], *unshared: str) -> list[str]:
    """The command line that starts a daemon beside the host's files.

    Args:
        name: how the shell that prepares it is called.
        short: the folder with its sockets, the one that it shares with the host.
        program: its own command line.
        unshared: what `unshare` shall take beside the mounts, as its flags.
    """
    own = ["unshare", "--mount", *unshared, "--propagation", "slave"]
    return [*own, "sh", "-c", _START, name, str(short), *program]


def flags(settings: Path, data: Path, short: Path, pidfile: Path, socket: Path, group: str) -> list[str]:
    """The flags that all daemons have.

    Args:
        settings: an empty settings file, so that it doesn't read the host's.
        data: where its images, containers and volumes lie.
        short: a folder with a short path for its containers' sockets.
        pidfile: where it notes its process.
        socket: where it answers.
        group: the control group for its containers.
    """
    return [
        f"--config-file={settings}",
        f"--data-root={data}",
        f"--exec-root={short}",
        f"--pidfile={pidfile}",
        f"--host=unix://{socket}",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-masq=false",
        "--ip-forward=false",
        f"--cgroup-parent={group}",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--shutdown-timeout={_CONTAINERS_STOP_S}",
        "--log-level=warn",
    ]
