"""The kind that was chosen for each exception class of the libraries, and the lines that users see."""

from __future__ import annotations

import http.client
import inspect
import socket
from types import ModuleType
from typing import Any

import docker.errors
import pytest
import requests
import requests.exceptions as web
import urllib3.exceptions as wire

from providers.docker.faults import translate
from providers.kit.errors import DrydockError, Permanent, Temporary, Unreachable, Untrusted
from tests.docker.test_faults import blank

HOST = "Docker host tcp://127.0.0.1:2376"
LIBRARIES = (docker.errors, web, wire)

# What another try may mend, class by class. All others are Permanent.
TEMPORARY = {
    docker.errors: {"StreamParseError"},
    web: {"ConnectionError", "Timeout", "ConnectTimeout", "ReadTimeout", "ChunkedEncodingError"},
    wire: {
        *("BodyNotHttplibCompatible", "ClosedPoolError", "ConnectTimeoutError", "DecodeError", "EmptyPoolError"),
        *("FullPoolError", "HTTPError", "HeaderParsingError", "HostChangedError", "IncompleteRead"),
        *("InvalidChunkLength", "InvalidHeader", "MaxRetryError", "NameResolutionError", "NewConnectionError"),
        *("PoolError", "ProtocolError", "ProxyError", "ReadTimeoutError", "RequestError", "ResponseError"),
        *("ResponseNotChunked", "TimeoutError", "TimeoutStateError", "UnrewindableBodyError"),
    },
}


def classes(library: ModuleType) -> list[type[Exception]]:
    """What the library itself defines."""
    name = library.__name__.partition(".")[0]
    found = [one for _, one in inspect.getmembers(library, inspect.isclass) if issubclass(one, Exception)]
    return [one for one in found if one.__module__.partition(".")[0] == name]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda one: str(one.__name__))
def test_every_class_has_the_kind_that_was_chosen_for_it(library: ModuleType) -> None:
    told = {kind.__name__ for kind in classes(library) if isinstance(translate(blank(kind), "it", HOST), Temporary)}

    assert told == TEMPORARY[library]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda one: str(one.__name__))
def test_every_class_is_one_line_with_a_remedy_and_none_is_unknown(library: ModuleType) -> None:
    for kind in classes(library):
        error = translate(blank(kind), "container web", HOST)

        assert error.remedy and "our mistake" not in error.remedy, kind
        assert "\n" not in str(error) and "{" not in str(error), kind


def api_error(said: str, status: int = 500) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("500 Server Error", response=response, explanation=said)


@pytest.mark.parametrize(
    ("said", "kind", "what"),
    [
        ("client version 1.24 is too old. Minimum supported API version is 1.44", Permanent, "API version"),
        ("network with name shop_net already exists", Permanent, "the name is taken"),
        ("Get https://r/v2/: x509: certificate signed by unknown authority", Permanent, "doesn't trust the registry"),
        ("Get https://r/v2/: dial tcp 10.0.0.1:443: i/o timeout", Temporary, "doesn't reach the registry"),
        ("could not find an available, non-overlapping IPv4 address pool", Permanent, "no free address range"),
        ('exec: "serv": executable file not found in $PATH: unknown', Permanent, "can't run"),
        ('legacy plugin: plugin "vsphere" not found', Permanent, "vsphere"),
        ("write: disk quota exceeded", Permanent, "disk is full"),
        ("something that nobody has ever seen {0}", Permanent, "something that nobody has ever seen {0}"),
    ],
)
def test_what_a_daemon_says_is_told_in_our_words(said: str, kind: type[DrydockError], what: str) -> None:
    error = translate(api_error(said), "container web", HOST)

    assert type(error) is kind
    assert what in error.what and error.remedy


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_daemon_that_is_busy_is_worth_another_try(status: int) -> None:
    assert type(translate(api_error("wait", status), "container web", HOST)) is Temporary


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (
            web.ConnectionError("[Errno 111] Connection refused"),
            Unreachable,
            f"{HOST}: it can't be reached (connection refused). Is the Docker Engine running there?",
        ),
        (
            web.ConnectionError("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"),
            Unreachable,
            f"{HOST}: it can't be reached (No such file). Is the Docker Engine running there?",
        ),
        (web.SSLError("CERTIFICATE_VERIFY_FAILED"), Untrusted, f"{HOST}: its certificate is not trusted"),
        (web.SSLError("tlsv13 alert certificate required"), Untrusted, f"{HOST}: it doesn't accept our client"),
        (web.SSLError("IP address mismatch"), Untrusted, f"{HOST}: its certificate is for another name"),
        (web.SSLError("[SSL: WRONG_VERSION_NUMBER]"), Untrusted, f"{HOST}: it doesn't speak TLS there"),
        (socket.gaierror("Name or service not known"), Unreachable, f"{HOST}: it can't be reached"),
        (http.client.HTTPException("odd"), Permanent, "HTTPException: odd"),
    ],
)
def test_a_host_that_is_not_reached_is_named_once_with_the_reason(error: Any, kind: type, line: str) -> None:
    told = translate(error, HOST, HOST)

    assert type(told) is kind
    assert line in str(told)


def test_a_host_that_goes_away_in_the_middle_is_named_beside_the_object() -> None:
    told = translate(web.ConnectionError("Connection refused"), "container web", HOST)

    assert str(told).startswith(f"container web: {HOST} can't be reached (connection refused)")


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = Permanent("what", on="it", remedy="do")

    assert translate(ours, "container web", HOST) is ours
