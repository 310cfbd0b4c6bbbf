"""What the picture metrics take and give: the cut frames of one video, and values that say how they were measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import PictureClip
from magictalk_core.evaluation.pictures.crops import CROP_SIZE, Frames
from magictalk_core.evaluation.pictures.networks import Judge, landmarks
from magictalk_core.media.crop import CropBox
from magictalk_core.metrics.catalogue import PICTURE_METRICS

__all__ = ["JUDGED", "NO_TRUTH", "NO_WEIGHTS", "UNITS", "Made", "PictureValue", "mean"]

NO_WEIGHTS = "none"
NO_TRUTH = "driven by another clip's speech: nobody recorded what this face would have done"

JUDGED = (
    *("psnr", "ssim", "lpips_alex", "lpips_vgg", "cpbd", "cpbd_512"),
    *("lmd_px", "lmd_raw_px", "lmd_mouth_px", "lmd_iod_percent", "lse_d", "lse_c", "lse_offset"),
    *("picture_blinks_per_minute", "csim", "same_person"),
    *("emotion_fan_accuracy", "face_api_emotion_accuracy", "fer_emotion_accuracy"),
)
UNITS = {name: PICTURE_METRICS[name].unit for name in JUDGED}
"""Every metric that a video of a clip is asked for, and its unit."""


@dataclass(frozen=True)
class PictureValue:
    """One metric of one video: `value`, or None and the `reason`; which `weights` judged pictures of which `size`, and
    which part of the frames they show."""

    metric: str
    value: float | None
    unit: str
    reason: str | None
    weights: str
    crop: str
    size: int | None


@dataclass(frozen=True, eq=False)
class Made:
    """The frames of a method, cut with the boxes of the recording: `crops` (n, 256, 256, 3), `truth` alike.

    `every`: frames from one to the next that sharpness, identity and expression are read from.
    """

    clip: PictureClip
    frames: Frames
    crops: Frames
    truth: Frames
    boxes: Sequence[CropBox]
    every: int

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, 68, 2) landmarks of the crops, NaN where no face is seen."""
        return np.asarray(landmarks().use().points(self.crops), np.float64)

    def value(
        self,
        metric: str,
        value: float | None,
        reason: str,
        *,
        weights: str = NO_WEIGHTS,
        size: int = CROP_SIZE,
        crop: str | None = None,
    ) -> PictureValue:
        """A value of these pictures; `reason` is told where there is none."""
        told = reason if value is None else None
        return PictureValue(metric, value, UNITS[metric], told, weights, crop or self.clip.shows, size)

    def missing(self, metric: str, judge: Judge) -> PictureValue:
        """No value, since the weights of the judge are not here."""
        return self.value(metric, None, judge.missing or "", weights=judge.weights)


def mean(values: Iterable[float]) -> float | None:
    """Of the finite ones; None where there is none."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else None
