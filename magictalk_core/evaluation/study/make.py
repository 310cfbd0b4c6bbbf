"""A study made ready: the page with its blinded videos in a folder to hand out, the key in the workspace.

All videos are written alike, whoever made them: same size, same encoder, same label and tags, so that nothing but what
they show tells them apart. Ours are drawn from the motion of `refined` through the portrait, as in the comparison
videos; those of other systems are taken from `external_videos`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.comparison import resting_frame
from magictalk_core.evaluation.external.clips import TestClip, read_test_clips
from magictalk_core.evaluation.external.videos import external_files
from magictalk_core.evaluation.study.definition import Study
from magictalk_core.evaluation.study.page import page_html
from magictalk_core.evaluation.study.plan import DEGRADED, StudyClip, plan_study
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.media.decode import read_frames
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.generated import mark_of, write_generated
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.storage.atomic import atomic_directory, write_text
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.needed import needed
from magictalk_core.workspace import Workspace

__all__ = ["MadeStudy", "make_study"]

_BLOCKS = 10
"""Blocks along a side of a video that an attention check spoils."""


@dataclass(frozen=True)
class MadeStudy:
    """A study that can be handed out."""

    page: Path
    key: Path
    study: str
    methods: tuple[str, ...]
    clips: int
    pairs: int
    pairs_each: int
    checks: int


def make_study(
    workspace: Workspace,
    corpora: Sequence[str],
    preset: Preset,
    out: Path,
    *,
    clips: int = 4,
    pairs_each: int = 0,
    checks: int = 2,
    seed: int = 0,
    methods: Sequence[str] = (),
) -> MadeStudy:
    """Write the page to the new folder `out` and the key to `study/key.json`.

    `clips`: test clips that it shows, spread over all; `methods`: those that are compared, empty: `magictalk` and every
    other system that has videos. Raises `PermanentError` where there is nothing to compare, or answers to another study
    are in the workspace.
    """
    test = read_test_clips(workspace, corpora, preset.evaluation.max_clips)
    sources = _Sources(workspace, methods)
    able = [clip for clip in test if len(sources.methods_of(clip)) > 1]
    picks = np.linspace(0, len(able) - 1, min(clips, len(able))).round().astype(int)
    chosen = [able[i] for i in picks]
    asked = [StudyClip(clip.clip_id, clip.emotion, sources.methods_of(clip)) for clip in chosen]
    study = plan_study(asked, seed, pairs_each, checks)
    _refuse_another(workspace, study)
    rig = load_rig(needed(workspace.rig / "rig.npz", "rig"))
    with atomic_directory(out) as folder:
        for clip in chosen:
            _write_clip(folder, study, clip, sources, rig, preset.evaluation.video_size)
        (folder / "index.html").write_text(page_html(study), encoding="utf-8")
    key = workspace.study / "key.json"
    write_text(key, study.model_dump_json(indent=1))
    pairs = len(study.trials) - len(study.checks)
    names = tuple(study.methods)
    return MadeStudy(out / "index.html", key, study.id, names, len(chosen), pairs, study.pairs_each, len(study.checks))


def _refuse_another(workspace: Workspace, study: Study) -> None:
    returned = sorted((workspace.study / "returned").glob("*.json"))
    key = workspace.study / "key.json"
    if returned and (not key.is_file() or Study.model_validate_json(key.read_bytes()).id != study.id):
        raise PermanentError(
            f"{workspace.study} holds {len(returned)} returned files of another study: move that folder elsewhere first"
        )


class _Sources:
    """Which methods have something of a clip, and the frames of it."""

    def __init__(self, workspace: Workspace, methods: Sequence[str]) -> None:
        self._external = external_files(workspace)
        motion = needed(workspace.refined("test") / "motion.parquet", "refined")
        self._motions = _by_method([motion, workspace.generated("test") / "motion.parquet"])
        self._wanted = tuple(methods) or ("magictalk", *self._external)

    def methods_of(self, clip: TestClip) -> tuple[str, ...]:
        return tuple(
            method
            for method in self._wanted
            if clip.clip_id in self._external.get(method, {}) or clip.clip_id in self._motions.get(method, {})
        )

    def motion(self, method: str, clip: TestClip) -> NDArray[np.float32] | None:
        return self._motions.get(method, {}).get(clip.clip_id)

    def video(self, method: str, clip: TestClip) -> Path:
        return self._external[method][clip.clip_id]


def _by_method(paths: Sequence[Path]) -> Mapping[str, Mapping[str, NDArray[np.float32]]]:
    tables = [read_frame(MOTION, path) for path in paths if path.is_file()]
    rows = pd.concat(tables, ignore_index=True).sort_values("frame_index")
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for (method, clip_id), motion in rows.groupby(["method", "clip_id"], observed=True):
        found.setdefault(str(method), {})[str(clip_id)] = motion[list(MOTION_NAMES)].to_numpy(np.float32)
    return found


def _write_clip(folder: Path, study: Study, clip: TestClip, sources: _Sources, rig: Rig, size: int) -> None:
    """The reference picture and every video of one clip."""
    portrait, own = resting_frame(clip.video, clip.motion)
    names = {video.method: code for code, video in study.videos.items() if video.clip_id == clip.clip_id}
    reference = next(trial.reference for trial in study.trials if trial.clip_id == clip.clip_id)
    (folder / "references").mkdir(exist_ok=True)
    Image.fromarray(_scaled(portrait, size)).save(folder / reference, quality=92)
    for method, code in names.items():
        shown = sources.methods_of(clip)[0] if method == DEGRADED else method
        motion = sources.motion(shown, clip)
        frames: Iterator[NDArray[np.uint8]]
        if motion is None:
            frames = (_scaled(frame, size) for frame in read_frames(sources.video(shown, clip)))
        else:
            frames = _drawn(portrait, own, motion, rig, size)
        if method == DEGRADED:
            frames = _spoilt(frames, size)
        _write(folder / "videos" / f"{code}.mp4", itertools.islice(frames, clip.frames), clip, study)


def _drawn(
    portrait: NDArray[np.uint8], own: NDArray[np.float32], motion: NDArray[np.float32], rig: Rig, size: int
) -> Iterator[NDArray[np.uint8]]:
    # The whole frame and not a crop to the face: a picture of another size of face would tell the method.
    picture = _scaled(portrait, size)
    landmarks = portrait_landmarks(picture)
    if landmarks is None:
        raise PermanentError("no face found in the frame that should be the portrait: choose other clips")
    animator = PortraitAnimator(picture, landmarks, rig, size, crop=False)
    try:
        yield from animator.render(motion, own)
    finally:
        animator.close()


def _scaled(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square of a frame, `size` wide."""
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = frame[top : top + side, left : left + side]
    how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(square if side == size else cv2.resize(square, (size, size), interpolation=how), np.uint8)


def _spoilt(frames: Iterator[NDArray[np.uint8]], size: int) -> Iterator[NDArray[np.uint8]]:
    """The first frame in large blocks, standing still for as long."""
    still: NDArray[np.uint8] | None = None
    for frame in frames:
        if still is None:
            small = cv2.resize(frame, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
            still = np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8)
        yield still


def _write(path: Path, frames: Iterator[NDArray[np.uint8]], clip: TestClip, study: Study) -> None:
    path.parent.mkdir(exist_ok=True)
    labelled = (stamp(frame, SYNTHETIC_LABEL) for frame in frames)
    tags = provenance_metadata(model="not told: a user study", style="not told")
    # One mark for all of a study: the pixels must not tell the method either.
    mark = mark_of({"study": study.id})
    write_generated(path, labelled, clip.audio, tags, mark=mark, title="user study")
