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

__all__ = ["Moments", "Readout", "Stretch", "fit_readout", "frames_around"]

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
        return np.asarray(windows.reshape(len(windows), -1) @ self.weight.reshape(len(self.weight), -1).T + self.bias)


def frames_around(values: Values, width: int) -> Values:
    """(n, width, F): the `width` rows centred on each row of (n, F), the first and last repeated beyond the ends. An
    even width has one more row after than before, as `training_set.speech_context` has it."""
    places = np.arange(len(values))[:, None] + np.arange(width) - (width - 1) // 2
    return np.asarray(values[np.clip(places, 0, len(values) - 1)])


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


@dataclass(frozen=True, eq=False)
class Moments:
    """What least squares needs to know of the frames: `squares` (K, K) and `products` (K, M) of their K inputs, each
    less its level, and the levels of inputs and mouth. `mean` (F,) and `directions` (F, C) are the components."""

    width: int
    mean: Values
    directions: Values
    squares: Values
    products: Values
    level_x: Values
    level_y: Values

    @classmethod
    def of(cls, stretches: Iterable[Stretch], width: int, components: int, is_within: bool = False) -> Moments:
        """Of `width` frames and so many principal components of each. `is_within`: every stretch teaches weights by its
        motion alone, and those whose level counts the level. Raises `PermanentError` where nothing tells the level of
        the mouth."""
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
            from_x, from_y = (level_x, level_y) if stretch.level_counts and not is_within else (x.mean(0), y.mean(0))
            squares += (x - from_x).T @ (x - from_x)
            products += (x - from_x).T @ (y - from_y)
        return cls(width, mean, directions, squares, products, level_x, level_y)

    def readout(self, ridge: float) -> Readout:
        """The best fit under a penalty on squared weights, `ridge` times the mean variance of the inputs; 0: none."""
        size = len(self.squares)
        penalty = ridge * np.trace(self.squares) / size
        solved = np.linalg.solve(self.squares + penalty * np.eye(size), self.products)
        weight = np.einsum("wcm,fc->mwf", solved.reshape(self.width, -1, solved.shape[1]), self.directions)
        bias = self.level_y - self.level_x @ solved - np.einsum("mwf,f->m", weight, self.mean)
        return Readout(weight, bias)


def fit_readout(stretches: Iterable[Stretch], width: int, components: int, ridge: float) -> Readout:
    """The readout of `width` frames and `components` of each that fits `stretches` best under the penalty `ridge`."""
    return Moments.of(stretches, width, components).readout(ridge)
