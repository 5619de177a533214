"""The page is waited for, and not for ever."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from ops.page import answers


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    codes: list[int] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(codes.pop(0) if len(codes) > 1 else codes[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_address[1]}/", codes
    web.shutdown()
    web.server_close()


@pytest.mark.parametrize("code", [200, 401, 404])
def test_a_page_that_answers_is_there(server: tuple[str, list[int]], code: int) -> None:
    server[1].append(code)

    assert answers(server[0])


def test_a_page_that_is_still_starting_is_waited_for(server: tuple[str, list[int]]) -> None:
    server[1].extend([502, 503, 200])
    pauses: list[float] = []

    assert answers(server[0], sleep=pauses.append)
    assert len(pauses) == 2


def test_waiting_has_an_end() -> None:
    times = iter(range(0, 1000, 10))

    assert not answers("http://127.0.0.1:9/", limit_s=30, sleep=lambda _: None, clock=lambda: float(next(times)))
