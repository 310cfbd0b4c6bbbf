"""The code location. Importing this module reads nothing: the registry is read when Dagster asks for definitions."""

from __future__ import annotations

import dagster as dg

from assets.corpus import build_corpus_assets
from assets.evaluation import build_evaluation_assets
from assets.external import build_external_assets
from assets.lineage import build_lineage_report_asset
from assets.models import (
    build_arkit_dataset_asset,
    build_gain_asset,
    build_model_assets,
    build_training_set_asset,
)
from assets.paper import build_paper_assets
from assets.recipes import deepspeech_small
from assets.release import build_release_assets
from assets.seeds import build_seed_asset
from assets.story import with_story
from magictalk_core.workspace import Workspace
from pipelines.automation import build_automation_sensor, with_automation
from pipelines.executors import build_executor
from pipelines.home import prepare_home
from pipelines.jobs import build_jobs
from pipelines.recording import with_recording
from pipelines.register import register_corpus
from pipelines.resources import build_resources
from pipelines.retraining import build_raw_file_sensors, build_retrain_schedule


def build_definitions(workspace: Workspace, recording: bool = True) -> dg.Definitions:
    """Assets of every registered corpus, and everything made from them together.

    `recording`: each step records its result; off for `magictalk run`, which does so at its end.
    """
    from magictalk_core.corpora.registry import list_corpora

    corpora = [entry.name for entry in list_corpora(workspace)]
    assets = [asset for corpus in corpora for asset in build_corpus_assets(corpus)]
    assets += [
        build_arkit_dataset_asset(corpora),
        build_training_set_asset(corpora),
        *build_model_assets(),
        build_gain_asset(),
        *build_release_assets(corpora),
        *build_evaluation_assets(corpora),
        *build_external_assets(corpora),
        *build_paper_assets(corpora),
        build_lineage_report_asset(corpora),
        build_seed_asset(corpora),
        deepspeech_small,
    ]
    told = with_automation(with_story(assets, corpora), corpora)
    jobs = build_jobs(corpora)
    return dg.Definitions(
        assets=with_recording(told) if recording else told,
        jobs=[*jobs.values(), register_corpus],
        schedules=[build_retrain_schedule(jobs["retrain"], corpora)],
        sensors=[build_automation_sensor(corpora), *build_raw_file_sensors(jobs, corpora)],
        resources=build_resources(workspace),
        executor=build_executor(),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads: the workspace of `$MAGICTALK_HOME`, made ready for what a job will need of it."""
    workspace = Workspace.from_environment()
    prepare_home(workspace)
    return build_definitions(workspace)
