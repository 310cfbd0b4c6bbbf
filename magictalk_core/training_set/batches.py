"""Which windows an optimizer step sees: a pure function of (seed, step), whatever was run or interrupted before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchOrder", "evenly"]

Indices = NDArray[np.int64]


class BatchOrder:
    """One shuffle of the window starts per epoch, full batches only; what is left over changes with every epoch.

    The order of the epoch at hand is kept: shuffling three million windows anew in every step would take longer than
    many a step.
    """

    def __init__(self, starts: Indices, size: int, seed: int) -> None:
        self.starts, self.size, self.seed = starts, size, seed
        self._epoch = -1
        self._order = starts

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.starts) // self.size)

    def batch(self, step: int) -> Indices:
        """The starts of optimizer step `step`."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.starts)
            self._epoch = epoch
        return np.asarray(self._order[position * self.size : (position + 1) * self.size])


def evenly(starts: Indices, count: int) -> Indices:
    """At most `count` of the starts, evenly spread."""
    return np.asarray(starts[np.linspace(0, len(starts) - 1, min(count, len(starts))).round().astype(int)])
