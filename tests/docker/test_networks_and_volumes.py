"""Networks come and go; volumes are users' data."""

from __future__ import annotations

import pytest

from providers.docker.client import VolumeInfo
from providers.docker.resources import NetworkProvider, VolumeProvider
from providers.kit.provider import Failed
from tests.docker.conftest import OWNER, Host

NET = {"name": "gogs_net", "labels": OWNER}
VOLUME = {"name": "gogs_data", "labels": OWNER}


def test_a_network_is_made_once_and_removed(host: Host) -> None:
    provider = NetworkProvider()
    state = provider.create(NET).outs or {}
    provider.create(NET)

    assert provider.changes(state, NET) == []
    provider.delete("gogs_net", state)
    provider.delete("gogs_net", state)

    assert host.engine.calls == ["create network gogs_net", "remove network gogs_net"]


def test_another_driver_replaces_a_network(host: Host) -> None:
    provider = NetworkProvider()
    state = provider.create(NET).outs or {}

    assert provider.diff("gogs_net", state, {**NET, "driver": "macvlan"}).replaces == ["driver"]


def test_a_volume_stays_when_it_is_removed_and_is_taken_over_by_the_next_up(host: Host) -> None:
    provider = VolumeProvider()
    state = provider.create(VOLUME).outs or {}

    provider.delete("gogs_data", state)
    provider.create(VOLUME)

    assert host.engine.calls == ["create volume gogs_data"]


def test_a_volume_is_deleted_only_with_the_explicit_flag(host: Host) -> None:
    provider = VolumeProvider()
    state = provider.create(VOLUME).outs or {}
    flagged = provider.update("gogs_data", state, {**VOLUME, "delete_data": True}).outs or {}

    provider.delete("gogs_data", flagged)

    assert host.engine.calls == ["create volume gogs_data", "remove volume gogs_data"]


def test_a_volume_of_somebody_else_is_refused_by_name(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.engine.volumes_there["gogs_data"] = VolumeInfo("gogs_data", "local", {}, {"drydock.stack": "drydock/other"})

    with pytest.raises(Failed):
        VolumeProvider().create(VOLUME)

    assert "docker.Volume 'gogs_data': exists already" in capsys.readouterr().err
    assert host.engine.calls == []


def test_a_volume_cannot_be_changed_and_its_data_stay(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    provider = VolumeProvider()
    state = provider.create(VOLUME).outs or {}

    with pytest.raises(Failed):
        provider.update("gogs_data", state, {**VOLUME, "driver": "vsphere"})

    assert "its data stay as they are" in capsys.readouterr().err
    assert host.engine.calls == ["create volume gogs_data"]


def test_another_name_is_a_new_volume(host: Host) -> None:
    provider = VolumeProvider()
    state = provider.create(VOLUME).outs or {}

    assert provider.diff("gogs_data", state, {**VOLUME, "name": "gogs_more"}).replaces == ["name"]


def test_on_another_host_the_new_one_is_made_before_the_old_one_goes(host: Host) -> None:
    provider = NetworkProvider()
    state = provider.create(NET).outs or {}

    moved = provider.diff("gogs_net", state, {**NET, "connection": {"host": "tcp://192.0.2.9:2376"}})
    changed = provider.diff("gogs_net", state, {**NET, "driver": "macvlan"})

    assert (moved.replaces, moved.delete_before_replace) == (["host"], False)
    assert changed.delete_before_replace is True
