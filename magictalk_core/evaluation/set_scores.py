"""Scores of a method over a whole test set: distributions, emotion, intensity, diversity, seams of a long clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS, sampling_stamp, test_clips, to_motion
from magictalk_core.evaluation.stand_ins import NONE, PartsUsed, described, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.evaluation.trials import INTENSITIES, Trials, collect_trials
from magictalk_core.metrics.catalogue import SET_METRICS
from magictalk_core.metrics.diversity import diversity
from magictalk_core.metrics.emotion import EmotionClassifier
from magictalk_core.metrics.frechet import LEAST_WINDOWS, WINDOW, WindowFeatures, frechet_distance, window_count
from magictalk_core.metrics.seams import seam_ratio
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.markdown import markdown_table
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import MOTION, SET_SCORES
from magictalk_core.training.run import current_model, model_input
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import SIGNATURES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = [
    "NO_STYLE",
    "SET_SCORES_VERSION",
    "STUDENT",
    "Judge",
    "SetScores",
    "StyleGain",
    "score_sets",
    "set_scores_markdown",
    "style_gain",
]

SET_SCORES_VERSION = "3"
NO_STYLE, STUDENT = "emodiff_no_style", "emodiff_student"
MODELS = (EMODIFF, NO_STYLE, STUDENT)

Motion = NDArray[Any]


@dataclass(frozen=True)
class SetScores:
    """The written `set_scores` table."""

    path: Path
    md5: str
    rows: int


@dataclass(frozen=True, eq=False)
class Judge:
    """What the scores of a set are measured with, fitted on real motion: `features` is None with too few windows of
    it, `emotion` without two emotions."""

    trials: Trials
    features: WindowFeatures | None
    emotion: EmotionClassifier | None

    @classmethod
    def fit(cls, trials: Trials, data: TrainingSet) -> Judge:
        """Frechet features on the real test clips, the emotion classifier on the training clips."""
        motions, emotions = _faces_and_emotions(data, [trials.channels[i] for i in trials.coefficients])
        emotion = EmotionClassifier.fit(motions, emotions) if len(set(emotions)) > 1 else None
        enough = window_count(trials.real) >= LEAST_WINDOWS
        return cls(trials, WindowFeatures.fit([_face(trials, m) for m in trials.real]) if enough else None, emotion)

    def frechet(self, motions: Sequence[Motion]) -> float | None:
        """Of motions (n, D) in the model's channels to the real test clips; head pose is left out."""
        if self.features is None or window_count(motions) < LEAST_WINDOWS:
            return None
        real = self.features.rows([_face(self.trials, m) for m in self.trials.real])
        return frechet_distance(real, self.features.rows([_face(self.trials, m) for m in motions]))

    def style_accuracy(self, model: EmoDiffModel) -> float | None:
        if self.emotion is None or not self.trials.styled:
            return None
        made = model.generate_many(self.trials.style_requests())
        faces = [_face(self.trials, m) - s.face for m, s in zip(made, self.trials.styled, strict=True)]
        return self.emotion.accuracy(faces, [s.emotion for s in self.trials.styled])

    def real_style_accuracy(self, data: TrainingSet) -> float | None:
        """On the real test clips: what a perfect method would reach."""
        names = [self.trials.channels[i] for i in self.trials.coefficients]
        motions, emotions = _faces_and_emotions(data, names, Split.TEST)
        return self.emotion.accuracy(motions, emotions) if self.emotion is not None and motions else None

    def intensity(self, model: EmoDiffModel) -> float | None:
        """Mean rank correlation of the asked intensity with the level of the emotion's signature channels."""
        asked = [(s, r) for s, r in self.trials.intensity_requests() if s.emotion in SIGNATURES]
        made = iter(model.generate_many([request for _, requests in asked for request in requests]))
        found = []
        for styled, requests in asked:
            motions = [next(made) for _ in requests]
            for channels in SIGNATURES[styled.emotion]:
                seen = [self.trials.channels.index(name) for name in channels if name in self.trials.channels]
                levels = [float(motion[:, seen].mean()) for motion in motions] if seen else [0.0]
                if np.ptp(levels) > 0:
                    found.append(float(spearmanr(INTENSITIES, levels).statistic))
        return float(np.mean(found)) if found else None

    def diversity(self, model: EmoDiffModel) -> float | None:
        asked = self.trials.seed_requests()
        made = iter(model.generate_many([request for requests in asked for request in requests]))
        values = [diversity([_face(self.trials, next(made)) for _ in requests]) for requests in asked]
        return float(np.mean(values)) if values else None

    def long_seams(self, model: EmoDiffModel, autoregressive: bool = True) -> float | None:
        """Seam ratio of a minute of speech."""
        request = self.trials.long_request()
        if request is None:
            return None
        motion = model.generate_many([request], autoregressive=autoregressive)[0]
        return seam_ratio(to_motion(motion, model.channels), model.window)


def _face(trials: Trials, motion: Motion) -> Motion:
    return np.asarray(motion)[:, list(trials.coefficients)]


def _faces_and_emotions(
    data: TrainingSet, names: Sequence[str], split: Split = Split.TRAIN
) -> tuple[list[Motion], list[str]]:
    """Coefficients (n, C) of the labelled clips of a split less the mean face of their speaker, and their emotions."""
    places = [data.channels.index(name) for name in names]
    spoken = data.spoken
    rows = spoken[(spoken["split"] == split) & spoken["emotion"].notna()]
    motions, emotions = [], []
    for _, own in rows.groupby(["corpus", "speaker"], observed=True):
        segments = {
            str(clip): np.concatenate(
                [np.asarray(data.states[s : s + n]) for s, n in zip(r["start"], r["length"], strict=True)]
            )
            for clip, r in own.groupby("clip_id", observed=True)
        }
        face = np.concatenate(list(segments.values()))[:, places].mean(axis=0)
        labels = own.drop_duplicates("clip_id").set_index("clip_id")["emotion"]
        motions += [segment[:, places] - face for segment in segments.values()]
        emotions += [str(labels[clip]) for clip in segments]
    return motions, emotions


def _row(method: str, metric: str, value: float | None, n: int, missing: str) -> dict[str, Any]:
    """`missing` says why there is no value where there is none."""
    spec = SET_METRICS[metric]
    detail = spec.meaning if value is not None else f"{spec.meaning} No value: {missing}."
    return {"method": method, "metric": metric, "value": value, "unit": spec.unit, "n": n, "detail": detail}


def _frechet_row(judge: Judge, method: str, motions: Sequence[Motion]) -> dict[str, Any]:
    windows = min(window_count(judge.trials.real), window_count(motions))
    few = f"too few windows of {WINDOW} frames ({windows} < {LEAST_WINDOWS})"
    return _row(method, "frechet_distance", judge.frechet(motions), len(motions), few)


_NO_EMOTION = "no two labelled emotions to train on, or no test speaker with neutral clips"
_NO_INTENSITY = "no test speaker with neutral and other clips, or no signature channel that moves"
_NO_JOINT = "no speech, or no motion at its joints"


def rows_of_models(judge: Judge, models: Mapping[str, EmoDiffModel], data: TrainingSet) -> list[dict[str, Any]]:
    """SET_SCORES rows that need the models: emotion, intensity, diversity, seams."""
    styled, clips = len(judge.trials.styled), len(judge.trials.own)
    real = judge.real_style_accuracy(data)
    rows = [_row(GROUND_TRUTH, "style_accuracy", real, clips, _NO_EMOTION)]
    for name, model in models.items():
        rows.append(_row(name, "style_accuracy", judge.style_accuracy(model), styled, _NO_EMOTION))
        rows.append(_row(name, "diversity", judge.diversity(model), clips, "no test clip"))
        rows.append(_row(name, "long_seam_ratio", judge.long_seams(model), 1, _NO_JOINT))
        if name != EMODIFF:  # whose motion is in the table of generated motion
            rows.append(_frechet_row(judge, name, model.generate_many(judge.trials.own)))
        if name != NO_STYLE:
            rows.append(_row(name, "intensity_correlation", judge.intensity(model), styled, _NO_INTENSITY))
    seams = judge.long_seams(models[EMODIFF], False)
    rows.append(_row(INDEPENDENT_WINDOWS, "long_seam_ratio", seams, 1, _NO_JOINT))
    return rows


def frechet_rows(judge: Judge, motion: pd.DataFrame) -> list[dict[str, Any]]:
    """SET_SCORES rows from the generated test motion (a MOTION table): the Frechet distance of every method."""
    names, rows = list(judge.trials.channels), []
    for method, table in motion.groupby("method", sort=True, observed=True):
        clips = [own.sort_values("frame_index")[names].to_numpy() for _, own in table.groupby("clip_id", observed=True)]
        rows.append(_frechet_row(judge, str(method), clips))
    return rows


def score_sets(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> SetScores:
    """Write `set_scores.parquet`, or return the finished one when models, data and settings are unchanged."""
    path = workspace.set_scores / "set_scores.parquet"
    generated = needed(workspace.generated("test") / "motion.parquet", "generated")
    folders = {name: current_model(workspace.models(name)) for name in MODELS}
    inputs = (
        *(model_input(workspace, folder) for folder in folders.values()),
        input_of(workspace.home, "generated", generated),
        training_set_input(workspace.home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )
    settings: dict[str, Any] = {
        "sampling": preset.emodiff.sampling.model_dump(mode="json"),
        "evaluation": preset.evaluation.model_dump(mode="json", exclude={"max_videos", "video_size"}),
    }
    work = Work(workspace.home, "set_scores", path, SET_SCORES_VERSION, inputs, settings)
    if not work.is_made():
        sampling = preset.emodiff.sampling
        models = {name: EmoDiffModel.load(folder, sampling=sampling) for name, folder in folders.items()}
        clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
        trials = collect_trials(workspace, clips, models[EMODIFF])
        data = TrainingSet.open(workspace.training_set)
        judge = Judge.fit(trials, data)
        beside = [workspace.set_scores / "motion_emotion.safetensors"] if judge.emotion is not None else []
        if judge.emotion is not None:
            judge.emotion.save(beside[0])
        rows = rows_of_models(judge, models, data) + frechet_rows(judge, read_frame(MOTION, generated))
        parts = PartsUsed.of(workspace, corpora)
        rows = [{**row, "stand_ins": stand_ins_text(parts, row["method"], row["metric"])} for row in rows]
        write_table(SET_SCORES, rows, path, sampling_stamp(models[EMODIFF]))
        work.record(clips=[clip for _, clip in clips], stand_ins=named_stand_ins(rows), beside=beside)
    return SetScores(path, file_md5(path), len(read_frame(SET_SCORES, path, columns=["metric"])))


@dataclass(frozen=True)
class StyleGain:
    """How often the asked emotion is shown, with style frames and without, 0 to 1."""

    with_style: float
    without_style: float


def style_gain(path: Path) -> StyleGain | None:
    """From a `set_scores` table; None where no emotion could be judged."""
    table = read_frame(SET_SCORES, path)
    values = table[table["metric"] == "style_accuracy"].set_index("method")["value"]
    found = [float(values[name]) for name in (EMODIFF, NO_STYLE) if pd.notna(values.get(name))]
    return StyleGain(*found) if len(found) == 2 else None


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
