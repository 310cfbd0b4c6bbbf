"""Jobs and schedules. Heavy training is never eager: a schedule, shipped stopped, or a hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.keys import BY_HAND, SHARD_STAGES
from assets.paper import GROUP as PAPER

__all__ = ["INDEX", "RECORD_STAGES", "build_jobs", "whole_corpora"]

INDEX = "index"
RECORD_STAGES = ("clips", "manifest", "snapshot", "card")
_ABLATIONS = (
    ["models", "emodiff_no_style"],
    ["models", "emodiff_student"],
    ["models", "sync_expert_all_channels"],
    ["models", "emotion_fan"],
    "set_scores",
    "lip_ablation",
    ["tables", "claims"],
    "external_videos",
    ["figures", "user_study"],
)
"""Tables of the paper, the student, the judge of pictures, systems of others: who uses a model does not wait."""


def whole_corpora(corpora: Sequence[str]) -> dg.AssetSelection:
    """What takes corpora from their raw files to their snapshots in one run: `index` observes the files and registers
    the shards, `shards` brings all of them up to date."""
    return dg.AssetSelection.assets(
        *[[corpus, name] for corpus in corpora for name in (INDEX, "shards", *RECORD_STAGES)]
    )


def build_jobs(corpora: Sequence[str]) -> dict[str, Any]:
    """Per corpus: everything in one click, and its parts; one job for models and evaluation, one for all."""
    jobs: dict[str, Any] = {}
    for corpus in corpora:
        about = {"magictalk/corpus": corpus}
        jobs[f"{corpus}_materialize"] = dg.define_asset_job(
            f"{corpus}_materialize",
            whole_corpora([corpus]),
            description=f"{corpus} in one click: raw files, index, all shards, clip table, manifest, snapshot, card.",
            tags=about,
        )
        jobs[f"{corpus}_observe"] = dg.define_asset_job(
            f"{corpus}_observe",
            dg.AssetSelection.assets([corpus, "source"]),
            description=f"Look at the raw files of {corpus}: new or changed ones make everything downstream stale.",
            tags=about,
        )
        jobs[f"{corpus}_index"] = dg.define_asset_job(
            f"{corpus}_index",
            dg.AssetSelection.assets([corpus, INDEX]),
            description=f"List and probe the raw files of {corpus}; registers its shards.",
            tags=about,
        )
        jobs[f"{corpus}_shards"] = dg.define_asset_job(
            f"{corpus}_shards",
            dg.AssetSelection.assets(*[[corpus, stage] for stage in SHARD_STAGES]),
            description=f"Standardize, track and featurize one shard of {corpus}; a backfill starts a run per shard.",
            tags=about,
        )
        jobs[f"{corpus}_record"] = dg.define_asset_job(
            f"{corpus}_record",
            dg.AssetSelection.assets(*[[corpus, stage] for stage in RECORD_STAGES]),
            description=f"Clip table, manifest, DVC snapshot and dataset card of {corpus}.",
            tags=about,
        )
    jobs["train_and_evaluate"] = dg.define_asset_job(
        "train_and_evaluate",
        dg.AssetSelection.groups("models", "release", "evaluation"),
        description="Training set, EmoDiff, generated motion, scores, videos, report.",
    )
    shards = dg.AssetSelection.assets(*[[corpus, stage] for corpus in corpora for stage in SHARD_STAGES])
    jobs["everything"] = dg.define_asset_job(
        "everything",
        dg.AssetSelection.all() - shards - dg.AssetSelection.groups(*BY_HAND),
        description="From the raw files of all corpora to the report: what `magictalk run` does.",
    )
    jobs["retrain"] = dg.define_asset_job(
        "retrain",
        dg.AssetSelection.all()
        - shards
        - dg.AssetSelection.groups(*BY_HAND, PAPER)
        - dg.AssetSelection.assets(*_ABLATIONS),
        description="What the schedule starts: raw files, datasets, training, release, evaluation; no ablation.",
    )
    return jobs
