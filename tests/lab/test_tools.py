"""Peers are named, and a wrong name is answered with the near one."""

from __future__ import annotations

import pytest

from lab.tools import tool
from ops.toolchain import SetupError


def test_a_mistyped_tool_is_answered_with_the_near_one() -> None:
    with pytest.raises(SetupError, match="did you mean 'docker-compose'"):
        tool("docker-compos")
