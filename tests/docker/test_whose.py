"""Whose a network or a volume is: a stranger's is refused by its owner's name, and never removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.docker.client import NetworkInfo, VolumeInfo
from providers.docker.resources import NetworkProvider, VolumeProvider
from providers.kit.provider import Failed
from tests.docker.conftest import STACK, Bench

MakeBench = Callable[..., Bench]
LABELS = {"drydock.stack": STACK}
STRANGERS: list[tuple[dict[str, str], str]] = [
    ({}, "was not made by this stack"),
    ({"drydock.stack": "other/prod"}, "made by the stack other/prod"),
    ({"com.docker.compose.project": "blog"}, "made by the compose project blog"),
]


def net(**changes: Any) -> dict[str, Any]:
    return {"name": "shop_net", "labels": LABELS, **changes}


def vol(**changes: Any) -> dict[str, Any]:
    return {"name": "shop_data", "labels": LABELS, **changes}


def test_a_network_is_made_once_with_its_labels(bench: MakeBench) -> None:
    one = bench(NetworkProvider)

    outs = one.create(net())
    again = one.create(net())

    assert one.engine.calls == ["create network shop_net"]
    assert one.engine.networks["shop_net"].labels == LABELS
    assert again["network_id"] == outs["network_id"]
    assert one.drift(outs, net()) == []


def test_a_network_that_is_gone_is_drift(bench: MakeBench) -> None:
    one = bench(NetworkProvider)
    outs = one.create(net())
    one.engine.networks.clear()

    assert one.drift(outs, net()) == ["gone"]


@pytest.mark.parametrize(("labels", "told"), STRANGERS)
def test_a_strangers_network_is_refused_with_its_owner_unless_adopted(
    bench: MakeBench, labels: dict[str, str], told: str
) -> None:
    one = bench(NetworkProvider)
    one.engine.networks["shop_net"] = NetworkInfo("n1", "shop_net", "bridge", labels)

    with pytest.raises(Failed):
        one.create(net())
    adopted = one.create(net(adopt=True))

    assert told in one.said[0] and "adopt=True" in one.said[0]
    assert adopted["network_id"] == "n1" and one.engine.calls == []


def test_a_network_that_somebody_made_anew_is_not_removed(bench: MakeBench) -> None:
    one = bench(NetworkProvider)
    outs = one.create(net())
    one.engine.networks["shop_net"] = NetworkInfo("n2", "shop_net", "bridge", {})

    assert one.calls_of(lambda: one.delete(outs)) == []


def test_a_strangers_volume_is_never_deleted_even_where_that_is_asked_for(bench: MakeBench) -> None:
    one = bench(VolumeProvider)
    outs = one.create(vol(delete_data=True))
    one.engine.volumes_there["shop_data"] = VolumeInfo("shop_data", "local", {}, {})

    assert one.calls_of(lambda: one.delete(outs)) == []


@pytest.mark.parametrize(("labels", "told"), STRANGERS)
def test_a_strangers_volume_is_refused_with_its_owner_unless_adopted(
    bench: MakeBench, labels: dict[str, str], told: str
) -> None:
    one = bench(VolumeProvider)
    one.engine.volumes_there["shop_data"] = VolumeInfo("shop_data", "local", {}, labels)

    with pytest.raises(Failed):
        one.create(vol())
    one.create(vol(adopt=True))

    assert told in one.said[0] and one.engine.calls == []


def test_what_the_driver_adds_to_the_options_is_not_compared(bench: MakeBench) -> None:
    one = bench(VolumeProvider)
    outs = one.create(vol())
    one.engine.volumes_there["shop_data"] = VolumeInfo("shop_data", "local", {"device": "x"}, LABELS)

    assert one.drift(outs, vol()) == []
