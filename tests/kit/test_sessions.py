"""Sessions: one login for all threads, ended in every case, a refused one remembered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.kit.errors import Authentication, Temporary
from providers.kit.sessions import Sessions


class Client:
    """A session that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Server:
    """Makes clients, or refuses."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.refuses: Exception | None = None
        self.logins = 0

    def connect(self) -> Client:
        self.logins += 1
        if self.refuses:
            raise self.refuses
        self.clients.append(Client())
        return self.clients[-1]

    @property
    def open(self) -> int:
        return sum(1 for client in self.clients if not client.closed)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    one = Sessions(linger_s=3600.0)
    yield one
    one.close_all()


def test_calls_after_each_other_share_one_login(sessions: Sessions, server: Server) -> None:
    for _ in range(3):
        with sessions.lend("a", server.connect) as client:
            assert client is server.clients[0]
    assert server.logins == 1


def test_threads_share_one_login(sessions: Sessions, server: Server) -> None:
    together = threading.Barrier(8, timeout=10)

    def work() -> Client:
        together.wait()
        with sessions.lend("a", server.connect) as client:
            together.wait()
            return client

    with ThreadPoolExecutor(8) as pool:
        used = {id(one.result()) for one in [pool.submit(work) for _ in range(8)]}
    assert len(used) == 1 and server.logins == 1


def test_each_endpoint_has_its_own(sessions: Sessions, server: Server) -> None:
    with sessions.lend("a", server.connect) as one, sessions.lend("b", server.connect) as other:
        assert one is not other


def test_an_idle_session_is_closed_after_its_linger(server: Server) -> None:
    closed = threading.Event()

    class Telling(Client):
        def close(self) -> None:
            super().close()
            closed.set()

    sessions = Sessions(linger_s=0.01)
    telling = Telling()
    with sessions.lend("a", lambda: telling):
        pass
    assert closed.wait(10) and telling.closed == 1
    with sessions.lend("a", server.connect) as client:
        assert client is not telling
    sessions.close_all()


def test_a_session_in_use_is_not_closed_by_its_linger(server: Server) -> None:
    sessions = Sessions(linger_s=0.0)
    with sessions.lend("a", server.connect), sessions.lend("a", server.connect):
        pass
    with sessions.lend("a", server.connect) as client:
        assert client.closed == 0
    sessions.close_all()
    assert server.open == 0


def test_it_is_given_back_when_the_work_fails(sessions: Sessions, server: Server) -> None:
    with pytest.raises(KeyboardInterrupt), sessions.lend("a", server.connect):
        raise KeyboardInterrupt
    sessions.close_all()
    assert [client.closed for client in server.clients] == [1]


def test_a_dropped_session_is_closed_once_it_is_given_back_and_the_next_call_logs_in(
    sessions: Sessions, server: Server
) -> None:
    with sessions.lend("a", server.connect) as client:
        sessions.drop("a")
        assert client.closed == 0
        with sessions.lend("a", server.connect) as other:
            assert other is not client
    assert client.closed == 1 and other.closed == 0 and server.logins == 2


def test_two_threads_that_lost_one_session_log_in_once(sessions: Sessions, server: Server) -> None:
    with sessions.lend("a", server.connect) as one, sessions.lend("a", server.connect) as same:
        sessions.drop("a", one)
        with sessions.lend("a", server.connect) as new:
            sessions.drop("a", same)  # the second thread's news is about the old session
            with sessions.lend("a", server.connect) as again:
                assert again is new
    assert server.logins == 2


def test_dropping_an_idle_session_closes_it_at_once(sessions: Sessions, server: Server) -> None:
    with sessions.lend("a", server.connect):
        pass
    sessions.drop("a")
    sessions.drop("a")
    assert [client.closed for client in server.clients] == [1]


def test_a_refused_login_is_not_tried_again_by_anybody(sessions: Sessions, server: Server) -> None:
    server.refuses = Authentication("no", on="it", remedy="")

    def work() -> None:
        with pytest.raises(Authentication), sessions.lend("a", server.connect):
            pytest.fail("it was refused")

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(work) for _ in range(8)]:
            one.result()
    assert server.logins == 1


def test_a_server_that_could_not_be_reached_is_tried_again(sessions: Sessions, server: Server) -> None:
    server.refuses = Temporary("no answer", on="it", remedy="")
    with pytest.raises(Temporary), sessions.lend("a", server.connect):
        pytest.fail("it was not reached")
    server.refuses = None
    with sessions.lend("a", server.connect):
        assert server.logins == 2


def test_a_failing_logout_fails_nothing(sessions: Sessions) -> None:
    class Gone(Client):
        def close(self) -> None:
            raise OSError("gone")

    with sessions.lend("a", Gone):
        pass
    sessions.close_all()
