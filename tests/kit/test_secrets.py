"""Secrets: where they come from, and that they stay out of every text."""

from __future__ import annotations

import base64
import json
import pickle
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.kit import secrets
from providers.kit.secrets import Secret, Settings, UnknownSecret, environment_name, fingerprint, new_key, redact

VALUE = 'Tr0ub4dor & "Zü"+/%\\3'
SPELLINGS = {
    "plain": VALUE,
    "json": json.dumps(VALUE),
    "json, not ascii": json.dumps(VALUE, ensure_ascii=False),
    "repr": repr(VALUE),
    "url": quote(VALUE, safe=""),
    "url path": quote(VALUE),
    "form": quote_plus(VALUE),
    "hex": VALUE.encode().hex(),
    "HEX": VALUE.encode().hex().upper(),
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 url": base64.urlsafe_b64encode(VALUE.encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_known_secret_is_redacted_in_every_spelling(spelling: str) -> None:
    Secret(VALUE)
    inner = spelling.strip("'\"=")
    assert inner not in redact(f"before {spelling} after") and "***" in redact(spelling)


@pytest.mark.parametrize("user", ["a", "ab", "abc"])
def test_basic_authentication_is_redacted_at_every_alignment(user: str) -> None:
    Secret(VALUE)
    header = base64.b64encode(f"{user}:{VALUE}".encode()).decode()
    shown = redact(f"Authorization: Basic {header}")
    assert "***" in shown and len(shown.split()[-1]) < len(user) * 2 + 12


def test_a_secret_within_another_is_redacted_with_it() -> None:
    Secret("inner-word")
    Secret("outer inner-word outer")
    assert redact("x outer inner-word outer x") == "x *** x"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    Secret(VALUE)
    assert redact("vSPC is open on 3 hosts") == "vSPC is open on 3 hosts"


def test_words_too_short_to_be_secret_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    Secret("on")
    assert redact("only one") == "only one"


@settings(derandomize=True, database=None, deadline=None, max_examples=100)
@given(st.text(min_size=4))
def test_any_text_can_be_a_secret(value: str) -> None:
    try:
        secrets._known, before = set(), secrets._known
        Secret(value)
        assert value not in redact(f"a{value}b").replace("***", "\0") or value in "a\0b"
    finally:
        secrets._known = before


def test_it_prints_as_stars_in_every_way() -> None:
    secret = Secret(VALUE)
    assert {str(secret), repr(secret), f"{secret}", f"{secret:>3}"} == {"***"}
    assert str([secret]) == "[***]"


def test_it_is_never_pickled_nor_written_as_json() -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


def test_it_is_equal_to_the_same_secret_only() -> None:
    assert Secret(VALUE) == Secret(VALUE) and hash(Secret(VALUE)) == hash(Secret(VALUE))
    assert Secret(VALUE) != Secret("another") and Secret(VALUE) != VALUE


def test_a_fingerprint_depends_on_key_and_value_and_shows_neither() -> None:
    one = fingerprint("key", VALUE)
    assert one == fingerprint("key", VALUE)
    assert len({one, fingerprint("other", VALUE), fingerprint("key", "other")}) == 3
    assert VALUE not in one and "key" not in one


def test_keys_are_never_the_same() -> None:
    assert len({new_key() for _ in range(50)}) == 50


def test_the_name_of_the_variable_is_told_by_the_secrets_name() -> None:
    assert environment_name("gogs_db_password") == "DRYDOCK_GOGS_DB_PASSWORD"
    assert environment_name("my-app.token") == "DRYDOCK_MY_APP_TOKEN"


def test_the_config_comes_before_the_environment() -> None:
    found = Settings(config={"key": "config"}.get, environ={"ONE": "first", "DRYDOCK_KEY": "environment"})
    assert found.value("key", "ONE") == "config"
    assert found.secret("key").reveal() == "config"


def test_of_several_variables_the_first_that_is_set_counts() -> None:
    found = Settings(environ={"ONE": "", "TWO": "second", "THREE": "third"})
    assert found.value("key", "ONE", "TWO", "THREE") == "second"


def test_what_is_nowhere_is_none_and_a_secret_says_how_to_set_it() -> None:
    empty = Settings(environ={})
    assert empty.value("key", "ONE") is None and empty.credential("key", "ONE") is None
    with pytest.raises(UnknownSecret) as raised:
        empty.secret("db_password")
    assert "pulumi config set --secret db_password" in str(raised.value)
    assert "DRYDOCK_DB_PASSWORD" in str(raised.value)
