"""A strongly regularised linear readout from speech features to the mouth, in closed form.

Principal components of the features of a frame, those of a few frames around it side by side, ridge regression: on
minutes of speech it follows an unknown voice better than a recurrent network does, which has it for its base. The
components are folded in, so what is left is one matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["Readout", "Stretch", "fit_readout", "frames_around"]

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Frames in a row: speech `features` (n, F) and `mouth` (n, M). Of one whose level does not count only the motion
    teaches: what differs from its mean."""

    features: NDArray[np.floating]
    mouth: NDArray[np.floating]
    level_counts: bool = True


@dataclass(frozen=True, eq=False)
class Readout:
    """`weight` (M, width, F) of the features around a frame, in their order, and `bias` (M,)."""

    weight: Values
    bias: Values

    def mouth(self, features: NDArray[np.floating]) -> Values:
        """(n, M) of (n, F), not yet limited to 0..1."""
        windows = frames_around(np.asarray(features, np.float64), self.weight.shape[1])
        return windows.reshape(len(windows), -1) @ self.weight.reshape(len(self.weight), -1).T + self.bias


def frames_around(values: Values, width: int) -> Values:
    """(n, width, F): the `width` rows centred on each row of (n, F), the first and last repeated beyond the ends. An
    even width has one more row after than before, as `training_set.speech_context` has it."""
    places = np.arange(len(values))[:, None] + np.arange(width) - (width - 1) // 2
    return values[np.clip(places, 0, len(values) - 1)]


def _components(stretches: Sequence[Stretch], count: int) -> tuple[Values, Values]:
    """Mean (F,) and the `count` principal directions (F, count) of all frames' features."""
    size = stretches[0].features.shape[1]
    frames, total, squares = 0, np.zeros(size), np.zeros((size, size))
    for stretch in stretches:
        values = np.asarray(stretch.features, np.float64)
        frames, total, squares = frames + len(values), total + values.sum(0), squares + values.T @ values
    mean = total / frames
    _, directions = np.linalg.eigh(squares / frames - np.outer(mean, mean))
    return mean, directions[:, ::-1][:, :count]


def fit_readout(stretches: Iterable[Stretch], width: int, components: int, ridge: float) -> Readout:
    """The readout of `width` frames that fits `stretches` best in least squares, under a penalty.

    `components` are kept of each frame's features. `ridge` is the weight of the squared weights, in units of the mean
    variance of the components: 0 is plain least squares. Raises `PermanentError` where nothing tells the level.
    """
    known = list(stretches)
    if not any(len(stretch.mouth) and stretch.level_counts for stretch in known):
        raise PermanentError("linear readout: expected training frames whose level counts, found none")
    mean, directions = _components(known, components)
    size, channels = width * directions.shape[1], known[0].mouth.shape[1]
    inputs = [frames_around((np.asarray(s.features, np.float64) - mean) @ directions, width) for s in known]
    pairs = [(x.reshape(len(x), -1), np.asarray(s.mouth, np.float64)) for x, s in zip(inputs, known, strict=True)]
    counted = [pair for pair, stretch in zip(pairs, known, strict=True) if stretch.level_counts]
    level_x, level_y = (np.concatenate(values).mean(0) for values in zip(*counted, strict=True))
    squares, products = np.zeros((size, size)), np.zeros((size, channels))
    for (x, y), stretch in zip(pairs, known, strict=True):
        from_x, from_y = (level_x, level_y) if stretch.level_counts else (x.mean(0), y.mean(0))
        squares += (x - from_x).T @ (x - from_x)
        products += (x - from_x).T @ (y - from_y)
    penalty = ridge * np.trace(squares) / size
    solved = np.linalg.solve(squares + penalty * np.eye(size), products)
    weight = np.einsum("wcm,fc->mwf", solved.reshape(width, -1, channels), directions)
    bias = level_y - level_x @ solved - np.einsum("mwf,f->m", weight, mean)
    return Readout(weight, bias)
