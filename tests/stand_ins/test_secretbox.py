"""Secretboxes are NaCl's: real ones open, and ours are the same byte for byte under the same nonce."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lab.stand_ins.vic_machine import secretbox
from lab.stand_ins.vic_machine.extra_config import KEY

NORMS = sorted((Path(__file__).parents[1] / "vic_machine" / "extra_config").glob("*.json"))


def boxes(file: Path) -> tuple[bytes, dict[str, bytes]]:
    settings = json.loads(file.read_text())
    sealed = {key: base64.b64decode(value) for key, value in settings.items() if key.endswith("@secret")}
    return base64.b64decode(settings[KEY]), sealed


@pytest.mark.parametrize("file", NORMS, ids=lambda file: file.stem)
def test_real_boxes_open_and_are_sealed_again_as_they_were(file: Path) -> None:
    key, sealed = boxes(file)
    assert secretbox.opened(sealed["guestinfo.vice./connect/token@secret"], key) == b"pass"
    for box in sealed.values():
        assert secretbox.seal(secretbox.opened(box, key), key, box[: secretbox.NONCE_BYTES]) == box


def test_another_key_or_a_changed_bit_opens_nothing() -> None:
    key, sealed = boxes(NORMS[0])
    box = sealed["guestinfo.vice./connect/token@secret"]
    for wrong_box, wrong_key in ((box, bytes(32)), (box[:-1] + bytes([box[-1] ^ 1]), key), (box[:30], key)):
        with pytest.raises(secretbox.WrongKey):
            secretbox.opened(wrong_box, wrong_key)


def test_two_boxes_of_one_text_differ() -> None:
    assert secretbox.seal(b"a", bytes(32)) != secretbox.seal(b"a", bytes(32))
