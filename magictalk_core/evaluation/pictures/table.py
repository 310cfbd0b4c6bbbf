"""The table `picture_scores`: every picture metric of every method, renderer and head pose, clip by clip.

A clip is scored in a child of its own and leaves its rows in the cache, by content: more clips, or a run that was
killed, cost only what is new. Pictures are not kept: drawing a frame takes less than reading it back compressed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.pictures.clip import NoFace, PictureClip, open_clip
from magictalk_core.evaluation.pictures.crops import whole_frames
from magictalk_core.evaluation.pictures.motion import driving_clips
from magictalk_core.evaluation.pictures.networks import weights_here
from magictalk_core.evaluation.pictures.render import Pose, Renderer, Renderers, renderers_of, with_pose_of
from magictalk_core.evaluation.pictures.score import nothing_scored, score_video
from magictalk_core.evaluation.pictures.stand_ins import RERENDERED, picture_stand_ins
from magictalk_core.evaluation.pictures.values import JUDGED, PictureValue
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.evaluation.test_sets import NAMED_SETS
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.media.container import MediaError
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import load_rig
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import array_md5, digest_of, file_md5
from magictalk_core.storage.parquet import read_frame, row_count, write_table
from magictalk_core.storage.schema import MOTION, PICTURE_SCORES
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.isolation import Crash, default_workers, map_isolated
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["PICTURE_SCORES_VERSION", "PictureTable", "score_pictures"]

logger = logging.getLogger("magictalk.pictures")

PICTURE_SCORES_VERSION = "1"
_TIMEOUT_S = 3600.0
_PRELOAD = ("magictalk_core.evaluation.pictures.table",)

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class PictureTable:
    """The written `picture_scores` table."""

    path: Path
    md5: str
    rows: int


def score_pictures(
    workspace: Workspace,
    corpora: Sequence[str],
    preset: Preset,
    finished: Mapping[str, Mapping[str, Path]] | None = None,
) -> PictureTable:
    """Write `picture_scores.parquet`, or return the finished one when nothing that it reads changed.

    `finished`: system -> clip id -> its video, of systems of others; they are scored as ours are.
    """
    others = {
        clip: {system: files[clip] for system, files in (finished or {}).items() if clip in files}
        for clip in driving_clips(workspace, corpora, preset)
    }
    path = workspace.picture_scores / "picture_scores.parquet"
    motion = needed(workspace.picture_motion("test") / "motion.parquet", "picture_motion")
    rig = needed(workspace.rig / "rig.npz", "rig")
    drivers = driving_clips(workspace, corpora, preset)
    clips = list(drivers)
    readers = {
        name: CorpusReader(workspace, name) for name in {clip.split("/")[0] for clip in (*clips, *drivers.values())}
    }
    inputs = (
        input_of(workspace.home, "picture_motion", motion),
        input_of(workspace.home, "rig", rig),
        *(input_of(workspace.home, "clip", readers[clip.split("/")[0]].media(clip)[0]) for clip in clips),
        *(input_of(workspace.home, "external_video", path) for files in others.values() for path in files.values()),
        *manifest_inputs(workspace, corpora),  # the tracked curves, which are drawn too
    )
    settings: dict[str, Any] = {"pictures": preset.pictures.model_dump(mode="json", exclude={"methods", "clips"})}
    settings |= {"weights": weights_here()}
    work = Work(workspace.home, "picture_scores", path, PICTURE_SCORES_VERSION, inputs, settings)
    if not work.is_made():
        tasks = [
            _task(workspace, readers, clip, driver, motion, rig, preset, others[clip])
            for clip, driver in drivers.items()
        ]
        rows = _rows(workspace, corpora, preset, _pieces(tasks), load_rig(rig).name)
        write_table(PICTURE_SCORES, rows, path)
        work.record(clips=clips, stand_ins=named_stand_ins(rows.to_dict("records")))
    return PictureTable(path, file_md5(path), row_count(path))


@dataclass(frozen=True)
class _Task:
    """What a child is told: all of it in words and numbers. `piece` is where its rows will lie."""

    home: str
    clip_id: str
    driver: str
    motion: str
    rig: str
    most_frames: int | None
    every: int
    others: dict[str, str]
    piece: str


def _task(
    workspace: Workspace,
    readers: Mapping[str, CorpusReader],
    clip_id: str,
    driver: str,
    motion: Path,
    rig: Path,
    preset: Preset,
    others: Mapping[str, Path],
) -> _Task:
    reader, speaker = (readers[clip.split("/")[0]] for clip in (clip_id, driver))
    chosen = preset.pictures
    most, every = NAMED_SETS[chosen.test_set].most_frames(chosen.seconds), chosen.every
    rows = read_frame(MOTION, motion, filters=[("clip_id", "==", clip_id)])
    identity = {
        "version": PICTURE_SCORES_VERSION,
        "pictures": [file_md5(path) for path in (reader.media(clip_id)[0], rig)],
        "sound": file_md5(audio) if (audio := speaker.media(driver)[1]) is not None else None,
        "motion": array_md5(rows[list(MOTION_NAMES)].to_numpy(np.float32)),
        "methods": rows["method"].astype(str).tolist(),
        "truth": array_md5(reader.motion(clip_id)[0]),
        "judged": [most, every, clip_id == driver, JUDGED, weights_here()],
        "others": {system: file_md5(path) for system, path in others.items()},
    }
    piece = workspace.cache("picture_scores") / f"{digest_of(identity)}.json"
    named = {system: str(path) for system, path in others.items()}
    return _Task(str(workspace.home), clip_id, driver, str(motion), str(rig), most, every, named, str(piece))


def _pieces(tasks: Sequence[_Task]) -> Iterator[dict[str, Any]]:
    """The rows of all clips; what lies in the cache is not scored again."""
    waiting = [task for task in tasks if not Path(task.piece).is_file()]
    outcomes = map_isolated(
        _score_clip,
        [(asdict(task),) for task in waiting],
        workers=default_workers(),
        timeout_s=_TIMEOUT_S,
        preload=_PRELOAD,
    )
    for number, (index, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, Crash):
            raise PermanentError(f"{waiting[index].clip_id}: its pictures were not scored: {outcome.detail}")
        logger.info("pictures of clip %d of %d: %s", number, len(waiting), waiting[index].clip_id)
    for task in tasks:
        yield from json.loads(Path(task.piece).read_text(encoding="utf-8"))


def _score_clip(values: dict[str, Any]) -> int:
    """In a child: score one clip and leave its rows at `piece`; gives how many."""
    task = _Task(**values)
    workspace = Workspace(Path(task.home))
    reader = CorpusReader(workspace, task.clip_id.split("/")[0])
    table = read_frame(MOTION, Path(task.motion), filters=[("clip_id", "==", task.clip_id)])
    motions = {
        str(method): own.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)[: task.most_frames]
        for method, own in table.groupby("method", observed=True, sort=True)
    }
    try:
        clip = open_clip(reader, task.clip_id, load_face_detector(), task.most_frames)
        if task.driver != task.clip_id:
            speaker = CorpusReader(workspace, task.driver.split("/")[0])
            clip = replace(clip, audio=speaker.media(task.driver)[1], has_truth=False)
        with renderers_of(clip, load_rig(Path(task.rig))) as renderers:
            rows = list(_rows_of_clip(clip, renderers, motions, task.every))
        rows += _rows_of_others(clip, task.others, task.every)
    except NoFace as error:
        rows = [
            _row(task.clip_id, GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH, one) for one in nothing_scored(str(error))
        ]
    write_text(Path(task.piece), json.dumps(rows))
    return len(rows)


def _rows_of_clip(
    clip: PictureClip, renderers: Renderers, motions: Mapping[str, Motion], every: int
) -> Iterator[dict[str, Any]]:
    if clip.has_truth:
        for value in score_video(clip.frames, clip, every):
            yield _row(clip.clip_id, GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH, value)
    drawn_truth = renderers.frames(Renderer.RIG, clip.motion)
    on_rig = replace(
        clip,
        is_person=False,
        frames=drawn_truth,
        crops=drawn_truth,
        track=whole_frames(drawn_truth),
        shows="whole frame, against the rig moved by the recording's curves",
    )
    for renderer, reference in ((Renderer.PORTRAIT, clip), (Renderer.RIG, on_rig)):
        for method, pose, motion in _drawn(clip, motions):
            frames = renderers.frames(renderer, motion)
            for value in score_video(frames, reference, every):
                yield _row(clip.clip_id, method, renderer, pose, value)


def _rows_of_others(clip: PictureClip, others: Mapping[str, str], every: int) -> Iterator[dict[str, Any]]:
    """Of finished videos; one that cannot be read has rows that say so."""
    for system, file in others.items():
        try:
            values = score_video(Path(file), clip, every)
        except MediaError as error:
            values = nothing_scored(f"{Path(file).name}: {error}")
        for value in values:
            yield _row(clip.clip_id, system, Renderer.EXTERNAL, Pose.FREE, value)


def _drawn(clip: PictureClip, motions: Mapping[str, Motion]) -> Iterator[tuple[str, Pose, Motion]]:
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


def _rows(
    workspace: Workspace, corpora: Sequence[str], preset: Preset, pieces: Iterator[dict[str, Any]], rig: str
) -> pd.DataFrame:
    """The pieces as PICTURE_SCORES rows: with their split and stand-ins."""
    chosen = preset.pictures
    split = chosen.test_set if chosen.driven == "self" else f"{chosen.test_set}, cross-driven"
    parts = PartsUsed.of(workspace, corpora, rig)
    rows = [{**piece, "split": split, "stand_ins": picture_stand_ins(parts, piece)} for piece in pieces]
    return pd.DataFrame(rows, columns=list(PICTURE_SCORES.names)).astype({"value": "float64"})
