"""Does the mouth rest while nobody speaks? Of 25 real clips a third of all frames has a jaw below 0.03."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["CLOSED_JAW", "SETTLED_S", "MouthRest", "mouth_rest", "settled_frames"]

CLOSED_JAW = 0.03
"""`jawOpen` of a closed mouth, at most."""

SETTLED_S = 0.3
"""Seconds after the last sound of speech by which a mouth has come to rest."""


@dataclass(frozen=True)
class MouthRest:
    """Of the settled frames: mean and largest `jawOpen`, share of them with a closed jaw, and how many they are."""

    mean: float
    largest: float
    closed_share: float
    frames: int


def settled_frames(speaks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) frames before which nobody has spoken for `SETTLED_S`, of `speaks` (n,) at 25 fps.

    A stretch of silence at the beginning is settled from its first frame, but for its last `SETTLED_S`: a mouth opens
    before it is heard.
    """
    reach = int(np.ceil(SETTLED_S * FRAME_RATE))
    near = np.convolve(np.asarray(speaks, np.int64), np.ones(2 * reach + 1, np.int64))[reach:-reach] > 0
    return np.asarray(~near)


def mouth_rest(motion: NDArray[Any], speaks: NDArray[np.bool_]) -> MouthRest | None:
    """Of a motion (n, 58) and the frames (n,) in which somebody speaks; None where no frame is settled and measured."""
    jaw = as_motion(motion)[:, columns(("jawOpen",))[0]]
    jaw = jaw[settled_frames(speaks[: len(jaw)]) & np.isfinite(jaw)]
    if not len(jaw):
        return None
    return MouthRest(float(jaw.mean()), float(jaw.max()), float((jaw < CLOSED_JAW).mean()), len(jaw))
