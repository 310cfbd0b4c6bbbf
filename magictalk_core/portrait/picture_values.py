"""Pictures of more than eight bits: scaled by the range that their numbers are meant in, never cut off at 255."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["deep_values", "is_deep", "to_eight_bits"]

_WHITES = {"i": (255.0, 32767.0, 65535.0, 2.0**31 - 1), "u": (65535.0, 2.0**32 - 1), "f": (1.0, 255.0, 65535.0)}
"""What programs write for white, by the kind of number."""
_BRIGHT = 98.0
"""Percentile of a bright place: lamps and hot pixels do not count."""
_TOO_DARK = 0.1
"""A picture whose bright places are below this share of white is meant in another range, such as twelve bits."""
_ROUNDING = 1.001

_PHOTOMETRIC, _SAMPLE_FORMAT, _BITS = 262, 339, 258
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow would cut the values of this picture off at 255: 16-bit and 32-bit grey, and floats."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def deep_values(image: Image.Image) -> NDArray[Any]:
    """(h, w) numbers of a deep picture as its file means them: Pillow has no unsigned 32 bits and no inverted grey."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "I" and _first(tags, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED and _first(tags, _BITS, 0) == 32:
        values = values.view(np.uint32)
    if _first(tags, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    return values


def _first(tags: Any, number: int, otherwise: int) -> int:
    value = tags.get(number, otherwise)
    return int(value[0] if isinstance(value, tuple) else value)


def to_eight_bits(values: NDArray[Any]) -> tuple[NDArray[np.uint8], str | None]:
    """Numbers of any kind and shape in 0..255, and a remark where their range had to be guessed."""
    given = values.astype(np.float32)
    finite = given[np.isfinite(given)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    numbers = np.nan_to_num(given, nan=0.0, posinf=high, neginf=low)
    if high <= 0.0 <= low:
        return np.zeros(values.shape, np.uint8), None
    if low < 0.0:
        black, white = (-1.0, 1.0) if low >= -_ROUNDING and high <= _ROUNDING else (low, high)
        return _scaled(numbers, black, white), f"values from {low:.4g} to {high:.4g}: black is {black:.4g}"
    white = next((each for each in _WHITES[values.dtype.kind] if high <= each * _ROUNDING), high)
    bright = float(np.percentile(finite, _BRIGHT))
    if bright >= _TOO_DARK * white or bright <= 0.0:
        return _scaled(numbers, 0.0, white), None
    fewer_bits = 2.0 ** math.ceil(math.log2(high + 1)) - 1
    guessed = fewer_bits if bright >= _TOO_DARK * fewer_bits else bright
    return _scaled(numbers, 0.0, guessed), f"values of at most {high:.4g}: white is {guessed:.4g}"


def _scaled(numbers: NDArray[np.float32], black: float, white: float) -> NDArray[np.uint8]:
    share = (numbers - np.float32(black)) * np.float32(255.0 / max(white - black, 1e-12))
    return np.asarray(np.clip(np.rint(share), 0, 255), np.uint8)
