"""The bits of a pixel mark: a payload of 32 bits and a checksum in an error-correcting code, read from soft values.

A tail-biting convolutional code of rate 1/3 and constraint length 9 (generators 557, 663, 711 octal) over the payload
and its CRC-8 (polynomial 0x07, start 0xFF), highest bit first. The order of bits is a contract: what was once written
must be read for ever.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODED_BITS", "PAYLOAD_BITS", "decode", "encode"]

PAYLOAD_BITS = 32
_CHECK_BITS = 8
_MEMORY = 8
_GENERATORS = (0o557, 0o663, 0o711)
_STEPS = PAYLOAD_BITS + _CHECK_BITS
CODED_BITS = _STEPS * len(_GENERATORS)
"""Bits that stand for one payload."""


def encode(payload: int) -> NDArray[np.float32]:
    """`CODED_BITS` signs, -1 for 0 and 1 for 1, of a payload from 0 to 2**32 - 1."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"expected a payload of {PAYLOAD_BITS} bits, found {payload}")
    word = (payload << _CHECK_BITS) | _checksum(payload)
    bits = [(word >> place) & 1 for place in reversed(range(_STEPS))]
    signs, state = [], 0
    for bit in bits[-_MEMORY:]:
        state = _next_state(bit, state)
    for bit in bits:
        signs.append(_SIGNS[bit, state])
        state = _next_state(bit, state)
    return np.concatenate(signs)


def decode(soft: NDArray[np.floating]) -> int | None:
    """The payload whose code is most like `soft` (CODED_BITS,); None where its checksum is wrong.

    Only the ratio of the values to each other matters; their sign is the bit. Of every state in which the code may have
    begun the best way back to it is searched (Viterbi), all at once.
    """
    received = np.asarray(soft, np.float64).reshape(_STEPS, len(_GENERATORS))
    states = 1 << _MEMORY
    score = np.full((states, states), -np.inf)  # (begun in, now in)
    np.fill_diagonal(score, 0.0)
    came = np.empty((_STEPS, states, states), np.bool_)
    for step, seen in enumerate(received):
        gain = _SIGNS @ seen
        one, other = (score[:, before] + gain[_BIT_OF, before] for before in _BEFORE)
        came[step] = other > one
        score = np.maximum(one, other)
    state = begun = int(np.diagonal(score).argmax())
    word = 0
    for step in reversed(range(_STEPS)):
        word |= int(_BIT_OF[state]) << (_STEPS - 1 - step)
        state = int(_BEFORE[int(came[step, begun, state])][state])
    payload, check = word >> _CHECK_BITS, word & ((1 << _CHECK_BITS) - 1)
    return payload if _checksum(payload) == check else None


def _checksum(payload: int) -> int:
    check = 0xFF
    for byte in payload.to_bytes(PAYLOAD_BITS // 8, "big"):
        check ^= byte
        for _ in range(8):
            check = ((check << 1) ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check


def _next_state(bit: int, state: int) -> int:
    """The newest bit stands highest."""
    return (bit << (_MEMORY - 1)) | (state >> 1)


def _signs() -> NDArray[np.float32]:
    """(bit, state, generator): what is sent on the way out of a state."""
    sent = np.empty((2, 1 << _MEMORY, len(_GENERATORS)), np.float32)
    for bit in (0, 1):
        for state in range(1 << _MEMORY):
            register = (bit << _MEMORY) | state
            sent[bit, state] = [2 * ((register & g).bit_count() & 1) - 1 for g in _GENERATORS]
    return sent


_SIGNS = _signs()
_STATES = np.arange(1 << _MEMORY)
_BIT_OF = _STATES >> (_MEMORY - 1)
"""The bit with which a state is entered."""
_BEFORE = tuple(((_STATES << 1) & ((1 << _MEMORY) - 1)) | last for last in (0, 1))
"""The two states from which a state is entered."""
