"""A VCH in each of its three TLS modes: the outputs are all that a client needs."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.site.markers import Watch
from tests.vic.life import papers
from tests.vic.life.vch import LivingVch

pytestmark = pytest.mark.lab

NAME = "vch.example.com"
MUTUAL = {"cname": NAME}
SERVER = {"mode": "server", "cname": NAME}


def answers(vch: LivingVch) -> None:
    """docker-py and `requests` get in, with nothing but the outputs."""
    with vch.engine() as engine:
        assert engine.info()["ServerVersion"].startswith("v1.5.6")
    assert vch.ask("/info").json()["ServerVersion"].startswith("v1.5.6")


def stays(vch: LivingVch) -> None:
    """There is nothing to do about it."""
    vch.program.up("--expect-no-changes")
    vch.program.drift(expect=0)


def test_without_tls_anybody_connects_in_the_clear(vch: LivingVch) -> None:
    vch.up()

    answers(vch)
    assert vch.outputs()["docker_host"].endswith(":2375")
    assert not {"ca", "client_cert", "client_key"} & {name for name, one in vch.outputs().items() if one}
    stays(vch)


def test_with_tls_and_no_verification_anybody_connects_to_a_server_that_is_known(vch: LivingVch) -> None:
    vch.up(tls=SERVER)
    told = vch.outputs()

    answers(vch)
    assert told["docker_host"].endswith(":2376") and told["server_name"] == NAME
    assert told["ca"] and not told.get("client_cert") and not told.get("client_key")
    stays(vch)


def test_with_mutual_tls_only_the_client_of_the_outputs_is_let_in(vch: LivingVch) -> None:
    vch.up(tls=MUTUAL)
    stranger = papers.given(NAME)

    answers(vch)
    with pytest.raises(requests.exceptions.RequestException, match="(?i)certificate"):
        vch.ask("/info", anonymous=True)
    with pytest.raises(requests.exceptions.RequestException, match="(?i)certificate|unknown ca"):
        vch.ask("/info", pair=(stranger["client_cert"], stranger["client_key"]))
    with vch.engine(with_client_certificate=False) as engine, pytest.raises(Exception, match="(?i)certificate"):
        engine.info()
    stays(vch)


@pytest.mark.parametrize("mode", ["mutual", "server"])
def test_given_certificates_are_the_ones_that_it_shows_and_asks_for(vch: LivingVch, mode: str) -> None:
    given = papers.given(NAME)
    vch.up(tls={"mode": mode}, certificates=given)
    told = vch.outputs()

    answers(vch)
    assert told["server_name"] == NAME
    assert (told["ca"] or "").strip() == given["ca"].strip()
    if mode == "mutual":
        with pytest.raises(requests.exceptions.RequestException, match="(?i)certificate"):
            vch.ask("/info", anonymous=True)
    stays(vch)


@pytest.mark.parametrize(
    "arguments",
    [{"tls": MUTUAL}, {"tls": {"mode": "mutual"}, "certificates": papers.given(NAME)}],
    ids=["made", "given"],
)
def test_no_private_key_and_no_password_stands_in_the_state_or_was_printed(
    vch: LivingVch, marker_passwords: dict[str, str], arguments: dict[str, Any]
) -> None:
    vch.up(**arguments)
    vch.up(dns_servers=["10.0.0.2"], **arguments)
    stays(vch)
    told = vch.outputs()
    secrets = {"password": marker_passwords["vsphere"]}
    for number, key in enumerate([told["client_key"], arguments.get("certificates", {}).get("server_key")]):
        if key:
            secrets |= {f"key {number} line {place}": one for place, one in enumerate(key.splitlines()[1:-1])}
    watch = Watch(secrets)

    export = vch.program.pulumi("stack", "export")

    assert len(secrets) > 2 and '"docker_api": "RUNNING"' in export
    assert watch.in_text(told["client_key"]) != []
    assert watch.in_text(export) == []
    assert watch.in_text("\n".join(vch.program.said)) == []
