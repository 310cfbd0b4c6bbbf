"""Blinks drawn beside the model: a rare event of a tenth of a second, of which minutes of speech hold a few dozen.

How often, how fast, how far and in what shape people blink is read from the training split; when the next one comes is
a renewal process: intervals of a gamma distribution, so that neither two blinks run into each other nor a clock shows.
docs/decisions/013 says why this is no part of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from magictalk_core.errors import PermanentError
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["BLINKS_FILE", "LID_NAMES", "BlinkProcess", "BlinkStatistics"]

BLINKS_FILE = "blinks.safetensors"

LID_NAMES = tuple(
    stem + side for stem in ("eyeBlink", "eyeLookDown", "eyeSquint", "eyeWide") for side in ("Left", "Right")
)
"""Channels that move with the lids."""

_REACH = 2.5
"""Widths of a blink on each side of its deepest moment that belong to it; the width is that at half its height."""
_GRID = np.linspace(-_REACH, _REACH, 51)
_LEAST_GAP_S = 0.4
_GAMMA_SHAPE = 2.5
"""Of the intervals beyond the least gap; clips of a few seconds tell a rate, but no distribution of intervals. People's
intervals vary by half to all of their mean (Bentivoglio et al. 1997); this and the gap give 0.5 to 0.6."""
_STREAM = 0xB11
_KEPT = 256

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BlinkStatistics:
    """What is known of the blinks of a training split.

    `shape` (51, C): change of each of `channels` per unit of rise of the lids, over -2.5 to 2.5 widths; `rises` (n,) of
    the mean of both lids and `widths` (n,) in frames at half the height, one of each per blink; n is 0 where nobody
    blinks.
    """

    channels: tuple[str, ...]
    per_minute: float
    shape: Rows
    rises: Rows
    widths: Rows

    @classmethod
    def fit(cls, data: TrainingSet) -> BlinkStatistics:
        """From the segments of the training split of `data`, with the detector of `metrics.blinks`."""
        # Imported here, for trainings: SciPy takes as long to load as everything else of a performance.
        from magictalk_core.metrics.blinks import find_blinks

        channels = tuple(name for name in LID_NAMES if name in data.channels)
        columns = [data.channels.index(name) for name in channels]
        lids = [channels.index(name) for name in channels if name.startswith("eyeBlink")]
        shapes, rises, widths, count, frames = [], [], [], 0, 0
        rows = data.index[data.index["split"] == Split.TRAIN].sort_values("start")
        for start, length in zip(rows["start"].tolist(), rows["length"].tolist(), strict=True):
            states = np.asarray(data.states[start : start + length])
            motion = np.full((length, len(MOTION_NAMES)), np.nan, np.float32)
            motion[:, [MOTION_NAMES.index(name) for name in data.channels]] = states
            blinks = find_blinks(motion)
            count, frames = count + len(blinks.peaks), frames + blinks.measured_frames
            for peak, width in blinks.peaks:
                found = _cut(states[:, columns], peak, width)
                rise = 0.0 if found is None else float(found[len(_GRID) // 2, lids].mean())
                if found is not None and rise > 0:
                    shapes.append(found / rise)
                    rises.append(rise)
                    widths.append(width)
        mean = np.mean(shapes, axis=0) if shapes else np.zeros((len(_GRID), len(channels)))
        per_minute = count * 60.0 * FRAME_RATE / frames if shapes else 0.0
        return cls(channels, per_minute, mean.astype(np.float32), _spread(rises), _spread(widths))

    def save(self, folder: Path) -> None:
        """Write `BLINKS_FILE` into `folder`."""
        values = {"shape": self.shape, "rises": self.rises, "widths": self.widths}
        metadata = {"channels": " ".join(self.channels), "per_minute": repr(self.per_minute)}
        save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, folder / BLINKS_FILE, metadata)

    @classmethod
    def load(cls, model: Path) -> BlinkStatistics:
        """Of a model folder. Raises `PermanentError` for one that was trained before blinks were read."""
        path = model / BLINKS_FILE
        if not path.is_file():
            raise PermanentError(
                f"{model} knows no blinks: train it again with `magictalk run --select models/emodiff`, or set "
                "emodiff.sampling.blinks to `model`"
            )
        with safe_open(path, "numpy") as file:
            metadata = file.metadata()
            shape, rises, widths = (file.get_tensor(name) for name in ("shape", "rises", "widths"))
        channels = tuple(metadata["channels"].split())
        return cls(channels, float(metadata["per_minute"]), shape, rises, widths)


class BlinkProcess:
    """The blinks of one performance, frame after frame, in pieces of any size: the same for the same `seeds`, whatever
    is said."""

    def __init__(self, statistics: BlinkStatistics, *seeds: int) -> None:
        self._known = statistics
        self._random = np.random.default_rng([_STREAM, *seeds])
        self._done = 0
        self._coming: list[tuple[float, float, float]] = []
        self._next = np.inf
        if statistics.per_minute > 0 and len(statistics.rises):
            self._mean = 60.0 * FRAME_RATE / statistics.per_minute
            self._gap = min(_LEAST_GAP_S * FRAME_RATE, self._mean / 2)
            self._next = self._begin()

    def push(self, frames: int) -> NDArray[np.float64]:
        """(frames, C) what is added to `channels` in the next frames."""
        times = np.arange(self._done, self._done + frames, dtype=np.float64)
        self._done += frames
        longest = _REACH * float(self._known.widths.max(initial=0.0))
        while self._next - longest < self._done:
            rise, width = (float(self._random.choice(v)) for v in (self._known.rises, self._known.widths))
            self._coming.append((self._next, rise, width))
            self._next += self._gap + self._random.gamma(_GAMMA_SHAPE, (self._mean - self._gap) / _GAMMA_SHAPE)
        added = np.zeros((frames, len(self._known.channels)))
        for at, rise, width in self._coming:
            for column in range(added.shape[1]):
                shape = self._known.shape[:, column]
                added[:, column] += rise * np.interp((times - at) / width, _GRID, shape, left=0.0, right=0.0)
        self._coming = [one for one in self._coming if one[0] + longest >= self._done]
        return added

    def _begin(self) -> float:
        """Frames to the first blink of somebody who has been blinking for long: a part of an interval that is drawn by
        its length, so that short clips have the rate of long ones."""
        free = self._mean - self._gap
        is_long = self._random.random() < free / self._mean
        shape = _GAMMA_SHAPE + 1 if is_long else _GAMMA_SHAPE
        interval = self._gap + self._random.gamma(shape, free / _GAMMA_SHAPE)
        return float(self._random.random() * interval)


def _cut(eyes: Rows, peak: int, width: float) -> NDArray[np.float64] | None:
    """(51, C) of eyes (n, C) about the peak in units of the width, less the line between its ends; None at an edge."""
    times = peak + _GRID * width
    if times[0] < 0 or times[-1] > len(eyes) - 1:
        return None
    places = np.arange(len(eyes))
    found = np.stack([np.interp(times, places, column) for column in eyes.T], axis=1)
    return np.asarray(found - np.linspace(found[0], found[-1], len(_GRID)))


def _spread(values: Sequence[float]) -> Rows:
    """The values in order, at most 256 of them, evenly chosen."""
    ordered = np.sort(np.asarray(values, np.float32))
    if len(ordered) <= _KEPT:
        return ordered
    return np.asarray(ordered[np.linspace(0, len(ordered) - 1, _KEPT).round().astype(int)])
