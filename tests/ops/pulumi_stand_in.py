"""Stands in for the `pulumi` command: notes its calls, sends events, and ends as the environment says.

STAND_IN_CALLS: the file that each call's arguments are added to. STAND_IN_EVENTS: what to send. STAND_IN_CODE: the exit
code of a long command. STAND_IN_WAIT: the folder in which a long command says that it is ready and waits for signals.
STAND_IN_EXPORT: what `stack export` prints; STAND_IN_OUTPUTS: what `stack output` does.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

arguments = sys.argv[1:]
with open(os.environ["STAND_IN_CALLS"], "a") as calls:
    calls.write(json.dumps(arguments) + "\n")


def backend() -> Path:
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(os.environ["PULUMI_BACKEND_URL"]).path), ".pulumi")


def long_command() -> None:
    log = arguments[arguments.index("--event-log") + 1]
    with open(log, "w") as target:
        if "STAND_IN_EVENTS" in os.environ:
            target.write(Path(os.environ["STAND_IN_EVENTS"]).read_text())
    if "STAND_IN_WAIT" in os.environ:
        wait(Path(os.environ["STAND_IN_WAIT"]))
    if "STAND_IN_SAYS" in os.environ:
        sys.stdout.write(os.environ["STAND_IN_SAYS"] + "\n")
    sys.exit(int(os.environ.get("STAND_IN_CODE", "0")))


def wait(folder: Path) -> None:
    received = []
    signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    (folder / "ready").write_text(str(os.getpid()))
    end = time.monotonic() + 30
    while not received and time.monotonic() < end:
        time.sleep(0.01)
    (folder / "received").write_text(signal.Signals(received[0]).name)
    sys.exit(8)


if arguments[0] in ("up", "destroy"):
    long_command()
elif arguments[:2] == ["stack", "init"]:
    file = backend() / "stacks" / "drydock" / "lab.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"version": 3, "checkpoint": {"latest": {}}}')
elif arguments[:2] == ["stack", "output"]:
    sys.stdout.write(os.environ.get("STAND_IN_OUTPUTS", "{}"))
elif arguments[:2] == ["stack", "export"]:
    sys.stdout.write(os.environ.get("STAND_IN_EXPORT", '{"deployment": {}}'))
elif arguments[:2] == ["stack", "import"]:
    Path(os.environ["STAND_IN_CALLS"]).with_name("imported").write_text(sys.stdin.read())
elif arguments[0] == "cancel":
    for lock in backend().glob("locks/organization/drydock/lab/*"):
        lock.unlink()
