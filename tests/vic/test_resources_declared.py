"""The resources as programs declare them: every setting is an argument, and what is secret stays so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import pulumi
import pytest

from providers.vic import settings
from providers.vic.bundle import Source
from providers.vic.resources import Bundle, BundleProvider, VchArguments, VchProvider, VirtualContainerHost
from providers.vic.resources.bundle import BundlePlace
from providers.vic.resources.decisions import UNTOUCHED
from providers.vic.resources.inputs import DEFAULTS, VchInputs
from providers.vic.resources.state import VchState
from tests.conformance.engine import Declared, Stack
from tests.vic.archives import archive, digest, whole


def test_every_setting_of_a_vch_is_an_argument_of_the_resource() -> None:
    assert set(VchArguments.__annotations__) == set(VchInputs.model_fields)
    assert set(settings.Settings.model_fields) <= set(VchArguments.__annotations__)


def test_what_needs_a_replacement_has_no_default_to_go_back_to_by_configure() -> None:
    from providers.vic.command_line import configurable

    in_place = DEFAULTS.keys() - VchProvider.replace_on - {"endpoint_memory", "endpoint_cpu"}
    assert all(configurable("1.5.6", name) for name in in_place)
    named = {"name", "compute_resource"}  # configure takes them to say which VCH is meant
    assert not any(configurable("1.5.6", name) for name in VchProvider.replace_on - named)


def test_every_argument_is_shown_compared_with_the_last_or_touches_nothing() -> None:
    hidden = VchInputs.model_fields.keys() - VchState.model_fields.keys() - UNTOUCHED
    assert hidden == {
        "base_image_size",
        "certificates",
        "container_store",
        "datacenter",
        "ops_grant_perms",
        "ops_password",
        "registry_cas",
        "use_rp",
    }


def test_a_bundles_outputs_are_all_that_a_vch_needs_of_it() -> None:
    outputs = {"version": "1.5.6", "build": "21029", "commit": "c", "source": "/b", "sha256": "A" * 64}

    place = BundlePlace.model_validate(outputs)

    assert place.as_source() == Source("1.5.6", "/b", "a" * 64)


class _Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.types: list[str] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[object, object]]:
        self.types.append(args.typ)
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        return {}


def test_certificates_and_memory_are_secret_outputs(
    monkeypatch: pytest.MonkeyPatch, mocked: Callable[[pulumi.runtime.Mocks], None]
) -> None:
    seen: list[list[str]] = []
    real = pulumi.ResourceOptions.merge

    def merge(one: pulumi.ResourceOptions, other: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
        seen.append(list(one.additional_secret_outputs or []))
        return real(one, other)

    mocks = _Mocks()
    mocked(mocks)
    monkeypatch.setattr(pulumi.ResourceOptions, "merge", staticmethod(merge))

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def declared() -> None:
        Bundle("bundle", version="1.5.6", source="/b")
        VirtualContainerHost("vch", name="vch02", bundle={"version": "1.5.6", "source": "/b"})

    declared()
    assert ["remembered", "ca", "client_cert", "client_key"] in seen
    assert sorted(mocks.types) == ["pulumi-python:dynamic/vic:Bundle", "pulumi-python:dynamic/vic:VirtualContainerHost"]


def test_a_bundle_is_fetched_once_and_an_empty_cache_is_no_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path
    monkeypatch.setenv("DRYDOCK_CACHE", str(folder / "cache"))
    monkeypatch.setenv("DRYDOCK_STATE", str(folder / "state"))
    source = archive(folder / "vic.tar.gz", whole())
    program = {"it": Declared(BundleProvider, {"version": "1.5.6", "source": str(source)})}
    stack = Stack({}, monkeypatch)

    run = stack.up(program)
    assert not run.failed, run.text
    assert stack.state["it"].outputs["sha256"] == digest(source)
    assert stack.state["it"].outputs["build"] == "21029"
    rmtree(folder / "cache")

    assert stack.refresh().clean and stack.preview(program).clean


def test_a_bundle_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path
    monkeypatch.setenv("DRYDOCK_CACHE", str(folder / "cache"))
    monkeypatch.setenv("DRYDOCK_STATE", str(folder / "state"))
    source = archive(folder / "vic.tar.gz", whole("1.5.7-21700-0000000"))

    run = Stack({}, monkeypatch).up({"it": Declared(BundleProvider, {"version": "1.5.6", "source": str(source)})})

    assert "vic-machine in it is 1.5.7, not 1.5.6" in run.errors[0]
