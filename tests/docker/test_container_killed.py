"""`kill -9` at every step of a swap: one run later the new container runs, alone, and nothing was lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from providers.docker.resources import ContainerProvider
from providers.docker.swap import OLD_SUFFIX
from providers.kit.provider import Failed
from tests.docker.conftest import V1, V2, Bench, web
from tests.docker.fake_engine import Killed, names

MakeBench = Callable[..., Bench]
STEPS = 6  # pull, rename, create, stop, start, remove


def killed_swap(one: Bench, step: int, done: bool) -> dict[str, Any]:
    """A container whose swap died at a step; its outputs are those of before, as Pulumi keeps them."""
    one.engine.create_volume("shop_data", "local", {}, {})
    outs = one.create(web(image=V1))
    one.engine.killed_at, one.engine.done_when_killed = len(one.engine.calls) + step, done
    with pytest.raises(Killed):
        one.update(outs, web(image=V2))
    one.engine.killed_at = None
    return outs


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("step", range(STEPS))
def test_the_next_run_finishes_it(bench: MakeBench, step: int, done: bool) -> None:
    one = bench(ContainerProvider)
    outs = killed_swap(one, step, done)

    again = one.update(outs, web(image=V2))

    assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [("web", V2, True)]
    assert one.engine.broken_promises == []
    assert list(one.engine.volumes_there) == ["shop_data"]
    assert one.drift(again, web(image=V2)) == []


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("step", range(STEPS))
def test_a_refresh_in_between_changes_nothing_about_that(bench: MakeBench, step: int, done: bool) -> None:
    one = bench(ContainerProvider)
    seen = one.read(killed_swap(one, step, done))
    assert seen is not None

    one.update(seen, web(image=V2))

    assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [("web", V2, True)]
    assert one.engine.broken_promises == []


@pytest.mark.parametrize("step", range(STEPS))
def test_the_next_run_may_want_the_old_one_again(bench: MakeBench, step: int) -> None:
    one = bench(ContainerProvider)
    outs = killed_swap(one, step, done=True)

    one.update(outs, web(image=V1))

    assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [("web", V1, True)]
    assert one.engine.broken_promises == []


@pytest.mark.parametrize("step", range(STEPS))
def test_a_new_one_that_was_never_proven_is_not_believed(bench: MakeBench, step: int) -> None:
    one = bench(ContainerProvider)
    one.engine.broken_images.add(V2)
    outs = one.create(web(image=V1))
    one.engine.killed_at = len(one.engine.calls) + step
    with pytest.raises(Killed):
        one.update(outs, web(image=V2))

    with suppress(Failed):
        one.update(outs, web(image=V2))

    assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [("web", V1, True)]


@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_that_is_killed_twice_is_finished_by_the_third(bench: MakeBench, step: int) -> None:
    for second in range(STEPS):
        one = bench(ContainerProvider)
        outs = killed_swap(one, step, done=True)
        one.engine.killed_at = len(one.engine.calls) + second
        with suppress(Killed):
            one.update(outs, web(image=V2))
        one.engine.killed_at = None

        one.update(outs, web(image=V2))

        assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [
            ("web", V2, True)
        ]
        assert one.engine.broken_promises == []


@pytest.mark.parametrize("step", range(STEPS))
def test_a_destroy_after_it_leaves_no_container(bench: MakeBench, step: int) -> None:
    one = bench(ContainerProvider)
    outs = killed_swap(one, step, done=True)

    one.delete(outs)

    assert one.engine.containers_there == {}
    assert list(one.engine.volumes_there) == ["shop_data"]


@pytest.mark.parametrize("step", range(3))
def test_a_first_container_is_finished_too(bench: MakeBench, step: int) -> None:
    one = bench(ContainerProvider)
    one.engine.killed_at = step
    with pytest.raises(Killed):
        one.create(web(image=V1))
    one.engine.killed_at = None

    one.create(web(image=V1))

    assert [(box.name, box.image, box.running) for box in one.engine.containers_there.values()] == [("web", V1, True)]


def test_a_stranger_that_takes_the_name_in_between_is_refused_and_ours_is_kept(bench: MakeBench) -> None:
    one = bench(ContainerProvider)
    outs = killed_swap(one, 1, done=True)
    one.engine.stranger("web")

    with pytest.raises(Failed):
        one.update(outs, web(image=V2))

    assert names(one.engine.containers_there.values()) == ["web", "web" + OLD_SUFFIX]
    assert "somebody else's container has taken its name" in one.said[-1]
