"""`seed_scores`: the same trainings with other seeds, scored on the same clips. On demand: it trains for each seed.

A number of one training is a draw: another seed gives another one. EmoDiff, Audio2BS, the sync expert and the residue
are trained anew with each of `evaluation.seeds`, asked for the test clips and scored as `scores` does; the models are
used once and not kept. With the rows of the models in use they make intervals over clips and over trainings.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.clip_scores import Scorer
from magictalk_core.evaluation.generate import (
    EMODIFF,
    motion_requests,
    test_clips,
    to_motion,
)
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.stand_ins import PartsUsed, named_stand_ins, stand_ins_text
from magictalk_core.evaluation.sync_scores import judge_folders, load_judges
from magictalk_core.evaluation.table import METRICS_VERSION
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.metrics.intervals import crossed_interval
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.preparation.reader import CorpusReader, pick_style_clip
from magictalk_core.presets.preset import Preset
from magictalk_core.rig.rig import load_rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import SCORES, SEED_SCORES
from magictalk_core.training.run import current_model, model_input, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import training_set_input
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Input, Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["IN_USE", "SEEDED", "SEED_SCORES_VERSION", "SeedScores", "score_seeds", "seed_summary", "with_seed"]

SEED_SCORES_VERSION = "1"
SEEDED = (EMODIFF, "sync_expert", "audio2bs", "lip_residue")
"""Families that are trained with each seed, in this order: the residue learns from the two before it."""

IN_USE = -1
"""In place of a seed: the models in use, whose rows are those of `scores`."""

SUMMARY = "seed_summary.csv"
_COLUMNS = ("method", "metric", "unit", "seeds", "clips", "mean", "low", "high", "between_seeds", "stand_ins")
_RESAMPLES = 2000

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class SeedScores:
    """The written table, and how many trainings are in it."""

    path: Path
    md5: str
    rows: int
    seeds: int


def with_seed(preset: Preset, seed: int) -> Preset:
    """The preset with that training seed for each of `SEEDED`."""
    values = preset.model_dump()
    for family in SEEDED:
        values[FAMILIES[family].section]["training"]["seed"] = seed
    return Preset.model_validate(values)


def score_seeds(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> SeedScores:
    """Write `seed_scores.parquet` and `seed_summary.csv`, or return the finished ones when nothing changed.

    Takes as long as the trainings of `SEEDED`, for each seed. One that was interrupted goes on: a finished seed is not
    trained again, a training continues from its checkpoint.
    """
    home, path = workspace.home, workspace.seed_scores / "seed_scores.parquet"
    scores = needed(workspace.scores / "scores.parquet", "scores")
    work = Work(home, "seed_scores", path, _version(), _inputs(workspace, corpora, scores), _settings(preset))
    if not work.is_made():
        parts = PartsUsed.of(workspace, corpora, load_rig(workspace.rig / "rig.npz").name)
        own = read_frame(SCORES, scores)
        tables = [own[own["method"].isin((EMODIFF, MAGICTALK))].assign(seed=IN_USE)]
        cache = workspace.cache("seed_scores") / work.digest
        for seed in preset.evaluation.seeds:
            rows = _seed_rows(workspace, corpora, with_seed(preset, seed), cache / str(seed))
            found = [{**r, "stand_ins": stand_ins_text(parts, r["method"], r["metric"])} for r in rows]
            tables.append(pd.DataFrame(found).assign(seed=seed))
        table = pd.concat(tables, ignore_index=True).astype({"seed": "int64"})
        write_table(SEED_SCORES, table, path)
        summary = workspace.seed_scores / SUMMARY
        with atomic_path(summary) as temporary:
            seed_summary(table).to_csv(temporary, index=False, float_format="%.6g")
        used = named_stand_ins(table.to_dict("records"))
        work.record(clips=set(table["clip_id"]), stand_ins=used, beside=[summary])
        shutil.rmtree(workspace.cache("seed_scores"), ignore_errors=True)
    found_rows = read_frame(SEED_SCORES, path, columns=["seed"])
    return SeedScores(path, file_md5(path), len(found_rows), found_rows["seed"].nunique())


def _version() -> str:
    families = ".".join(FAMILIES[name].version for name in SEEDED)
    return f"{SEED_SCORES_VERSION}.{METRICS_VERSION}.{SEED_SCORES.version}.{families}"


def _inputs(workspace: Workspace, corpora: Sequence[str], scores: Path) -> tuple[Input, ...]:
    return (
        input_of(workspace.home, "scores", scores),
        input_of(workspace.home, "rig", workspace.rig / "rig.npz"),
        *(model_input(workspace, folder) for folder in judge_folders(workspace).values()),
        training_set_input(workspace.home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )


def _settings(preset: Preset) -> dict[str, Any]:
    sections = {FAMILIES[name].section for name in SEEDED}
    trained = {name: getattr(preset, name).model_dump(mode="json") for name in sorted(sections)}
    asked = preset.evaluation.model_dump(mode="json", include={"max_clips", "seed", "seeds"})
    return {**trained, "evaluation": asked, "window": preset.training_set.window}


def _seed_rows(workspace: Workspace, corpora: Sequence[str], preset: Preset, folder: Path) -> list[dict[str, Any]]:
    """SCORES rows of one seed, without their stand-ins; kept in `folder` until all seeds are there."""
    kept = folder / "rows.parquet"
    if not kept.is_file():
        for family in SEEDED:
            train(FAMILIES[family], preset, workspace.training_set, folder / "models" / family, MemoryTracker())
        models = {family: current_model(folder / "models" / family) for family in SEEDED}
        clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
        emodiff = EmoDiffModel.load(models[EMODIFF], sampling=preset.emodiff.sampling)
        refiner = LipRefiner.load(models["audio2bs"], models["lip_residue"])
        motions = _motions(workspace, clips, emodiff, refiner, preset.evaluation.seed)
        # The expert that these lips learned to please is this seed's own; the judges are those of all.
        expert, judges = SyncExpertModel.load(models["sync_expert"]), load_judges(judge_folders(workspace))
        rig, window = load_rig(workspace.rig / "rig.npz"), preset.training_set.window
        rows = Scorer(workspace, rig, expert, judges, window).rows(motions)
        own = [{**row, "stand_ins": ""} for row in rows if row["method"] in (EMODIFF, MAGICTALK)]
        write_table(SCORES, own, kept)
        shutil.rmtree(folder / "models")
    records = read_frame(SCORES, kept).drop(columns="stand_ins").to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def _motions(
    workspace: Workspace, clips: Sequence[tuple[str, str]], model: EmoDiffModel, refiner: LipRefiner, seed: int
) -> dict[str, dict[str, Motion]]:
    """Clip id -> method -> motion (n, 58), as `generated` and `refined` make it."""
    readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
    requests = motion_requests(readers, clips, model, seed)
    found: dict[str, dict[str, Motion]] = {}
    for (corpus, clip_id), made in zip(clips, model.generate_many(requests), strict=True):
        reader, motion = readers[corpus], to_motion(made, model.channels)
        style = reader.motion(pick_style_clip(reader, clip_id))[0]
        clip, voice = reader.clip(clip_id), reader.voice(clip_id, len(motion)) if model.rests else None
        refined = refiner.refine(motion, MOTION_NAMES, clip.speech[: len(motion)], clip.feature_id, style, voice)
        found[clip_id] = {EMODIFF: motion, MAGICTALK: refined}
    return found


def seed_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and 95 % interval over clips and trainings, a row per method and metric of a SEED_SCORES table.

    `between_seeds`: standard deviation of the means of the trainings. The interval draws trainings and clips anew, each
    for itself, the same clips for every training: it is about another training on another draw of clips.
    """
    rows = []
    for (method, metric), group in table.groupby(["method", "metric"], observed=True, sort=True):
        grid = group.pivot(index="seed", columns="clip_id", values="value").astype(float)
        grid = grid.dropna(axis=1, how="any")
        values = grid.to_numpy(np.float64)
        mean = float(values.mean()) if values.size else None
        low, high = crossed_interval(values, f"{method}/{metric}", _RESAMPLES) or (None, None)
        between = float(values.mean(axis=1).std(ddof=1)) if values.size and len(values) > 1 else None
        used = str(group["stand_ins"].iloc[0])
        row = (method, metric, METRICS[str(metric)].unit, *values.shape, mean, low, high, between, used)
        rows.append(dict(zip(_COLUMNS, row, strict=True)))
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype(dict.fromkeys(("mean", "low", "high", "between_seeds"), "float64"))
