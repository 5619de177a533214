"""Ansible's way to open a ruleset: `community.vmware.vmware_host_firewall_manager`, in an environment of its own.

Its core comes from its own package; the collections are taken out of the package that bundles a hundred of them.
Nothing in them is changed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

from bench.stage.vcenter import VCenter
from ops.pulumi.venv import base_python
from ops.toolchain import SetupError, cache_dir, ends_with_us, kept, log_file, run_logged

# Ansible 12.3.0 holds community.vmware 5.10.0 (it wants pyVmomi 8.0.3.0.1 or later) and vmware.vmware 2.6.0.
BUNDLE = "ansible==12.3.0"
CORE = "ansible-core==2.19.14"
# The same pyVmomi as ours, so that the difference is not its.
PACKAGES = (CORE, "pyvmomi==9.1.1.0", "requests==2.34.2")
COLLECTIONS = ("ansible_collections/community/vmware/", "ansible_collections/vmware/vmware/")
OLDEST_PYTHON = (3, 11)
INSTALL_LIMIT_S = 600.0
STOP_LIMIT_S = 15.0

MODULE = "community.vmware.vmware_host_firewall_manager"


def python() -> Path:
    """The interpreter of an environment with Ansible and its collections, made once and kept in the cache.

    Raises:
        SetupError: this Python is too old for it, or it can't be installed.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(f"{CORE} needs Python {'.'.join(map(str, OLDEST_PYTHON))} or later, this is {sys.version}")
    version = BUNDLE.partition("==")[2]
    target = cache_dir() / "tools" / f"ansible-{version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    return kept(target, _make, what=f"Installs Ansible {version}", usually="half a minute") / "bin" / "python"


def open_ruleset(vcenter: VCenter, folder: Path, *, cluster: str, ruleset: str, limit_s: float) -> bool:
    """Opens a ruleset on all hosts of a cluster with a playbook of one task.

    Args:
        vcenter: where.
        folder: for the playbook and what Ansible writes.
        cluster: the cluster's name.
        ruleset: the ruleset's key.
        limit_s: how long it may take, in seconds; then it is stopped.

    Returns:
        Whether it came to its end in that time.

    Raises:
        RuntimeError: it failed; its last words are in the text.
    """
    interpreter = python()
    folder.mkdir(parents=True, exist_ok=True)
    playbook = folder / "playbook.json"  # JSON is YAML
    playbook.write_text(json.dumps(_playbook(cluster, ruleset), indent=2))
    argv = [str(interpreter), "-m", "ansible", "playbook", "--inventory=localhost,", str(playbook)]
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_REMOTE_TMP": str(folder / "work"),
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PYTHON_INTERPRETER": str(interpreter),
        "VMWARE_HOST": vcenter.host,
        "VMWARE_PORT": str(vcenter.port),
        "VMWARE_USER": vcenter.user,
        "VMWARE_PASSWORD": vcenter.password,
    }
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=ends_with_us(),
        )
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    finally:
        _stop(process)
    if code:
        raise RuntimeError(f"Ansible ended with {code}: {log.read_text()[-2000:]}")
    return True


def _playbook(cluster: str, ruleset: str) -> list[dict[str, object]]:
    rule = {"name": ruleset, "enabled": True, "allowed_hosts": {"all_ip": True}}
    task = {MODULE: {"cluster_name": cluster, "validate_certs": False, "rules": [rule]}}
    return [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Asks first: its worker is in a session of its own, and ends what it started only if it is asked."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _make(folder: Path) -> None:
    log = log_file("ansible")

    def run(*argv: str) -> None:
        run_logged(argv, what="the installation of Ansible", log=log, limit_s=INSTALL_LIMIT_S)

    run(base_python(), "-m", "venv", str(folder))
    own = str(folder / "bin" / "python")
    downloads = folder.with_name("downloads")
    run(own, "-m", "pip", "install", "--disable-pip-version-check", *PACKAGES)
    run(own, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", f"--dest={downloads}", BUNDLE)
    [bundle] = downloads.glob("*.whl")
    [packages] = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(bundle) as wheel:
        wheel.extractall(packages, [name for name in wheel.namelist() if name.startswith(COLLECTIONS)])
