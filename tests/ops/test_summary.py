"""The summary, word for word: it is what people see of us most."""

from __future__ import annotations

from typing import Any

from ops import summary

OUTPUTS: dict[str, Any] = {
    "vm": {"name": "photon", "id": "4213", "address": ""},
    "firewall": {
        "/DC/host/C/esx1": {"ruleset": "vic-engine", "enabled": True},
        "/DC/host/C/esx2": {"ruleset": "vSPC", "enabled": True},
        "/DC/host/C/esx3": {"ruleset": "vic-engine", "enabled": True},
    },
    "vch": {},
    "app_url": "http://127.64.3.3:10080/",
    "images": {
        "gogsdb": "127.64.3.4:5000/library/postgres@sha256:" + "a" * 64,
        "gogs": "127.64.3.4:5000/gogs/gogs@sha256:" + "b" * 64,
    },
    "docker_host": "tcp://127.64.3.3:2376",
    "docker_key": "[secret]",
}


def test_the_summary_of_everything() -> None:
    text = summary.after_up(OUTPUTS, stack="lab", look_hint='eval "$(.venv/bin/python -m lab env)"')

    assert (
        text
        == """\
  VM            photon  (no address yet: its guest reports none)
  Firewall      vic-engine open on esx1, esx3
                vSPC open on esx2
  Application   http://127.64.3.3:10080/
  Images        gogs    127.64.3.4:5000/gogs/gogs@sha256:bbbbbbbbbbbb…
                gogsdb  127.64.3.4:5000/library/postgres@sha256:aaaaaaaaaaaa…

  Look          eval "$(.venv/bin/python -m lab env)"
                docker -H tcp://127.64.3.3:2376 ps
                pulumi stack output --stack lab
                pulumi preview --stack lab
  Take it down  make down  (the application's data stay, unless DATA=delete)"""
    )


def test_with_a_vch_one_looks_at_the_vch() -> None:
    vch = {"name": "vch1", "version": "1.5.6", "portal": "https://10.0.0.9:2378"}

    text = summary.after_up({**OUTPUTS, "vch": vch}, stack="lab", look_hint=None)

    assert "  VCH           vch1  1.5.6  https://10.0.0.9:2378\n" in text
    assert "  Look          .venv/bin/python -m ops vch inspect vch1 --stack lab\n" in text


def test_the_summary_of_a_vm_alone_on_another_stack() -> None:
    text = summary.after_up({"vm": {"name": "photon", "address": "10.0.0.7"}}, stack="dev", look_hint=None)

    assert (
        text
        == """\
  VM            photon  (10.0.0.7)

  Look          pulumi stack output --stack dev
                pulumi preview --stack dev
  Take it down  make down STACK=dev"""
    )


def test_what_changed_is_one_line() -> None:
    assert summary.changes({"create": 9, "update": 1, "same": 3}, 41) == "9 made, 1 changed, 3 as before, in 41 s."


def test_what_did_not_change_is_one_line_too() -> None:
    assert summary.unchanged(OUTPUTS) == (
        "Nothing changed: everything is as the settings say. The application answers at http://127.64.3.3:10080/"
    )


def test_data_that_stay_are_named_with_where_and_how_to_delete_them() -> None:
    text = summary.kept_volumes(["gogs_data", "gogs_db"], host="tcp://127.64.3.3:2376", stack="lab")

    assert text == (
        "The data stay, on tcp://127.64.3.3:2376: gogs_data, gogs_db. The next `up` takes them over again; "
        "`make down DATA=delete` deletes them."
    )


def test_a_cluster_of_many_hosts_stays_one_line() -> None:
    hosts = {f"/DC/host/C/esx{number}": {"ruleset": "vSPC", "enabled": True} for number in range(1, 8)}

    text = summary.after_up({"firewall": hosts}, stack="lab", look_hint=None)

    assert text.splitlines()[0] == "  Firewall      vSPC open on esx1, esx2, esx3, esx4 and 3 more"
