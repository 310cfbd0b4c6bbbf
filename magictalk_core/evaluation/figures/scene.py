"""One clip with everything a figure shows of it: its recording, the motion of every method, what draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import PictureClip, open_clip
from magictalk_core.evaluation.pictures.crops import Frames
from magictalk_core.evaluation.pictures.render import Renderer, Renderers, renderers_of
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace

__all__ = ["Scene", "motions_of", "open_scene"]

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scene:
    """`motions`: method -> (n, 58). Frames are drawn when they are asked for."""

    clip: PictureClip
    rig: Rig
    motions: Mapping[str, Motion]
    renderers: Renderers

    @property
    def frames(self) -> int:
        """That recording and every method have."""
        return min(len(self.clip.frames), *(len(motion) for motion in self.motions.values()))

    def drawn(self, renderer: Renderer, motion: Motion) -> Frames:
        """(n, side, side, 3)."""
        return self.renderers.frames(renderer, motion[: self.frames])


def motions_of(workspace: Workspace, clip_id: str) -> dict[str, Motion]:
    """Method -> its motion for a picture clip."""
    path = workspace.picture_motion("test") / "motion.parquet"
    table = read_frame(MOTION, path, filters=[("clip_id", "==", clip_id)])
    return {
        str(method): own.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
        for method, own in table.groupby("method", observed=True, sort=True)
    }


@contextmanager
def open_scene(
    workspace: Workspace, clip_id: str, motions: Mapping[str, Motion], most_frames: int | None
) -> Iterator[Scene]:
    """The scene, no longer than `most_frames`, while the block lasts. Raises `NoFace` for a clip that shows no face."""
    reader = CorpusReader(workspace, clip_id.split("/")[0])
    clip, rig = open_clip(reader, clip_id, load_face_detector(), most_frames), load_rig(workspace.rig / "rig.npz")
    with renderers_of(clip, rig) as renderers:
        yield Scene(clip, rig, motions, renderers)
