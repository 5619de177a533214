"""What is sent for a container: desired + what is there → the exact calls, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.docker.resources import COMPOSE_NUMBER, COMPOSE_PROJECT, ContainerProvider
from providers.docker.swap import OLD_SUFFIX
from providers.kit.errors import Permanent
from providers.kit.provider import Failed
from tests.docker.conftest import REGISTRY, STACK, V1, V2, Bench, web
from tests.docker.fake_engine import FakeEngine, names, ours

MakeBench = Callable[..., Bench]
OLD = "web" + OLD_SUFFIX
CREATE, CREATE_2 = (f"create container web from {image}" for image in (V1, V2))
MADE = [f"pull {V1}", CREATE, "start web"]
SWAPPED = [f"rename web to {OLD}", CREATE, f"stop {OLD}", "start web", f"remove {OLD}"]
TO_V2 = [f"pull {V2}", f"rename web to {OLD}", CREATE_2, f"stop {OLD}", "start web", f"remove {OLD}"]
PORT = {"published": 10080, "target": 3000, "protocol": "tcp"}
DATA = {"volume": "shop_data", "target": "/data", "read_only": False}

CHANGES = [
    ("nothing is to do: the same again", {}, []),
    ("nothing is to do: it is only taken down more slowly", {"stop_grace_period_s": 60}, []),
    ("nothing is to do: it is only waited for longer", {"wait_timeout_s": 90}, []),
    ("another image is pulled before the old one is touched", {"image": f"{REGISTRY}/shop/web:2"}, TO_V2),
    ("another variable", {"environment": {"MODE": "dark"}}, SWAPPED),
    ("a port", {"ports": [PORT]}, SWAPPED),
    ("a volume", {"mounts": [DATA]}, SWAPPED),
    ("a network", {"networks": [{"name": "shop_net", "aliases": ["web"]}, {"name": "more", "aliases": []}]}, SWAPPED),
    ("an alias", {"networks": [{"name": "shop_net", "aliases": ["web", "www"]}]}, SWAPPED),
    ("the restart policy", {"restart": "always"}, SWAPPED),
    ("the command", {"command": ["serve", "--loud"]}, SWAPPED),
    ("a label", {"labels": {"drydock.stack": STACK, "tier": "front"}}, SWAPPED),
    ("a secret variable", {"secret_environment": {"PASSWORD": "${db_password}"}}, SWAPPED),
]


@pytest.mark.parametrize(("why", "changes", "calls"), CHANGES, ids=[case[0] for case in CHANGES])
def test_a_change_makes_exactly_these_calls(
    bench: MakeBench, why: str, changes: dict[str, Any], calls: list[str]
) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())

    made = one.calls_of(lambda: one.update(outs, web(**changes)))

    assert made == calls
    assert names(one.engine.running("web")) == ["web"]


@pytest.mark.parametrize(("why", "changes", "calls"), CHANGES, ids=[case[0] for case in CHANGES])
def test_after_a_change_the_next_preview_and_refresh_are_clean(
    bench: MakeBench, why: str, changes: dict[str, Any], calls: list[str]
) -> None:
    one = bench(ContainerProvider)
    outs = one.update(one.create(web()), web(**changes))

    assert one.provider.changes(outs, web(**changes)) == []
    assert one.drift(outs, web(**changes)) == []


@pytest.mark.parametrize(("why", "changes", "calls"), CHANGES[3:], ids=[case[0] for case in CHANGES[3:]])
def test_taking_a_setting_out_again_is_a_change_and_makes_a_container_without_it(
    bench: MakeBench, why: str, changes: dict[str, Any], calls: list[str]
) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web(**changes))

    told = one.provider.changes(outs, web())
    again = one.update(outs, web())

    assert told
    assert one.drift(again, web()) == []
    fresh = bench(ContainerProvider)
    fresh.create(web())
    assert one.engine.specs[-1] == fresh.engine.specs[-1]


def test_a_new_container_is_pulled_made_and_started(bench: MakeBench) -> None:
    one = bench(ContainerProvider)

    assert one.calls_of(lambda: one.create(web())) == MADE


def test_the_id_stays_and_the_image_is_told_by_digest(bench: MakeBench) -> None:
    one = bench(ContainerProvider)

    made = one.provider.create(web(number=2))
    outs = dict(made.outs or {})

    assert made.id == "shop/web/2"
    assert outs["image"] == V1
    assert one.engine.specs[0].labels[COMPOSE_NUMBER] == "2"
    assert one.provider.diff(made.id, outs, web(number=2, image=V2)).replaces == []


def test_another_project_or_host_is_a_replacement_and_nothing_else_is(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())

    assert one.provider.diff("id", outs, web(project="other")).replaces == ["project"]
    assert one.provider.diff("id", outs, web(connection={"host": "tcp://other:2376"})).replaces == ["host"]
    assert one.provider.diff("id", outs, web(container_name="www", service="www")).replaces == []


def test_another_client_certificate_touches_no_container(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web(connection={"host": "tcp://other:2376", "key": "one"}))
    wanted = web(connection={"host": "tcp://other:2376", "key": "two"})

    assert [str(change) for change in one.provider.changes(outs, wanted)] == ["connection: changed"]
    assert one.calls_of(lambda: one.update(outs, wanted)) == []


def test_a_host_that_is_known_only_after_the_preview_is_no_replacement(bench: MakeBench) -> None:
    from pulumi.runtime.rpc import UNKNOWN

    one = bench(ContainerProvider)
    outs = one.create(web(connection={"host": "tcp://other:2376"}))

    assert one.provider.diff("id", outs, web(connection=UNKNOWN)).replaces == []
    assert one.provider.diff("id", outs, web(connection={"host": UNKNOWN})).replaces == []


def test_a_tag_stays_where_it_was_resolved_until_the_input_changes(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.tags[f"{REGISTRY}/shop/web:1"] = V2

    outs = one.update(outs, web(environment={"MODE": "dark"}))

    assert outs["image"] == V1
    assert one.update(outs, web(image=f"{REGISTRY}/shop/web:2"))["image"] == V2


def test_an_image_that_the_host_has_is_not_pulled_again(bench: MakeBench) -> None:
    one = bench(ContainerProvider, FakeEngine(images={V1: frozenset()}))

    assert one.calls_of(lambda: one.create(web(image=V1))) == [CREATE, "start web"]


def test_the_login_goes_with_a_pull_from_its_registry_only(bench: MakeBench) -> None:
    elsewhere = "other.example/shop/web:1"
    one = bench(ContainerProvider, FakeEngine())

    one.create(web())
    one.create(web(service="api", container_name="api", image=elsewhere))

    there, not_there = one.engine.logins
    assert isinstance(there, tuple) and there[0] == "captain"
    assert not_there is None


def test_an_image_that_is_missing_touches_nothing(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())

    with pytest.raises(Failed):
        one.update(outs, web(image=f"{REGISTRY}/shop/web:9"))

    assert one.engine.calls == MADE
    assert "shop/web:9" in one.said[-1] and "the registry doesn't have it" in one.said[-1]


# what is refused


def test_a_strangers_container_is_refused_with_its_owner_and_left_alone(bench: MakeBench) -> None:
    for labels, owner in (
        ({}, "not made by this stack"),
        (ours(stack="other/prod"), "the stack other/prod"),
        ({COMPOSE_PROJECT: "blog"}, "the compose project blog"),
    ):
        one = bench(ContainerProvider)
        one.engine.stranger("web", labels)

        with pytest.raises(Failed):
            one.create(web())

        assert owner in one.said[-1]
        assert one.engine.calls == []


def test_another_service_of_our_own_stack_keeps_its_name(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    one.create(web(service="api"))

    with pytest.raises(Failed):
        one.create(web())

    assert one.engine.calls == MADE


def test_a_name_that_a_stranger_took_meanwhile_is_refused_at_an_update_and_left_at_a_destroy(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.containers_there.clear()
    one.engine.stranger("web")

    with pytest.raises(Failed):
        one.update(outs, web(environment={"MODE": "dark"}))
    assert one.calls_of(lambda: one.delete(outs)) == []

    assert one.drift(outs, web()) == ["gone"]
    assert names(one.engine.containers_there.values()) == ["web"]


def test_with_adopt_a_strangers_container_is_swapped_for_ours(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    one.engine.stranger("web", {COMPOSE_PROJECT: "blog"})

    outs = one.create(web(adopt=True))

    assert outs["image"] == V1
    assert names(one.engine.containers_there.values()) == ["web"]
    assert one.drift(outs, web(adopt=True)) == []


def test_what_this_stack_has_made_is_taken_over_without_adopt_and_without_a_call(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())

    again: dict[str, Any] = {}
    assert one.calls_of(lambda: again.update(one.create(web()))) == []
    assert again["container_id"] == outs["container_id"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "NOT a reference"}, "image"),
        ({"restart": "sometimes"}, "restart"),
        ({"ports": [{"published": 70000, "target": 80}]}, "ports"),
        ({"networks": []}, "networks"),
        ({"mounts": [{"volume": "a", "target": "relative"}]}, "mounts"),
        ({"portz": []}, "did you mean 'ports'"),
        ({"secret_environment": {"PASSWORD": "${no_such_secret}"}}, "no_such_secret"),
    ],
)
def test_a_wrong_argument_is_refused_at_preview_by_name(
    bench: MakeBench, changes: dict[str, Any], message: str
) -> None:
    one = bench(ContainerProvider)

    failures = one.provider.check({}, web(**changes)).failures

    assert any(message in f"{failure.property} {failure.reason}" for failure in failures)


# drift

DRIFT: list[tuple[str, dict[str, Any], str]] = [
    ("stopped or killed", {"running": False}, "running: False → True"),
    ("another image", {"image": "web:latest"}, "image: web:latest → registry.example.com/shop/web@sha256:1"),
    ("a variable changed", {"environment": {"MODE": "dark"}}, "environment.MODE: dark → light"),
    ("a variable gone", {"environment": {}}, "environment.MODE: nothing → light"),
    ("a variable more", {"environment": {"MODE": "light", "DEBUG": "x"}}, "environment.DEBUG: changed"),
    ("its port", {"ports": frozenset({"8080:3000/tcp"})}, "ports: "),
    ("its volume", {"mounts": frozenset()}, "mounts: "),
    ("off its network", {"networks": {}}, "networks.shop_net: nothing → ['web']"),
    (
        "on a network more",
        {"networks": {"shop_net": frozenset({"web"}), "spy": frozenset()}},
        "networks.spy: [] → nothing",
    ),
    ("its alias", {"networks": {"shop_net": frozenset()}}, "networks.shop_net: [] → ['web']"),
    ("its restart policy", {"restart": "no"}, "restart: no → always"),
    ("its name", {"name": "renamed"}, "container_name: renamed → web"),
]


@pytest.mark.parametrize(("why", "by_hand", "told"), DRIFT, ids=[case[0] for case in DRIFT])
def test_what_somebody_does_by_hand_is_drift_by_field_and_is_healed(
    bench: MakeBench, why: str, by_hand: dict[str, Any], told: str
) -> None:
    one = bench(ContainerProvider)
    wanted = web(environment={"MODE": "light"}, ports=[PORT], mounts=[DATA], restart="always", image=V1)
    outs = one.create(wanted)

    one.engine.change("web", **by_hand)
    found = one.drift(outs, wanted)
    healed = one.update(one.read(outs) or {}, wanted)

    assert len(found) == 1 and found[0].startswith(told)
    assert one.drift(healed, wanted) == []
    assert names(one.engine.containers_there.values()) == ["web"]


def test_a_container_that_is_stopped_is_only_started(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.change("web", running=False)

    assert one.calls_of(lambda: one.update(outs, web())) == ["start web"]


def test_a_crash_loop_is_drift_and_is_broken_by_a_fresh_start(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.change("web", restarting=True)

    assert one.drift(outs, web()) == ["running: False → True"]
    assert one.calls_of(lambda: one.update(outs, web())) == ["stop web", "start web"]


def test_a_crash_loop_that_goes_on_is_told_with_the_end_of_its_log(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.change("web", restarting=True)
    one.engine.broken_images.add(V1)

    with pytest.raises(Failed):
        one.update(outs, web())

    assert "and then ended" in one.said[-1]


def test_a_container_that_is_gone_is_drift(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.containers_there.clear()

    assert one.drift(outs, web()) == ["gone"]


def test_what_the_image_itself_sets_is_no_drift(bench: MakeBench) -> None:
    one = bench(ContainerProvider, FakeEngine(images={V1: frozenset({"PATH=/bin", "LANG=C"})}))
    wanted = web(environment={"LANG": "C", "MODE": "light"}, image=V1)

    outs = one.create(wanted)

    assert outs["environment"] == {"LANG": "C", "MODE": "light"}
    assert one.drift(outs, wanted) == []


# secrets


def test_a_secret_is_in_the_container_and_only_its_fingerprint_in_state(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    wanted = web(secret_environment={"URL": "postgres://u:${db_password}@db", "PRICE": "5$$"})

    outs = one.create(wanted)

    assert one.engine.specs[0].environment == {"URL": "postgres://u:first-password@db", "PRICE": "5$"}
    assert "first-password" not in repr(outs) and "first-password" not in repr(one.engine.specs)
    assert outs["secrets"]["environment.URL"].startswith("hmac-sha256:")
    assert outs["environment"] == {}


def test_a_secret_that_changes_is_told_without_its_value_and_swaps_the_container(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench(ContainerProvider)
    wanted = web(secret_environment={"PASSWORD": "${db_password}"})
    outs = one.create(wanted)
    monkeypatch.setenv("DRYDOCK_DB_PASSWORD", "second-password")

    assert [str(change) for change in one.provider.changes(outs, wanted)] == ["environment.PASSWORD: changed"]
    assert one.calls_of(lambda: one.update(outs, wanted)) == SWAPPED
    assert one.engine.specs[-1].environment["PASSWORD"] == "second-password"


def test_a_container_with_another_secret_value_is_drift(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    wanted = web(secret_environment={"PASSWORD": "${db_password}"})
    outs = one.create(wanted)
    one.engine.change("web", environment={"PASSWORD": "by-hand"})

    assert one.drift(outs, wanted) == ["environment.PASSWORD: changed"]


def test_a_variable_that_nobody_asked_for_is_told_without_its_value(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.change("web", environment={"TOKEN": "private"})

    assert one.drift(outs, web()) == ["environment.TOKEN: changed"]
    assert "private" not in repr(one.read(outs))


# removing


def test_removing_stops_and_removes_it_and_never_a_volume(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    one.engine.create_volume("shop_data", "local", {}, {})
    outs = one.create(web(mounts=[DATA]))

    assert one.calls_of(lambda: one.delete(outs)) == ["stop web", "remove web"]
    assert list(one.engine.volumes_there) == ["shop_data"]


def test_what_a_failed_swap_left_is_removed_too(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    one.engine.rename("web", OLD)

    assert one.calls_of(lambda: one.delete(outs)) == [f"stop {OLD}", f"remove {OLD}"]


def test_a_failing_step_is_told_once_and_leaves_the_old_one_running(bench: MakeBench) -> None:
    for step in (CREATE_2, f"stop {OLD}", "start web"):
        one = bench(ContainerProvider)
        outs = one.create(web())
        one.engine.refuses[step] = Permanent("the port 10080 is already taken", on="container web", remedy="Stop it.")
        if step == "start web":
            del one.engine.refuses[step]
            one.engine.broken_images.add(V2)

        with pytest.raises(Failed):
            one.update(outs, web(image=V2))

        assert "the old container runs again" in one.said[-1]
        assert [box.image for box in one.engine.containers_there.values()] == [V1]
        assert names(one.engine.running("web")) == ["web"]
        assert one.engine.broken_promises == []


@pytest.mark.parametrize("how", ["broken_images", "unhealthy_images"])
def test_a_new_one_that_is_not_proven_is_told_with_the_end_of_its_log(bench: MakeBench, how: str) -> None:
    one = bench(ContainerProvider)
    outs = one.create(web())
    getattr(one.engine, how).add(V2)

    with pytest.raises(Failed):
        one.update(outs, web(image=V2))

    assert "and then ended" in one.said[-1]
    assert [box.image for box in one.engine.running("web")] == [V1]


def test_a_first_container_that_fails_is_taken_away_again(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    one.engine.broken_images.add(V1)

    with pytest.raises(Failed):
        one.create(web())

    assert one.engine.containers_there == {}
