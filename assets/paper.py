"""The paper's tables and figures from the test clips: pictures of every method, their scores, what is shown of them."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import dagster as dg

from assets.columns import of_scores
from assets.evaluation import in_use
from assets.machines import CPU_WORK, GENERATION, StepNeeds
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.evaluation.pictures.families import COMPLEXITY_FAMILIES, PICTURE_FAMILIES, PICTURE_JUDGES
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.schema import MOTION, PICTURE_SCORES, TableSpec
from magictalk_core.work.provenance import read_record, record_path
from magictalk_core.workspace import Workspace

GROUP = "paper"
OWNERS = ["team:magictalk"]


class Made(Protocol):
    """What a function of the core says of what it wrote."""

    @property
    def path(self) -> Path: ...
    @property
    def md5(self) -> str: ...


@dataclass(frozen=True)
class PaperAsset:
    """One output: its `key`, what it is made from, and the function of the core that makes it."""

    key: str
    deps: tuple[str | dg.AssetKey, ...]
    kinds: frozenset[str]
    description: str
    make: Callable[[Workspace, Sequence[str], Preset], Made]
    needs: StepNeeds = CPU_WORK
    pool: str | None = None
    table: TableSpec | None = None
    motions: tuple[str, ...] = ()
    """Motion tables that the columns of `table` come from."""
    code_version: str = "1"


def _picture_motion(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Made:
    from magictalk_core.evaluation.pictures.motion import make_picture_motion

    return make_picture_motion(workspace, corpora, preset)


def _picture_scores(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Made:
    from magictalk_core.evaluation.external.videos import external_files
    from magictalk_core.evaluation.pictures.table import score_pictures

    return score_pictures(workspace, corpora, preset, external_files(workspace))


def _table(name: str) -> Callable[[Workspace, Sequence[str], Preset], Made]:
    def make(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Made:
        from magictalk_core.evaluation.paper_tables.write import write_paper_table

        return write_paper_table(workspace, name, preset)

    return make


def _page(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Made:
    from magictalk_core.report.paper_page import write_paper_page

    return write_paper_page(workspace, corpora, preset)


def _figure(name: str) -> Callable[[Workspace, Sequence[str], Preset], Made]:
    def make(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> Made:
        from magictalk_core.evaluation.figures.write import FIGURES

        return FIGURES[name](workspace, corpora, preset)

    return make


_FIGURES = {
    "figures/figure4": "Figure 4: stills of every method below the recording.",
    "figures/figure6": "Figure 6: with and without style embedding on the rig, and the difference.",
    "figures/figure9": "Figure 9: one face and one voice in the style of every emotion, stills and a video.",
    "videos/grids": "A video per picture clip: the recording and every method, through portrait and rig, with sound.",
}
_TABLES = {
    "table1": (
        "Table 1: methods beside each other and beside the paper's printed numbers.",
        ("picture_scores", "scores"),
    ),
    "table2": ("Table 2: what methods can do, every tick from a measurement.", ("picture_scores",)),
    "table3": ("Table 3: weights and multiply-adds per second of video.", tuple(map(in_use, COMPLEXITY_FAMILIES))),
    "table4": ("Table 4: what lip refinement changes, in pictures.", ("picture_scores", "scores")),
    "ablations": (
        "Ablations of section 4.3: style embedding, mouth separation, autoregression.",
        ("picture_scores", "scores", "set_scores", "lip_ablation"),
    ),
}

PAPER_ASSETS = (
    PaperAsset(
        "picture_motion",
        ("generated", "refined", *map(in_use, PICTURE_FAMILIES)),
        frozenset({"torch", "parquet"}),
        "Motion of every method for the clips whose pictures are judged, ablations and other drivers too.",
        _picture_motion,
        GENERATION,
        "gpu",
        MOTION,
        ("generated", "refined"),
    ),
    PaperAsset(
        "picture_scores",
        ("picture_motion", "rig", "external_videos", *map(in_use, PICTURE_JUDGES)),
        frozenset({"parquet"}),
        "One row per clip, method, renderer, head pose and metric of pictures.",
        _picture_scores,
        pool="cpu_heavy",
        table=PICTURE_SCORES,
        motions=("picture_motion",),
    ),
    *(
        PaperAsset(
            f"tables/{name}", deps, frozenset({"parquet", "csv", "markdown", "latex"}), description, _table(name)
        )
        for name, (description, deps) in _TABLES.items()
    ),
    *(
        PaperAsset(
            key,
            ("picture_motion", "rig", *map(in_use, COMPLEXITY_FAMILIES if key == "figures/figure9" else ())),
            frozenset({"ffmpeg" if key == "videos/grids" else "png"}),
            description,
            _figure(key.split("/")[1]),
            pool="cpu_heavy",
        )
        for key, description in _FIGURES.items()
    ),
    PaperAsset(
        "paper",
        (*(f"tables/{name}" for name in _TABLES), *_FIGURES),
        frozenset({"html"}),
        "One page: the paper's tables beside ours, its figures, a video of all methods per clip.",
        _page,
    ),
)

PAPER_KEYS = frozenset(one.key for one in PAPER_ASSETS)
"""All of them are about held-out clips."""


def _key(name: str | dg.AssetKey) -> dg.AssetKey:
    return name if isinstance(name, dg.AssetKey) else dg.AssetKey(name.split("/"))


def _build(one: PaperAsset, corpora: Sequence[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(one.key),
        deps=list(map(_key, one.deps)),
        group_name=GROUP,
        owners=OWNERS,
        kinds=set(one.kinds),
        pool=one.pool,
        op_tags=one.needs.op_tags(),
        code_version=one.code_version,
        description=one.description,
    )
    @retried_when_transient
    @one_writer(one.key)
    def made(store: Store, settings: Settings) -> dg.MaterializeResult:
        timer = Timer()
        result = one.make(store.workspace, corpora, settings.load())
        shown: dict[str, Any] = {}
        if one.table is not None:
            lineage = of_scores(one.table, one.motions)
            shown = {"spec": one.table, "rows": _row_count(result.path), "columns": lineage}
        if one.key.startswith("tables/"):
            page = result.path / f"{result.path.name}.md"
            shown["table"] = dg.MetadataValue.md(page.read_text(encoding="utf-8"))
        metadata = materialization(result.path, result.md5, timer, **shown)
        # Of signed pictures and videos what they were before: a signature has a time.
        version = read_record(record_path(result.path)).version
        return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=metadata)

    return made


def _row_count(path: Path) -> int:
    from magictalk_core.storage.parquet import row_count

    return row_count(path)


def build_paper_assets(corpora: Sequence[str]) -> list[dg.AssetsDefinition]:
    """Everything of the paper's section 4 that is made from pictures."""
    return [_build(one, corpora) for one in PAPER_ASSETS]
