"""Independent looks at the site, by clients that other people wrote: the program's own reading isn't believed."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

PATIENCE_S = 60.0


@contextmanager
def vcenter(environment: Mapping[str, str]) -> Iterator[vim.ServiceInstanceContent]:
    """A session of our own with the vCenter."""
    host, _, port = environment["VSPHERE_SERVER"].partition(":")
    service = SmartConnect(
        host=host,
        port=int(port or 443),
        user=environment["VSPHERE_USER"],
        pwd=environment["VSPHERE_PASSWORD"],
        disableSslCertValidation=True,
    )
    try:
        yield service.RetrieveContent()
    finally:
        Disconnect(service)


def every(content: vim.ServiceInstanceContent, kind: type) -> dict[str, Any]:
    """Name → object of a kind, in the whole inventory."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        return {one.name: one for one in view.view}
    finally:
        view.Destroy()


def rulesets(environment: Mapping[str, str], cluster: str) -> dict[str, dict[str, bool]]:
    """Host of the cluster → ruleset → enabled."""
    with vcenter(environment) as content:
        hosts = every(content, vim.ClusterComputeResource)[cluster].host
        return {
            host.name: {one.key: one.enabled for one in host.configManager.firewallSystem.firewallInfo.ruleset}
            for host in hosts
        }


def sessions_of(environment: Mapping[str, str], agent: str) -> list[str]:
    """The open sessions of one user agent."""
    with vcenter(environment) as content:
        return [one.userAgent for one in content.sessionManager.sessionList if one.userAgent.startswith(agent)]


@contextmanager
def engine(environment: Mapping[str, str]) -> Iterator[docker.DockerClient]:
    """A client of our own for the Docker host; docker-py would take the system's CA where that is set."""
    folder = environment["DOCKER_CERT_PATH"]
    tls = docker.tls.TLSConfig(
        client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"), ca_cert=f"{folder}/ca.pem", verify=True
    )
    client = docker.DockerClient(
        base_url=environment["DOCKER_HOST"].replace("tcp://", "https://"), tls=tls, version="1.41", timeout=60
    )
    client.api.trust_env = False
    try:
        yield client
    finally:
        client.close()


@contextmanager
def reached(told: Mapping[str, Any], *, with_client_certificate: bool = True) -> Iterator[docker.DockerClient]:
    """docker-py with nothing but a stack's outputs."""
    vch = told.get("vch") or {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ca", "cert", "key"):
            Path(folder, f"{name}.pem").write_text(told[f"docker_{name}"])
        pair = (f"{folder}/cert.pem", f"{folder}/key.pem") if with_client_certificate else None
        tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=f"{folder}/ca.pem", verify=True)
        url = told["docker_host"].replace("tcp://", "https://")
        client = docker.DockerClient(base_url=url, tls=tls, version="1.25", timeout=60)
        client.api.trust_env = False
        if vch.get("server_name"):  # nobody's DNS knows the name in its certificate here
            client.api.get_adapter("https://").init_poolmanager(4, 4, server_hostname=vch["server_name"])
        try:
            yield client
        finally:
            client.close()


def page(url: str) -> str:
    """The page's text, once it answers."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except (OSError, urllib.error.URLError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


def address_of(docker_host: str) -> str:
    """The address in ``tcp://ADDRESS:PORT``."""
    return docker_host.rpartition(":")[0].rpartition("/")[2]


def api(url: str, user: str, password: str, method: str = "GET", body: Any = None) -> Any:
    """One call of the application's API."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read().decode()
    return json.loads(text) if text else None


def registry_digest(environment: Mapping[str, str], repository: str, tag: str) -> str:
    """What the registry itself says of a tag, over verified TLS."""
    login = base64.b64encode(f"{environment['REGISTRY_USER']}:{environment['REGISTRY_PASSWORD']}".encode()).decode()
    kinds = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
    request = urllib.request.Request(
        f"https://{environment['REGISTRY']}/v2/{repository}/manifests/{tag}",
        headers={"Authorization": f"Basic {login}", "Accept": kinds},
        method="HEAD",
    )
    context = ssl.create_default_context(cafile=environment["REGISTRY_CA"])
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def git(*arguments: str, cwd: str, password: str = "") -> str:
    """Git, with the password from a helper and not from its command line."""
    helper = "!f() { echo username=captain; printf 'password=%s\\n' \"$GIT_PASSWORD\"; }; f"
    done = subprocess.run(
        ["git", "-c", f"credential.helper={helper}", "-c", "user.name=c", "-c", "user.email=c@example.com", *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "GIT_PASSWORD": password, "GIT_TERMINAL_PROMPT": "0", "HOME": cwd},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
