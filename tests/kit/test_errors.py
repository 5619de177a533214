"""The errors: one line that says on which object, what, and what to do."""

from __future__ import annotations

import pickle

import pytest

from providers.kit.errors import Authentication, DrydockError, Permanent, SessionLost, Temporary
from providers.kit.secrets import Secret


def test_it_reads_as_object_what_and_remedy_on_one_line() -> None:
    error = Permanent("is full", on="datastore ds1", remedy="Free some space.")
    assert str(error) == "datastore ds1: is full. Free some space."


def test_parts_have_a_line_each_and_the_remedy_comes_last() -> None:
    error = Permanent("2 failed", on="cluster C", remedy="Mend them.", items={"a": "busy", "b": "off"})
    assert str(error) == "cluster C: 2 failed\n  a: busy\n  b: off\nMend them."


@pytest.mark.parametrize("kind", [Permanent, Temporary, SessionLost, Authentication])
def test_no_field_holds_a_secret_that_this_process_knows(kind: type[DrydockError]) -> None:
    value = Secret("correct horse battery").reveal()
    error = kind(value, on=value, remedy=value, items={value: value})
    assert value not in f"{error} {error!r} {vars(error)} {error.args}"


@pytest.mark.parametrize("kind", [Permanent, Temporary, SessionLost, Authentication])
def test_it_survives_pickling_whole(kind: type[DrydockError]) -> None:
    error = kind("what", on="it", remedy="Do.", items={"a": "b"})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and vars(again) == vars(error) and str(again) == str(error)


def test_pickled_it_keeps_how_long_to_wait() -> None:
    error = Temporary("busy", on="it", remedy="Wait.", retry_after_s=7.0)
    assert pickle.loads(pickle.dumps(error)).retry_after_s == 7.0


def test_a_lost_session_is_temporary_and_a_refused_login_is_not() -> None:
    assert issubclass(SessionLost, Temporary)
    assert not issubclass(Authentication, Temporary)
