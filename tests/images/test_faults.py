"""What goes wrong on the way to an image is one line; who builds it, and how, changes nothing in it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from lab.images.image import write_layer
from lab.images.push import Pusher
from ops.toolchain import SetupError
from tests.images.registry_stand_in import PASSWORD, USER, StandIn, certificate, serving


def laid(root: Path) -> Path:
    (root / "app").mkdir(parents=True)
    (root / "app/program").write_text("content")
    (root / "app/program").chmod(0o777 & ~_umask())
    (root / "app/text").write_text("content")
    return root


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_the_umask_of_the_build_changes_nothing(tmp_path: Path) -> None:
    open_to_all = write_layer(laid(tmp_path / "one"), tmp_path / "one.tar.gz")
    before = os.umask(0o077)
    try:
        for_me_alone = write_layer(laid(tmp_path / "other"), tmp_path / "other.tar.gz")
    finally:
        os.umask(before)

    with tarfile.open(tmp_path / "other.tar.gz") as layer:
        modes = {one.name: one.mode for one in layer}
    assert for_me_alone == open_to_all
    assert modes == {"app": 0o755, "app/program": 0o755, "app/text": 0o644}, "a user in the container must read it"


def test_a_registry_of_another_authority_is_named_in_one_line(tmp_path: Path) -> None:
    another, _ = certificate(tmp_path / "another")
    registry = StandIn()

    with serving(registry, tmp_path), pytest.raises(SetupError, match="certificate") as told:
        Pusher(registry.address, USER, PASSWORD, another).digest("gogs/gogs", "1.26")

    assert registry.address in str(told.value)
    assert "\n" not in str(told.value)


def test_a_registry_that_is_down_is_named_in_one_line(tmp_path: Path) -> None:
    registry = StandIn()
    with serving(registry, tmp_path) as authority:
        pusher = Pusher(registry.address, USER, PASSWORD, authority)

    with pytest.raises(SetupError, match="does not answer") as told:
        pusher.digest("gogs/gogs", "1.26")

    assert registry.address in str(told.value)
    assert "\n" not in str(told.value)
