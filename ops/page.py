"""Waits for the application's page from outside, as a person with a browser would."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

WAIT_LIMIT_S = 60.0
ANSWER_LIMIT_S = 5.0
PAUSE_S = 0.2


def answers(
    url: str,
    *,
    limit_s: float = WAIT_LIMIT_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Whether a page answers within a time, in seconds; any answer but a server's error counts."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = clock() + limit_s
    while True:
        try:
            with direct.open(url, timeout=ANSWER_LIMIT_S):
                return True
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return True
        except OSError:
            pass  # not listening yet
        if clock() > end:
            return False
        sleep(PAUSE_S)
