"""A container's life: what is called, what is compared, and that nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from providers.kit.provider import Failed
from tests.docker.conftest import IDENTITY, OWNER, REGISTRY, WEB, Host
from tests.docker.fake_engine import FakeEngine

ONE, TWO = (f"{REGISTRY}/gogs@sha256:{number * 64}" for number in "12")
SWAP = [
    f"pull {TWO}",
    "rename gogsapp to gogsapp.drydock-old",
    f"create container gogsapp from {TWO}",
    "stop gogsapp.drydock-old",
    "start gogsapp",
    "remove gogsapp.drydock-old",
]


class Killed(BaseException):
    """As kill -9: nothing of ours runs after it."""


def test_the_first_time_it_is_pulled_by_digest_made_and_started(host: Host) -> None:
    state = host.create()

    assert host.engine.calls == [f"pull {ONE}", f"create container gogsapp from {ONE}", "start gogsapp"]
    assert (state["image"], state["asked_image"], state["running"]) == (ONE, WEB["image"], True)


def test_a_second_up_changes_nothing_whatever_the_daemon_filled_in(host: Host) -> None:
    state = host.create()

    assert host.changes(state) == []
    assert host.changes(host.read(state)) == []


def test_the_secret_reaches_the_container_and_no_state(host: Host) -> None:
    state = host.create()

    assert host.engine.containers_there["gogsapp"].environment["URL"] == "postgres://u:hunter2-marker@db?x=$1"
    assert "hunter2-marker" not in repr(state)
    assert state["secrets"]["environment.URL"].startswith("hmac-sha256:")


def test_another_secret_in_the_config_is_a_change_by_name_only(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    state = host.create()
    monkeypatch.setenv("DRYDOCK_DB_PASSWORD", "another-marker")

    assert host.changes(state) == ["environment.URL"]


def test_a_secret_that_someone_changed_by_hand_is_drift(host: Host) -> None:
    state = host.create()
    host.engine.change("gogsapp", environment={"MODE": "prod", "URL": "postgres://evil"})

    assert host.changes(host.read(state)) == ["environment.URL"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("running", False, ["running"]),
        ("restarting", True, ["running"]),
        ("environment", {"MODE": "debug", "URL": "postgres://u:hunter2-marker@db?x=$1"}, ["environment.MODE"]),
        ("ports", frozenset({"10081:3000/tcp"}), ["ports"]),
        ("mounts", frozenset({"other:/data:rw"}), ["mounts"]),
        ("networks", {}, ["networks.net"]),
        ("networks", {"net": frozenset()}, ["networks.net"]),
        ("restart", "always", ["restart"]),
        ("name", "renamed", ["container_name"]),
    ],
)
def test_every_drift_is_named_by_its_field(host: Host, field: str, value: Any, told: list[str]) -> None:
    state = host.create()
    if field == "name":
        host.engine.rename("gogsapp", value)
    else:
        host.engine.change("gogsapp", **{field: value})

    seen = host.read(state)
    healed = host.update(seen)

    assert host.changes(seen) == told
    assert host.changes(healed) == []


@pytest.mark.parametrize("field", ["environment", "labels", "networks"])
def test_what_only_the_daemon_or_the_image_says_is_not_compared(host: Host, field: str) -> None:
    host.engine.images[ONE] = frozenset({"PATH=/bin", "LANG=C"})
    state = host.create()
    there = host.engine.containers_there["gogsapp"]
    more: dict[str, Any] = {
        "environment": {**there.environment, "LANG": "C"},
        "labels": {**there.labels, "maintainer": "somebody"},
        "networks": {"net": there.networks["net"] | {"0123456789ab"}},
    }
    host.engine.change("gogsapp", **{field: more[field]})

    assert host.changes(host.read(state)) == []


def test_a_container_that_is_gone_is_gone(host: Host) -> None:
    state = host.create()
    host.engine.remove_container("gogsapp")

    assert host.provider.read("gogs/web/1", state).id is None


def test_a_stopped_one_is_started_and_not_made_anew(host: Host) -> None:
    state = host.create()
    host.engine.change("gogsapp", running=False)

    host.update(host.read(state))

    assert host.engine.calls == ["start gogsapp"]


def test_a_change_pulls_first_and_removes_the_old_one_last(host: Host) -> None:
    state = host.create()

    host.update(state, image=f"{REGISTRY}/gogs:2")

    assert host.engine.calls == SWAP


def test_a_variable_taken_out_of_the_program_is_taken_out_of_the_container(host: Host) -> None:
    state = host.create(environment={"MODE": "prod", "DEBUG": "1"})
    assert host.changes(state) == ["environment.DEBUG"]

    after = host.update(state)

    assert "DEBUG" not in host.engine.containers_there["gogsapp"].environment
    assert host.changes(after) == []


def test_a_new_one_that_ends_brings_the_old_one_back_with_the_end_of_its_log(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    state = host.create()
    host.engine.broken_images.add(TWO)

    with pytest.raises(Failed):
        host.update(state, image=f"{REGISTRY}/gogs:2")

    assert host.engine.containers_there.keys() == {"gogsapp"}
    assert (host.engine.containers_there["gogsapp"].image, host.engine.containers_there["gogsapp"].running) == (
        ONE,
        True,
    )
    told = capsys.readouterr().err
    assert "the old container runs again" in told
    assert "and then ended" in told


def test_a_first_one_that_ends_is_taken_away_again(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.engine.broken_images.add(ONE)

    with pytest.raises(Failed):
        host.create()

    assert host.engine.containers_there == {}
    assert "it ended with exit code 3" in capsys.readouterr().err


@pytest.mark.parametrize("moment", range(len(SWAP)))
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_moment_of_a_swap_the_next_run_finishes_and_nothing_is_lost(
    host: Host, moment: int, after: bool
) -> None:
    state = host.create()
    _kill_at(host.engine, SWAP[moment], after=after)
    with pytest.raises(Killed):
        host.update(state, image=f"{REGISTRY}/gogs:2")
    host.engine.before_call = lambda call: None
    assert any(one.image in (ONE, TWO) for one in host.engine.containers_there.values())

    finished = host.update(state, image=f"{REGISTRY}/gogs:2")

    assert host.engine.containers_there.keys() == {"gogsapp"}
    assert finished["image"] == TWO and finished["running"]
    assert host.changes(finished, image=f"{REGISTRY}/gogs:2") == []


def _kill_at(engine: FakeEngine, call: str, *, after: bool) -> None:
    """Kills before a call, or before the one that comes after it."""
    done: list[str] = []

    def before(next_call: str) -> None:
        if (done and after) or (next_call == call and not after):
            raise Killed
        if next_call == call:
            done.append(call)

    engine.before_call = before
    if call == SWAP[-1] and after:
        remove = engine.remove_container

        def removed(one: str) -> None:
            remove(one)
            raise Killed

        engine.remove_container = removed  # type: ignore[method-assign]


@pytest.mark.parametrize("labels", [{"drydock.stack": "drydock/other"}, {"com.docker.compose.project": "gogs"}, {}])
def test_what_is_not_ours_is_refused_and_is_replaced_only_when_asked(
    host: Host, labels: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    host.create()
    host.engine.change("gogsapp", labels=labels)

    with pytest.raises(Failed):
        host.create()
    untouched = host.engine.containers_there["gogsapp"]
    state = host.create(adopt=True)

    assert "exists already" in capsys.readouterr().err
    assert untouched.labels == labels
    assert host.changes(state, adopt=True) == []


def test_ours_is_taken_over_without_asking(host: Host) -> None:
    state = host.create()
    host.engine.calls.clear()

    assert host.create()["container_id"] == state["container_id"]
    assert host.engine.calls == []


def test_a_stranger_that_took_our_name_is_not_replaced(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    state = host.create()
    host.engine.change("gogsapp", labels={"com.docker.compose.project": "somebody"}, id="stranger")

    assert host.provider.read("gogs/web/1", state).id is None
    with pytest.raises(Failed):
        host.update(state, restart="always")
    host.provider.delete("gogs/web/1", state)

    assert host.engine.containers_there["gogsapp"].id == "stranger"
    assert "the compose project somebody" in capsys.readouterr().err


def test_removing_never_touches_a_volume(host: Host) -> None:
    state = host.create()
    host.engine.calls.clear()

    host.provider.delete("gogs/web/1", state)
    host.provider.delete("gogs/web/1", state)

    assert host.engine.calls == ["stop gogsapp", "remove gogsapp"]


def test_another_host_or_project_replaces_and_other_certificates_touch_nothing(host: Host) -> None:
    connection = {"host": "tcp://a:2376", "ca": "x", "cert": "y", "key": "z"}
    state = host.create(connection=connection)

    def replaces(**changes: Any) -> list[str]:
        return list(
            host.provider.diff("gogs/web/1", state, {**WEB, "connection": connection, **changes}).replaces or []
        )

    assert replaces(connection={**connection, "host": "tcp://b:2376"}) == ["host"]
    assert replaces(project="other") == ["project"]
    assert replaces(image=f"{REGISTRY}/gogs:2") == []
    host.update(state, connection={**connection, "cert": "new"})
    assert host.engine.calls == []


def test_an_image_of_a_registry_without_a_login_is_pulled_by_its_reference(host: Host) -> None:
    host.create(image="busybox:1.36")

    assert host.engine.calls[0] == "pull docker.io/library/busybox:1.36"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image": "Not/Good"}, "image"),
        ({"restart": "sometimes"}, "restart"),
        ({"ports": [{"published": 0, "target": 1}]}, "ports"),
        ({"secret_environment": {"X": "${no_such_secret}"}}, "secrets"),
        ({"nework": []}, "nework"),
        ({"networks": []}, "networks"),
    ],
)
def test_bad_arguments_are_refused_at_preview_by_name(host: Host, change: dict[str, Any], told: str) -> None:
    failures = host.provider.check({}, {**WEB, **change}).failures

    assert [failure.property.partition(".")[0] for failure in failures] == [told]
    assert host.engine.calls == []


def test_the_owner_is_the_stack_and_the_identity_is_composes(host: Host) -> None:
    host.create()

    assert {**OWNER, **IDENTITY}.items() <= host.engine.containers_there["gogsapp"].labels.items()
