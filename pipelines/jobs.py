"""Jobs and schedules. Heavy training is never eager: a schedule, shipped stopped, or a hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

INDEX = "index"
SHARD_STAGES = ("media", "blendshapes", "speech")
RECORD_STAGES = ("clips", "manifest", "snapshot", "card")


def build_jobs(corpora: Sequence[str]) -> dict[str, Any]:
    """Per corpus: observe, index, shards, record; one job for models and evaluation."""
    jobs: dict[str, Any] = {}
    for corpus in corpora:
        jobs[f"{corpus}_observe"] = dg.define_asset_job(
            f"{corpus}_observe",
            dg.AssetSelection.assets([corpus, "source"]),
            description=f"Look at the raw files of {corpus}: new or changed ones make everything downstream stale.",
        )
        jobs[f"{corpus}_index"] = dg.define_asset_job(
            f"{corpus}_index",
            dg.AssetSelection.assets([corpus, INDEX]),
            description=f"List and probe the raw files of {corpus}; registers its shards.",
        )
        jobs[f"{corpus}_shards"] = dg.define_asset_job(
            f"{corpus}_shards",
            dg.AssetSelection.assets(*[[corpus, stage] for stage in SHARD_STAGES]),
            description=f"Standardize, track and featurize one shard of {corpus}.",
        )
        jobs[f"{corpus}_record"] = dg.define_asset_job(
            f"{corpus}_record",
            dg.AssetSelection.assets(*[[corpus, stage] for stage in RECORD_STAGES]),
            description=f"Clip table, manifest, DVC snapshot and dataset card of {corpus}.",
        )
    jobs["train_and_evaluate"] = dg.define_asset_job(
        "train_and_evaluate",
        dg.AssetSelection.groups("models", "evaluation"),
        description="Training set, EmoDiff, generated motion, scores, videos, report.",
    )
    return jobs


def build_schedules(jobs: dict[str, Any]) -> list[dg.ScheduleDefinition]:
    return [
        dg.ScheduleDefinition(
            name="retrain_weekly",
            job=jobs["train_and_evaluate"],
            cron_schedule="0 3 * * 6",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="Retrain on what the manifests hold; unchanged data and settings return the finished model.",
        )
    ]
