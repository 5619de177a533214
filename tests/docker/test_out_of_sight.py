"""What is on a Docker host that can't be asked: a host that the program makes itself may be off, or made anew."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN

from providers.docker.resources import ContainerProvider, DockerProvider, NetworkProvider
from providers.kit.claims import CLAIMS
from providers.kit.errors import Authentication, DrydockError, Unreachable, Untrusted
from providers.kit.provider import Failed
from providers.kit.retry import RetryPolicy
from tests.docker.conftest import WEB, Host

MADE = {"connection": {"host": "tcp://192.0.2.9:2376"}}
OFF = Unreachable("it can't be reached", on="Docker host tcp://192.0.2.9:2376", remedy="Is it running?")
OTHER_CERTIFICATE = Untrusted("its certificate is not trusted", on="Docker host", remedy="Correct it.")
REFUSED = Authentication("the login was refused", on="Docker host", remedy="Correct it.")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda policy, failures, error: 0.0)


def fails(monkeypatch: pytest.MonkeyPatch, error: DrydockError) -> None:
    def connect(provider: Any, settings: Any, desired: Any) -> Any:
        raise error

    monkeypatch.setattr(DockerProvider, "endpoint", lambda provider, settings, desired: error.what)
    monkeypatch.setattr(DockerProvider, "connect", connect)


def answers_again(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    monkeypatch.setattr(DockerProvider, "connect", lambda provider, settings, desired: host.engine)


@pytest.mark.parametrize("error", [OFF, OTHER_CERTIFICATE])
def test_a_refresh_keeps_what_is_known_says_so_and_the_next_up_looks_again(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: DrydockError
) -> None:
    made = host.create(**MADE)
    fails(monkeypatch, error)

    seen = host.read(made)

    assert seen["container_id"] == made["container_id"] and seen["in_sight"] is False
    assert "docker.Container 'gogsapp': can't be looked at now: Docker host" in capsys.readouterr().err
    assert host.changes(seen, **MADE) == ["in_sight"]

    answers_again(monkeypatch, host)
    assert host.update(seen, **MADE)["in_sight"] is True
    assert host.engine.calls == []


def test_what_is_gone_when_its_host_answers_again_is_made_anew(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    made = host.create(**MADE)
    fails(monkeypatch, OFF)
    seen = host.read(made)
    host.engine.containers_there.clear()

    answers_again(monkeypatch, host)
    host.update(seen, **MADE)

    assert [one.name for one in host.engine.containers_there.values()] == ["gogsapp"]


@pytest.mark.parametrize(("more", "error"), [({}, OFF), (MADE, REFUSED)], ids=["the stack's own host", "a login"])
def test_everything_else_is_an_error(
    host: Host, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], error: DrydockError
) -> None:
    made = host.create(**more)
    fails(monkeypatch, error)

    with pytest.raises(Failed):
        host.read(made)


def test_what_no_refresh_could_see_counts_as_gone_and_everything_else_is_not_forgotten(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = host.create(**MADE)
    fails(monkeypatch, OFF)

    with pytest.raises(Failed):
        ContainerProvider().delete("gogs/web/1", made)
    ContainerProvider().delete("gogs/web/1", host.read(made))

    assert "docker.Container 'gogsapp': is forgotten: Docker host" in capsys.readouterr().err


def test_a_network_that_could_not_be_seen_is_looked_at_again_as_well(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"name": "net", "labels": WEB["labels"], **MADE}
    made = dict(NetworkProvider().create(given).outs or {})
    fails(monkeypatch, OFF)
    seen = dict(NetworkProvider().read("net", made).outs or {})
    host.engine.networks.clear()

    answers_again(monkeypatch, host)
    NetworkProvider().update("net", seen, given)

    assert list(host.engine.networks) == ["net"]


def test_on_a_host_that_was_made_anew_at_its_old_address_what_was_on_it_is_made_again(host: Host) -> None:
    made = host.create(connection={**MADE["connection"], "ca": "old"})
    host.engine.containers_there.clear()

    host.update(made, connection={**MADE["connection"], "ca": "new"})

    assert [one.name for one in host.engine.containers_there.values()] == ["gogsapp"]


def test_a_preview_in_which_the_host_is_changed_doesnt_say_that_all_on_it_will_be(host: Host) -> None:
    made = host.create(**MADE)

    assert host.changes(made, connection=UNKNOWN) == []
    assert host.changes(made, connection={"host": UNKNOWN}, restart="always") == ["restart"]
    assert host.changes(host.create(), connection={"host": UNKNOWN}) == ["connection"]


def test_what_was_on_a_host_that_this_run_has_removed_counts_as_gone(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = host.create(**MADE)
    fails(monkeypatch, OFF)
    CLAIMS.went(MADE["connection"]["host"])

    ContainerProvider().delete("gogs/web/1", made)
    CLAIMS.clear()

    assert "docker.Container 'gogsapp': is forgotten: Docker host" in capsys.readouterr().err
