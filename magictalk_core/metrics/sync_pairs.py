"""How well an embedding tells windows of motion and speech in sync from windows of the same clip out of sync."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embedded", "pair_accuracies", "pair_auc"]

Vectors = NDArray[np.float32]
Embedded = tuple[Vectors, Vectors]
"""Unit vectors (W, E) of motion and of speech of the windows of one clip."""

_PAIRS = 1 << 22
"""Pairs looked at together: every window against every other one of a clip of ten minutes would be 0.9 GB."""


def _fits(clip: Embedded) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    """Numbers of some windows of the motion (b,), and their cosines with every window of the speech (b, W)."""
    motion, speech = clip
    rows = max(1, _PAIRS // len(speech))
    for start in range(0, len(motion), rows):
        yield np.arange(start, min(start + rows, len(motion))), motion[start : start + rows] @ speech.T


def _own_and_strange(clip: Embedded, min_shift: int) -> Iterator[tuple[Vectors, Vectors, NDArray[np.bool_]]]:
    """Cosines with the own speech (b,), with every window (b, W), and which of these are `min_shift` windows away."""
    for windows, fit in _fits(clip):
        away = np.abs(np.subtract.outer(windows, np.arange(fit.shape[1]))) >= min_shift
        yield fit[np.arange(len(windows)), windows], fit, away


def pair_accuracies(clips: Sequence[Embedded], min_shift: int) -> list[float]:
    """Per clip: how often the own speech fits better than speech at least `min_shift` windows away, 0 to 1.

    A tie counts half. A clip without such pairs is NaN.
    """
    found = []
    for clip in clips:
        won, pairs = 0.0, 0
        for own, fit, away in _own_and_strange(clip, min_shift):
            better, same = own[:, None] > fit, own[:, None] == fit
            won += float((better & away).sum()) + 0.5 * float((same & away).sum())
            pairs += int(away.sum())
        found.append(won / pairs if pairs else float("nan"))
    return found


def pair_auc(clips: Sequence[Embedded], min_shift: int) -> float:
    """Chance that a window in sync, of any clip, fits better than one out of sync, of any clip; 0.5 tells nothing."""
    own = np.concatenate([own for clip in clips for own, _, _ in _own_and_strange(clip, min_shift)])
    won, strangers = 0.0, 0
    for clip in clips:
        for _, fit, away in _own_and_strange(clip, min_shift):
            strange = np.sort(fit[away])
            sides = (np.searchsorted(strange, own, side) for side in ("left", "right"))
            won += sum(float(below.sum()) for below in sides) / 2
            strangers += len(strange)
    return won / (len(own) * strangers)
