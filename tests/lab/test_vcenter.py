"""The lab's vCenter opens its control port only for whom asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.addresses import Addresses
from lab.certificates import Certificates
from lab.parts.vcenter import VCenter
from lab.premises import Premises


@pytest.mark.parametrize("control", [False, True])
def test_the_control_port_is_open_only_in_a_lab_that_was_made_with_it(
    control: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VCenter, "_binary", lambda self: Path("vcenter"))
    part = VCenter(Premises(tmp_path, Addresses(tmp_path, 1, {}), {}, Certificates(tmp_path), control=control))

    told = [one for one in part.command().argv if one.startswith("-control")]

    assert told == ([f"-control={part.control}"] if control else [])
    assert part.control.startswith(f"{part.host}:")
