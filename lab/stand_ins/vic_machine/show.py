"""Shows how a VCH is reached, for people and in the ``.env`` file; for create, inspect and debug."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.stand_ins.vic_machine.builds import Build
from lab.stand_ins.vic_machine.certificates import Certificates
from lab.stand_ins.vic_machine.docker_api import Endpoint
from lab.stand_ins.vic_machine.extra_config import Settings
from lab.stand_ins.vic_machine.log import Log, quoted

PORTAL_PORT = 2378


@dataclass(frozen=True)
class Shown:
    """What is known beside the settings.

    Args:
        certificates: the client's files; none where they aren't named one by one.
        environment: the ``.env`` file; nothing for none.
        folder: where the certificates are.
        with_ssh: whether SSH was just switched on.
    """

    identity: str
    where: Endpoint
    folder: str
    certificates: Certificates | None = None
    environment: str = ""
    with_ssh: bool = False


def show(build: Build, log: Log, settings: Settings, shown: Shown) -> None:
    """All of it."""
    if shown.with_ssh:
        log.info("")
        log.info("SSH to appliance:")
        log.info(f"ssh root@{shown.where.host}")
    if not build.is_first:
        log.info("")
        log.info(f"VCH ID: {shown.identity}")
    log.info("")
    log.info("VCH Admin Portal:")
    log.info(f"https://{shown.where.host}:{PORTAL_PORT}")
    if not build.is_first:
        log.info("")
        network = settings.content("network/bridge-ip-range/IP")
        start = ".".join(str(part) for part in network)
        log.info(f"VCH Default Bridge Network Range: {start}/{settings.prefix('network/bridge-ip-range/Mask')}")
        log.info(f"VCH Default Bridge Network Width: {settings.prefix('network/bridge-net-width')}")
    log.info("")
    log.info("Published ports can be reached at:")
    log.info(str(settings.address("init/networks|public/assigned/IP", is_written=True) or "<nil>"))
    if not build.is_first:
        log.info("")
        log.info("Management traffic will use:")
        log.info(str(settings.address("init/networks|management/assigned/IP", is_written=True) or "<nil>"))
    environment = environment_of(build, log, shown)
    log.info("")
    log.info("Docker environment variables:")
    log.info(environment)
    if shown.environment and Path(shown.environment).parent.is_dir():
        Path(shown.environment).write_text(environment, encoding="utf-8")
        os.chmod(shown.environment, 0o644)
        log.info("")
        log.info(f"Environment saved in {shown.environment}")
    log.info("")
    log.info("Connect to docker:")
    log.info(docker_command(shown.where, shown.certificates))


def environment_of(build: Build, log: Log, shown: Shown) -> str:
    """The variables for a Docker client."""
    parts: list[str] = []
    if shown.where.is_tls and shown.where.authorities:
        parts.append("DOCKER_TLS_VERIFY=1")
        if shown.folder and Path(shown.folder).is_dir():
            # The real one takes the folder's own name only, so this is wrong unless it lies right here.
            parts.append(f"DOCKER_CERT_PATH={os.path.abspath(os.path.basename(os.path.normpath(shown.folder)))}")
        else:
            log.info("")
            log.warning("Unable to find valid client certs")
            where = "in environment or certificates specified individually via CLI arguments"
            log.warning(f"DOCKER_CERT_PATH must be provided {where}")
    parts.append(f"DOCKER_HOST={shown.where.address}")
    if not build.is_first:
        parts.append("COMPOSE_TLS_VERSION=TLSv1_2")
    return " ".join(parts)


def docker_command(where: Endpoint, certificates: Certificates | None) -> str:
    """How Docker's own client is called."""
    options = ""
    if where.is_tls:
        options = " --tlsverify" if where.authorities else " --tls"
        if where.authorities and certificates is not None and certificates.client_key_file:
            options += f" --tlscacert={quoted(certificates.authority_file)}"
            options += f" --tlscert={quoted(certificates.client_file)} --tlskey={quoted(certificates.client_key_file)}"
    return f"docker -H {where.address}{options} info"
