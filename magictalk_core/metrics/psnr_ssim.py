"""PSNR and SSIM of two pictures of one size, with the conventions of scikit-image.

SSIM: Wang et al., Image quality assessment (2004), with a 7 x 7 uniform window, sample covariance, K1 0.01, K2 0.03,
the mean over the colours and over all windows that lie within the picture: what the field's script computes
(yuangan/evaluation_eat, code/test_psnr_ssim.py).
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.pictures import picture_pair

__all__ = ["psnr", "ssim"]

_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

Floats = NDArray[np.float64]


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """10 log10(255^2 / mean square difference) in dB, higher is more alike; infinite for equal pictures.

    a, b: (H, W, 3) uint8 of one size. Raises `PermanentError` for anything else.
    """
    first, second = picture_pair(a, b)
    error = float(np.square(first.astype(np.float64) - second).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def ssim(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Structural similarity, -1 to 1, 1 for equal pictures.

    a, b: (H, W, 3) uint8 of one size, sides at least 7. Raises `PermanentError` for anything else.
    """
    first, second = picture_pair(a, b, least_side=_WINDOW)
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    var_x = unbiased * (_window_mean(x * x) - mean_x**2)
    var_y = unbiased * (_window_mean(y * y) - mean_y**2)
    shared = unbiased * (_window_mean(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * shared + _C2) / (var_x + var_y + _C2)
    return float((luminance * structure).mean())


def _window_mean(values: Floats) -> Floats:
    """Mean of every whole window of (H, W, 3), (H - 6, W - 6, 3). The sums are of whole numbers and exact; OpenCV's are
    ready in a tenth of the time that SciPy's take."""
    edge = _WINDOW // 2
    sums = cv2.boxFilter(values, cv2.CV_64F, (_WINDOW, _WINDOW), normalize=False)
    return np.asarray(sums[edge:-edge, edge:-edge]) / _WINDOW**2
