"""The pictures of one clip, scored in a child process: all that is drawn of it, and finished videos of others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.pictures.clip import OF_THE_RIG, NoFace, PictureClip, open_clip, read_video
from magictalk_core.evaluation.pictures.crops import Frames, whole_frames
from magictalk_core.evaluation.pictures.fid import ClipFeatures
from magictalk_core.evaluation.pictures.render import Pose, Renderer, Renderers, renderers_of, with_pose_of
from magictalk_core.evaluation.pictures.score import nothing_scored, score_video
from magictalk_core.evaluation.pictures.stand_ins import RERENDERED
from magictalk_core.evaluation.pictures.values import PictureValue
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.media.container import MediaError
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.rig.rig import load_rig
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace

__all__ = ["ClipTask", "ScoredVideos", "drawn", "score_clip"]

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class ClipTask:
    """What a child is told: all of it in words and numbers. `piece` is where its rows will lie; beside it, as `.npz`,
    what FID is computed from."""

    home: str
    clip_id: str
    driver: str
    motion: str
    rig: str
    emotion_fan: str | None
    most_frames: int | None
    every: int
    others: dict[str, str]
    piece: str

    @property
    def features(self) -> Path:
        """Not there for a clip that shows no face."""
        return Path(self.piece).with_suffix(".npz")


def score_clip(values: dict[str, Any]) -> int:
    """Score one clip and leave its rows at the task's `piece`; gives how many. `values`: the fields of a `ClipTask`."""
    task = ClipTask(**values)
    try:
        videos = ScoredVideos(_opened(task), task.every)
        with renderers_of(videos.clip, load_rig(Path(task.rig))) as renderers:
            rows = list(videos.ours(renderers, _motions(task)))
        rows += videos.of_others(task.others)
        videos.features.save(task.features)
    except NoFace as error:
        truth = (GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH)
        rows = [_row(task.clip_id, *truth, one) for one in nothing_scored(str(error))]
    write_text(Path(task.piece), json.dumps(rows))
    return len(rows)


def _opened(task: ClipTask) -> PictureClip:
    workspace = Workspace(Path(task.home))
    reader = CorpusReader(workspace, task.clip_id.split("/")[0])
    clip = open_clip(reader, task.clip_id, load_face_detector(), task.most_frames)
    if task.driver != task.clip_id:
        speaker = CorpusReader(workspace, task.driver.split("/")[0])
        clip = replace(clip, audio=speaker.media(task.driver)[1], has_truth=False)
    return replace(clip, emotion_fan=None if task.emotion_fan is None else Path(task.emotion_fan))


def _motions(task: ClipTask) -> dict[str, Motion]:
    table = read_frame(MOTION, Path(task.motion), filters=[("clip_id", "==", task.clip_id)])
    return {
        str(method): own.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)[: task.most_frames]
        for method, own in table.groupby("method", observed=True, sort=True)
    }


class ScoredVideos:
    """Rows of `picture_scores` for the videos of one clip, and in `features` what FID is computed from.

    `every`: frames from one to the next that sharpness, identity, expression and FID are read from.
    """

    def __init__(self, clip: PictureClip, every: int) -> None:
        self.clip, self.every, self.features = clip, every, ClipFeatures()

    def ours(self, renderers: Renderers, motions: Mapping[str, Motion]) -> Iterator[dict[str, Any]]:
        """The recording, and every method through portrait and rig, with both head poses."""
        clip = self.clip
        if clip.has_truth:
            yield from self._scored((GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH), clip.frames, clip)
        drawn_truth = renderers.frames(Renderer.RIG, clip.motion)
        on_rig = replace(
            clip,
            is_person=False,
            frames=drawn_truth,
            crops=drawn_truth,
            track=whole_frames(drawn_truth),
            shows=OF_THE_RIG,
        )
        for renderer, reference in ((Renderer.PORTRAIT, clip), (Renderer.RIG, on_rig)):
            for method, pose, motion in drawn(clip, motions):
                yield from self._scored((method, renderer, pose), renderers.frames(renderer, motion), reference)

    def of_others(self, others: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Of finished videos; one that cannot be read has rows that say so."""
        for system, file in others.items():
            video = (system, Renderer.EXTERNAL, Pose.FREE)
            try:
                frames = read_video(Path(file), len(self.clip.frames))
            except MediaError as error:
                for value in nothing_scored(f"{Path(file).name}: {error}"):
                    yield _row(self.clip.clip_id, *video, value)
                continue
            yield from self._scored(video, frames, self.clip)

    def _scored(
        self, video: tuple[str, Renderer, Pose], frames: Frames, reference: PictureClip
    ) -> Iterator[dict[str, Any]]:
        self.features.add(video, frames, reference, self.every)
        for value in score_video(frames, reference, self.every):
            yield _row(self.clip.clip_id, *video, value)


def drawn(clip: PictureClip, motions: Mapping[str, Motion]) -> Iterator[tuple[str, Pose, Motion]]:
    """(method, whose head pose, motion) of everything that is drawn."""
    if clip.has_truth:
        yield RERENDERED, Pose.TRUTH, clip.motion
    for method, motion in motions.items():
        yield method, Pose.GENERATED, motion
        if clip.has_truth:
            yield method, Pose.TRUTH, with_pose_of(motion[: len(clip.motion)], clip.motion)


def _row(clip_id: str, method: str, renderer: Renderer, pose: Pose, value: PictureValue) -> dict[str, Any]:
    named = {"clip_id": clip_id, "method": method, "renderer": str(renderer), "pose": str(pose)}
    return named | asdict(value)
