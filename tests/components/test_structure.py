"""What the program registers for a stack's settings: Pulumi's mocks, no system."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.esxi_firewall import by_path

ROOT = Path(__file__).parents[2]


class Recorder(pulumi.runtime.Mocks):
    """Answers as if everything were made at once, and notes what was asked for."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[str, dict[str, Any]]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.made[args.name] = (args.typ, {key: value for key, value in args.inputs.items() if key != "__provider"})
        made = {"docker_host": "tcp://192.0.2.7:2376"} if args.typ.endswith(":VirtualContainerHost") else {}
        return f"{args.name}-id", {**args.inputs, **made}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {"id": f"{args.args['name']}-id", "resourcePoolId": "pool-id", "name": args.args["name"]}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, mocked: Callable[[pulumi.runtime.Mocks], None]) -> Recorder:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker.example.com:2376")
    monkeypatch.setenv("REGISTRY", "registry.example.com")
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    one = Recorder()
    mocked(one)
    return one


def run(config: dict[str, Any]) -> None:
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.set_all_config(values)

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"))

    program()


def config_of(stack: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])


@pytest.fixture
def lab_config() -> dict[str, Any]:
    """The lab's stack without a VCH."""
    return config_of("lab-docker")


def test_the_labs_stacks_differ_in_where_the_application_runs_and_in_nothing_else() -> None:
    lab, docker = config_of("lab"), config_of("lab-docker")

    assert lab.pop("drydock:vch") and lab["drydock:app"].pop("environment") == {"VOLUME_DRIVER": "vsphere"}
    assert lab == docker


def test_the_lab_stack_is_a_vm_a_ruleset_a_vch_and_the_application(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIC_BUNDLE", "/bundles/vic_{version}.tar.gz")

    run(config_of("lab"))

    kinds = {name: kind for name, (kind, _) in recorder.made.items()}
    assert kinds["photon"] == "vsphere:index/virtualMachine:VirtualMachine"
    assert {name: kind.rpartition("/")[2] for name, kind in kinds.items() if "dynamic" in kind} == {
        "vic": "esxi:FirewallRuleset",
        "vch-bundle": "vic:Bundle",
        "vch": "vic:VirtualContainerHost",
        "app-gogsnet": "docker:Network",
        "app-gogsvol1": "docker:Volume",
        "app-gogsvol2": "docker:Volume",
        "app-gogsdb": "docker:Container",
        "app-gogs": "docker:Container",
    }
    assert recorder.made["vch-bundle"][1]["source"] == "/bundles/vic_1.5.6.tar.gz"


VCH = {
    "name": "vch1",
    "compute_resource": "DC0_C0",
    "image_store": "LocalDS_0/images",
    "volume_stores": {"default": "LocalDS_0/volumes"},
    "bridge_network": "DC0_DVPG0",
    "tls": {"cname": "vch1.example.com"},
    "bundle": {"version": "1.5.6", "source": "https://vic.example.com:9443/vic_1.5.6.tar.gz"},
}


def test_with_a_vch_the_application_runs_on_it(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    run({**lab_config, "drydock:vch": VCH})

    kinds = {name: kind.rpartition("/")[2] for name, (kind, _) in recorder.made.items()}
    assert (kinds["vch-bundle"], kinds["vch"]) == ("vic:Bundle", "vic:VirtualContainerHost")
    _, vch = recorder.made["vch"]
    assert vch["bundle"] == VCH["bundle"]
    assert {name: vch[name] for name in VCH if name != "bundle"} == {one: VCH[one] for one in VCH if one != "bundle"}
    for name in ("app-gogsnet", "app-gogsvol1", "app-gogs"):
        assert (
            recorder.made[name][1]["connection"]["value"]["host"] == "tcp://192.0.2.7:2376"
        )  # the key makes it secret


def test_without_a_vch_the_docker_host_of_the_stack_needs_nothing_said(
    recorder: Recorder, lab_config: dict[str, Any]
) -> None:
    run(lab_config)

    assert "vch" not in recorder.made
    assert "connection" not in recorder.made["app-gogs"][1]


def test_a_bundle_without_a_source_is_told_by_setting_and_variable(
    recorder: Recorder, lab_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIC_BUNDLE", raising=False)

    with pytest.raises(pulumi.RunError, match="setting vch.bundle.source is not set, and VIC_BUNDLE isn't either"):
        run({**lab_config, "drydock:vch": {**VCH, "bundle": {"version": "1.5.6"}}})


def test_secrets_go_to_the_container_by_name_only(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    run(lab_config)

    _, database = recorder.made["app-gogsdb"]
    assert database["secret_environment"] == {"POSTGRES_PASSWORD": "${gogs_db_password}"}
    assert "POSTGRES_PASSWORD" not in database["environment"]
    assert database["environment"]["PGDATA"] == "/var/lib/postgresql/data/data"


def test_what_is_ours_in_docker_carries_composes_labels_and_our_own(
    recorder: Recorder, lab_config: dict[str, Any]
) -> None:
    run(lab_config)

    for name, kind in (("app-gogsvol1", "volume"), ("app-gogsnet", "network"), ("app-gogs", "service")):
        labels = recorder.made[name][1]["labels"]
        assert labels["drydock.stack"] == "drydock/lab"
        assert labels["com.docker.compose.project"] == "gogs"
        assert labels[f"com.docker.compose.{kind}"] == name.removeprefix("app-")


def test_a_pin_takes_the_place_of_the_files_image(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    pin = "registry.example.com/gogs/gogs@sha256:" + "a" * 64
    lab_config["drydock:app"]["images"] = {"gogs": pin}

    run(lab_config)

    assert recorder.made["app-gogs"][1]["image"] == pin
    assert recorder.made["app-gogsdb"][1]["image"] == "registry.example.com/library/postgres:9.6"


def test_the_vm_carries_whose_it_is(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    run(lab_config)

    assert "drydock.stack=drydock/lab/photon" in recorder.made["photon"][1]["annotation"]


def test_a_part_that_is_not_set_is_not_made(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    run({"drydock:firewall": lab_config["drydock:firewall"]})

    assert [name for name, (kind, _) in recorder.made.items() if "components" not in kind] == ["vic"]


def test_the_firewall_takes_hosts_one_by_one_and_what_ansible_takes(
    recorder: Recorder, lab_config: dict[str, Any]
) -> None:
    allowed = {"all_ip": False, "ip_address": ["192.0.2.7"]}
    run({"drydock:firewall": {"hosts": ["esx1", "esx2"], "allowed_hosts": allowed, "at_once": 4}})

    _, rule = recorder.made["vic"]
    assert (rule["hosts"], rule["ruleset"], rule["allowed_hosts"]) == (["esx1", "esx2"], "vic", allowed)
    assert rule["at_once"] == 4 and "cluster" not in rule


def test_the_firewall_is_told_by_inventory_path_with_reason_and_error() -> None:
    part = {"path": "/DC/host/C/esx1", "ruleset": "vSPC", "enabled": True, "reason": "why", "allowed_hosts": "all"}
    lost = {"path": "/DC/host/C/esx2", "ruleset": "vic", "error": "not connected"}

    assert by_path({"esx1": part, "esx2": lost}) == {
        "/DC/host/C/esx1": {"ruleset": "vSPC", "enabled": True, "reason": "why", "error": ""},
        "/DC/host/C/esx2": {"ruleset": "vic", "enabled": None, "reason": "", "error": "not connected"},
    }
    assert by_path(None) == {}


def test_a_pin_for_a_service_that_the_file_lacks_is_refused(recorder: Recorder, lab_config: dict[str, Any]) -> None:
    lab_config["drydock:app"]["images"] = {"gosg": "x"}

    with pytest.raises(pulumi.RunError, match="app.images: apps/gogs/compose.yml has no service gosg"):
        run(lab_config)


def test_a_secret_outside_the_environment_is_refused(
    recorder: Recorder, lab_config: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "compose.yml"
    file.write_text("services: {a: {image: x, command: login $PASS}}\n")
    lab_config["drydock:app"] = {"file": str(file), "project_name": "p", "secrets": {"PASS": "some_secret"}}

    with pytest.raises(pulumi.RunError, match="services.a.command: the secret 'some_secret' may only stand in"):
        run(lab_config)
