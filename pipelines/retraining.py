"""When a training starts by itself: a weekly schedule behind a gate. And a sensor per corpus for new raw files.

All are shipped stopped: `dagster schedule start retrain`, or a switch in the UI.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.resources import Settings, Store
from magictalk_core.errors import MagicTalkError

__all__ = ["build_raw_file_sensors", "build_retrain_schedule"]

CRON = "0 3 * * 6"
REASON_TAG = "magictalk/reason"
LOOK_EVERY_S = 600
_LONGEST_TAG = 200


def build_retrain_schedule(job: Any, corpora: Sequence[str]) -> dg.ScheduleDefinition:
    """Weekly: from the raw files to the release, where the gate finds a reason."""

    @dg.schedule(
        name="retrain",
        job=job,
        cron_schedule=CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Saturdays at 3: observe, prepare, train, release and evaluate, where there are enough new hours "
        "(retraining.min_new_hours) or new code since the newest model.",
    )
    def retrain(context: dg.ScheduleEvaluationContext, store: Store, settings: Settings) -> Any:
        from magictalk_core.release.retraining import retraining_need

        need = retraining_need(store.workspace, corpora, settings.load())
        if not need.is_one:
            return dg.SkipReason(need.found)
        context.log.info("%s", need)
        return dg.RunRequest(tags={REASON_TAG: str(need)[:_LONGEST_TAG]})

    return retrain


def build_raw_file_sensors(jobs: dict[str, Any], corpora: Sequence[str]) -> list[dg.SensorDefinition]:
    """One per corpus."""
    return [_raw_file_sensor(jobs[f"{corpus}_materialize"], corpus) for corpus in corpora]


def _raw_file_sensor(job: Any, corpus: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{corpus}_raw_files",
        job=job,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"New, changed or removed raw files of {corpus}, once they lie still between two looks: its "
        "dataset is made up to date, as far as the snapshot.",
    )
    def new_raw_files(context: dg.SensorEvaluationContext, store: Store) -> Any:
        from magictalk_core.preparation.raw_changes import raw_changes

        try:
            changes = raw_changes(store.workspace, corpus)
        except MagicTalkError as error:
            return dg.SkipReason(str(error))
        seen = json.loads(context.cursor)["seen"] if context.cursor else None
        context.update_cursor(json.dumps({"seen": changes.digest}))
        if not changes.is_any:
            return dg.SkipReason(f"{corpus}: every raw file is in the listing")
        if seen != changes.digest:
            # Half a copied video is a broken video: what moved since the last look is left to lie still first.
            return dg.SkipReason(f"{corpus}: {changes}; waiting until nothing moves between two looks")
        return dg.RunRequest(run_key=changes.digest, tags={REASON_TAG: f"{corpus}: {changes}"[:_LONGEST_TAG]})

    return new_raw_files
