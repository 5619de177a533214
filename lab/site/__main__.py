"""Runs the site: `python -m lab.site SETTINGS`, a file that `lab.parts.site` writes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import ssl
import sys
import time
from pathlib import Path

from lab.site import http
from lab.site.ground import Ground
from lab.site.http import Answer
from lab.site.watcher import Watcher

# A look takes milliseconds; one that is older means that the vCenter isn't reached.
FRESH_S = 5.0


def main(settings: Path) -> None:
    """Runs until it is asked to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_run(Ground.read(settings)))


async def _run(ground: Ground) -> None:
    watcher = Watcher(ground)
    work = asyncio.ensure_future(watcher.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, http.HttpError):
            if await http.read_head(reader) is not None:
                await http.send(writer, _status(watcher))
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ground.certificate / "cert.pem", ground.certificate / "key.pem")
    host, _, port = ground.listen.rpartition(":")
    server = await asyncio.start_server(tell, host, int(port), ssl=context)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    server.close()


def _status(watcher: Watcher) -> Answer:
    """How the site is, and which VMs it made live."""
    is_well = watcher.is_ready and time.monotonic() - watcher.looked_at < FRESH_S
    told = [
        {
            "kind": "vch",
            "name": appliance.name,
            "vm": appliance.reference,
            "address": appliance.address,
            "up": appliance.is_up,
            "well": appliance.is_well,
            "problem": appliance.problem,
        }
        for appliance in watcher.appliances
    ]
    body = json.dumps(told).encode() + b"\n"
    return Answer(200 if is_well else 503, {"content-type": "application/json", "connection": "close"}, body)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
