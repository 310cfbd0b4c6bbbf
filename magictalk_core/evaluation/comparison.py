"""Comparison videos: held-out clip, rig and animated portrait side by side, with the clip's own sound."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.generate import test_clips
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.media.decode import read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.media.tile import Panel, side_by_side
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.portrait.provenance import sign_video
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.stamps import output_md5, stamp_is_valid, write_stamp
from magictalk_core.workspace import Workspace

__all__ = ["COMPARISON_VERSION", "ComparisonVideos", "render_comparisons"]

logger = logging.getLogger("magictalk.videos")

COMPARISON_VERSION = "5"
METHOD = MAGICTALK
LABEL = "SYNTHETIC"


@dataclass(frozen=True)
class ComparisonVideos:
    """The folder of videos and the digest over them."""

    path: Path
    md5: str
    videos: int


def render_comparisons(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> ComparisonVideos:
    """Render up to `evaluation.max_videos` test clips; an unchanged set is not rendered again."""
    out = workspace.videos / "comparison"
    generated = workspace.refined("test") / "motion.parquet"
    clips = _spread(test_clips(workspace, corpora, preset.evaluation.max_clips), preset.evaluation.max_videos)
    inputs: dict[str, Any] = {
        "version": COMPARISON_VERSION,
        "motion": file_md5(generated),
        "rig": file_md5(workspace.rig / "rig.npz"),
        "media": {c: file_md5(CorpusReader(workspace, name).media(c)[0]) for name, c in clips},
        "size": preset.evaluation.video_size,
    }
    if not stamp_is_valid(out, inputs):
        shutil.rmtree(out, ignore_errors=True)
        motions = read_frame(MOTION, generated, filters=[("method", "==", METHOD)])
        rig = load_rig(workspace.rig / "rig.npz")
        styles = json.loads((workspace.generated("test") / "styles.json").read_text(encoding="utf-8"))
        for number, (corpus, clip_id) in enumerate(clips, 1):
            motion = motions[motions["clip_id"] == clip_id].sort_values("frame_index")[list(MOTION_NAMES)]
            target = out / f"{clip_id.replace('/', '-')}.mp4"
            reader = CorpusReader(workspace, corpus)
            _render(reader, clip_id, motion.to_numpy(np.float32), rig, preset, target, styles[clip_id])
            logger.info("comparison video %d of %d: %s", number, len(clips), target.name)
        write_stamp(out, inputs)
    return ComparisonVideos(out, output_md5(out), len(clips))


def _spread(clips: Sequence[tuple[str, str]], n: int) -> list[tuple[str, str]]:
    """`n` of the clips, evenly over the list: it is sorted by speaker and emotion, so that all of them show."""
    picks = np.linspace(0, len(clips) - 1, min(n, len(clips))).round().astype(int)
    return [clips[i] for i in picks]


def resting_frame(video: Path, motion: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The frame nearest to a face at rest, looking ahead, and its motion row: the portrait and its own expression."""
    known = {name: motion[:, MOTION_NAMES.index(name)] for name in MOTION_NAMES}
    effort = known["jawOpen"] + known["eyeBlinkLeft"] + known["eyeBlinkRight"]
    effort = effort + (np.abs(known["head_yaw_deg"]) + np.abs(known["head_roll_deg"])) / 30
    if np.isfinite(effort).any():
        best = int(np.nanargmin(effort))
        for index, frame in enumerate(read_frames(video)):
            if index == best:
                return frame, np.nan_to_num(motion[index])
    raise PermanentError(f"{video}: no frame with a face to take as portrait")


def _render(
    reader: CorpusReader,
    clip_id: str,
    motion: NDArray[np.float32],
    rig: Rig,
    preset: Preset,
    target: Path,
    style: str,
) -> None:
    video, audio = reader.media(clip_id)
    size = preset.evaluation.video_size
    portrait, reference = resting_frame(video, reader.motion(clip_id)[0])
    landmarks = portrait_landmarks(portrait)
    if landmarks is None:
        raise PermanentError(f"{clip_id}: no face in the frame that should be the portrait")
    renderer = RigRenderer(rig, size)
    animator = PortraitAnimator(portrait, landmarks, rig, size)
    try:
        panels = [
            Panel("held-out clip", _cut(read_frames(video), len(motion))),
            Panel("rig", renderer.render(motion), LABEL),
            Panel("portrait", animator.render(motion, reference), LABEL),
        ]
        frames = side_by_side(panels, size)
        metadata = provenance_metadata(model=METHOD, style=style, source=clip_id)
        write_video(target, frames, FRAME_RATE, audio, metadata=metadata)
    finally:
        renderer.close()
        animator.close()
    sign_video(target)


def _cut(frames: Iterator[NDArray[np.uint8]], n: int) -> Iterator[NDArray[np.uint8]]:
    """Exactly `n` frames: the last one is held when the video is a frame short of its features."""
    last: NDArray[np.uint8] | None = None
    count = 0
    for frame in frames:
        if count == n:
            return
        last, count = frame, count + 1
        yield frame
    while last is not None and count < n:
        count += 1
        yield last
