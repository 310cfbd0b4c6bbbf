"""Comparison videos: held-out clip, rig and animated portrait side by side, with the clip's own sound."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.generate import test_clips
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.stand_ins import PORTRAIT
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.media.decode import read_frames
from magictalk_core.media.tile import Panel, side_by_side
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.label import provenance_metadata
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.rig.user_rig import read_rig
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import directory_md5, file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import MOTION
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Input, Work, input_of, read_record, record_path
from magictalk_core.workspace import Workspace, absolute

__all__ = ["COMPARISON_VERSION", "Comparison", "ComparisonVideos", "read_comparisons", "render_comparisons"]

logger = logging.getLogger("magictalk.videos")

COMPARISON_VERSION = "9"
METHOD = MAGICTALK
_LIST = "comparisons.json"
_UNSIGNED = "unsigned"
"""Of a video's record: md5 of the file before it was signed."""


@dataclass(frozen=True)
class Comparison:
    """A test clip of which a video was wanted: `file` is its name in the folder, or None and `reason` says why not."""

    clip_id: str
    file: str | None
    reason: str | None = None


@dataclass(frozen=True)
class ComparisonVideos:
    """The folder of videos, the digest over it, its data version, and what is in it.

    `version` is over the videos before they were signed: a signature says when it was made, so that no two signed files
    are equal (`md5`), whatever they show.
    """

    path: Path
    md5: str
    version: str
    comparisons: tuple[Comparison, ...]

    @property
    def videos(self) -> int:
        return sum(comparison.file is not None for comparison in self.comparisons)


class _NoPortrait(PermanentError):
    """No frame of the clip can serve as the portrait."""


def render_comparisons(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> ComparisonVideos:
    """Render up to `evaluation.max_videos` test clips; an unchanged set is not rendered again.

    The folder is replaced as a whole, with every video in it signed: a run that ends early leaves the old one. A clip
    without a face for the portrait has no video but a reason.
    """
    out = workspace.videos / "comparison"
    generated = needed(workspace.refined("test") / "motion.parquet", "refined")
    clips = _spread(test_clips(workspace, corpora, preset.evaluation.max_clips), preset.evaluation.max_videos)
    readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
    inputs = (
        input_of(workspace.home, "refined", generated),
        input_of(workspace.home, "rig", needed(workspace.rig / "rig.npz", "rig")),
        *([input_of(None, "rig_drawn", absolute(drawn))] if (drawn := _own_rig(preset)) else []),
        *(input_of(workspace.home, "clip", readers[name].media(c)[0]) for name, c in clips),
    )
    shared = len(inputs) - len(clips)
    settings = {"size": preset.evaluation.video_size}
    work = Work(workspace.home, "comparison", out, COMPARISON_VERSION, inputs, settings)
    if not work.is_made():
        for left in out.parent.glob(f".tmp-*{out.name}-*"):
            shutil.rmtree(left)  # of a run that was killed; nothing in it need be signed
        motions = read_frame(MOTION, generated, filters=[("method", "==", METHOD)])
        with atomic_directory(out) as folder:
            made, unsigned = _render_all(workspace, clips, readers, motions, preset, folder, inputs[:shared])
            rows = [asdict(comparison) for comparison in made]
            (folder / _LIST).write_text(json.dumps(rows, indent=1), encoding="utf-8")
        version = directory_md5([(_LIST, file_md5(out / _LIST)), *unsigned.items()])
        clip_ids = [clip_id for _, clip_id in clips]
        work.record(clips=clip_ids, stand_ins=[str(PORTRAIT)], digests={"dagster": version})
    record = read_record(record_path(out))
    return ComparisonVideos(out, record.md5, record.version, read_comparisons(out))


def read_comparisons(folder: Path) -> tuple[Comparison, ...]:
    """What `render_comparisons` left in `folder`, in the order of the test clips."""
    if not (folder / _LIST).is_file():
        raise PermanentError(f"no comparison videos in {folder}: type `magictalk run --select videos/comparison`")
    return tuple(Comparison(**row) for row in json.loads((folder / _LIST).read_text(encoding="utf-8")))


def _own_rig(preset: Preset) -> Path | None:
    return Path(preset.evaluation.rig) if preset.evaluation.rig else None


def _render_all(
    workspace: Workspace,
    clips: Sequence[tuple[str, str]],
    readers: Mapping[str, CorpusReader],
    motions: pd.DataFrame,
    preset: Preset,
    folder: Path,
    inputs: Sequence[Input],
) -> tuple[list[Comparison], dict[str, str]]:
    """What became of each clip, and the md5 of each video before it was signed."""
    rig = load_rig(workspace.rig / "rig.npz")
    shown = read_rig(drawn).rig if (drawn := _own_rig(preset)) else rig
    styles = json.loads((workspace.generated("test") / "styles.json").read_text(encoding="utf-8"))
    made, unsigned = [], {}
    for number, (corpus, clip_id) in enumerate(clips, 1):
        motion = motions[motions["clip_id"] == clip_id].sort_values("frame_index")[list(MOTION_NAMES)]
        name = f"{clip_id.replace('/', '-')}.mp4"
        try:
            work = _video_work(workspace, readers[corpus], clip_id, name, inputs, preset)
            style = styles[clip_id]
            values = motion.to_numpy(np.float32)
            unsigned[name] = _render(readers[corpus], clip_id, values, (rig, shown), preset, folder / name, style, work)
        except _NoPortrait as error:
            logger.warning("no comparison video %d of %d: %s: %s", number, len(clips), clip_id, error)
            made.append(Comparison(clip_id, None, str(error)))
        else:
            logger.info("comparison video %d of %d: %s", number, len(clips), name)
            made.append(Comparison(clip_id, name))
    return made, unsigned


def _video_work(
    workspace: Workspace, reader: CorpusReader, clip_id: str, name: str, inputs: Sequence[Input], preset: Preset
) -> Work:
    """One video: of the motion, the rig and its own clip."""
    home, (video, audio) = workspace.home, reader.media(clip_id)
    clip = [input_of(home, "clip", path) for path in (video, audio) if path is not None]
    settings = {"clip": clip_id, "size": preset.evaluation.video_size}
    return Work(home, "video", workspace.videos / "comparison" / name, COMPARISON_VERSION, (*inputs, *clip), settings)


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
    raise _NoPortrait("no frame with a face to take as portrait")


def _render(
    reader: CorpusReader,
    clip_id: str,
    motion: NDArray[np.float32],
    rigs: tuple[Rig, Rig],
    preset: Preset,
    target: Path,
    style: str,
    work: Work,
) -> str:
    """Write and sign one video at `target`, and its record; returns its md5 before it was signed. `rigs`: the one whose
    landmarks move the portrait, and the one that is shown.

    Raises `_NoPortrait` before anything is written.
    """
    video, audio = reader.media(clip_id)
    size = preset.evaluation.video_size
    portrait, reference = resting_frame(video, reader.motion(clip_id)[0])
    landmarks = portrait_landmarks(portrait)
    if landmarks is None:
        raise _NoPortrait("no face found in the frame that should be the portrait")
    renderer = RigRenderer(rigs[1], size)
    animator = PortraitAnimator(portrait, landmarks, rigs[0], size)
    try:
        panels = [
            Panel("held-out clip", _cut(read_frames(video), len(motion))),
            Panel("rig", renderer.render(motion), SYNTHETIC_LABEL),
            Panel("portrait", animator.render(motion, reference), SYNTHETIC_LABEL),
        ]
        frames = side_by_side(panels, size)
        metadata = provenance_metadata(model=METHOD, style=style, source=clip_id)
        written = write_generated(target, frames, audio, metadata, work)
    finally:
        renderer.close()
        animator.close()
    work.record(clips=[clip_id, style], stand_ins=[str(PORTRAIT)], digests={_UNSIGNED: written.unsigned}, at=target)
    return written.unsigned


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
