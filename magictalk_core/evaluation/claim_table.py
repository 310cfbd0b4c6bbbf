"""`tables/claims`: where the method beats the best baseline and where it does not, as a table and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.claims import (
    CLIP_CLAIMS,
    SET_CLAIMS,
    Claim,
    Judged,
    Outcome,
    claim_rows,
    clip_verdicts,
    trial_verdicts,
)
from magictalk_core.evaluation.clip_scores import motions_of
from magictalk_core.evaluation.generate import measured_frames
from magictalk_core.evaluation.motion_judge import FRECHET, FrechetSets
from magictalk_core.evaluation.set_scores import TRIALS
from magictalk_core.metrics.frechet import halves_distance
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.markdown import markdown_table
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLAIMS, SCORES, SET_SCORES, SET_TRIALS
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.vocabulary.arkit import POSE_NAMES
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["CLAIMS_VERSION", "ClaimTable", "claims_markdown", "frechet_verdicts", "looks_at_held_out", "write_claims"]

CLAIMS_VERSION = "1"
_RESAMPLES = 200

Motion = NDArray[Any]
Motions = Mapping[str, Mapping[str, Motion]]


@dataclass(frozen=True)
class ClaimTable:
    """The written table, and what it says."""

    path: Path
    md5: str
    rows: int
    outcomes: Mapping[str, tuple[str, ...]]
    """Outcome -> the claims that came out so, in words, by name."""


def write_claims(workspace: Workspace, corpora: Sequence[str]) -> ClaimTable:
    """`tables/claims.parquet` and `claims.md` beside it, or the finished ones when what they are made from is so."""
    home, path = workspace.home, workspace.tables / "claims.parquet"
    scores = needed(workspace.scores / "scores.parquet", "scores")
    sets = needed(workspace.set_scores / "set_scores.parquet", "set_scores")
    motions = {
        kind: needed(folder / "motion.parquet", kind)
        for kind, folder in (("generated", workspace.generated("test")), ("refined", workspace.refined("test")))
    }
    inputs = (
        input_of(home, "scores", scores),
        input_of(home, "set_scores", sets),
        *(input_of(home, kind, table) for kind, table in motions.items()),
        training_set_input(home, workspace.training_set),
        *manifest_inputs(workspace, corpora),
    )
    work = Work(home, "claims", path, f"{CLAIMS_VERSION}.{CLAIMS.version}", inputs)
    if not work.is_made():
        table, set_table = read_frame(SCORES, scores), read_frame(SET_SCORES, sets)
        verdicts = clip_verdicts(table)
        about_trials = [claim for claim in SET_CLAIMS if claim.metric not in FRECHET]
        verdicts += trial_verdicts(read_frame(SET_TRIALS, workspace.set_scores / TRIALS), about_trials)
        verdicts += _frechet(workspace, motions_of(list(motions.values())))
        behind = {
            str(row.metric): str(row.stand_ins)
            for source in (table, set_table)
            for row in source[source["method"] == CLIP_CLAIMS[0].method].itertuples()
        }
        rows = claim_rows(verdicts, behind)
        write_table(CLAIMS, rows, path)
        words = path.with_suffix(".md")
        write_text(words, _page(verdicts, looks_at_held_out(workspace)))
        used = sorted({one for text in behind.values() if text != "none" for one in text.split("; ")})
        work.record(clips=set(table["clip_id"]), stand_ins=tuple(used), beside=[words])
    found = read_frame(CLAIMS, path)
    pairs = list(zip(found["outcome"].astype(str), found["claim"].astype(str), strict=True))
    outcomes = {str(name): tuple(claim for outcome, claim in pairs if outcome == name) for name in Outcome}
    return ClaimTable(path, file_md5(path), len(found), outcomes)


def _frechet(workspace: Workspace, motions: Motions) -> list[Judged]:
    """The claims about distributions, in the coefficients of the training set."""
    channels = [name for name in TrainingSet.open(workspace.training_set).channels if name not in POSE_NAMES]
    readers = {corpus: CorpusReader(workspace, corpus) for corpus in {clip.split("/")[0] for clip in motions}}
    clips = sorted(motions)
    real = [measured_frames(readers[clip.split("/")[0]].motion(clip)[0], channels) for clip in clips]
    made: dict[str, list[Motion]] = {}
    for method in sorted(set.intersection(*(set(motions[clip]) for clip in clips))):
        faces = [measured_frames(motions[clip][method], channels) for clip in clips]
        if all(map(len, faces)):
            made[method] = faces
    return frechet_verdicts(real, made, [claim for claim in SET_CLAIMS if claim.metric in FRECHET])


def frechet_verdicts(
    real: Sequence[Motion], made: Mapping[str, Sequence[Motion]], claims: Sequence[Claim]
) -> list[Judged]:
    """Claims about Frechet distances: coefficients (n, C) of the real clips, and of each method for the same clips.

    The interval is over clips: drawn anew in either half of a random halving, the same for both methods.
    """
    sets = {metric: FrechetSets.fit(real, dynamics) for metric, dynamics in FRECHET.items()}
    return [_distance_verdict(claim, sets[claim.metric], made) for claim in claims]


def _distance_verdict(claim: Claim, sets: FrechetSets | None, made: Mapping[str, Sequence[Motion]]) -> Judged:
    if sets is None or claim.method not in made:
        return Judged(claim)
    distances = {name: sets.distance(made[name]) for name in (claim.method, *claim.baselines) if name in made}
    own, others = distances.pop(claim.method), {name: d for name, d in distances.items() if d is not None}
    if own is None or not others:
        return Judged(claim)
    best = min(others, key=lambda name: (others[name], name))
    mine, theirs = ([sets.features.rows([m]) for m in made[name]] for name in (claim.method, best))
    random, gains = np.random.default_rng(0), []
    for _ in range(_RESAMPLES):
        order = random.permutation(len(mine))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        drawn = (random.choice(halves[0], len(halves[0])), random.choice(halves[1], len(halves[1])))
        pair = (halves_distance(theirs, sets.real, [drawn]), halves_distance(mine, sets.real, [drawn]))
        if pair[0] is not None and pair[1] is not None:
            gains.append(pair[0] - pair[1])
    found = Judged(claim, best, own, others[best], others[best] - own, n=len(mine))
    if len(gains) < _RESAMPLES // 2:
        return found
    low, high = np.quantile(gains, [0.025, 0.975])
    return replace(found, low=float(low), high=float(high))


def claims_markdown(verdicts: Sequence[Judged]) -> str:
    """The table for people, the outcome first."""
    head = ("claim", "outcome", "metric", "method", "best baseline", "gain", "95 % interval", "clips")
    return "\n".join(markdown_table(head, map(_cells, verdicts)))


def _cells(one: Judged) -> tuple[object, ...]:
    digits = one.claim.spec.decimals

    def shown(value: float | None, sign: str = "") -> str:
        return "-" if value is None else f"{value:{sign}.{digits}f}"

    against = "-" if one.baseline is None else f"{one.baseline} {shown(one.baseline_value)}"
    interval = "-" if one.low is None else f"{shown(one.low, '+')} to {shown(one.high, '+')}"
    return (
        one.claim.says, str(one.outcome), one.claim.metric, shown(one.value), against, shown(one.gain, "+"), interval,
        one.n,
    )  # fmt: skip


def looks_at_held_out(workspace: Workspace) -> int:
    """How often the held-out clips were scored in this workspace, each time with other models, clips or metrics: what
    is chosen after the first look is chosen on the test set."""
    return len(list((workspace.home / "provenance" / "records").glob("*/*.scores.json")))


def _page(verdicts: Sequence[Judged], looks: int) -> str:
    """Where the method wins, where it does not, and where nobody can say."""
    parts = [
        "# Claims\n\nEach number of the method against the best baseline, clip by clip. It wins where the 95 % "
        "bootstrap interval of the gain lies above 0, loses where it lies below; with 0 in it the question is open.\n\n"
        f"Times that the held-out clips were scored in this workspace: {looks}. A setting that is chosen after a look "
        "at them is chosen on them; the validation speakers are there for that.\n"
    ]
    titles = {
        Outcome.WINS: "Where it wins",
        Outcome.LOSES: "Where it loses",
        Outcome.OPEN: "Where it is no better for sure",
        Outcome.NO_VALUE: "Where there is nothing to compare",
    }
    for outcome, title in titles.items():
        own = [one for one in verdicts if one.outcome is outcome]
        parts.append(f"## {title}: {len(own)} of {len(verdicts)}\n\n{claims_markdown(own)}\n" if own else "")
    return "\n".join(part for part in parts if part)
