"""Scores of generated motion on the test clips of a workspace."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.clip_facts import ClipFacts, facts_of_clips, strange_motion
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.sync_scores import judge_folders, judged_sync, load_judges, sync_values
from magictalk_core.evaluation.table import (
    CHANCE,
    GROUND_TRUTH,
    METRICS_VERSION,
    TRUE_CURVES,
    score_clip,
    score_ground_truth,
    summary,
)
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

__all__ = [
    "TRUE_CURVE_METRIC",
    "ScoreTable",
    "Scorer",
    "mean_score",
    "motions_of",
    "score_test_motion",
    "write_summary",
]

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
    judges = judge_folders(workspace)
    inputs = (
        *(input_of(home, kind, motion) for kind, motion in motions.items()),
        input_of(home, "rig", rig_file),
        *(model_input(workspace, folder) for folder in (expert, *judges.values())),
        # The truth and the window of the seams are not in the generated motion.
        *manifest_inputs(workspace, corpora),
    )
    settings = {"window": preset.training_set.window}
    work = Work(home, "scores", path, f"{METRICS_VERSION}.{SCORES.version}", inputs, settings)
    if not work.is_made():
        rig = load_rig(rig_file)
        parts = PartsUsed.of(workspace, corpora, rig.name)
        scorer = Scorer(workspace, rig, SyncExpertModel.load(expert), load_judges(judges), preset.training_set.window)
        rows = scorer.rows(motions_of(list(motions.values())))
        rows = [{**r, "stand_ins": stand_ins_text(parts, r["method"], r["metric"])} for r in rows]
        write_table(SCORES, rows, path)
        work.record(clips={row["clip_id"] for row in rows}, stand_ins=named_stand_ins(rows))
    return ScoreTable(path, file_md5(path), len(read_frame(SCORES, path, columns=["metric"])))


Motions = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Clip id -> method -> motion (n, 58)."""


def motions_of(tables: Sequence[Path]) -> dict[str, dict[str, NDArray[np.float32]]]:
    """What MOTION tables hold."""
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for table in tables:
        for (clip_id, method), rows in read_frame(MOTION, table).groupby(["clip_id", "method"], observed=True):
            values = rows.sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
            found.setdefault(str(clip_id), {})[str(method)] = values
    return found


@dataclass(frozen=True, eq=False)
class Scorer:
    """All that clips are scored with: the rig, the expert that lip refinement was trained with, the judges."""

    workspace: Workspace
    rig: Rig
    expert: SyncExpertModel
    judges: tuple[SyncExpertModel, ...]
    window: int

    def rows(self, motions: Motions) -> list[dict[str, Any]]:
        """SCORES rows of all methods and of what they are compared with, without their stand-ins."""
        real = {clip.clip_id: clip.motion for clip in _clips_of(self.workspace, motions)}
        rows: list[dict[str, Any]] = []
        for facts in facts_of_clips(self.workspace, motions):
            rows += self._references(facts, real)
            for method, motion in sorted(motions[facts.clip.clip_id].items()):
                rows += self._method(facts, method, motion)
        return rows

    def _references(self, facts: ClipFacts, real: Mapping[str, NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Rows of the real clip, of chance, and of the true curves where they are known."""
        clip_id, truth = facts.clip.clip_id, facts.clip.motion
        rows = score_ground_truth(clip_id, truth, self.window, self.rig, facts.spoken)
        rows += self._sync(facts, GROUND_TRUTH, truth)
        if facts.curve is not None:
            rows.append(_true_curve_row(facts, GROUND_TRUTH, truth))
            rows += self._method(facts, TRUE_CURVES, facts.curve)
        strange = strange_motion(clip_id, real)
        return rows if strange is None else rows + self._method(facts, CHANCE, strange)

    def _method(self, facts: ClipFacts, method: str, motion: NDArray[np.float32]) -> list[dict[str, Any]]:
        clip_id, n = facts.clip.clip_id, min(len(motion), len(facts.clip.motion))
        truth, made = facts.clip.motion[:n], motion[:n]
        rows = score_clip(clip_id, method, truth, made, self.rig, self.window, facts.spoken)
        rows += self._sync(facts, method, made)
        if facts.curve is not None and method != TRUE_CURVES:
            rows.append(_true_curve_row(facts, method, made))
        return rows

    def _sync(self, facts: ClipFacts, method: str, motion: NDArray[np.float32]) -> list[dict[str, Any]]:
        clip = facts.clip
        values = sync_values(self.expert, motion, clip.speech, clip.feature_id)
        values |= judged_sync(self.judges, motion, clip.speech, clip.feature_id)
        return [
            {"clip_id": clip.clip_id, "method": method, "metric": name, "value": value, "unit": METRICS[name].unit}
            for name, value in values.items()
        ]


def _clips_of(workspace: Workspace, clip_ids: Iterable[str]) -> Iterator[ClipData]:
    for corpus, ids in groupby(sorted(clip_ids), key=lambda clip_id: clip_id.split("/")[0]):
        yield from CorpusReader(workspace, corpus).clips_of(ids)


def _true_curve_row(facts: ClipFacts, method: str, motion: NDArray[np.float32]) -> dict[str, Any]:
    assert facts.curve is not None
    n = min(len(facts.curve), len(motion))
    value = channel_correlation(facts.curve[:n], motion[:n], "jawOpen")
    row = {"clip_id": facts.clip.clip_id, "method": method, "metric": TRUE_CURVE_METRIC}
    return {**row, "value": value, "unit": METRICS[TRUE_CURVE_METRIC].unit}


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
