"""Further training seeds, scored. Run by hand: it trains EmoDiff and the lip models once for each."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.evaluation import OWNERS, SYNC_JUDGES
from assets.keys import SEEDS
from assets.machines import TRAINING
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.pictures import summary_table
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.storage.schema import SEED_SCORES


def build_seed_asset(corpora: Sequence[str]) -> dg.AssetsDefinition:
    """`seed_scores` over the test clips of all registered corpora."""

    @dg.asset(
        deps=["scores", "training_set", "rig", *(dg.AssetKey(["models", name]) for name in SYNC_JUDGES)],
        group_name=SEEDS,
        owners=OWNERS,
        kinds={"torch", "parquet"},
        pool="gpu",
        op_tags=TRAINING.op_tags(),
        code_version="1",
        description="EmoDiff and the lips trained with further seeds and scored: intervals over clips and trainings.",
    )
    @retried_when_transient
    @one_writer("seed_scores")
    def seed_scores(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.seed_scores import SUMMARY, score_seeds

        timer = Timer()
        result = score_seeds(store.workspace, corpora, settings.load())
        table = summary_table(result.path.with_name(SUMMARY))
        counts: dict[str, Any] = {"trainings": result.seeds}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path, result.md5, timer, spec=SEED_SCORES, rows=result.rows, table=table, **counts
            ),
        )

    return seed_scores
