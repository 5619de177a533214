"""What the firewall's bench makes of its times: rows and bars, without a vCenter."""

from __future__ import annotations

import argparse
import json

import pytest

from bench import firewall
from bench.firewall import ANSIBLE, CALL, HOST_BY_HOST, REFRESH, UP, Times, add_bars
from bench.report import Report
from bench.stage.vcenter import within


def times(hosts: int, *, calls: int = 5, stopped: bool = False, **rows: list[float]) -> Times:
    named = {"call": CALL, "refresh": REFRESH, "up": UP, "ansible": ANSIBLE, "one_by_one": HOST_BY_HOST}
    return Times(hosts, {named[name]: found for name, found in rows.items()}, calls, stopped)


def bars(*measured: Times) -> dict[str, tuple[float | None, bool]]:
    report = Report("firewall")
    add_bars(report, {one.hosts: one for one in measured})
    return {bar.name: (bar.value, bar.ok) for bar in report.bars}


def test_ours_is_held_against_host_by_host_at_128_hosts_by_medians() -> None:
    found = bars(times(128, call=[0.6, 9.0, 0.5], one_by_one=[5.0, 1.0, 6.0]))

    assert found["128 hosts: call, in times of host by host"] == (0.12, True)


def test_a_call_of_more_than_twelve_hundredths_of_host_by_host_fails() -> None:
    found = bars(times(128, call=[0.61], one_by_one=[5.0]))

    assert found["128 hosts: call, in times of host by host"] == (0.122, False)


def test_an_up_that_is_slower_than_ansible_fails() -> None:
    found = bars(times(8, call=[0.2], up=[3.3], ansible=[3.0]))

    assert found["8 hosts: call, in times of Ansible"] == (0.067, True)
    assert found["8 hosts: pulumi up, in times of Ansible"] == (1.1, False)


def test_without_ansible_the_bars_beside_it_fail() -> None:
    found = bars(times(8, call=[0.2], up=[3.3]))

    assert found["8 hosts: call, in times of Ansible"] == (None, False)
    assert found["8 hosts: pulumi up, in times of Ansible"] == (None, False)


@pytest.mark.parametrize(("calls", "kept"), [(8, True), (9, False)])
def test_a_refresh_of_1000_hosts_may_need_eight_calls(calls: int, kept: bool) -> None:
    found = bars(times(1000, calls=calls))

    assert found["1000 hosts: refresh, calls"] == (calls, kept)


@pytest.mark.parametrize(("refresh_s", "kept"), [(1.0, True), (1.1, False)])
def test_a_refresh_takes_no_longer_a_host_at_1000_hosts_than_at_128(refresh_s: float, kept: bool) -> None:
    found = bars(times(128, refresh=[0.128]), times(1000, refresh=[refresh_s]))

    assert found["refresh a host, 1000 in times of 128"] == (refresh_s, kept)


def test_an_ansible_that_was_stopped_says_so_in_its_row() -> None:
    report = Report("firewall")

    times(1000, ansible=[160.0], stopped=True).into(report)

    assert report.rows[0]["name"] == "1000 hosts: Ansible's playbook (stopped)"


def test_a_number_of_calls_is_shown_as_such_and_not_as_a_time() -> None:
    report = Report("firewall")

    times(128, calls=5).into(report)

    assert report.as_text().splitlines()[1].endswith("5 calls")
    assert json.loads(report.as_json())["rows"] == [
        {"name": "128 hosts: ours, provider's refresh", "value": 5, "unit": "calls"}
    ]


@pytest.mark.parametrize("text", ["", "8,", "0", "-8", "many"])
def test_sizes_that_are_no_numbers_of_hosts_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    firewall.add_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args([f"--hosts={text}"])

    assert f"'{text}' is not numbers of hosts" in capsys.readouterr().err


def test_a_loop_ends_when_its_time_is_over() -> None:
    with pytest.raises(TimeoutError):
        list(within(-1.0, ["host"]))
