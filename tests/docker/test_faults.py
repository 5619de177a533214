"""Every exception class of docker-py and of the libraries below it is one of our errors, with something to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions

from providers.docker.faults import translate
from providers.kit.errors import Authentication, DrydockError, Permanent, Temporary, Unreachable, Untrusted


def exception_classes(*modules: ModuleType) -> Iterator[type[Exception]]:
    """What a module defines and may raise; warnings are only shown."""
    for module in modules:
        library = module.__name__.split(".")[0]
        for _, found in inspect.getmembers(module, inspect.isclass):
            if not issubclass(found, Exception) or issubclass(found, Warning):
                continue
            if found.__module__.startswith(library):
                yield found


def blank(kind: type[Exception]) -> Exception:
    """An instance, however many arguments its constructor wants."""
    error = kind.__new__(kind)
    Exception.__init__(error, "it broke")
    usual = {"response": None, "request": None, "explanation": None, "msg": "it broke", "name": "n", "param": "p"}
    for name, value in {**usual, "partial": 1, "expected": 2, "length": b"1"}.items():
        if not hasattr(error, name):
            error.__dict__[name] = value
    return error


CLASSES = sorted(set(exception_classes(docker.errors, requests.exceptions, urllib3.exceptions)), key=str)


def test_the_walk_sees_all_three_libraries() -> None:
    assert len(CLASSES) > 60


@pytest.mark.parametrize("kind", CLASSES)
def test_every_exception_has_a_kind_and_a_remedy(kind: type[Exception]) -> None:
    error = translate(blank(kind), "Docker host here")

    assert type(error) in (Permanent, Untrusted, Temporary, Unreachable, Authentication)
    assert error.remedy and "our mistake" not in error.remedy
    assert error.what


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            "driver failed programming external connectivity: Error starting userland proxy: "
            "listen tcp4 0.0.0.0:10080: bind: address already in use",
            Permanent,
            "the port 10080 is already taken",
        ),
        ("Bind for 0.0.0.0:10022 failed: port is already allocated", Permanent, "the port 10022 is already taken"),
        ("write /data: no space left on device", Permanent, "disk is full"),
        ("client version 1.41 is too new. Maximum supported API version is 1.25", Permanent, "API 1.24 or later"),
        ("manifest for r/x:1 not found: manifest unknown", Permanent, "doesn't have the image"),
        ("no matching manifest for linux/amd64 in the manifest list entries", Permanent, "platform"),
        ("unauthorized: authentication required", Authentication, "refused the login"),
        ("no basic auth credentials", Authentication, "refused the login"),
        ("pull access denied for x, repository does not exist", Authentication, "refused the login"),
        ("error while removing network: network gogs has active endpoints", Permanent, "still on the network"),
        ("remove x: volume is in use - [abc]", Permanent, "still uses the volume"),
        ('Conflict. The container name "/web" is already in use by container "abc"', Permanent, "name is taken"),
        ("No such image: r/x:1", Permanent, "Pull it first"),
    ],
)
def test_what_a_daemon_says_is_told_with_its_remedy(said: str, kind: type[DrydockError], words: str) -> None:
    error = translate(docker.errors.APIError("500 Server Error", explanation=said), "container web")

    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (requests.exceptions.ConnectionError("Connection refused"), Unreachable, "Is the Docker Engine running there?"),
        (requests.exceptions.ReadTimeout("read timed out"), Unreachable, "no answer in time"),
        (requests.exceptions.SSLError("certificate verify failed"), Untrusted, "DOCKER_CERT_PATH"),
        (docker.errors.TLSParameterError("no ca"), Permanent, "DOCKER_CERT_PATH"),
        (ConnectionRefusedError("refused"), Unreachable, "Is the Docker Engine running there?"),
        (FileNotFoundError("No such file or directory"), Unreachable, "can't be reached"),
    ],
)
def test_a_host_that_cannot_be_reached(raised: Exception, kind: type[DrydockError], words: str) -> None:
    error = translate(raised, "Docker host tcp://here:2376")

    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith("Docker host tcp://here:2376: ")
