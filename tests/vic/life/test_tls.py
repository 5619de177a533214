"""A VCH in each of its three TLS modes: the outputs are all that a client needs."""

from __future__ import annotations

import pytest

from tests.vic.life.vch import LivingVch

pytestmark = pytest.mark.lab


def test_without_tls_anybody_connects_in_the_clear(vch: LivingVch) -> None:
    vch.up()

    with vch.engine() as engine:
        assert engine.info()["ServerVersion"].startswith("v1.5.6")
    vch.program.up("--expect-no-changes")
    vch.program.drift(expect=0)
