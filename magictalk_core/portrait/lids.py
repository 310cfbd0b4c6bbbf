"""Lids of a portrait: a blink of 1 closes its eyes, whatever their size and whatever else the face does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.rig.shapes import (
    LID_SHARES,
    LOWER_LID,
    LOWER_LID_SKIN,
    UPPER_LID,
    UPPER_LID_SKIN,
    mirror_indices,
)
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["LID_PAIRS", "Lids"]

Points = NDArray[np.float64]
Rows = tuple[tuple[int, ...], ...]

_WIDEST = 1.4
"""Of an open eye over the picture's own."""
_LOWER_SHARE = 0.12
"""How much of the way to each other the lower lid goes."""


def _on_side(rows: Rows, side: str) -> Rows:
    if side == "Left":
        return rows
    mirror = mirror_indices()
    return tuple(tuple(int(mirror[i]) for i in row) for row in rows)


_UPPER = {side: _on_side((UPPER_LID, *UPPER_LID_SKIN), side) for side in ("Left", "Right")}
_LOWER = {side: _on_side((LOWER_LID, *LOWER_LID_SKIN), side) for side in ("Left", "Right")}
LID_PAIRS = {side: (_UPPER[side][0], _LOWER[side][0]) for side in ("Left", "Right")}
"""Landmarks of the rims of the upper and the lower lid of each eye, in pairs."""


class Lids:
    """What lids need beyond the rig's shapes, which close the rig's own eyes. `face` (468, 3) at rest and `rig_face`
    in the same scale."""

    def __init__(self, face: Points, rig_face: Points) -> None:
        self._openings = {side: _opening(face, side) for side in LID_PAIRS}
        self._rig = {side: np.linalg.norm(_opening(rig_face, side), axis=1, keepdims=True) for side in LID_PAIRS}

    def settle(self, face: Points, weights: NDArray[np.floating]) -> None:
        """Move the lids of `face`, as the shapes have put it, so that they are open as far as the weights say."""
        for side, rest in self._openings.items():
            blink = float(np.clip(weights[ARKIT_NAMES.index(f"eyeBlink{side}")], -0.3, 1.0))
            lengths = np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-6)
            direction = rest / lengths
            found = (_opening(face, side) * direction).sum(axis=1, keepdims=True)
            # The rig's blink took off the opening of the rig's eye; what squints and wide eyes did stays.
            awake = np.clip(found + blink * self._rig[side], 0.0, _WIDEST * lengths)
            way = direction * (awake * (1 - blink) - found)
            _move(face, _UPPER[side], way * (1 - _LOWER_SHARE))
            _move(face, _LOWER[side], -way * _LOWER_SHARE)


def _opening(face: Points, side: str) -> Points:
    upper, lower = LID_PAIRS[side]
    return np.asarray(face[list(upper)] - face[list(lower)])


def _move(face: Points, rows: Rows, way: Points) -> None:
    """The rim goes the whole way, the skin beyond it less and less."""
    for row, share in zip(rows, LID_SHARES, strict=False):
        face[list(row)] += way * share
