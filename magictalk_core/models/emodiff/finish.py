"""From what the network draws to a performance: what a network of this size does not learn from minutes of speech.

All of it is asked for in `SamplingConfig` and off by default, looks at nothing that comes later, and needs no
training: a head that turns about where the portrait holds it and trembles no more than people do, blinks, and a mouth
that rests while nobody speaks. `MotionFinish.push` takes a motion in pieces of any length and gives the same values as
all of it at once.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.emodiff.blinks import BlinkProcess, BlinkStatistics
from magictalk_core.models.emodiff.config import SamplingConfig
from magictalk_core.models.emodiff.rest import at_rest, rest_state
from magictalk_core.vocabulary.arkit import POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["LowPass", "MotionFinish"]

Motion = NDArray[np.float32]


class LowPass:
    """Two equal poles, one after the other: smooth, without overshoot, half as strong at `hz`; it lags by about
    0.2 / hz seconds. Begins at rest in `first` (C,)."""

    def __init__(self, hz: float, first: NDArray[np.floating]) -> None:
        # Each pole alone is at 1/sqrt(2) of its amplitude at `hz`.
        self._keep = math.exp(-2 * math.pi * hz / FRAME_RATE)
        self._one = np.array(first, np.float64)
        self._two = self._one.copy()

    def push(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, C) of the next values (n, C)."""
        smooth = np.empty(values.shape, np.float64)
        for i, row in enumerate(values):
            self._one = row + self._keep * (self._one - row)
            self._two = self._one + self._keep * (self._two - self._one)
            smooth[i] = self._two
        return smooth


class MotionFinish:
    """What follows the network, for one performance in the style of the frames `style` (k, D).

    `first` (D,) is the state that the motion begins in, in natural units as everything here; `blinks` are needed where
    they are to be drawn. Columns named by `channels`.
    """

    def __init__(
        self,
        sampling: SamplingConfig,
        channels: Sequence[str],
        style: Motion,
        first: Motion,
        blinks: BlinkStatistics | None,
        seed: int,
    ) -> None:
        self._channels = tuple(channels)
        self._rest = rest_state(style, channels) if sampling.rest else None
        self._pose = [i for i, name in enumerate(channels) if name in POSE_NAMES]
        self._face = [i for i, name in enumerate(channels) if name not in POSE_NAMES]
        self._level = style[:, self._pose].mean(axis=0) if sampling.relative_pose else np.zeros(len(self._pose))
        self._head = LowPass(sampling.head_hz, first[self._pose] - self._level) if sampling.head_hz else None
        self._blinks: BlinkProcess | None = None
        if sampling.blinks == "drawn" and blinks is not None:
            self._lids = [self._channels.index(name) for name in blinks.channels]
            # Clips of one set are asked with one seed: without the style all of them would blink together.
            self._blinks = BlinkProcess(blinks, seed, zlib.crc32(np.ascontiguousarray(style).tobytes()))

    def push(self, motion: Motion, voice: Motion | None = None) -> Motion:
        """(n, D) of the next frames (n, D) as the network drew them; coefficients in [0, 1].

        `voice` (n,) is the activity of `speech.activity`; without it nobody knows when to rest.
        """
        made = motion.astype(np.float64)
        made[:, self._pose] -= self._level
        if self._head is not None:
            made[:, self._pose] = self._head.push(made[:, self._pose])
        if self._blinks is not None:
            made[:, self._lids] += self._blinks.push(len(made))
        if voice is not None and self._rest is not None:
            made = at_rest(made, self._channels, self._rest, voice)
        made[:, self._face] = made[:, self._face].clip(0.0, 1.0)
        return made.astype(np.float32)
