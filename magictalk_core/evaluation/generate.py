"""Motion for the test clips of a workspace: by EmoDiff, an ablation of it, and the baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.baselines import Baselines, Finish, LoudnessReader
from magictalk_core.evaluation.stand_ins import PartsUsed, stand_ins_of
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.methods import EMODIFF, to_motion
from magictalk_core.preparation.reader import CorpusReader, pick_style_clip, usable_clips
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import MOTION
from magictalk_core.training.run import current_model, model_input
from magictalk_core.training_set.dataset import TrainingSet, moved_back, out_of_sync, training_set_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = [
    "EMODIFF",
    "GENERATED_VERSION",
    "INDEPENDENT_WINDOWS",
    "GeneratedMotion",
    "emodiff_motion",
    "finish_of",
    "generate_test_motion",
    "measured_frames",
    "motion_requests",
    "motion_rows",
    "sampling_stamp",
    "test_clips",
    "to_motion",
]

GENERATED_VERSION = "6"
_KEPT = 4
"""Tables of single models that stay in the cache: challenger, champion, and what was asked before."""
STYLES = "styles.json"
"""Beside the motion: which clip gave the style of which."""
INDEPENDENT_WINDOWS = "emodiff_independent_windows"
"""The ablation without autoregression: Algorithm 1 with windows that know nothing of each other."""


@dataclass(frozen=True)
class GeneratedMotion:
    """The `motion` table and beside it `styles.json`: which clip gave the style of which."""

    path: Path
    md5: str
    rows: int
    clips: int


def test_clips(workspace: Workspace, corpora: Sequence[str], limit: int = 0) -> list[tuple[str, str]]:
    """(corpus, clip id) of the accepted test clips, spread over the corpora when `limit` cuts the list.

    Without those that a sync gate found out of sync; where that is all of them, since one camera took them, those that
    could be corrected are scored as they lie.
    """
    accepted = [
        [(corpus, str(clip)) for clip in usable_clips(CorpusReader(workspace, corpus), Split.TEST)["clip_id"]]
        for corpus in corpora
    ]
    unfit = out_of_sync(workspace.training_set)
    if all(clip in unfit for clips in accepted for _, clip in clips):
        unfit -= moved_back(workspace.training_set)
    per_corpus = [[(corpus, clip) for corpus, clip in clips if clip not in unfit] for clips in accepted]
    longest = max((len(clips) for clips in per_corpus), default=0)
    mixed = [clips[i] for i in range(longest) for clips in per_corpus if i < len(clips)]
    return mixed[:limit] if limit else mixed


def sampling_stamp(model: EmoDiffModel) -> dict[str, str]:
    """How the model was asked, for the metadata of a table of what it made."""
    return {"sampling": model.sampling.model_dump_json()}


def motion_rows(clip_id: str, method: str, motion: NDArray[np.float32]) -> pd.DataFrame:
    """MOTION rows of one clip; `motion` is (n, 58) in MOTION_NAMES order."""
    frame = pd.DataFrame(motion, columns=list(MOTION_NAMES))
    frame.insert(0, "clip_id", clip_id)
    frame.insert(1, "method", method)
    frame.insert(2, "frame_index", np.arange(len(motion), dtype=np.int32))
    frame.insert(3, "time_s", np.arange(len(motion)) / FRAME_RATE)
    return frame


def generate_test_motion(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> GeneratedMotion:
    """Generate for every test clip, or return the finished table when model, data and settings are unchanged."""
    out = workspace.generated("test")
    path, model_dir = out / "motion.parquet", current_model(workspace.models("emodiff"))
    clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
    if not clips:
        raise PermanentError("no accepted clip in the test split: add clips, or set split=test in the labels CSV")
    inputs = (
        model_input(workspace, model_dir),
        training_set_input(workspace.home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )
    settings: dict[str, Any] = {
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "evaluation": preset.evaluation.model_dump(mode="json", include={"max_clips", "seed"}),
    }
    work = Work(workspace.home, "generated", path, GENERATED_VERSION, inputs, settings)
    if not work.is_made():
        model = EmoDiffModel.load(model_dir, sampling=preset.emodiff.sampling)
        joined = emodiff_motion(workspace, corpora, clips, model_dir, preset)
        loudness = LoudnessReader(workspace)
        baselines = Baselines.fit(TrainingSet.open(workspace.training_set), loudness)
        tables, styles = _generate(workspace, model, clips, preset, joined, baselines, loudness)
        write_text(out / STYLES, json.dumps(styles, indent=1, sort_keys=True))
        stamps = {**sampling_stamp(model), "baselines": json.dumps(baselines.facts(), sort_keys=True)}
        write_table(MOTION, pd.concat(tables, ignore_index=True), path, stamps)
        parts = PartsUsed.of(workspace, corpora)
        used = [str(one) for one in stand_ins_of(parts, EMODIFF, "")]
        work.record(clips=[*styles, *styles.values()], stand_ins=used, beside=[out / STYLES])
    rows = len(read_frame(MOTION, path, columns=["clip_id"]))
    return GeneratedMotion(path, file_md5(path), rows, len(clips))


def emodiff_motion(
    workspace: Workspace, corpora: Sequence[str], clips: Sequence[tuple[str, str]], model_dir: Path, preset: Preset
) -> dict[str, NDArray[np.float32]]:
    """Clip id -> motion (n, 58) by the model in `model_dir`, whichever it is; kept, so that comparing models and
    evaluating the better one generate once."""
    work = {
        "version": GENERATED_VERSION,
        "model": file_md5(model_dir / "model.safetensors"),
        "clips": clips,
        "manifests": {c: read_manifest(workspace.manifest(c)).digest for c in corpora},
        "sampling": preset.emodiff.sampling.model_dump(),
        "seed": preset.evaluation.seed,
    }
    path = workspace.cache("emodiff_motion") / f"{digest_of(work)}.parquet"
    if not path.is_file():
        model = EmoDiffModel.load(model_dir, sampling=preset.emodiff.sampling)
        readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
        asked = motion_requests(readers, clips, model, preset.evaluation.seed)
        made = [to_motion(state, model.channels) for state in model.generate_many(asked)]
        rows = [motion_rows(clip_id, EMODIFF, motion) for (_, clip_id), motion in zip(clips, made, strict=True)]
        write_table(MOTION, pd.concat(rows, ignore_index=True), path, sampling_stamp(model))
        for old in sorted(path.parent.glob("*.parquet"), key=lambda file: -file.stat().st_mtime)[_KEPT:]:
            old.unlink()
    table = read_frame(MOTION, path)
    motions = {str(clip_id): own.sort_values("frame_index") for clip_id, own in table.groupby("clip_id", observed=True)}
    return {clip_id: own[list(MOTION_NAMES)].to_numpy(np.float32) for clip_id, own in motions.items()}


def _generate(
    workspace: Workspace,
    model: EmoDiffModel,
    clips: Sequence[tuple[str, str]],
    preset: Preset,
    joined: Mapping[str, NDArray[np.float32]],
    baselines: Baselines,
    loudness: LoudnessReader,
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """`joined` is what the model makes, by clip id."""
    readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
    styles = {clip_id: pick_style_clip(readers[corpus], clip_id) for corpus, clip_id in clips}
    requests = motion_requests(readers, clips, model, preset.evaluation.seed)
    apart = model.generate_many(requests, autoregressive=False)
    tables = []
    for (corpus, clip_id), request, independent in zip(clips, requests, apart, strict=True):
        style = measured_frames(readers[corpus].motion(styles[clip_id])[0], baselines.channels)
        heard = loudness(clip_id)[: len(request.speech)]
        finish = finish_of(model, request, baselines.channels)
        simple = baselines.motions(request.speech, style, heard, finish)
        results = {
            EMODIFF: joined[clip_id],
            INDEPENDENT_WINDOWS: to_motion(independent, model.channels),
            **{method: to_motion(motion, baselines.channels) for method, motion in simple.items()},
        }
        for method, motion in results.items():
            tables.append(motion_rows(clip_id, method, motion))
    return tables, styles


def finish_of(model: EmoDiffModel, request: MotionRequest, channels: Sequence[str]) -> Finish:
    """What follows the model's network in a performance, for another method that performs the same in `channels`.

    Raises `PermanentError` for other channels than the model's.
    """
    if tuple(channels) != model.channels:
        raise PermanentError(
            f"models/emodiff makes {len(model.channels)} channels, training_set has {len(channels)} others: train it "
            "again with `magictalk run --select models/emodiff`"
        )

    def finish(motion: NDArray[np.float32]) -> NDArray[np.float32]:
        return model.finish(request.style, motion[0], request.seed).push(motion, request.voice)

    return finish


def measured_frames(motion: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """(k, D): the frames of a motion (n, 58) in which all of `channels` were measured."""
    values = motion[:, [MOTION_NAMES.index(name) for name in channels]]
    return np.asarray(values[np.isfinite(values).all(axis=1)], np.float32)


def motion_requests(
    readers: Mapping[str, CorpusReader], clips: Sequence[tuple[str, str]], model: EmoDiffModel, seed: int
) -> list[MotionRequest]:
    """For each (corpus, clip id) its speech in the style of the clip that `pick_style_clip` picks."""
    return [
        _request(readers[corpus], clip_id, pick_style_clip(readers[corpus], clip_id), model, seed)
        for corpus, clip_id in clips
    ]


def _request(reader: CorpusReader, clip_id: str, style_id: str, model: EmoDiffModel, seed: int) -> MotionRequest:
    clip = reader.clip(clip_id)
    if clip.feature_id != model.feature_id:
        raise PermanentError(
            f"{clip_id}: speech features are `{clip.feature_id}`, the model was trained on `{model.feature_id}`: "
            "train again, or set speech.feature in the preset"
        )
    style = measured_frames(reader.motion(style_id)[0], model.channels)
    # The sound is decoded for a mouth that rests alone.
    voice = reader.voice(clip_id, len(clip.speech)) if model.rests else None
    return MotionRequest(clip.speech, style, None, seed, voice)
