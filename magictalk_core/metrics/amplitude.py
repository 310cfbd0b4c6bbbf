"""How much a motion moves, beside the real one: a mean of many possible mouths has too small a movement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.coefficients import ERROR_GROUPS
from magictalk_core.metrics.motion import columns, paired

__all__ = ["amplitude_ratios"]

_MOVES = 5e-3
"""Standard deviation of a real channel below which it counts as still."""


def amplitude_ratios(truth: NDArray[Any], generated: NDArray[Any]) -> dict[str, float | None]:
    """Group -> root of the generated variance over the real one, over the channels that move in the real clip.

    Both motions (frames, 58). 1 as much, below 1 too still, 0 frozen; None for a group that the real clip holds still.
    """
    first, second = paired(truth, generated)
    found: dict[str, float | None] = {}
    for group, names in ERROR_GROUPS.items():
        places = [i for i in columns(names) if np.isfinite(first[:, i]).sum() > 2]
        real, made = np.nanvar(first[:, places], axis=0), np.nanvar(second[:, places], axis=0)
        moving = real > _MOVES**2
        found[group] = float(np.sqrt(made[moving].sum() / real[moving].sum())) if moving.any() else None
    return found
