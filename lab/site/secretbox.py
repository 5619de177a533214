"""Opens NaCl secretboxes (XSalsa20 and Poly1305), in which a VCH's settings keep their secrets; for the appliance.

Written from the Salsa20 and XSalsa20 papers, since it is the only thing that the lab would need PyNaCl for.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16

_BLOCK_BYTES = 64
_AUTHENTICATION_KEY_BYTES = 32
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_MASK = 0xFFFFFFFF
# The four words that each quarter round works on: four columns, then four rows.
_QUARTERS = (
    (0, 4, 8, 12),
    (5, 9, 13, 1),
    (10, 14, 2, 6),
    (15, 3, 7, 11),
    (0, 1, 2, 3),
    (5, 6, 7, 4),
    (10, 11, 8, 9),
    (15, 12, 13, 14),
)


class BoxError(Exception):
    """A box that the key doesn't open."""


def opened(box: bytes, key: bytes) -> bytes:
    """What is in a box.

    Args:
        box: a nonce of 24 bytes, the tag of 16, and the ciphertext.
        key: 32 bytes.

    Raises:
        BoxError: the box is too short, of another key, or damaged.
    """
    if len(key) != KEY_BYTES:
        raise BoxError(f"the key has {len(key)} bytes instead of {KEY_BYTES}")
    if len(box) < NONCE_BYTES + TAG_BYTES:
        raise BoxError(f"the box has {len(box)} bytes, fewer than its nonce and tag")
    nonce, tag, hidden = box[:NONCE_BYTES], box[NONCE_BYTES : NONCE_BYTES + TAG_BYTES], box[NONCE_BYTES + TAG_BYTES :]
    stream = _stream(key, nonce, _AUTHENTICATION_KEY_BYTES + len(hidden))
    try:
        Poly1305.verify_tag(stream[:_AUTHENTICATION_KEY_BYTES], hidden, tag)
    except InvalidSignature as error:
        raise BoxError("the key doesn't open the box") from error
    return bytes(ours ^ theirs for ours, theirs in zip(hidden, stream[_AUTHENTICATION_KEY_BYTES:], strict=True))


def _stream(key: bytes, nonce: bytes, length: int) -> bytes:
    """The key stream of XSalsa20."""
    subkey = _derived(key, nonce[:16])
    stream = bytearray()
    for counter in range((length + _BLOCK_BYTES - 1) // _BLOCK_BYTES):
        state = _state(subkey, nonce[16:] + struct.pack("<Q", counter))
        mixed = _mixed(state)
        stream += struct.pack("<16I", *((word + first) & _MASK for word, first in zip(mixed, state, strict=True)))
    return bytes(stream[:length])


def _derived(key: bytes, nonce: bytes) -> bytes:
    """HSalsa20: a key of its own for each first part of a nonce."""
    mixed = _mixed(_state(key, nonce))
    return struct.pack("<8I", *(mixed[at] for at in (0, 5, 10, 15, 6, 7, 8, 9)))


def _state(key: bytes, block: bytes) -> list[int]:
    words, block_words = struct.unpack("<8I", key), struct.unpack("<4I", block)
    return [_SIGMA[0], *words[:4], _SIGMA[1], *block_words, _SIGMA[2], *words[4:], _SIGMA[3]]


def _mixed(state: list[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            x[b] ^= _turned(x[a] + x[d], 7)
            x[c] ^= _turned(x[b] + x[a], 9)
            x[d] ^= _turned(x[c] + x[b], 13)
            x[a] ^= _turned(x[d] + x[c], 18)
    return x


def _turned(word: int, by: int) -> int:
    word &= _MASK
    return ((word << by) | (word >> (32 - by))) & _MASK
