"""The same application on a Docker host that is there, and its way to a VCH and back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.site import eyes
from tests.site.conftest import Site

pytestmark = pytest.mark.lab

STACK = "lab-docker"


def config_of(site: Site, stack: str) -> dict[str, Any]:
    return dict(yaml.safe_load((site.project / f"Pulumi.{stack}.yaml").read_text())["config"])


def plain_engine(site: Site) -> list[str]:
    with eyes.engine(site.environment) as engine:
        return sorted(one.name for one in engine.containers.list(all=True))


def test_the_application_answers_there(running: Site) -> None:
    told = running.outputs()

    assert told["vch"] == {} and told["docker_host"] == running.environment["DOCKER_HOST"]
    assert told["docker_ca"].startswith("-----BEGIN CERTIFICATE-----") and told["docker_key"] == "[secret]"
    assert "Sign In" in eyes.page(told["app_url"])
    assert plain_engine(running) == ["gogsapp", "gogsdb"]


def test_a_second_up_and_a_refresh_change_nothing(running: Site) -> None:
    running.up("--expect-no-changes")

    assert running.is_clean()


def test_the_application_moves_to_a_vch_and_back(running: Site) -> None:
    """Its data stay where they are: volumes are of a Docker host."""
    file = running.project / f"Pulumi.{running.stack}.yaml"
    before = file.read_text()
    content = yaml.safe_load(before)
    content["config"] |= {name: config_of(running, "lab")[name] for name in ("drydock:vch", "drydock:app")}
    content["config"]["drydock:vch"] |= {"name": "vch2", "volume_stores": {"default": "LocalDS_0/volumes/vch2"}}
    file.write_text(yaml.safe_dump(content))

    running.up()
    there, left = running.outputs(), plain_engine(running)
    on_vch = eyes.page(there["app_url"])
    running.up("--expect-no-changes")
    file.write_text(before)
    running.up()

    assert left == [] and there["vch"]["docker_api"] == "RUNNING" and "Sign In" in on_vch
    assert plain_engine(running) == ["gogsapp", "gogsdb"]
    assert "Sign In" in eyes.page(running.outputs()["app_url"])
    assert running.outputs()["vch"] == {}
