"""Blinks, found in the eyeBlink coefficients as every tracker gives them.

Trackers differ in how far they close an eye: in the blinks of the sample corpus, whose curves reach 1, the coefficients
of the geometric solver reach 0.09 to 0.42, and a threshold at 0.5 finds none. So a blink is a peak: the mean of both
lids goes up and down again by at least `LEAST_RISE` and by a third of the highest such rise in the clip, and it is half
up for 1.5 to 10 frames at 25 fps (60 to 400 ms). A longer one is a closed eye. Of the 65 blinks of the sample corpus 64
are found in the tracked motion, and nothing else. Real speech shows about 15 to 30 blinks per minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks, peak_widths

from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["BLINK_MAX_FRAMES", "BLINK_MIN_FRAMES", "LEAST_RISE", "Blinks", "find_blinks"]

LEAST_RISE = 0.05
"""Of the mean of both lids; less is the noise of a tracker, or a lid that follows the gaze."""

_SHARE = 1 / 3
BLINK_MIN_FRAMES = 1.5
BLINK_MAX_FRAMES = 10


@dataclass(frozen=True)
class Blinks:
    """Blinks of one motion: (frame of the peak, frames for which the lids are half up) of each, and how many frames
    had measured eyes."""

    peaks: tuple[tuple[int, float], ...]
    measured_frames: int
    fps: int = FRAME_RATE

    @property
    def per_minute(self) -> float | None:
        """Blinks per minute of measured time; None when the eyes were never measured."""
        if self.measured_frames == 0:
            return None
        return len(self.peaks) * 60.0 * self.fps / self.measured_frames

    @property
    def mean_duration_s(self) -> float | None:
        """Mean length of a blink at half its height; None without a blink."""
        if not self.peaks:
            return None
        return sum(frames for _, frames in self.peaks) / len(self.peaks) / self.fps


def find_blinks(motion: NDArray[Any]) -> Blinks:
    """The blinks of a motion of shape (frames, 58) at 25 fps. A frame without both eyeBlink values ends a blink."""
    lids = as_motion(motion)[:, columns(("eyeBlinkLeft", "eyeBlinkRight"))].mean(axis=1)
    measured = np.isfinite(lids)
    found: list[tuple[int, float]] = []
    edges = np.flatnonzero(np.diff(np.concatenate(([0], measured.astype(np.int8), [0]))))
    stretches = [(int(start), lids[start:end]) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    peaks = [(start, *_peaks(values)) for start, values in stretches]
    highest = max((float(rise) for _, _, rises, _ in peaks for rise in rises), default=0.0)
    for start, at, rises, widths in peaks:
        for place, rise, width in zip(at, rises, widths, strict=True):
            if rise >= _SHARE * highest and BLINK_MIN_FRAMES <= width <= BLINK_MAX_FRAMES:
                found.append((start + int(place), float(width)))
    return Blinks(tuple(found), int(measured.sum()))


def _peaks(lids: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(places, rises, frames at half the rise) of the peaks that rise enough; level ends do not hide one at an edge."""
    padded = np.concatenate([lids[:1].repeat(1), lids, lids[-1:].repeat(1)])
    at, facts = find_peaks(padded, prominence=LEAST_RISE)
    widths = peak_widths(padded, at, rel_height=0.5)[0] if len(at) else np.zeros(0)
    return at - 1, facts["prominences"], widths
