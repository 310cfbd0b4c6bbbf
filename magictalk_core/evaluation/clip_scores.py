"""Scores of generated motion on the test clips of a workspace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.sync_scores import SYNC_METRICS, sync_values
from magictalk_core.evaluation.table import GROUND_TRUTH, METRICS_VERSION, score_clip, score_ground_truth, summary
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.metrics.coefficients import channel_correlation
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import ClipData, CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.storage.atomic import atomic_path, write_if_changed
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import MOTION, SCORES
from magictalk_core.training.run import current_model, model_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["TRUE_CURVE_METRIC", "ScoreTable", "mean_score", "score_test_motion", "write_summary"]

SUMMARY_VERSION = "2"
TRUE_CURVE_METRIC = "jaw_open_correlation_true_curve"
"""Where a corpus's kind knows the curves that animated its clips: generated jawOpen against them, without a tracker."""


@dataclass(frozen=True)
class ScoreTable:
    """The written `scores` table."""

    path: Path
    md5: str
    rows: int


def score_test_motion(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> ScoreTable:
    """Score every generated clip against its tracked motion."""
    path = workspace.scores / "scores.parquet"
    home = workspace.home
    motions = {
        kind: needed(folder / "motion.parquet", kind)
        for kind, folder in (("generated", workspace.generated("test")), ("refined", workspace.refined("test")))
    }
    rig_file, expert = needed(workspace.rig / "rig.npz", "rig"), current_model(workspace.models("sync_expert"))
    inputs = (
        *(input_of(home, kind, motion) for kind, motion in motions.items()),
        input_of(home, "rig", rig_file),
        model_input(workspace, expert),
        # The truth and the window of the seams are not in the generated motion.
        *manifest_inputs(workspace, corpora),
    )
    settings = {"window": preset.training_set.window}
    work = Work(home, "scores", path, f"{METRICS_VERSION}.{SCORES.version}", inputs, settings)
    if not work.is_made():
        motion = pd.concat([read_frame(MOTION, m) for m in motions.values()], ignore_index=True)
        rig = load_rig(rig_file)
        parts = PartsUsed.of(workspace, corpora, rig.name)
        rows = _score_all(workspace, motion, rig, SyncExpertModel.load(expert), preset)
        rows = [{**r, "stand_ins": stand_ins_text(parts, r["method"], r["metric"])} for r in rows]
        write_table(SCORES, rows, path)
        work.record(clips={row["clip_id"] for row in rows}, stand_ins=named_stand_ins(rows))
    return ScoreTable(path, file_md5(path), len(read_frame(SCORES, path, columns=["metric"])))


def _score_all(
    workspace: Workspace, motion: pd.DataFrame, rig: Rig, expert: SyncExpertModel, preset: Preset
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    window = preset.training_set.window
    curves: dict[str, dict[str, NDArray[np.float32]]] = {}
    generated = {str(clip_id): methods for clip_id, methods in motion.groupby("clip_id")}
    for clip in _read_clips(workspace, generated):
        clip_id, truth, speech = clip.clip_id, clip.motion, clip.speech
        corpus = clip_id.split("/")[0]
        if corpus not in curves:
            curves[corpus] = _true_curves(workspace, corpus)
        curve = curves[corpus].get(clip_id)
        rows += score_ground_truth(clip_id, truth, window)
        rows += _sync_rows(clip_id, GROUND_TRUTH, sync_values(expert, truth, speech, clip.feature_id))
        for method, table in generated[clip_id].groupby("method", sort=True):
            result = table.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
            rows += score_clip(clip_id, str(method), truth[: len(result)], result, rig, window)
            rows += _sync_rows(clip_id, str(method), sync_values(expert, result, speech, clip.feature_id))
            if curve is not None:
                n = min(len(curve), len(result))
                value = channel_correlation(curve[:n], result[:n], "jawOpen")
                row = {"clip_id": clip_id, "method": str(method), "metric": TRUE_CURVE_METRIC}
                rows.append({**row, "value": value, "unit": "1"})
    return rows


def _read_clips(workspace: Workspace, clip_ids: Iterable[str]) -> Iterator[ClipData]:
    """Clips of any corpora, every shard decoded once."""
    for corpus, ids in groupby(sorted(clip_ids), key=lambda clip_id: clip_id.split("/")[0]):
        yield from CorpusReader(workspace, corpus).clips_of(ids)


def _sync_rows(clip_id: str, method: str, values: dict[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"clip_id": clip_id, "method": method, "metric": name, "value": values[name], "unit": METRICS[name].unit}
        for name in SYNC_METRICS
    ]


def _true_curves(workspace: Workspace, corpus: str) -> dict[str, NDArray[np.float32]]:
    """clip id -> (n, 58) of the curves that animated it; empty where the corpus's kind knows none."""
    entry = load_corpus(workspace, corpus)
    read = kind_of(entry).true_curves
    if read is None:
        return {}
    clips = read(corpus_of(entry)).sort_values("frame_index").groupby("clip_id")
    return {str(clip_id): rows[list(MOTION_NAMES)].to_numpy(np.float32) for clip_id, rows in clips}


def mean_score(scores: Path, method: str, metric: str) -> float | None:
    """Mean over the clips; None when no clip has the value."""
    table = read_frame(SCORES, scores)
    values = table[(table["method"] == method) & (table["metric"] == metric)]["value"].dropna()
    return float(values.mean()) if len(values) else None


def write_summary(workspace: Workspace) -> tuple[Path, str]:
    """`tables/summary.csv`: mean, interval, n and stand-ins per method and metric; its path and md5.

    Beside it `metrics.json`, the means alone, in the form that `dvc metrics diff` compares: method, metric, mean.
    """
    path, scores = workspace.tables / "summary.csv", needed(workspace.scores / "scores.parquet", "scores")
    means = workspace.tables / "metrics.json"
    work = Work(workspace.home, "summary", path, SUMMARY_VERSION, (input_of(workspace.home, "scores", scores),))
    record = work.made()
    if record is None or not means.is_file():
        rows = read_frame(SCORES, scores)
        table = summary(rows)
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        write_if_changed(means, json.dumps(_means(table), indent=1) + "\n")
        used = named_stand_ins(rows.to_dict("records"))
        record = work.record(clips=set(rows["clip_id"]), stand_ins=used, beside=[means])
    return path, record.md5


def _means(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method -> metric -> mean, where one was measured."""
    measured = table[table["mean"].notna()]
    return {
        str(method): {str(row.metric): float(f"{row.mean:.6g}") for row in group.itertuples()}
        for method, group in measured.groupby("method", sort=True)
    }
