"""The face of a style at rest, and a mouth that returns to it while nobody speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, POSE_NAMES

__all__ = ["at_rest", "rest_state"]

_QUIET_SHARE = 0.2
"""Of the style's frames those with the least open jaw show the mouth at rest: speech pauses and closes that often."""

Motion = NDArray[Any]


def rest_state(style: Motion, channels: Sequence[str]) -> Motion:
    """(D,) the face that the style frames (k, D) come back to: mouth of the frames with the least open jaw, median of
    the rest of the face, mean of the head pose. Columns named by `channels`."""
    rest = np.median(style, axis=0)
    pose = [i for i, name in enumerate(channels) if name in POSE_NAMES]
    rest[pose] = style[:, pose].mean(axis=0)
    if "jawOpen" in channels:
        jaw = style[:, channels.index("jawOpen")]
        quiet = style[jaw <= np.quantile(jaw, _QUIET_SHARE)]
        mouth = [i for i, name in enumerate(channels) if name in JAW_MOUTH_NAMES]
        rest[mouth] = np.median(quiet[:, mouth], axis=0)
        rest[channels.index("jawOpen")] = jaw.min()
    return np.asarray(rest, np.float32)


def at_rest(motion: Motion, channels: Sequence[str], rest: Motion, voice: NDArray[np.float32]) -> Motion:
    """A copy of `motion` (L, D) whose jaw and mouth are those of `rest` (D,), a `rest_state`, where the activity
    `voice` (L,) is 0, their own where it is 1, and on the way in between. Columns named by `channels`."""
    mouth = [i for i, name in enumerate(channels) if name in JAW_MOUTH_NAMES]
    rested = motion.copy()
    rested[:, mouth] = rest[mouth] + voice[:, None] * (motion[:, mouth] - rest[mouth])
    return rested
