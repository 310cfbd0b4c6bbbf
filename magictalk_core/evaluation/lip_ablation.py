"""Table 4 of the paper on the test clips: what lip refinement changes, clip by clip.

Methods: `emodiff` alone; `magictalk`, with refined lips; `magictalk_neutral_lips`, Audio2BS without emotional residue;
`emodiff_all_channels`, every channel optimised against the sync loss, no separated mouth parameters;
`emodiff_ridge_lips`, the mouth of a kernel regression in place of the refined one: what refinement must beat. Each
value is a mean over clips, each difference one to `emodiff` on the same clips with its 95 % bootstrap interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.all_channels import refine_all_channels
from magictalk_core.evaluation.generate import EMODIFF, test_clips, to_motion
from magictalk_core.evaluation.kernel_ridge import KernelRidge
from magictalk_core.evaluation.motion_judge import Judge
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.sync_scores import (
    HeldOutClip,
    expert_quality,
    judge_folders,
    judged_sync,
    load_judges,
    sync_values,
)
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.evaluation.trials import Trials, collect_trials
from magictalk_core.metrics.coefficients import channel_correlation, group_error, level_free_error
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.lip_residue.model import LipRefiner, audio2bs_of
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import ClipData, CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import current_model, model_input
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["ALL_CHANNELS", "LIP_FAMILIES", "NEUTRAL_LIPS", "RIDGE_LIPS", "LipAblation", "ablate_lips"]

ABLATION_VERSION = "4"
NEUTRAL_LIPS, ALL_CHANNELS = "magictalk_neutral_lips", "emodiff_all_channels"
RIDGE_LIPS = "emodiff_ridge_lips"
EXPERT = "sync_expert"
LIP_FAMILIES = ("audio2bs", "lip_residue", EXPERT, "sync_expert_all_channels")
_COLUMNS = ("method", "metric", "n", "mean", "difference", "low", "high", "stand_ins")
_RESAMPLES = 5000

Motion = NDArray[Any]


@dataclass(frozen=True)
class LipAblation:
    """The written `lip_ablation.csv`."""

    path: Path
    md5: str


@dataclass(frozen=True, eq=False)
class _Methods:
    """Trained models, and what each method makes of EmoDiff's motion (L, D)."""

    emodiff: EmoDiffModel
    refiner: LipRefiner
    expert: SyncExpertModel
    expert_of_all: SyncExpertModel
    judges: tuple[SyncExpertModel, ...]
    ridge: KernelRidge
    ridge_channels: tuple[str, ...]
    preset: Preset

    @classmethod
    def load(
        cls, folders: Mapping[str, Path], judges: Mapping[str, Path], data: TrainingSet, preset: Preset
    ) -> _Methods:
        everything = "sync_expert_all_channels"
        return cls(
            EmoDiffModel.load(folders[EMODIFF], sampling=preset.emodiff.sampling),
            LipRefiner.load(folders["audio2bs"], folders["lip_residue"]),
            SyncExpertModel.load(folders[EXPERT]),
            SyncExpertModel.load(folders[everything], everything),
            load_judges(judges),
            KernelRidge.fit(data),
            data.channels,
            preset,
        )

    def apply(self, motion: Motion, request: MotionRequest) -> dict[str, Motion]:
        channels, feature = self.emodiff.channels, self.emodiff.feature_id
        voice = self.emodiff.voice_of(request.voice)
        refined = self.refiner.refine(motion, channels, request.speech, feature, request.style, voice)
        neutral = motion.copy()
        columns = [channels.index(name) for name in self.refiner.mouth]
        neutral[:, columns] = self.refiner.mouth_of(request.speech, request.style, channels).neutral
        ridged = motion.copy()
        level = to_motion(request.style, channels).mean(axis=0)
        moves = to_motion(self.ridge.movement(request.speech).astype(np.float32), self.ridge_channels)
        places = [MOTION_NAMES.index(name) for name in self.refiner.mouth]
        ridged[:, columns] = (level + moves)[:, places].clip(0, 1)
        moved = refine_all_channels(
            self.expert_of_all, motion, channels, request.speech, feature, self.preset.all_channels
        )
        return {EMODIFF: motion, MAGICTALK: refined, NEUTRAL_LIPS: neutral, ALL_CHANNELS: moved, RIDGE_LIPS: ridged}

    def sync(self, motion: Motion, clip: ClipData) -> dict[str, float | None]:
        """What the expert of the refinement says, and what the judges do."""
        found = sync_values(self.expert, motion, clip.speech, clip.feature_id)
        return found | judged_sync(self.judges, motion, clip.speech, clip.feature_id)


def ablate_lips(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> LipAblation:
    """Write the table, or return the finished one when models, data and settings are unchanged."""
    path = workspace.lip_ablation / "lip_ablation.csv"
    folders = {name: current_model(workspace.models(name)) for name in (EMODIFF, *LIP_FAMILIES)}
    folders["audio2bs"] = audio2bs_of(folders["lip_residue"], workspace.models("audio2bs"))
    judges = judge_folders(workspace)
    inputs = (
        *(model_input(workspace, folder) for folder in (*folders.values(), *judges.values())),
        training_set_input(workspace.home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )
    settings: dict[str, Any] = {
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "all_channels": preset.all_channels.model_dump(mode="json"),
        "max_clips": preset.evaluation.max_clips,
    }
    work = Work(workspace.home, "lip_ablation", path, ABLATION_VERSION, inputs, settings)
    if not work.is_made():
        methods = _Methods.load(folders, judges, TrainingSet.open(workspace.training_set), preset)
        clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
        trials = collect_trials(workspace, clips, methods.emodiff)
        readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
        real = [readers[corpus].clip(clip_id) for corpus, clip_id in clips]
        rows = [*_own_clips(methods, trials, real), *_asked_emotions(methods, trials, workspace)]
        rows += _residues(methods.refiner, trials) + _quality(methods.expert, real)
        parts = PartsUsed.of(workspace, corpora)
        rows = [{**row, "stand_ins": stand_ins_text(parts, row["method"], row["metric"])} for row in rows]
        with atomic_path(path) as temporary:
            pd.DataFrame(rows, columns=list(_COLUMNS)).to_csv(temporary, index=False, float_format="%.6g")
        work.record(clips=[clip_id for _, clip_id in clips], stand_ins=named_stand_ins(rows))
    return LipAblation(path, file_md5(path))


def _own_clips(methods: _Methods, trials: Trials, real: Sequence[ClipData]) -> list[dict[str, Any]]:
    """Sync, mouth error and jaw correlation of every method on the test clips in their own style."""
    found: dict[str, list[dict[str, float | None]]] = {}
    for clip, request, made in zip(real, trials.own, methods.emodiff.generate_many(trials.own), strict=True):
        channels = methods.emodiff.channels
        found.setdefault(GROUND_TRUTH, []).append(methods.sync(clip.motion, clip))
        for name, motion in methods.apply(made, request).items():
            whole = to_motion(motion, channels)
            values = methods.sync(whole, clip)
            truth = clip.motion[: len(whole)]
            values["mae_mouth"] = group_error(truth, whole)["mouth"].value
            values["level_free_mae_mouth"] = level_free_error(truth, whole)["mouth"].value
            values["jaw_open_correlation"] = channel_correlation(truth, whole, "jawOpen")
            found.setdefault(name, []).append(values)
    return _differences({name: pd.DataFrame(rows, dtype=float) for name, rows in found.items()})


def _asked_emotions(methods: _Methods, trials: Trials, workspace: Workspace) -> list[dict[str, Any]]:
    """Whether the motion shows the emotion of the style that was asked, as `set_scores` asks it."""
    judge = Judge.fit(trials, TrainingSet.open(workspace.training_set))
    if judge.emotion is None or not trials.styled:
        return []
    found: dict[str, list[dict[str, float]]] = {}
    requests = trials.style_requests()
    made = methods.emodiff.generate_many(requests)
    for styled, request, motion in zip(trials.styled, requests, made, strict=True):
        for name, result in methods.apply(motion, request).items():
            hits = {hit.metric: float(hit.shown) for hit in judge.hits_of(result, styled)}
            found.setdefault(name, []).append(hits)
    return _differences({name: pd.DataFrame(rows) for name, rows in found.items()})


def _residues(refiner: LipRefiner, trials: Trials) -> list[dict[str, Any]]:
    """Mean absolute residue per emotion of the style."""
    sizes: dict[str, list[float]] = {}
    for styled in trials.styled:
        mouth = refiner.mouth_of(styled.clip.speech, styled.style, trials.channels)
        sizes.setdefault(styled.emotion, []).append(float(np.abs(mouth.residue).mean()))
    order = sorted(sizes, key=lambda emotion: (emotion != NEUTRAL, emotion))
    return [_row("lip_residue", f"residue_{e}", len(sizes[e]), float(np.mean(sizes[e]))) for e in order]


def _quality(expert: SyncExpertModel, real: Sequence[ClipData]) -> list[dict[str, Any]]:
    found = expert_quality(expert, [HeldOutClip(clip.motion, clip.speech) for clip in real])
    names = ("accuracy", "auc", "shifts_found")
    return [_row(EXPERT, name, found.clips, getattr(found, name)) for name in names]


def _row(method: str, metric: str, n: int, mean: float) -> dict[str, Any]:
    return {"method": method, "metric": metric, "n": n, "mean": mean}


def _differences(values: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Means per method and metric, and the paired difference to EmoDiff with its interval."""
    base, rows = values[EMODIFF], []
    for method, table in values.items():
        for metric in table.columns:
            known = table[metric].dropna()
            row = _row(method, metric, len(known), float(known.mean()) if len(known) else float("nan"))
            both = (table[metric] - base[metric]).dropna().to_numpy(np.float64)
            interval = mean_interval(both, f"{method}/{metric}", _RESAMPLES)
            if method not in (EMODIFF, GROUND_TRUTH) and interval is not None:
                row |= {"difference": float(both.mean()), "low": interval[0], "high": interval[1]}
            rows.append(row)
    return rows
