"""Who stands in the tables, under which title, and where their numbers are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS
from magictalk_core.evaluation.lip_ablation import ALL_CHANNELS
from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, measured
from magictalk_core.evaluation.pictures.render import Pose, Renderer
from magictalk_core.evaluation.pictures.stand_ins import RERENDERED
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.set_scores import NO_STYLE
from magictalk_core.evaluation.table import GROUND_TRUTH

__all__ = ["ABLATIONS", "OWN_SYNC", "TITLES", "Who", "blocks_of", "external_systems", "own_rows", "who_of"]

TITLES: Mapping[str, str] = {
    GROUND_TRUTH: "Ground truth",
    RERENDERED: "Ground-truth curves, drawn",
    MAGICTALK: "MagicTalk",
    EMODIFF: "w/o lip refinement",
    NO_STYLE: "w/o style embedding, w/o lip refinement",
    ALL_CHANNELS: "w/o mouth separation",
    INDEPENDENT_WINDOWS: "w/o autoregression, w/o lip refinement",
}
ABLATIONS = (EMODIFF, NO_STYLE, ALL_CHANNELS, INDEPENDENT_WINDOWS)

OWN_SYNC = (
    Column("sync_judge_distance", "own judges: sync distance", "↓"),
    Column("sync_judge_confidence", "own judges: sync confidence", "↑"),
)
"""What stands in for LSE-D and LSE-C while SyncNet's weights are not here; under its own name, never as LSE."""

_POSES = {Pose.GENERATED: "generated head pose", Pose.TRUTH: "true head pose"}


@dataclass(frozen=True)
class Who:
    """A row: the method, what drew it, whose head pose it shows."""

    method: str
    renderer: str
    pose: str

    @property
    def title(self) -> str:
        """As it is read."""
        name = TITLES.get(self.method, self.method)
        if self.renderer in (Renderer.RECORDED, Renderer.EXTERNAL) or self.method == RERENDERED:
            return name
        return f"{name}, {_POSES[Pose(self.pose)]}"

    def of(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Its rows of `picture_scores`."""
        same = (scores["method"] == self.method) & (scores["renderer"] == self.renderer)
        return scores[same & (scores["pose"] == self.pose)]


def blocks_of(scores: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(corpus, its rows of `picture_scores`): corpora are never averaged together."""
    corpus = scores["clip_id"].astype(str).str.split("/").str[0]
    for name, rows in scores.groupby(corpus, sort=True):
        yield str(name), rows


def external_systems(scores: pd.DataFrame) -> list[Who]:
    """Finished videos of other systems that were scored."""
    others = scores[scores["renderer"] == Renderer.EXTERNAL]
    keys = others[["method", "renderer", "pose"]].drop_duplicates().sort_values("method")
    return [Who(*map(str, key)) for key in keys.itertuples(index=False)]


def who_of(scores: pd.DataFrame, methods: Sequence[str], renderer: Renderer) -> list[Who]:
    """The rows of one renderer: the recording where it is the portrait's, its own curves drawn, then each method with
    its own and with the true head pose; as far as they were scored."""
    wanted = [Who(GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH)] if renderer is Renderer.PORTRAIT else []
    wanted.append(Who(RERENDERED, renderer, Pose.TRUTH))
    wanted += [Who(method, renderer, pose) for method in methods for pose in (Pose.GENERATED, Pose.TRUTH)]
    return [one for one in wanted if len(one.of(scores))]


def own_rows(
    block: str,
    who: Sequence[Who],
    columns: Sequence[Column],
    pictures: pd.DataFrame,
    motion: pd.DataFrame | None = None,
) -> list[Row]:
    """Rows of measured numbers: a column from `picture_scores`, or where it is no metric of pictures from the SCORES
    rows `motion` of the same clips."""
    clips = set(pictures["clip_id"])
    known = None if motion is None else motion[motion["clip_id"].isin(list(clips))]
    rows = []
    for one in who:
        own = one.of(pictures)
        numbers = {}
        for column in columns:
            found = own[own["metric"] == column.metric]
            if not len(found) and known is not None:
                found = _of_motion(known, one, column.metric, own)
            if len(found):
                numbers[column.metric] = _named(measured(found, f"{one}/{column.metric}"), own)
        rows.append(Row(block, one.title, numbers, one.method, one.renderer, one.pose))
    return rows


def _of_motion(motion: pd.DataFrame, who: Who, metric: str, own: pd.DataFrame) -> pd.DataFrame:
    """A metric of motion belongs to the method whatever draws it; the drawn curves of a recording are its own."""
    method = GROUND_TRUTH if who.method == RERENDERED else who.method
    rows = motion[(motion["method"] == method) & (motion["metric"] == metric)]
    return rows[rows["clip_id"].isin(list(own["clip_id"]))]


def _named(number: Number, own: pd.DataFrame) -> Number:
    """With the test set of the pictures, which a table of motion does not name."""
    return number if number.split else replace(number, split=str(own["split"].iloc[0]))
