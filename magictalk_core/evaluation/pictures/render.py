"""The pictures of a method: its motion through the portrait of the clip, and through the rig."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import NoFace, PictureClip
from magictalk_core.evaluation.pictures.crops import CROP_SIZE, Frames
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES

__all__ = ["Pose", "Renderer", "Renderers", "renderers_of", "with_pose_of"]

Motion = NDArray[np.float32]
_POSE = [MOTION_NAMES.index(name) for name in POSE_NAMES]


class Renderer(StrEnum):
    """What turned a motion into pictures; `recorded`: nothing did, a camera saw them; `external`: a system of
    others, which gave a finished video."""

    RECORDED = "recorded"
    PORTRAIT = "portrait"
    RIG = "rig"
    EXTERNAL = "external"


class Pose(StrEnum):
    """Whose head pose the pictures show. LPIPS and LMD depend on it, and a model is free in it."""

    GENERATED = "generated"
    TRUTH = "ground_truth"
    FREE = "none"
    """Nobody chose it: what a system of others makes."""


class Renderers:
    """Portrait and rig of one clip, ready to draw. Holds GL contexts: use `renderers_of`."""

    def __init__(self, clip: PictureClip, rig: Rig) -> None:
        landmarks = portrait_landmarks(clip.portrait)
        if landmarks is None:
            raise NoFace(f"{clip.clip_id}: no face found in the frame that should be the portrait")
        self._rest = clip.rest
        # The whole frame, not a crop of its own: what is drawn lies where it lies in the recording.
        self._portrait = PortraitAnimator(clip.portrait, landmarks, rig, clip.side, crop=False)
        self._rig = RigRenderer(rig, CROP_SIZE)

    def frames(self, renderer: Renderer, motion: Motion) -> Frames:
        """(n, side, side, 3) of a motion (n, 58): the clip's side for the portrait, 256 for the rig."""
        drawn = self._rig.render(motion) if renderer is Renderer.RIG else self._portrait.render(motion, self._rest)
        return np.stack(list(drawn))

    def close(self) -> None:
        self._portrait.close()
        self._rig.close()


@contextmanager
def renderers_of(clip: PictureClip, rig: Rig) -> Iterator[Renderers]:
    """The renderers of a clip while the block lasts. Raises `NoFace` where its portrait shows no face."""
    found = Renderers(clip, rig)
    try:
        yield found
    finally:
        found.close()


def with_pose_of(motion: Motion, truth: Motion) -> Motion:
    """`motion` (n, 58) with the head pose of `truth` (m, 58), m at least n; where that was not measured, its own."""
    moved = motion.copy()
    pose = truth[: len(motion), _POSE]
    moved[:, _POSE] = np.where(np.isfinite(pose), pose, motion[:, _POSE])
    return moved
