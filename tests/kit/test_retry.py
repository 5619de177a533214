"""The retry policy: what is tried again, how often, how long; on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from providers.kit.errors import Authentication, Permanent, SessionLost, Temporary
from providers.kit.retry import RetryPolicy, with_retries


@dataclass
class Clock:
    """Time passes by sleeping, and by calls that take a while."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def run(self, call: Callable[[], str], policy: RetryPolicy | None = None) -> str:
        return with_retries(call, policy, sleep=self.sleep, clock=lambda: self.now)


@dataclass
class Failing:
    """Raises so often, then answers."""

    error: Exception
    times: int
    calls: int = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "done"


def busy(retry_after_s: float | None = None) -> Temporary:
    return Temporary("busy", on="it", remedy="Wait.", retry_after_s=retry_after_s)


def test_what_succeeds_is_called_once_and_never_slept_on() -> None:
    clock, call = Clock(), Failing(busy(), 0)
    assert clock.run(call) == "done" and call.calls == 1 and clock.slept == []


@pytest.mark.parametrize("error", [busy(), SessionLost("lost", on="it", remedy="")])
def test_a_temporary_error_is_tried_again(error: Exception) -> None:
    call = Failing(error, 3)
    assert Clock().run(call) == "done" and call.calls == 4


@pytest.mark.parametrize(
    "error", [Permanent("no", on="it", remedy=""), Authentication("no", on="it", remedy=""), ValueError()]
)
def test_nothing_else_is_ever_tried_again(error: Exception) -> None:
    clock, call = Clock(), Failing(error, 9)
    with pytest.raises(type(error)) as raised:
        clock.run(call)
    assert raised.value is error and call.calls == 1 and clock.slept == []


def test_the_last_error_is_raised_as_it_is_after_the_last_attempt() -> None:
    error = busy()
    clock, call = Clock(), Failing(error, 99)
    with pytest.raises(Temporary) as raised:
        clock.run(call, RetryPolicy(attempts=3))
    assert raised.value is error and call.calls == 3 and len(clock.slept) == 2


def test_pauses_double_within_their_jitter_up_to_the_longest() -> None:
    clock = Clock()
    with pytest.raises(Temporary):
        clock.run(Failing(busy(), 99), RetryPolicy(attempts=6, first_wait_s=1.0, longest_wait_s=4.0))
    for slept, meant in zip(clock.slept, [1.0, 2.0, 4.0, 4.0, 4.0], strict=True):
        assert 0.8 * meant <= slept <= 1.2 * meant


def test_the_servers_own_pause_is_kept_up_to_the_longest() -> None:
    clock = Clock()
    clock.run(Failing(busy(3.0), 1))
    clock.run(Failing(busy(9999.0), 1), RetryPolicy(longest_wait_s=15.0))
    assert clock.slept == [3.0, 15.0]


def test_a_server_that_names_a_time_in_the_past_is_asked_again_at_once() -> None:
    clock = Clock()
    assert clock.run(Failing(busy(-3.0), 1)) == "done" and clock.slept == [0.0]


def test_no_pause_goes_beyond_the_time_in_all() -> None:
    clock = Clock()
    with pytest.raises(Temporary):
        clock.run(Failing(busy(10.0), 99), RetryPolicy(attempts=100, longest_wait_s=60.0, total_s=25.0))
    assert clock.slept == [10.0, 10.0]


def test_each_retry_is_told_with_its_error_and_pause() -> None:
    told: list[tuple[str, float]] = []
    with_retries(
        Failing(busy(2.0), 2), on_retry=lambda error, pause: told.append((error.what, pause)), sleep=lambda _: None
    )
    assert told == [("busy", 2.0), ("busy", 2.0)]
