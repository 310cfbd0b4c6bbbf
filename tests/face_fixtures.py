"""A face that every installation has, and pictures made from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from magictalk_core.errors import TransientError
from magictalk_core.weights.manifest import WEIGHTS
from magictalk_core.weights.resolver import resolve


def need_embedded_weights() -> None:
    """Skip where the networks of the mediapipe wheel are neither in the cache nor to be had from a package index."""
    try:
        for name, file in WEIGHTS.items():
            if file.source.startswith("pypi:mediapipe"):
                resolve(name)
    except TransientError as error:
        pytest.skip(f"needs the face networks of the mediapipe wheel: {error}")


def astronaut() -> NDArray[np.uint8]:
    """(256, 256, 3): the head of the public-domain portrait."""
    crop = skimage.data.astronaut()[10:266, 96:352]
    return np.ascontiguousarray(crop)


def turned(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turned counter-clockwise about the centre."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def mirrored(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, ::-1])


def noise(side: int = 256) -> NDArray[np.uint8]:
    """No face."""
    return np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
