"""A VCH in each of its three TLS modes: the outputs are all that a client needs."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.stand_ins.vic_machine import builds, bundle
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
    vch.program.pulumi("refresh", "--yes", "--skip-preview")
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


# the time that certificates are valid


@pytest.fixture
def aged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], str]:
    """Makes bundles whose vic-machine makes certificates that end so many days from now."""

    def made(days: float) -> str:
        shorter = f"certificates._VALID = datetime.timedelta(days={days})"
        run = 'runpy.run_module("lab.stand_ins.vic_machine", run_name="__main__", alter_sys=True)'
        code = f"import datetime, runpy; from lab.stand_ins.vic_machine import certificates; {shorter}; {run}"
        launcher = bundle._LAUNCHER.replace("-m lab.stand_ins.vic_machine", f"-c '{code}'")
        target = tmp_path / f"vic_{days}.tar.gz"
        with monkeypatch.context() as patched:
            patched.setattr(bundle, "_LAUNCHER", launcher)
            bundle.write(builds.named("1.5.6"), target)
        return str(target)

    return made


def test_made_certificates_near_their_end_are_renewed_by_one_configure(
    vch: LivingVch, aged: Callable[[float], str]
) -> None:
    vch.up(tls=MUTUAL, source=aged(20))
    before = vch.outputs()
    vch.declare(tls=MUTUAL)
    vch.program.up()
    soon = vch.outputs()["not_after"]

    vch.declare(tls=MUTUAL, renew_before="10d")
    vch.program.up()
    too_early = vch.outputs()["client_cert"]
    vch.declare(tls=MUTUAL, renew_before="30d")
    plan = vch.program.preview()
    vch.program.up()
    after = vch.outputs()

    assert too_early == before["client_cert"] and soon == before["not_after"]
    assert f"not_after: {soon} → renewed" in plan and "; configure (" in plan
    assert after["client_cert"] != before["client_cert"]
    assert papers.ends(after["client_cert"]) - papers.ends(before["client_cert"]) > datetime.timedelta(days=340)
    answers(vch)
    with pytest.raises(requests.exceptions.RequestException, match="(?i)certificate|unknown ca"):
        vch.ask("/info", pair=(before["client_cert"], before["client_key"]))
    stays(vch)


def test_a_made_certificate_that_has_ended_is_told_and_renewed(vch: LivingVch, aged: Callable[[float], str]) -> None:
    vch.up(tls=SERVER, source=aged(-0.5))
    ended = vch.outputs()["not_after"]
    with pytest.raises(requests.exceptions.SSLError, match="expired"):
        vch.ask("/info")

    said = vch.up(tls=SERVER)

    assert f"not_after: {ended} → renewed" in said and "; configure (" in said
    answers(vch)
    stays(vch)


@pytest.mark.parametrize("which", ["server_cert", "client_cert", "ca"])
def test_a_given_certificate_that_has_ended_is_refused_by_name_and_a_valid_one_is_taken(
    vch: LivingVch, which: str
) -> None:
    tls = {"mode": "mutual"}

    said = vch.up(tls=tls, certificates=papers.given(NAME, ended=which), expect=1)

    assert f"certificates.{which}" in said and "ended on 20" in said
    assert not vch.is_there()
    if which == "server_cert":
        vch.up(tls=tls, certificates=papers.given(NAME))
        vch.up(tls=tls, certificates=papers.given(NAME, ended=which), expect=1)
        answers(vch)
        new = papers.given(NAME)
        said = vch.up(tls=tls, certificates=new)
        assert "configure" in said and papers.shown_fingerprint(new["server_cert"])[:20] in said
        answers(vch)
        stays(vch)
