"""Whether a video still shows its visible label, as far as that can be measured."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.tile import write_text_line

__all__ = ["LABEL_SEEN", "LabelFinder"]

LABEL_SEEN = 0.6
"""Correlation from which the word counts as seen; pictures without it reach 0.4."""

_SHARES = (0.04, 0.03, 0.05)
"""Heights of capital letters over the height of the frame, as `label.stamp` writes them, and nearby."""
_PANEL_HEIGHTS = (10, 7.5)
"""In pixels, as below the panels of a comparison, and after a downscale to 75 %."""


class LabelFinder:
    """Looks for a word anywhere in the mean of the frames it is given: a face moves, a label does not."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._sum: NDArray[np.float32] | None = None
        self._frames = 0

    def add(self, luma: NDArray[np.uint8]) -> None:
        """Brightness of a frame (h, w)."""
        if self._sum is None:
            self._sum = np.zeros(luma.shape, np.float32)
        if luma.shape == self._sum.shape:
            self._sum += luma
            self._frames += 1

    def correlation(self) -> float:
        """The best with the word's drawing, light on dark or dark on light, from 0 to 1."""
        if self._sum is None:
            return 0.0
        mean = np.asarray(self._sum / self._frames, np.float32)
        heights = {*(max(9, round(mean.shape[0] * share)) for share in _SHARES), *_PANEL_HEIGHTS}
        return max(_best(mean, _drawn(self._word, height)) for height in sorted(heights))


def _drawn(word: str, height: float) -> NDArray[np.float32]:
    blank = np.zeros((round(height) + 8, len(word) * round(height) * 2, 3), np.uint8)
    width = write_text_line(blank, word, 3, round(height) + 4, height, (255, 255, 255))
    return blank[:, : width + 6, 0].astype(np.float32)


def _best(mean: NDArray[np.float32], word: NDArray[np.float32]) -> float:
    if mean.shape[0] < word.shape[0] or mean.shape[1] < word.shape[1]:
        return 0.0
    found = cv2.matchTemplate(mean, word, cv2.TM_CCOEFF_NORMED)
    return float(np.abs(np.nan_to_num(found, posinf=0.0, neginf=0.0)).max())
