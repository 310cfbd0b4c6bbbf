"""What the method is compared with: videos of other systems, and what people said of all of them."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence

import dagster as dg

from assets.columns import of_external_videos
from assets.evaluation import GROUP, OWNERS
from assets.machines import GENERATION
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.storage.schema import EXTERNAL_VIDEOS


def build_external_assets(corpora: Sequence[str]) -> list[dg.AssetsDefinition]:
    """Both make an empty result, with the reason, where no system is configured and no study was made."""

    @dg.asset(
        deps=["training_set"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet", "ffmpeg"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="1",
        description="Test clips through the systems of others that the preset names, and why some have no video.",
    )
    @retried_when_transient
    @one_writer("external_videos")
    def external_videos(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.external.videos import make_external_videos

        timer = Timer()
        result = make_external_videos(store.workspace, corpora, settings.load())
        metadata = materialization(
            result.path,
            result.md5,
            timer,
            spec=EXTERNAL_VIDEOS,
            rows=result.made + result.failed,
            columns=of_external_videos(corpora),
            videos=result.made,
            failed=result.failed,
        )
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    @dg.asset(
        key=["figures", "user_study"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"csv", "matplotlib"},
        code_version="1",
        description="Figure 7: what people preferred, with intervals and their agreement, from returned answers.",
    )
    @retried_when_transient
    @one_writer("figures/user_study")
    def user_study(store: Store) -> dg.MaterializeResult:
        from magictalk_core.evaluation.study.figure import make_user_study

        timer = Timer()
        result = make_user_study(store.workspace)
        metadata = materialization(
            result.path, result.md5, timer, participants=result.participants, excluded=result.excluded
        )
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    return [external_videos, user_study]
