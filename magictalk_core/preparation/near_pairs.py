"""Pairs of like signatures among many, without comparing every clip with every other.

Clips are compared where they agree in a handful of randomly chosen bits, for many such handfuls (Indyk and Motwani,
STOC 1998): two clips that differ in a share d of their bits agree in one handful of k bits with probability (1 - d)^k,
unrelated ones with 2^-k. Handfuls grow with the logarithm of the number of clips, so that the clips that agree by
chance stay few, and the work grows little faster than the number of clips. The choice is the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.signature import signature_distance

__all__ = ["near_pairs"]

_DURATION_S = 0.5
"""Clips whose lengths differ by more are not the same cut."""

_EXHAUSTIVE = 2048
"""So many clips are compared each with each."""

_RECALL = 0.999
"""Share of the pairs at the very limit that are found; nearer ones are missed far more rarely."""

_AGREE_BY_CHANCE = 16
"""Clips that share a handful by chance, about."""

_MAX_HANDFULS = 1000
"""A limit so wide that more would be needed is met by comparing each with each."""


def near_pairs(signatures: Sequence[str], durations: Sequence[float], limit: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of clips whose signatures differ in at most the share `limit` of their bits and whose lengths, in
    seconds, fit. Each pair once, shorter clip first.

    Up to 2,048 clips: all pairs. Of more, a pair at the limit is missed once in a thousand times.
    """
    lengths = np.asarray(durations, float)
    sounds, pictures = ([text.split(":")[part] for text in signatures] for part in (0, 1))
    heard, seen = (np.array([bool(text) for text in part], bool) for part in (sounds, pictures))
    found: set[tuple[int, int]] = set()
    for i, j in _pairs_near_in(sounds, np.flatnonzero(heard), lengths, limit):
        found.update(zip(i.tolist(), j.tolist(), strict=True))
    if not heard.all():
        # The pictures decide where one of the two has no sound.
        for i, j in _pairs_near_in(pictures, np.flatnonzero(seen), lengths, limit):
            silent = ~(heard[i] & heard[j])
            found.update(zip(i[silent].tolist(), j[silent].tolist(), strict=True))
    for first, second in sorted(found):
        if signature_distance(signatures[first], signatures[second]) <= limit:
            yield first, second


def _handfuls(clips: int, limit: float, width: int) -> tuple[int, int]:
    """Bits of a handful, and how many handfuls."""
    if clips <= _EXHAUSTIVE:
        return 0, 1
    bits = int(math.log2(clips / _AGREE_BY_CHANCE))
    agree = (1 - max(limit, 1 / width)) ** bits
    handfuls = math.ceil(math.log(1 - _RECALL) / math.log(1 - agree)) if agree > 1e-6 else _MAX_HANDFULS + 1
    return (bits, handfuls) if handfuls <= _MAX_HANDFULS else (0, 1)


def _pairs_near_in(
    texts: Sequence[str], members: NDArray[np.intp], lengths: NDArray[np.float64], limit: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of `members` that are near in one part of the signature, shorter clip first; some come several times."""
    if len(members) < 2:
        return
    members = members[np.argsort(lengths[members], kind="stable")]
    lengths = lengths[members]
    packed = np.frombuffer(bytes.fromhex("".join(texts[i] for i in members)), np.uint8).reshape(len(members), -1)
    words = packed.view(np.uint64)
    # Bit b of all clips lies together: a handful reads a few of these rows.
    bits = np.ascontiguousarray(np.unpackbits(packed, axis=1).T)
    size, handfuls = _handfuls(len(members), limit, len(bits))
    most = limit * len(bits)
    random = np.random.default_rng(0)
    for _ in range(handfuls):
        key = np.zeros(len(members), np.uint32)
        for chosen in random.integers(0, len(bits), size):
            key = key << 1 | bits[chosen]
        # A stable order keeps the clips of one key by length.
        order = np.argsort(key, kind="stable")
        for a, b in _neighbours(key[order], lengths[order]):
            i, j = order[a], order[b]
            near = np.bitwise_count(words[i] ^ words[j]).sum(axis=1, dtype=np.int64) <= most
            yield members[i[near]], members[j[near]]


def _neighbours(
    key: NDArray[np.uint32], lengths: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of places with one key whose lengths fit: each place with the next, each with the one after it, and on."""
    first = np.arange(len(key))
    step = 0
    while len(first):
        step += 1
        first = first[: np.searchsorted(first, len(key) - step)]
        second = first + step
        # Sorted by key and length: where one place is too far, all after it are.
        fits = (key[first] == key[second]) & (lengths[second] - lengths[first] <= _DURATION_S)
        first = first[fits]
        yield first, first + step
