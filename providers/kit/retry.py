"""The one retry policy and the one table of timeouts, for every client and provider."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from providers.kit.errors import Temporary

CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
PULL_TIMEOUT_S = 1800.0

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a `Temporary` error is tried again; nothing else ever is.

    Args:
        attempts: calls in all, the first one included.
        first_wait_s: pause after the first failure; doubled each time, with jitter against herds.
        longest_wait_s: bound of one pause, also of one that a server asks for.
        total_s: bound of all attempts and pauses together.
    """

    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 15.0
    total_s: float = 120.0

    def wait_s(self, failures: int, error: Temporary) -> float:
        if error.retry_after_s is not None:
            return max(0.0, min(error.retry_after_s, self.longest_wait_s))
        doubled = self.first_wait_s * float(2 ** (failures - 1))
        return min(doubled, self.longest_wait_s) * random.uniform(0.8, 1.2)


def with_retries(
    call: Callable[[], T],
    policy: RetryPolicy | None = None,
    *,
    on_retry: Callable[[Temporary, float], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Calls, and calls again after a `Temporary` error as the policy allows; the last error is raised as it is."""
    policy = policy or RetryPolicy()
    end = clock() + policy.total_s
    for failures in range(1, policy.attempts + 1):
        try:
            return call()
        except Temporary as error:
            pause = policy.wait_s(failures, error)
            if failures == policy.attempts or clock() + pause > end:
                raise
            if on_retry:
                on_retry(error, pause)
            sleep(pause)
    raise AssertionError("a policy has at least one attempt")
