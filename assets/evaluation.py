"""What the models make: the rig, generated motion, scores, comparison videos, the report."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.columns import of_claims, of_motion, of_scores
from assets.links import file_link, file_url
from assets.machines import CPU_WORK, GENERATION
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.pictures import summary_table
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.models.sync_expert.family import SYNC_JUDGES as JUDGES
from magictalk_core.release.families import RELEASED
from magictalk_core.storage.schema import CLAIMS, MOTION, SCORES, SET_SCORES, SET_TRIALS

GROUP = "evaluation"
OWNERS = ["team:magictalk"]
NEED_TEST_CLIPS = frozenset(
    (
        "generated",
        "refined",
        "scores",
        "set_scores",
        "lip_ablation",
        "tables/summary",
        "tables/claims",
        "videos/comparison",
    )
)
"""Assets that are about held-out clips alone. The report shows what there is."""
EMODIFF_FAMILIES = ("emodiff", "emodiff_no_style", "emodiff_student")
LIP_FAMILIES = ("audio2bs", "lip_residue", "sync_expert", "sync_expert_all_channels")
SYNC_JUDGES = tuple(family.name for family in JUDGES)
"""Experts that lip refinement never saw."""


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"numpy"},
    code_version="1",
    description="The 52-shape ARKit rig that renders motion.",
)
@retried_when_transient
@one_writer("rig")
def rig(store: Store) -> dg.MaterializeResult:
    from magictalk_core.rig.builtin import write_builtin_rig

    timer = Timer()
    path, md5 = write_builtin_rig(store.workspace)
    return dg.MaterializeResult(data_version=dg.DataVersion(md5), metadata=materialization(path, md5, timer))


def _released(family: str) -> dg.AssetKey:
    return dg.AssetKey(["release", family])


def in_use(family: str) -> dg.AssetKey:
    """What is upstream of using a family: its release, or its training where nothing is released."""
    return _released(family) if family in RELEASED else dg.AssetKey(["models", family])


def _claim_check(name: str, verdicts: Sequence[Any]) -> dg.AssetCheckResult:
    """Passed when the claims of that check are won; the words say against whom and by how much."""
    own = [one for one in verdicts if one.claim.check == name]
    said = "; ".join(one.sentence for one in own) or "nothing to compare"
    return dg.AssetCheckResult(
        passed=bool(own) and all(one.outcome == "wins" for one in own),
        check_name=name,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={one.claim.says: one.sentence for one in own},
        description=said,
    )


def _claims_hold(outcomes: Mapping[str, Sequence[str]]) -> dg.AssetCheckResult:
    """Passed when every claim of the table is won. `outcomes`: outcome -> the claims that came out so."""
    won, claims = len(outcomes.get("wins", ())), sum(map(len, outcomes.values()))
    lost = "; ".join(outcomes.get("loses", ())) or "none"
    return dg.AssetCheckResult(
        passed=won == claims > 0,
        check_name="claims_hold",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={outcome: "; ".join(own) for outcome, own in outcomes.items() if own},
        description=f"{won} of {claims} claims beat the best baseline for sure; lost: {lost}",
    )


def build_evaluation_assets(corpora: Sequence[str]) -> list[dg.AssetsDefinition]:
    """Everything downstream of the models."""

    @dg.asset(
        deps=[_released("emodiff"), "training_set"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "parquet"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="1",
        description="Motion for every test clip: EmoDiff, its ablation without autoregression, the baselines.",
    )
    @retried_when_transient
    @one_writer("generated")
    def generated(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.generate import generate_test_motion

        timer = Timer()
        result = generate_test_motion(store.workspace, corpora, settings.load())
        metadata = materialization(
            result.path,
            result.md5,
            timer,
            spec=MOTION,
            rows=result.rows,
            columns=of_motion(corpora),
            clips=result.clips,
        )
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    @dg.asset(
        deps=["generated", _released("lip_residue")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "parquet"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="1",
        description="The whole method on every test clip: EmoDiff's motion with refined lips.",
    )
    @retried_when_transient
    @one_writer("refined")
    def refined(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.refine import refine_test_motion

        timer = Timer()
        result = refine_test_motion(store.workspace, corpora)
        metadata = materialization(
            result.path,
            result.md5,
            timer,
            spec=MOTION,
            rows=result.rows,
            columns=of_motion(corpora),
            clips=result.clips,
        )
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    @dg.asset(
        deps=["generated", "refined", "rig", _released("sync_expert"), *map(in_use, SYNC_JUDGES)],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet"},
        op_tags=CPU_WORK.op_tags(),
        code_version="4",
        check_specs=[dg.AssetCheckSpec("mouth_follows_speech", asset="scores")],
        description="One row per test clip, method and metric.",
    )
    @retried_when_transient
    @one_writer("scores")
    def scores(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.claims import clip_verdicts
        from magictalk_core.evaluation.clip_scores import score_test_motion
        from magictalk_core.storage.parquet import read_frame

        timer = Timer()
        result = score_test_motion(store.workspace, corpora, settings.load())
        verdicts = clip_verdicts(read_frame(SCORES, result.path))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path,
                result.md5,
                timer,
                spec=SCORES,
                rows=result.rows,
                columns=of_scores(SCORES, ("generated", "refined")),
            ),
            check_results=[_claim_check("mouth_follows_speech", verdicts)],
        )

    @dg.asset(
        deps=[*map(in_use, (*EMODIFF_FAMILIES, "audio2bs", "lip_residue")), "generated", "refined", "training_set"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "parquet"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="3",
        check_specs=[dg.AssetCheckSpec("style_is_shown", asset="set_scores")],
        description="Scores over the whole test set, ablation and student too: emotion, intensity, distributions.",
    )
    @retried_when_transient
    @one_writer("set_scores")
    def set_scores(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.claims import trial_verdicts
        from magictalk_core.evaluation.set_scores import TRIALS, score_sets, set_scores_markdown
        from magictalk_core.storage.parquet import read_frame

        timer = Timer()
        result = score_sets(store.workspace, corpora, settings.load())
        verdicts = trial_verdicts(read_frame(SET_TRIALS, result.path.with_name(TRIALS)))
        table = dg.MetadataValue.md(set_scores_markdown(result.path))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path,
                result.md5,
                timer,
                spec=SET_SCORES,
                rows=result.rows,
                columns=of_scores(SET_SCORES, ("generated", "refined")),
                table=table,
            ),
            check_results=[_claim_check("style_is_shown", verdicts)],
        )

    @dg.asset(
        deps=[*map(in_use, ("emodiff", *LIP_FAMILIES, *SYNC_JUDGES)), "training_set"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "csv"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="3",
        description="Table 4 of the paper: what lip refinement changes, and what all channels at once would.",
    )
    @retried_when_transient
    @one_writer("lip_ablation")
    def lip_ablation(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.lip_ablation import ablate_lips

        timer = Timer()
        result = ablate_lips(store.workspace, corpora, settings.load())
        metadata = materialization(result.path, result.md5, timer)
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    @dg.asset(
        key=["tables", "summary"],
        deps=["scores"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"csv"},
        code_version="2",
        description="Mean and 95 % bootstrap interval per method and metric.",
    )
    @retried_when_transient
    @one_writer("tables/summary")
    def summary(store: Store) -> dg.MaterializeResult:
        from magictalk_core.evaluation.clip_scores import write_summary

        timer = Timer()
        path, md5 = write_summary(store.workspace)
        shown = materialization(path, md5, timer, table=summary_table(path))
        return dg.MaterializeResult(data_version=dg.DataVersion(md5), metadata=shown)

    @dg.asset(
        key=["tables", "claims"],
        deps=["scores", "set_scores", "generated", "refined", "training_set"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet", "markdown"},
        op_tags=CPU_WORK.op_tags(),
        code_version="1",
        check_specs=[dg.AssetCheckSpec("claims_hold", asset=["tables", "claims"])],
        description="Each number of the method against the best baseline, by a paired interval: where it wins or not.",
    )
    @retried_when_transient
    @one_writer("tables/claims")
    def claims(store: Store) -> dg.MaterializeResult:
        from magictalk_core.evaluation.claim_table import write_claims

        timer = Timer()
        result = write_claims(store.workspace, corpora)
        page = dg.MetadataValue.md(result.path.with_suffix(".md").read_text(encoding="utf-8"))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path, result.md5, timer, spec=CLAIMS, rows=result.rows, columns=of_claims(), table=page
            ),
            check_results=[_claims_hold(result.outcomes)],
        )

    @dg.asset(
        key=["videos", "comparison"],
        deps=["generated", "refined", "rig", "scores"],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"ffmpeg"},
        pool="cpu_heavy",
        op_tags=CPU_WORK.op_tags(),
        code_version="2",
        description="Real clip, rig and animated portrait side by side, with sound, labelled synthetic.",
    )
    @retried_when_transient
    @one_writer("videos/comparison")
    def comparison(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.evaluation.comparison import render_comparisons

        timer = Timer()
        result = render_comparisons(store.workspace, corpora, settings.load())
        skipped = len(result.comparisons) - result.videos
        files = [
            (one.file, file_url(store.workspace, result.path / one.file)) for one in result.comparisons if one.file
        ]
        preview = dg.MetadataValue.md("\n".join(f"- [{name}]({url})" for name, url in files))
        counts: dict[str, Any] = {"videos": result.videos, "skipped": skipped}
        metadata = materialization(result.path, result.md5, timer, preview=preview, **counts)
        return dg.MaterializeResult(data_version=dg.DataVersion(result.version), metadata=metadata)

    @dg.asset(
        deps=[
            dg.AssetKey(["videos", "comparison"]),
            dg.AssetKey(["tables", "summary"]),
            "scores",
            "training_set",
            "lineage_report",
        ],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"html"},
        code_version="2",
        description="One page: videos, table, loss curves, data funnel, what was made from what.",
    )
    @retried_when_transient
    @one_writer("report")
    def report(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.report.assemble import assemble_report
        from magictalk_core.report.model_card import write_model_cards

        timer = Timer()
        write_model_cards(store.workspace)
        result = assemble_report(store.workspace, corpora, settings.load())
        link = file_link(store.workspace, store.workspace.report / "report.html")
        metadata = materialization(result.path, result.md5, timer, page=link)
        return dg.MaterializeResult(data_version=dg.DataVersion(result.md5), metadata=metadata)

    return [rig, generated, refined, scores, set_scores, lip_ablation, summary, claims, comparison, report]
