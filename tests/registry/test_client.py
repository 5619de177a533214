"""What a tag names is asked over verified TLS; the login goes to its registry and nowhere else."""

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
from tests.registry.fake_registry import BASIC, DIGEST, PASSWORD, USER, Fake, certificate, serving

Serve = Callable[[Fake], Login]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def served(fake: Fake) -> Login:
            folder = tmp_path / str(id(fake))
            folder.mkdir()
            ca = stack.enter_context(serving(fake, folder))
            return Login(fake.host, USER, Secret(PASSWORD), str(ca))

        yield served


def reference(login: Login, tag: str = "1.26") -> Reference:
    return Reference(login.registry, "gogs/gogs", tag)


def test_a_tag_is_resolved_to_the_digest_that_the_registry_names(serve: Serve) -> None:
    login = serve(Fake())

    assert Registry(login).resolve(reference(login)) == DIGEST


def test_without_the_header_the_digest_is_computed_from_the_manifest(serve: Serve) -> None:
    login = serve(Fake(tells_digest=False))

    assert Registry(login).resolve(reference(login)) == "sha256:" + hashlib.sha256(b"{}").hexdigest()


def test_a_token_is_fetched_where_the_registry_asks_for_one(serve: Serve) -> None:
    fake = Fake(auth="https://{host}/token")
    login = serve(fake)

    assert Registry(login).resolve(reference(login)) == DIGEST
    assert fake.logins == [("/token", BASIC), ("/v2/gogs/gogs/manifests/1.26", "Bearer t0")]


def test_the_login_is_never_sent_to_another_host(serve: Serve) -> None:
    other = Fake()
    elsewhere = serve(other)
    fake = Fake(auth=f"https://{elsewhere.registry}/token")
    login = dataclasses.replace(serve(fake), ca=None)
    registry = Registry(dataclasses.replace(login, ca=elsewhere.ca))

    with pytest.raises((Authentication, Permanent)):
        registry._authorization(fake._challenge(), "repository:gogs/gogs:pull")

    assert other.logins == []


def test_a_wrong_password_is_one_line_and_is_not_tried_again(serve: Serve) -> None:
    fake = Fake()
    login = dataclasses.replace(serve(fake), password=Secret("wrong-one"))

    with pytest.raises(Authentication, match="the login of 'captain' was refused"):
        Registry(login).check_login()

    assert len(fake.logins) == 1


def test_a_missing_image_is_told_with_near_tags(serve: Serve) -> None:
    login = serve(Fake())

    with pytest.raises(Permanent, match="has the tags 1.2"):
        Registry(login).resolve(reference(login, "1.27"))


def test_an_unknown_certificate_is_told_with_the_setting(serve: Serve, tmp_path: Path) -> None:
    other, _ = certificate(tmp_path)
    login = dataclasses.replace(serve(Fake()), ca=str(other))

    with pytest.raises(Permanent, match="its certificate is not trusted.*REGISTRY_CA"):
        Registry(login).check_login()


def test_a_registry_that_is_down_is_worth_another_try() -> None:
    with pytest.raises(Temporary, match="registry 127.0.0.1:9: can't be reached"):
        Registry(Login("127.0.0.1:9")).check_login()


def test_the_environments_certificates_do_not_replace_ours(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")

    Registry(serve(Fake())).check_login()


def test_no_error_shows_the_password(serve: Serve) -> None:
    login = dataclasses.replace(serve(Fake()), password=Secret("a-wrong-password"))

    with pytest.raises(Authentication) as refused:
        Registry(login).check_login()

    assert "a-wrong-password" not in f"{refused.value!r} {refused.value} {refused.value.__cause__}"
