"""What the picture metrics take, told in one place: uint8 RGB pictures, checked before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["Pictures", "luminance", "picture_batch", "picture_pair"]

Pictures = NDArray[np.uint8]


def picture_pair(a: NDArray[Any], b: NDArray[Any], least_side: int = 1) -> tuple[Pictures, Pictures]:
    """Two pictures (H, W, 3) uint8 of one size, unchanged. Raises `PermanentError` for anything else."""
    for picture in (a, b):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or min(picture.shape) < 1:
            raise PermanentError(f"expected a picture (H, W, 3) of uint8, found {picture.shape} of {picture.dtype}")
    if a.shape != b.shape:
        raise PermanentError(f"expected two pictures of one size, found {a.shape[:2]} and {b.shape[:2]}")
    if min(a.shape[:2]) < least_side:
        raise PermanentError(f"expected sides of at least {least_side} pixels, found {a.shape[:2]}")
    return a, b


def picture_batch(frames: NDArray[Any], least_side: int = 1) -> Pictures:
    """Frames (n, H, W, 3) uint8, unchanged; n may be 0. Raises `PermanentError` for anything else."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise PermanentError(f"expected frames (n, H, W, 3) of uint8, found {frames.shape} of {frames.dtype}")
    if min(frames.shape[1:3]) < least_side:
        raise PermanentError(f"expected sides of at least {least_side} pixels, found {frames.shape[1:3]}")
    return frames


def luminance(picture: NDArray[Any]) -> Pictures:
    """(H, W) uint8 of (H, W) or (H, W, 3) uint8: ITU-R 601 in the fixed-point arithmetic of Pillow's mode L."""
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        raise PermanentError(f"expected (H, W) or (H, W, 3) of uint8, found {picture.shape} of {picture.dtype}")
    if picture.ndim == 2:
        return picture
    red, green, blue = (picture[..., c].astype(np.uint32) for c in range(3))
    return np.asarray((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16, np.uint8)
