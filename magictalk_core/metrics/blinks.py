"""Blinks, counted in the eyeBlink coefficients.

A blink is a run of frames in which the mean of eyeBlinkLeft and eyeBlinkRight is above 0.5 and that lasts 2 to 10
frames at 25 fps (80 to 400 ms); a longer run is a closed eye. Real speech shows about 15 to 30 blinks per minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["BLINK_MAX_FRAMES", "BLINK_MIN_FRAMES", "BLINK_THRESHOLD", "Blinks", "find_blinks"]

BLINK_THRESHOLD = 0.5
BLINK_MIN_FRAMES = 2
BLINK_MAX_FRAMES = 10


@dataclass(frozen=True)
class Blinks:
    """Blinks of one motion: (first frame, frames) of each, and how many frames had measured eyes."""

    runs: tuple[tuple[int, int], ...]
    measured_frames: int
    fps: int = FRAME_RATE

    @property
    def per_minute(self) -> float | None:
        """Blinks per minute of measured time; None when the eyes were never measured."""
        if self.measured_frames == 0:
            return None
        return len(self.runs) * 60.0 * self.fps / self.measured_frames

    @property
    def mean_duration_s(self) -> float | None:
        """Mean length of a blink; None without a blink."""
        if not self.runs:
            return None
        return sum(frames for _, frames in self.runs) / len(self.runs) / self.fps


def find_blinks(motion: NDArray[Any], threshold: float = BLINK_THRESHOLD) -> Blinks:
    """The blinks of a motion of shape (frames, 58) at 25 fps. A frame without both eyeBlink values ends a run."""
    lids = as_motion(motion)[:, columns(("eyeBlinkLeft", "eyeBlinkRight"))].mean(axis=1)
    measured = np.isfinite(lids)
    shut = np.where(measured, lids, 0.0) > threshold
    edges = np.flatnonzero(np.diff(np.concatenate(([0], shut.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    runs = ((int(start), int(end - start)) for start, end in zip(starts, ends, strict=True))
    kept = tuple(run for run in runs if BLINK_MIN_FRAMES <= run[1] <= BLINK_MAX_FRAMES)
    return Blinks(kept, int(measured.sum()))
