"""Scores of generated motion on the test clips of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.corpora.registry import load_corpus
from magictalk_core.evaluation.sync_scores import SYNC_METRICS, sync_values
from magictalk_core.evaluation.table import GROUND_TRUTH, METRICS_VERSION, score_clip, score_ground_truth, summary
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.metrics.coefficients import channel_correlation
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.hashes import file_md5, tree_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import MOTION, SCORES
from magictalk_core.training.run import current_model
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.stamps import stamp_is_valid, write_stamp
from magictalk_core.workspace import Workspace

__all__ = ["TRUE_CURVE_METRIC", "ScoreTable", "mean_score", "score_test_motion", "write_summary"]

TRUE_CURVE_METRIC = "jaw_open_correlation_true_curve"
"""Only for the sample corpus: generated jawOpen against the curve that animated the clip, no tracker in between."""


@dataclass(frozen=True)
class ScoreTable:
    """The written `scores` table."""

    path: Path
    md5: str
    rows: int


def score_test_motion(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> ScoreTable:
    """Score every generated clip against its tracked motion."""
    path = workspace.scores / "scores.parquet"
    motions = [folder / "motion.parquet" for folder in (workspace.generated("test"), workspace.refined("test"))]
    rig_file, expert = workspace.rig / "rig.npz", current_model(workspace.models("sync_expert"))
    inputs = {
        "motion": [file_md5(motion) for motion in motions],
        "rig": file_md5(rig_file),
        "expert": tree_md5(expert),
        "version": METRICS_VERSION,
    }
    if not stamp_is_valid(path, inputs):
        motion = pd.concat([read_frame(MOTION, motion) for motion in motions], ignore_index=True)
        rows = _score_all(workspace, motion, load_rig(rig_file), SyncExpertModel.load(expert), preset)
        write_table(SCORES, rows, path)
        write_stamp(path, inputs)
    return ScoreTable(path, file_md5(path), len(read_frame(SCORES, path, columns=["metric"])))


def _score_all(
    workspace: Workspace, motion: pd.DataFrame, rig: Rig, expert: SyncExpertModel, preset: Preset
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    window = preset.training_set.window
    for clip_id, methods in motion.groupby("clip_id", sort=True):
        corpus = str(clip_id).split("/")[0]
        clip = CorpusReader(workspace, corpus).clip(str(clip_id))
        truth, speech = clip.motion, clip.speech
        curve = _true_curve(workspace, corpus, str(clip_id))
        rows += score_ground_truth(str(clip_id), truth, window)
        rows += _sync_rows(str(clip_id), GROUND_TRUTH, sync_values(expert, truth, speech, clip.feature_id))
        for method, table in methods.groupby("method", sort=True):
            result = table.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
            rows += score_clip(str(clip_id), str(method), truth[: len(result)], result, rig, window)
            rows += _sync_rows(str(clip_id), str(method), sync_values(expert, result, speech, clip.feature_id))
            if curve is not None:
                n = min(len(curve), len(result))
                value = channel_correlation(curve[:n], result[:n], "jawOpen")
                row = {"clip_id": str(clip_id), "method": str(method), "metric": TRUE_CURVE_METRIC}
                rows.append({**row, "value": value, "unit": "1"})
    return rows


def _sync_rows(clip_id: str, method: str, values: dict[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"clip_id": clip_id, "method": method, "metric": name, "value": values[name], "unit": METRICS[name].unit}
        for name in SYNC_METRICS
    ]


def _true_curve(workspace: Workspace, corpus: str, clip_id: str) -> Any:
    """(n, 58) of the curves that animated a clip of the sample corpus, else None."""
    entry = load_corpus(workspace, corpus)
    if entry.kind != "sample":
        return None
    from magictalk_core.sample_corpus.build import truth_table

    table = truth_table(entry.root, corpus)
    rows = table[table["clip_id"] == clip_id].sort_values("frame_index")
    return rows[list(MOTION_NAMES)].to_numpy(np.float32) if len(rows) else None


def mean_score(scores: Path, method: str, metric: str) -> float | None:
    """Mean over the clips; None when no clip has the value."""
    table = read_frame(SCORES, scores)
    values = table[(table["method"] == method) & (table["metric"] == metric)]["value"].dropna()
    return float(values.mean()) if len(values) else None


def write_summary(workspace: Workspace) -> Path:
    """`tables/summary.csv`: mean, interval and n per method and metric."""
    path = workspace.tables / "summary.csv"
    table = summary(read_frame(SCORES, workspace.scores / "scores.parquet"))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    return path
