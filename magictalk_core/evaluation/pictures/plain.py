"""Picture metrics that need no network: likeness to the recording, sharpness."""

from __future__ import annotations

import numpy as np

from magictalk_core.evaluation.pictures.crops import CROP_SIZE, crops_of, shrunk
from magictalk_core.evaluation.pictures.values import NO_TRUTH, Made, PictureValue, mean
from magictalk_core.metrics.cpbd import cpbd
from magictalk_core.metrics.psnr_ssim import psnr, ssim

__all__ = ["likeness", "sharpness"]

_LARGE = 512


def likeness(made: Made) -> list[PictureValue]:
    """PSNR and SSIM, frame by frame."""
    found = []
    for name, metric in (("psnr", psnr), ("ssim", ssim)):
        value, reason = None, NO_TRUTH
        if made.clip.has_truth:
            value = mean(metric(a, b) for a, b in zip(made.truth, made.crops, strict=True))
            reason = "equal to the recording, pixel by pixel"
        found.append(made.value(name, value, reason))
    return found


def sharpness(made: Made) -> list[PictureValue]:
    """CPBD of the crops, never enlarged, and of whole frames of 512 pixels where there are so many."""
    side = min(CROP_SIZE, int(np.median([box.size for box in made.boxes])))
    judged, boxes = made.frames[:: made.every], made.boxes[: len(made.frames) : made.every]
    crops = made.crops[:: made.every] if side == CROP_SIZE else crops_of(judged, boxes, None)
    found = [made.value("cpbd", mean(map(cpbd, crops)), "no edge to measure", size=side)]
    large, reason = None, f"frames are {made.frames.shape[1]} px: set media.size to {_LARGE} in the preset"
    if min(made.frames.shape[1:3]) >= _LARGE:
        large = mean(cpbd(shrunk(frame, _LARGE)) for frame in judged)
    return [*found, made.value("cpbd_512", large, reason, size=_LARGE, crop="whole frame")]
