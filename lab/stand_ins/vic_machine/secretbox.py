"""Seals and opens NaCl secretboxes (XSalsa20 and Poly1305), in which a VCH's settings keep their secrets.

Written from the Salsa20 and XSalsa20 papers, so that no package is needed for the few short texts that are sealed here.
"""

from __future__ import annotations

import os
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16

_WORD = 0xFFFFFFFF
_CONSTANT = b"expand 32-byte k"
_ROUNDS = 20
_COLUMNS = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
_ROWS = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))
_TURNS = ((1, 0, 3, 7), (2, 1, 0, 9), (3, 2, 1, 13), (0, 3, 2, 18))


class WrongKey(Exception):
    """The key doesn't open the box, or the box is broken."""


def seal(plain: bytes, key: bytes, nonce: bytes | None = None) -> bytes:
    """A box: nonce, tag and what is hidden.

    Args:
        plain: what to hide.
        key: 32 bytes.
        nonce: 24 bytes; random without it, as it should be but in tests.
    """
    nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
    stream = _stream(key, nonce, KEY_BYTES + len(plain))
    hidden = _xor(plain, stream[KEY_BYTES:])
    return nonce + Poly1305.generate_tag(stream[:KEY_BYTES], hidden) + hidden


def opened(box: bytes, key: bytes) -> bytes:
    """What a box hides.

    Raises:
        WrongKey: it isn't a box of this key.
    """
    if len(box) < NONCE_BYTES + TAG_BYTES or len(key) != KEY_BYTES:
        raise WrongKey("neither a box nor a key")
    nonce, tag, hidden = box[:NONCE_BYTES], box[NONCE_BYTES : NONCE_BYTES + TAG_BYTES], box[NONCE_BYTES + TAG_BYTES :]
    stream = _stream(key, nonce, KEY_BYTES + len(hidden))
    try:
        Poly1305.verify_tag(stream[:KEY_BYTES], hidden, tag)
    except InvalidSignature as error:
        raise WrongKey("the key doesn't open the box") from error
    return _xor(hidden, stream[KEY_BYTES:])


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other[: len(one)], "big")).to_bytes(len(one), "big")


def _stream(key: bytes, nonce: bytes, length: int) -> bytes:
    """Salsa20 under the key that HSalsa20 makes of the key and the first part of the nonce."""
    words = _rounds(_start(key, nonce[:16]))
    inner = struct.pack("<8I", *(words[place] for place in (0, 5, 10, 15, 6, 7, 8, 9)))
    blocks = range((length + 63) // 64)
    return b"".join(_block(inner, nonce[16:] + struct.pack("<Q", number)) for number in blocks)[:length]


def _block(key: bytes, place: bytes) -> bytes:
    start = _start(key, place)
    return struct.pack("<16I", *((a + b) & _WORD for a, b in zip(start, _rounds(start), strict=True)))


def _start(key: bytes, place: bytes) -> list[int]:
    constant, secret, where = (struct.unpack(f"<{len(part) // 4}I", part) for part in (_CONSTANT, key, place))
    return [constant[0], *secret[:4], constant[1], *where, constant[2], *secret[4:], constant[3]]


def _rounds(start: list[int]) -> list[int]:
    words = list(start)
    for number in range(_ROUNDS):
        for quarter in _ROWS if number % 2 else _COLUMNS:
            for to, one, other, turn in _TURNS:
                total = (words[quarter[one]] + words[quarter[other]]) & _WORD
                words[quarter[to]] ^= ((total << turn) | (total >> (32 - turn))) & _WORD
    return words
