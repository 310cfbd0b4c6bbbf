"""Scores of a method over a whole test set: distributions, emotion, intensity, diversity, seams of a long clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.baselines import MEAN_MOTION, NEAREST_SPEECH, Baselines, LoudnessReader
from magictalk_core.evaluation.clip_scores import motions_of
from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS, sampling_stamp, test_clips
from magictalk_core.evaluation.motion_judge import FRECHET, LEVEL, MOVEMENT, Hits, Judge
from magictalk_core.evaluation.performers import ModelPerformer, Performer, RefinedPerformer, baseline_performers
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.stand_ins import NONE, PartsUsed, described, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.table import CHANCE, GROUND_TRUTH
from magictalk_core.evaluation.trials import collect_trials
from magictalk_core.metrics.catalogue import SET_METRICS
from magictalk_core.metrics.frechet import LEAST_WINDOWS, WINDOW, window_count
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.lip_residue.model import LipRefiner, audio2bs_of
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.markdown import markdown_table
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import SET_SCORES, SET_TRIALS
from magictalk_core.training.run import current_model, model_input
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["NO_STYLE", "SET_SCORES_VERSION", "STUDENT", "SetScores", "score_sets", "set_scores_markdown"]

SET_SCORES_VERSION = "5"
NO_STYLE, STUDENT = "emodiff_no_style", "emodiff_student"
MODELS = (EMODIFF, NO_STYLE, STUDENT)
_DEAF_TO_STYLE = (NO_STYLE, NEAREST_SPEECH, MEAN_MOTION)
"""Nobody can ask them for an intensity."""

TRIALS = "set_trials.parquet"
"""Beside the scores: what the shares of emotions are made of."""

_RESAMPLES = 2000

Motion = NDArray[Any]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class SetScores:
    """The written `set_scores` table."""

    path: Path
    md5: str
    rows: int


def _row(
    method: str,
    metric: str,
    value: float | None,
    n: int,
    missing: str,
    interval: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """`missing` says why there is no value where there is none."""
    spec = SET_METRICS[metric]
    detail = spec.meaning if value is not None else f"{spec.meaning} No value: {missing}."
    low, high = interval or (None, None)
    row = {"method": method, "metric": metric, "value": value, "low": low, "high": high}
    return {**row, "unit": spec.unit, "n": n, "detail": detail}


def _frechet_rows(judge: Judge, method: str, motions: Sequence[Motion]) -> Rows:
    windows = min(window_count(judge.trials.real), window_count(motions))
    few = f"too few windows of {WINDOW} frames for two halves ({windows} < {2 * LEAST_WINDOWS})"
    return [_row(method, metric, judge.frechet_of(metric, motions), len(motions), few) for metric in FRECHET]


_NO_EMOTION = "no two labelled emotions to train on, or no test speaker with neutral clips"
_NO_INTENSITY = "no test speaker with neutral and other clips, or no signature channel that moves"
_NO_JOINT = "no speech, or no motion at its joints"


def _hit_rows(method: str, hits: Hits) -> Rows:
    """The shares of the motions that show the emotion, with intervals over the clips."""
    rows = []
    for metric in (LEVEL, MOVEMENT):
        shown = pd.DataFrame([(h.clip_id, h.shown) for h in hits if h.metric == metric], columns=["clip", "shown"])
        clips = shown.groupby("clip")["shown"].mean().to_numpy(np.float64)
        value = float(shown["shown"].mean()) if len(shown) else None
        interval = mean_interval(clips, f"{method}/{metric}", _RESAMPLES)
        rows.append(_row(method, metric, value, len(shown), _NO_EMOTION, interval))
    return rows


def trial_rows(method: str, hits: Hits) -> Rows:
    """SET_TRIALS rows."""
    return [
        {"clip_id": h.clip_id, "method": method, "metric": h.metric, "emotion": h.emotion, "shown": h.shown}
        for h in hits
    ]


def reference_rows(judge: Judge, data: TrainingSet, window: int) -> Rows:
    """What a perfect method shows, and what chance does."""
    rows = _hit_rows(GROUND_TRUTH, judge.real_hits(data)) + _frechet_rows(judge, GROUND_TRUTH, judge.trials.real)
    seams = judge.real_seams(window)
    rows.append(_row(GROUND_TRUTH, "long_seam_ratio", seams, len(judge.trials.real), _NO_JOINT))
    by_lot = None if judge.emotion is None else 1 / len(judge.emotion.emotions)
    return rows + [_row(CHANCE, metric, by_lot, 0, _NO_EMOTION) for metric in (LEVEL, MOVEMENT)]


def performer_rows(judge: Judge, performers: Mapping[str, Performer]) -> tuple[Rows, Rows]:
    """(SET_SCORES rows, SET_TRIALS rows) of everybody who can be asked: emotion, intensity."""
    rows, trials = [], []
    for method, performer in performers.items():
        hits = judge.style_hits(performer)
        rows += _hit_rows(method, hits)
        trials += trial_rows(method, hits)
        if method not in _DEAF_TO_STYLE:
            intensity = judge.intensity(performer)
            rows.append(_row(method, "intensity_correlation", intensity, len(judge.trials.styled), _NO_INTENSITY))
    return rows, trials


def model_rows(judge: Judge, models: Mapping[str, EmoDiffModel]) -> Rows:
    """SET_SCORES rows that only a model has: diversity, seams; the Frechet distances of those whose motion is in no
    table."""
    rows, trials = [], judge.trials
    for name, model in models.items():
        performer = ModelPerformer(model)
        rows.append(_row(name, "diversity", judge.diversity(performer), len(trials.own), "no test clip"))
        rows.append(_row(name, "long_seam_ratio", judge.long_seams(model), 1, _NO_JOINT))
        if name != EMODIFF:
            rows += _frechet_rows(judge, name, performer.perform(trials.clip_ids, trials.own))
    seams = judge.long_seams(models[EMODIFF], False)
    rows.append(_row(INDEPENDENT_WINDOWS, "long_seam_ratio", seams, 1, _NO_JOINT))
    return rows


def frechet_rows(judge: Judge, motions: Mapping[str, Mapping[str, Motion]]) -> Rows:
    """SET_SCORES rows from the motion of the test clips (clip id -> method -> (n, 58)): distances of every method."""
    places = [MOTION_NAMES.index(name) for name in judge.trials.channels]
    methods = sorted({method for made in motions.values() for method in made})
    rows: Rows = []
    for method in methods:
        rows += _frechet_rows(judge, method, [motions[clip][method][:, places] for clip in judge.trials.clip_ids])
    return rows


def score_sets(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> SetScores:
    """Write `set_scores.parquet`, or return the finished one when models, data and settings are unchanged."""
    path = workspace.set_scores / "set_scores.parquet"
    folders = {name: current_model(workspace.models(name)) for name in (*MODELS, "lip_residue")}
    folders["audio2bs"] = audio2bs_of(folders["lip_residue"], workspace.models("audio2bs"))
    tables = [
        needed(workspace.generated("test") / "motion.parquet", "generated"),
        needed(workspace.refined("test") / "motion.parquet", "refined"),
    ]
    inputs = (
        *(model_input(workspace, folder) for folder in folders.values()),
        *(input_of(workspace.home, kind, table) for kind, table in zip(("generated", "refined"), tables, strict=True)),
        training_set_input(workspace.home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )
    settings: dict[str, Any] = {
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "evaluation": preset.evaluation.model_dump(mode="json", include={"max_clips", "seed"}),
    }
    work = Work(workspace.home, "set_scores", path, SET_SCORES_VERSION, inputs, settings)
    if not work.is_made():
        sampling = preset.emodiff.sampling
        models = {name: EmoDiffModel.load(folders[name], sampling=sampling) for name in MODELS}
        clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
        judge = Judge.fit(collect_trials(workspace, clips, models[EMODIFF]), TrainingSet.open(workspace.training_set))
        refiner = LipRefiner.load(folders["audio2bs"], folders["lip_residue"])
        rows, trials = _measured(workspace, judge, models, refiner, motions_of(tables))
        beside = [workspace.set_scores / TRIALS]
        write_table(SET_TRIALS, trials, beside[0], sampling_stamp(models[EMODIFF]))
        if judge.emotion is not None:
            beside.append(workspace.set_scores / "motion_emotion.safetensors")
            judge.emotion.save(beside[1])
        parts = PartsUsed.of(workspace, corpora)
        rows = [{**row, "stand_ins": stand_ins_text(parts, row["method"], row["metric"])} for row in rows]
        write_table(SET_SCORES, rows, path, sampling_stamp(models[EMODIFF]))
        work.record(clips=[clip for _, clip in clips], stand_ins=named_stand_ins(rows), beside=beside)
    return SetScores(path, file_md5(path), len(read_frame(SET_SCORES, path, columns=["metric"])))


def _measured(
    workspace: Workspace,
    judge: Judge,
    models: Mapping[str, EmoDiffModel],
    refiner: LipRefiner,
    motions: Mapping[str, Mapping[str, Motion]],
) -> tuple[Rows, Rows]:
    data, loudness = TrainingSet.open(workspace.training_set), LoudnessReader(workspace)
    trained = {name: ModelPerformer(model) for name, model in models.items()}
    performers: dict[str, Performer] = {**trained, MAGICTALK: RefinedPerformer(trained[EMODIFF], refiner)}
    baselines = Baselines.fit(data, loudness)
    performers |= baseline_performers(models[EMODIFF], baselines, loudness, judge.trials.channels)
    rows, trials = performer_rows(judge, performers)
    rows += reference_rows(judge, data, models[EMODIFF].window)
    return rows + model_rows(judge, models) + frechet_rows(judge, motions), trials


def set_scores_markdown(path: Path) -> str:
    """The table for people: metrics in rows, methods in columns, last the stand-ins that any of them used."""
    table = read_frame(SET_SCORES, path)
    wide = table.pivot(index="metric", columns="method", values="value")
    rows = []
    for metric, row in wide.iterrows():
        spec = SET_METRICS[str(metric)]
        values = ["" if pd.isna(value) else f"{value:.{spec.decimals}f}" for value in row]
        used = described(table.loc[table["metric"] == metric, "stand_ins"])
        rows.append([spec.title, *values, "; ".join(map(str, used)) or NONE])
    return "\n".join(markdown_table(["", *wide.columns, "stand-ins"], rows))
