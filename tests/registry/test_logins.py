"""A login goes to its own registry, over verified TLS, as often as it must and no more."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from providers.kit.errors import Authentication, Permanent, Temporary
from providers.kit.secrets import Secret
from providers.registry.client import Login, Registry
from providers.registry.reference import Reference
from tests.registry.fake_registry import BASIC, DIGEST, PASSWORD, USER, Fake, serving

Serve = Callable[[Fake], Login]
Answer = tuple[int, dict[str, str], bytes]


class Odd(Fake):
    """A registry that answers as a test says, where the test says something.

    Args:
        says: for a path without its query, and the login → the answer, or None.
    """

    def __init__(self, says: Callable[[str, str], Answer | None], auth: str = "basic") -> None:
        super().__init__(auth=auth)
        self.says = says
        self.asked: list[str] = []

    def answer(self, method: str, path: str, login: str) -> Answer:
        self.asked.append(path)
        said = self.says(path, login)
        if said is None:
            return super().answer(method, path, login)
        if login:
            self.logins.append((path, login))
        return said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def served(fake: Fake) -> Login:
            folder = tmp_path / str(id(fake))
            folder.mkdir()
            ca = stack.enter_context(serving(fake, folder))
            return Login(fake.host, USER, Secret(PASSWORD), str(ca))

        yield served


def image(login: Login, tag: str = "1.26") -> Reference:
    return Reference(login.registry, "gogs/gogs", tag)


def test_whether_an_image_is_there_is_told_without_an_error(serve: Serve) -> None:
    login = serve(Fake())
    registry = Registry(login)

    assert registry.exists(image(login))
    assert not registry.exists(image(login, "9"))


def test_a_basic_login_is_asked_for_once_in_a_session(serve: Serve) -> None:
    fake = Odd(lambda path, login: None)
    registry = Registry(serve(fake))

    registry.check_login()
    registry.resolve(Reference(fake.host, "gogs/gogs", "1.26"))

    assert len(fake.asked) == 3  # one refusal, then two answers


def test_a_token_that_ran_out_is_renewed(serve: Serve) -> None:
    given = iter([b'{"token": "short"}', b'{"token": "t0"}'])
    ran_out: list[bool] = []

    def says(path: str, login: str) -> Answer | None:
        if path == "/token":
            return 200, {}, next(given)
        if login == "Bearer short" and not ran_out:
            return 200, {"Docker-Content-Digest": DIGEST}, b""
        return None

    fake = Odd(says, auth="https://{host}/token")
    login = serve(fake)
    registry = Registry(login)
    registry.resolve(image(login))
    ran_out.append(True)

    assert registry.resolve(image(login)) == DIGEST


def test_a_token_is_never_asked_for_in_the_clear(serve: Serve) -> None:
    fake = Odd(lambda path, login: None, auth="http://{host}/token")
    login = serve(fake)

    with pytest.raises(Authentication, match="in the clear"):
        Registry(login).resolve(image(login))

    assert fake.logins == []


def test_a_token_at_another_host_is_asked_for_without_our_login(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Odd(lambda path, login: None)
    elsewhere = serve(other)
    # The other host is met with the system's authorities, never with ours.
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", elsewhere.ca)
    fake = Fake(auth=f"https://{elsewhere.registry}/token")
    login = serve(fake)

    with pytest.raises(Authentication, match=f"wants the login at {elsewhere.registry}, where ours is never sent"):
        Registry(login).resolve(image(login))

    assert other.asked == ["/token"] and other.logins == []


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    other = Odd(lambda path, login: None)
    elsewhere = serve(other)
    place = {"Location": f"https://{elsewhere.registry}/v2/gogs/gogs/manifests/1.26"}
    login = serve(Odd(lambda path, login: (307, place, b"") if login == BASIC else None))

    with pytest.raises(Permanent, match="answered 307"):
        Registry(login).resolve(image(login))

    assert other.asked == []


def test_a_registry_that_limits_questions_is_asked_again_when_it_says(serve: Serve) -> None:
    login = serve(Odd(lambda path, login: (429, {"Retry-After": "7"}, b"")))

    with pytest.raises(Temporary) as limited:
        Registry(login).check_login()

    assert limited.value.retry_after_s == 7


def test_a_header_that_is_no_digest_is_not_believed(serve: Serve) -> None:
    login = serve(Odd(lambda path, login: (200, {"Docker-Content-Digest": "sha256:short"}, b"{}")))

    assert Registry(login).resolve(image(login)) == "sha256:" + hashlib.sha256(b"{}").hexdigest()


def test_a_digest_that_the_registry_answers_otherwise_is_refused(serve: Serve) -> None:
    login = serve(Odd(lambda path, login: (200, {"Docker-Content-Digest": DIGEST}, b"")))
    asked = Reference(login.registry, "gogs/gogs", "", "sha256:" + "a" * 64)

    with pytest.raises(Permanent, match="Don't trust it"):
        Registry(login).resolve(asked)


def test_a_registry_that_wants_a_login_where_none_is_set_is_told(serve: Serve) -> None:
    login = dataclasses.replace(serve(Fake()), user=None, password=None)

    with pytest.raises(Authentication, match="it wants a login, and none is set"):
        Registry(login).check_login()


def test_a_certificate_for_another_name_is_told(serve: Serve) -> None:
    login = serve(Fake())
    named = dataclasses.replace(login, registry=login.registry.replace("127.0.0.1", "localhost"))

    with pytest.raises(Permanent, match="its certificate is for another name"):
        Registry(named).check_login()


def test_a_ca_file_that_is_not_there_is_told(serve: Serve) -> None:
    login = dataclasses.replace(serve(Fake()), ca="/nowhere/ca.pem")

    with pytest.raises(Permanent, match="the CA file /nowhere/ca.pem can't be read. Correct REGISTRY_CA"):
        Registry(login).check_login()


def test_answers_that_are_no_json_are_no_mistake_of_ours(serve: Serve) -> None:
    login = serve(Odd(lambda path, login: (404, {}, b"") if "manifests" in path else (200, {}, b"<html>")))

    with pytest.raises(Permanent, match="the registry doesn't have it"):
        Registry(login).resolve(image(login))
