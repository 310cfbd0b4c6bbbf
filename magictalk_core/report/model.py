"""The records that a report is made from. They hold values only; nothing here reads a file or a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.stand_ins import StandIn
from magictalk_core.models.shipped.real_voices import RealVoices, real_voices
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = [
    "Command",
    "CorpusFunnel",
    "CorpusSource",
    "Funnel",
    "FunnelStage",
    "JawTrace",
    "Provenance",
    "Rejection",
    "ReportInputs",
    "VideoEntry",
    "VideoNotMade",
]


@dataclass(frozen=True)
class FunnelStage:
    """How many clips passed a stage, and how many minutes they last as far as their length is known."""

    name: str
    clips: int
    minutes: float
    unknown_length: int = 0


@dataclass(frozen=True)
class Rejection:
    """Clips that left the funnel, or were not learned from, for one reason; `minutes` is None if no length is known."""

    reason: str
    clips: int
    minutes: float | None
    meaning: str


@dataclass(frozen=True)
class CorpusFunnel:
    """The stages of one corpus, from found to used for training, why clips left, and why `unused` ones that are fit to
    learn from were not learned from."""

    corpus: str
    stages: tuple[FunnelStage, ...]
    rejections: tuple[Rejection, ...]
    held_out: tuple[FunnelStage, ...] = ()
    unused: tuple[Rejection, ...] = ()


@dataclass(frozen=True)
class Funnel:
    """The data funnel of all corpora."""

    corpora: tuple[CorpusFunnel, ...]

    @property
    def total(self) -> tuple[FunnelStage, ...]:
        """The stages summed over the corpora."""
        columns = zip(*(corpus.stages for corpus in self.corpora), strict=True)
        return tuple(
            FunnelStage(
                stages[0].name,
                sum(s.clips for s in stages),
                sum(s.minutes for s in stages),
                sum(s.unknown_length for s in stages),
            )
            for stages in columns
        )


@dataclass(frozen=True)
class CorpusSource:
    """One corpus as the model saw it. `digest` is the number that DVC, Dagster and MLflow all record; `licences` and
    `trackers` are those of its accepted clips, a licence with the number of clips under it."""

    name: str
    kind: str
    digest: str
    licences: tuple[tuple[str, int], ...] = ()
    trackers: tuple[str, ...] = ()
    synthetic: bool = False


@dataclass(frozen=True)
class Provenance:
    """What the results were made from. Fields that are not known stay None and are shown as such."""

    corpora: tuple[CorpusSource, ...]
    feature_id: str
    model_family: str
    preset: str
    model_weights_md5: str | None = None
    mlflow_run_id: str | None = None
    training_set_digest: str | None = None
    rig_md5: str | None = None
    generation_seed: int | None = None
    git_commit: str | None = None
    software: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class JawTrace:
    """jawOpen of one clip, true and generated, both of shape (frames,) in 0..1 at `fps`; NaN where not measured."""

    truth: NDArray[np.float32]
    generated: NDArray[np.float32]
    correlation: float | None
    fps: float = FRAME_RATE


@dataclass(frozen=True, eq=False)
class VideoEntry:
    """One comparison video. `path` is relative to the report's folder, with `/`; `poster` likewise, if there is one."""

    path: str
    clip_id: str
    emotion: str | None
    style_source: str
    jaw: JawTrace | None = None
    panels: tuple[str, ...] = ("held-out clip", "rig", "animated portrait")
    speaker: str | None = None
    note: str = ""
    poster: str | None = None


@dataclass(frozen=True)
class VideoNotMade:
    """A test clip without a comparison video."""

    clip_id: str
    reason: str


@dataclass(frozen=True)
class Command:
    """A command to look further, and what it opens."""

    purpose: str
    line: str


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Everything a report shows.

    `scores_summary` has the columns of `evaluation.table.summary`; `loss_curves` the columns step, metric, value.
    """

    funnel: Funnel
    scores_summary: pd.DataFrame
    videos: tuple[VideoEntry, ...]
    videos_not_made: tuple[VideoNotMade, ...]
    loss_curves: pd.DataFrame
    provenance: Provenance
    stand_ins: tuple[StandIn, ...] = ()
    commands: tuple[Command, ...] = ()
    title: str = "MagicTalk report"
    main_method: str | None = None
    method_notes: dict[str, str] = field(default_factory=dict)
    made_on: str | None = None
    people: RealVoices = field(default_factory=real_voices)
    lineage: Mapping[str, Any] | None = None
    """The newest lineage report, as `lineage.report.read_lineage_report` gives it."""

    def methods(self) -> list[str]:
        """Methods in the order of the table: the real clip, ours, the others, the mean-motion baseline last."""
        found: list[Any] = sorted(self.scores_summary["method"].unique()) if len(self.scores_summary) else []
        rank = {"ground_truth": 0, self.main_method: 1, "mean_motion": 3}
        return sorted((str(m) for m in found), key=lambda m: (rank.get(m, 2), m))
