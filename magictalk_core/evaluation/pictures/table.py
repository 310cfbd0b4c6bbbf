"""The table `picture_scores`: every picture metric of every method, renderer and head pose, clip by clip.

A clip is scored in a child of its own and leaves its rows in the cache, by content: more clips, or a run that was
killed, cost only what is new. Pictures are not kept: drawing a frame takes less than reading it back compressed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.pictures.clip_task import ClipTask, score_clip
from magictalk_core.evaluation.pictures.fid import fid_rows
from magictalk_core.evaluation.pictures.motion import driving_clips
from magictalk_core.evaluation.pictures.networks import weights_here
from magictalk_core.evaluation.pictures.stand_ins import picture_stand_ins
from magictalk_core.evaluation.pictures.values import JUDGED
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins
from magictalk_core.evaluation.test_sets import NAMED_SETS
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import load_rig
from magictalk_core.storage.hashes import array_md5, digest_of, file_md5
from magictalk_core.storage.parquet import read_frame, row_count, write_table
from magictalk_core.storage.schema import MOTION, PICTURE_SCORES
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.isolation import Crash, default_workers, map_isolated
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["PICTURE_SCORES_VERSION", "PictureTable", "score_pictures"]

logger = logging.getLogger("magictalk.pictures")

PICTURE_SCORES_VERSION = "4"
_TIMEOUT_S = 3600.0
_PRELOAD = ("magictalk_core.evaluation.pictures.clip_task",)


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
    judge = _emotion_fan(workspace)
    drivers = driving_clips(workspace, corpora, preset)
    clips = list(drivers)
    readers = {
        name: CorpusReader(workspace, name) for name in {clip.split("/")[0] for clip in (*clips, *drivers.values())}
    }
    inputs = (
        input_of(workspace.home, "picture_motion", motion),
        input_of(workspace.home, "rig", rig),
        *([] if judge is None else [model_input(workspace, judge)]),
        *(input_of(workspace.home, "clip", readers[clip.split("/")[0]].media(clip)[0]) for clip in clips),
        *(input_of(workspace.home, "external_video", path) for files in others.values() for path in files.values()),
        *manifest_inputs(workspace, corpora),  # the tracked curves, which are drawn too
    )
    settings: dict[str, Any] = {"pictures": preset.pictures.model_dump(mode="json", exclude={"methods", "clips"})}
    settings |= {"weights": weights_here()}
    work = Work(workspace.home, "picture_scores", path, PICTURE_SCORES_VERSION, inputs, settings)
    if not work.is_made():
        tasks = [
            _task(workspace, readers, clip, driver, _Asked(motion, rig, judge), preset, others[clip])
            for clip, driver in drivers.items()
        ]
        _score(tasks)
        rows = _rows(workspace, corpora, preset, tasks, load_rig(rig).name)
        write_table(PICTURE_SCORES, rows, path)
        work.record(clips=clips, stand_ins=named_stand_ins(rows.to_dict("records")))
    return PictureTable(path, file_md5(path), row_count(path))


def _emotion_fan(workspace: Workspace) -> Path | None:
    """The model folder of the judge of emotions; None where nobody could train it, as without labels."""
    out = workspace.models("emotion_fan")
    return None if runs_in_use(out) is None else current_model(out)


@dataclass(frozen=True)
class _Asked:
    """What the clips are scored with: the motions of all methods, the rig, the own Emotion-FAN if there is one."""

    motion: Path
    rig: Path
    emotion_fan: Path | None

    def judge_md5(self) -> str | None:
        return None if self.emotion_fan is None else file_md5(self.emotion_fan / "model.safetensors")


def _task(
    workspace: Workspace,
    readers: Mapping[str, CorpusReader],
    clip_id: str,
    driver: str,
    asked: _Asked,
    preset: Preset,
    others: Mapping[str, Path],
) -> ClipTask:
    reader, speaker = (readers[clip.split("/")[0]] for clip in (clip_id, driver))
    chosen = preset.pictures
    most, every = NAMED_SETS[chosen.test_set].most_frames(chosen.seconds), chosen.every
    rows = read_frame(MOTION, asked.motion, filters=[("clip_id", "==", clip_id)])
    identity = {
        "version": PICTURE_SCORES_VERSION,
        "pictures": [file_md5(path) for path in (reader.media(clip_id)[0], asked.rig)],
        "sound": file_md5(audio) if (audio := speaker.media(driver)[1]) is not None else None,
        "motion": array_md5(rows[list(MOTION_NAMES)].to_numpy(np.float32)),
        "methods": rows["method"].astype(str).tolist(),
        "truth": array_md5(reader.motion(clip_id)[0]),
        "judged": [most, every, clip_id == driver, JUDGED, weights_here(), asked.judge_md5()],
        "others": {system: file_md5(path) for system, path in others.items()},
    }
    piece = workspace.cache("picture_scores") / f"{digest_of(identity)}.json"
    return ClipTask(
        str(workspace.home),
        clip_id,
        driver,
        str(asked.motion),
        str(asked.rig),
        None if asked.emotion_fan is None else str(asked.emotion_fan),
        most,
        every,
        {system: str(path) for system, path in others.items()},
        str(piece),
    )


def _score(tasks: Sequence[ClipTask]) -> None:
    """Leave the rows of all clips in the cache; what lies there is not scored again."""
    waiting = [task for task in tasks if not Path(task.piece).is_file()]
    outcomes = map_isolated(
        score_clip,
        [(asdict(task),) for task in waiting],
        workers=default_workers(),
        timeout_s=_TIMEOUT_S,
        preload=_PRELOAD,
    )
    for number, (index, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, Crash):
            raise PermanentError(f"{waiting[index].clip_id}: its pictures were not scored: {outcome.detail}")
        logger.info("pictures of clip %d of %d: %s", number, len(waiting), waiting[index].clip_id)


def _rows(
    workspace: Workspace, corpora: Sequence[str], preset: Preset, tasks: Sequence[ClipTask], rig: str
) -> pd.DataFrame:
    """The rows of all clips, and those of all clips together, with their split and stand-ins."""
    chosen = preset.pictures
    split = chosen.test_set if chosen.driven == "self" else f"{chosen.test_set}, cross-driven"
    parts = PartsUsed.of(workspace, corpora, rig)
    pieces = [row for task in tasks for row in json.loads(Path(task.piece).read_text(encoding="utf-8"))]
    pieces += fid_rows({task.clip_id: task.features for task in tasks if task.features.is_file()})
    rows = [{**piece, "split": split, "stand_ins": picture_stand_ins(parts, piece)} for piece in pieces]
    return pd.DataFrame(rows, columns=list(PICTURE_SCORES.names)).astype({"value": "float64"})
