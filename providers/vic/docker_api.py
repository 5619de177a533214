"""A VCH's Docker API: whether it runs, its volume stores, volumes and API version; and stopping containers.

The server is known by the certificate that vic-machine gave it (it stands in the VM's settings), not by its name: what
a VCH is called and where it is reached often differ (facts/vic-machine.md).
"""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from providers.kit.secrets import Secret
from providers.kit.tls import as_file

PLAIN_PORT, TLS_PORT, PORTAL_PORT = 2375, 2376, 2378
RUNNING = "RUNNING"
LOOK_TIMEOUT_S = 10.0
STOP_GRACE_S = 10.0  # as `docker stop`
STOP_LIMIT_S = 60.0
MOST_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class View:
    """What a VCH's Docker API tells.

    Args:
        status: ``RUNNING``, or what it is instead, in words.
        api_version: of the Docker API; empty where it doesn't answer.
        stores: labels of the volume stores that are online.
        volumes: name → label of its store; `None` where that isn't known.
        names: id of a container that runs → its name.
    """

    status: str
    api_version: str = ""
    stores: tuple[str, ...] = ()
    volumes: Mapping[str, str] | None = None
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entrance:
    """Where a VCH's Docker API is, and how to get in.

    Args:
        address: of its client network.
        server_cert: PEM text of the certificate that it shows; absent: it speaks in the clear.
        client_cert, client_key: PEM texts of ours.
    """

    address: str
    server_cert: str | None = None
    client_cert: str | None = None
    client_key: Secret | None = None

    @property
    def port(self) -> int:
        return PLAIN_PORT if self.server_cert is None else TLS_PORT


def look(entrance: Entrance) -> View:
    """One look, a few requests."""
    try:
        with _connected(entrance) as pool:
            info = _asked(pool, "/info")
            if not isinstance(info, dict):
                return View("its Docker API answers with an error")
            told = {one[0]: one[1] for one in info.get("SystemStatus") or [] if len(one) == 2}
            driver = str(info.get("Driver"))
            status = str(told.get(driver) or "its Docker API doesn't say how it is")
            version = _asked(pool, "/version") or {}
            running = _asked(pool, "/containers/json") or []
            volumes = _asked(pool, "/volumes")
            return View(
                status,
                str(version.get("ApiVersion", "")),
                tuple(sorted(str(told.get("VolumeStores", "")).split())),
                None if volumes is None else {one["Name"]: _store(one) for one in volumes.get("Volumes") or []},
                {one["Id"]: (one.get("Names") or [one["Id"]])[0].lstrip("/") for one in running},
            )
    except ssl.SSLError:
        return View("its Docker API can't be entered: no secured connection comes about")
    except (HTTPError, OSError) as error:
        cause = getattr(error, "reason", error)
        return View(f"its Docker API at {entrance.address}:{entrance.port} doesn't answer ({type(cause).__name__})")


def stop(entrance: Entrance) -> None:
    """Asks every container that runs to end, and has it ended where it doesn't; what can't be asked goes on."""
    with suppress(HTTPError, OSError), _connected(entrance) as pool:
        for one in _asked(pool, "/containers/json") or []:
            pool.request("POST", f"/containers/{one['Id']}/stop?t={STOP_GRACE_S:.0f}", timeout=STOP_LIMIT_S)


def _store(volume: Mapping[str, Any]) -> str:
    options = volume.get("Options") or {}
    return str(options.get("VolumeStore") or options.get("volumestore") or "default")


@contextmanager
def _connected(entrance: Entrance) -> Iterator[urllib3.HTTPConnectionPool]:
    timeout = urllib3.Timeout(LOOK_TIMEOUT_S)
    if entrance.server_cert is None:
        with urllib3.HTTPConnectionPool(entrance.address, PLAIN_PORT, timeout=timeout, retries=False) as pool:
            yield pool
        return
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(_first(entrance.server_cert))).hexdigest()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead, before anything is sent
    if entrance.client_cert and entrance.client_key:
        with as_file(entrance.client_cert) as cert, as_file(entrance.client_key.reveal()) as key:
            context.load_cert_chain(cert, key, password="")
    with urllib3.HTTPSConnectionPool(
        entrance.address,
        TLS_PORT,
        timeout=timeout,
        retries=False,
        ssl_context=context,
        assert_hostname=False,
        assert_fingerprint=shown,
    ) as pool:
        yield pool


def _asked(pool: urllib3.HTTPConnectionPool, path: str) -> Any:
    answer = pool.request("GET", path, preload_content=False)
    try:
        if answer.status != 200:
            return None
        return json.loads(answer.read(MOST_ANSWER_BYTES))
    except ValueError:
        return None
    finally:
        answer.release_conn()


def _first(certificates: str) -> str:
    """A chain's first certificate, which is the server's own."""
    end = "-----END CERTIFICATE-----"
    return certificates.partition(end)[0] + end
