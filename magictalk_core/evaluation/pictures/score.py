"""What the picture metrics say of one video of a test clip: finished frames of any method against the recording.

`score_video` is the one way in, for what is rendered here and for finished videos of other systems. A metric that
cannot be computed, since weights are missing or the clip lacks something, is a value of None with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from magictalk_core.evaluation.pictures.clip import PictureClip, read_video
from magictalk_core.evaluation.pictures.crops import CROP_SIZE, Frames, crops_of
from magictalk_core.evaluation.pictures.judged import (
    expressions,
    eye_blinks,
    identities,
    landmark_distances,
    perceptual,
    synchrony,
)
from magictalk_core.evaluation.pictures.plain import likeness, sharpness
from magictalk_core.evaluation.pictures.values import NO_WEIGHTS, UNITS, Made, PictureValue

__all__ = ["nothing_scored", "score_video"]

_METRICS: tuple[Callable[[Made], list[PictureValue]], ...] = (
    likeness,
    perceptual,
    sharpness,
    landmark_distances,
    synchrony,
)
_OF_PEOPLE: tuple[Callable[[Made], list[PictureValue]], ...] = (eye_blinks, identities, expressions)
"""What is asked of pictures that show somebody; a rig is nobody."""


def score_video(video: Path | Frames, clip: PictureClip, every: int = 1) -> list[PictureValue]:
    """Every picture metric of a finished video, a file or its frames (n, h, w, 3), against the recording of `clip`.

    Frames beyond the shorter of both do not count. `every`: frames from one to the next that sharpness, identity and
    expression are read from. Raises `MediaError` for a file that cannot be read.
    """
    frames = read_video(video, len(clip.frames)) if isinstance(video, Path) else video[: len(clip.frames)]
    made = _made(frames, clip, every)
    metrics = (*_METRICS, *(_OF_PEOPLE if clip.is_person else ()))
    return [value for metric in metrics for value in metric(made)]


def nothing_scored(reason: str) -> list[PictureValue]:
    """The rows of a video that cannot be judged at all."""
    return [PictureValue(name, None, unit, reason, NO_WEIGHTS, "none", None) for name, unit in UNITS.items()]


def _made(frames: Frames, clip: PictureClip, every: int) -> Made:
    height, width = frames.shape[1:3]
    boxes = clip.track.scaled_to(width, height).boxes()
    return Made(clip, frames, crops_of(frames, boxes, CROP_SIZE), clip.crops[: len(frames)], boxes, every)
