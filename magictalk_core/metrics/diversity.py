"""Diversity over seeds: how different are the performances of the same speech in the same style?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["diversity"]


def diversity(performances: Sequence[NDArray[Any]]) -> float:
    """Mean absolute difference between all pairs of motions (frames, D) of one clip, in the unit of the channels.

    0 when they are all the same: a model that ignores its noise. Source: multimodality in yunik1004/SAiD
    (said/metric), here on the coefficients themselves.
    """
    if len(performances) < 2:
        raise PermanentError("diversity needs at least two performances of the same clip")
    pairs = [np.abs(np.asarray(a) - np.asarray(b)).mean() for a, b in combinations(performances, 2)]
    return float(np.mean(pairs))
