"""What the method claims, and whether it is so: each number against the best baseline, by a paired interval.

A threshold on a score says nothing: the loudness of a voice passes 0.5 in jaw correlation, a frozen face shows every
emotion. A claim names a metric, a method and the baselines that it must beat, and is won when the 95 % bootstrap
interval of its gain over the best of them, clip by clip, lies above 0. The best is the one with the least gain over it.
The list is fixed before the numbers are known, and claims that are lost stay in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.evaluation.baselines import (
    BASELINES,
    KERNEL_RIDGE,
    LOUDNESS,
    MEAN_MOTION,
    NEAREST_SPEECH,
    STYLE_MEAN,
)
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.metrics.catalogue import METRICS, SET_METRICS
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.metrics.spec import Better, MetricSpec

__all__ = ["CLIP_CLAIMS", "SET_CLAIMS", "Claim", "Judged", "Outcome", "claim_rows", "clip_verdicts", "trial_verdicts"]

RESAMPLES = 2000

_FOLLOWS_SPEECH = (LOUDNESS, KERNEL_RIDGE, NEAREST_SPEECH, MEAN_MOTION, STYLE_MEAN)
"""Without `style_replay`, which moves as a real person in that emotion does, and says something else."""

Gains = NDArray[np.float64]


class Outcome(StrEnum):
    """Of a claim."""

    WINS = "wins"
    LOSES = "loses"
    OPEN = "open"
    NO_VALUE = "no value"


@dataclass(frozen=True)
class Claim:
    """That `method` is better in `metric` than each of `baselines`. `check`: the asset check that tells of it."""

    says: str
    metric: str
    method: str = MAGICTALK
    baselines: tuple[str, ...] = BASELINES
    check: str = ""

    @property
    def spec(self) -> MetricSpec:
        return METRICS.get(self.metric) or SET_METRICS[self.metric]


CLIP_CLAIMS = (
    Claim("the jaw follows the speech", "jaw_open_correlation", check="mouth_follows_speech"),
    Claim("the jaw follows the true curve", "jaw_open_correlation_true_curve"),
    Claim("the whole mouth follows the speech", "mouth_correlation"),
    Claim("the mouth is where the real one is", "mae_mouth"),
    Claim("the mouth moves as the real one does", "level_free_mae_mouth"),
    Claim("the mouth moves as fast as the real one", "velocity_mae_mouth"),
    Claim("the lips have the shape of the real ones", "lmd_rig_mouth_px256"),
    Claim("the lips meet at p, b and m", "bilabial_auc"),
    Claim("the lips close at p, b and m", "bilabial_closed_share"),
    Claim("the lip meets the teeth at f and v", "labiodental_auc"),
    Claim("the lips meet where the real ones do", "seen_closure_auc"),
    Claim("the mouth moves as much as the real one", "amplitude_mouth"),
    Claim("mouth and speech are in sync to judges", "sync_judge_confidence"),
    Claim("the brows are where the real ones are", "mae_brows"),
    Claim("the brows move as much as the real ones", "amplitude_brows"),
    Claim("the eyes blink as often as the real ones", "blink_rate_error"),
    Claim("the head turns as much as the real one", "head_std_deg"),
)
"""Of the numbers of single clips."""

SET_CLAIMS = (
    Claim("the emotion is shown", "style_accuracy"),
    Claim("the emotion is shown in movement", "style_dynamics_accuracy"),
    Claim(
        "the emotion is shown in movement, of what follows speech",
        "style_dynamics_accuracy",
        baselines=(*_FOLLOWS_SPEECH, "emodiff_no_style"),
        check="style_is_shown",
    ),
    Claim("faces are as real ones, as a set", "frechet_distance"),
    Claim("faces move as real ones, as a set", "frechet_dynamics"),
    Claim("faces move as real ones, of what follows speech", "frechet_dynamics", baselines=_FOLLOWS_SPEECH),
)
"""Of the numbers of a whole test set."""


@dataclass(frozen=True)
class Judged:
    """A claim against the best of its baselines: `gain` in the unit of the metric, positive where the method is better,
    with its 95 % interval over `n` clips. No baseline, and no numbers, where nothing can be compared."""

    claim: Claim
    baseline: str | None = None
    value: float | None = None
    baseline_value: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0

    @property
    def outcome(self) -> Outcome:
        if self.low is None or self.high is None:
            return Outcome.NO_VALUE
        return Outcome.WINS if self.low > 0 else Outcome.LOSES if self.high < 0 else Outcome.OPEN

    @property
    def sentence(self) -> str:
        """The claim and its numbers in words."""
        claim, digits = self.claim, self.claim.spec.decimals
        if self.value is None or self.baseline_value is None or self.gain is None:
            return f"{claim.says}: nothing to compare ({claim.metric} of {claim.method})"
        interval = "no interval" if self.low is None else f"{self.low:+.{digits}f} to {self.high:+.{digits}f}"
        return (
            f"{claim.says}: {self.outcome} ({claim.metric}, {claim.method} {self.value:.{digits}f}, best baseline "
            f"{self.baseline} {self.baseline_value:.{digits}f}, gain {self.gain:+.{digits}f}, {interval}, n = {self.n})"
        )


def goodness(better: Better, values: pd.DataFrame, truth: pd.Series | None) -> pd.DataFrame:
    """Values turned so that more is better: distances from 1 and from the real clip's value count against it."""
    match better:
        case Better.HIGHER:
            return values
        case Better.LOWER:
            return -values
        case Better.NEAR_ONE:
            return -(values - 1).abs()
        case Better.LIKE_TRUTH:
            assert truth is not None
            return -values.sub(truth, axis=0).abs()


def judged(claim: Claim, values: pd.DataFrame, truth: pd.Series | None = None) -> Judged:
    """A claim by the values of clips (rows) and methods (columns), NaN where there is none; `truth` the real clips'."""
    if claim.method not in values:
        return Judged(claim)
    good = goodness(claim.spec.better, values, truth)
    gains = {
        name: (good[claim.method] - good[name]).dropna()
        for name in claim.baselines
        if name in good and name != claim.method
    }
    gains = {name: found for name, found in gains.items() if len(found)}
    if not gains:
        return Judged(claim)
    best = min(gains, key=lambda name: (gains[name].mean(), name))
    found, clips = gains[best].to_numpy(np.float64), gains[best].index
    low, high = mean_interval(found, f"{claim.method}/{claim.metric}/{best}", RESAMPLES) or (None, None)
    means = float(values.loc[clips, claim.method].mean()), float(values.loc[clips, best].mean())
    return Judged(claim, best, *means, float(found.mean()), low, high, len(found))


def clip_verdicts(scores: pd.DataFrame, claims: Iterable[Claim] = CLIP_CLAIMS) -> list[Judged]:
    """The claims about single clips by a SCORES table."""
    found = []
    for claim in claims:
        rows = scores[scores["metric"] == claim.metric]
        values = rows.pivot(index="clip_id", columns="method", values="value").astype(float)
        found.append(judged(claim, values, values.get(GROUND_TRUTH)))
    return found


def trial_verdicts(trials: pd.DataFrame, claims: Iterable[Claim] = SET_CLAIMS) -> list[Judged]:
    """The claims about emotion by a SET_TRIALS table: the share of each clip's performances that show it."""
    found = []
    for claim in claims:
        rows = trials[trials["metric"] == claim.metric]
        if len(rows):
            shares = rows.groupby(["clip_id", "method"], observed=True)["shown"].mean().unstack("method")
            found.append(judged(claim, shares.astype(float)))
    return found


def claim_rows(verdicts: Sequence[Judged], stand_ins: Mapping[str, str]) -> list[dict[str, Any]]:
    """CLAIMS rows; `stand_ins`: metric -> the stand-ins behind its numbers."""
    return [
        {
            "claim": one.claim.says,
            "method": one.claim.method,
            "metric": one.claim.metric,
            "better": one.claim.spec.better.value.replace("_", " "),
            "value": one.value,
            "baseline": one.baseline,
            "baseline_value": one.baseline_value,
            "gain": one.gain,
            "low": one.low,
            "high": one.high,
            "unit": one.claim.spec.unit,
            "n": one.n,
            "outcome": str(one.outcome),
            "opponents": ", ".join(one.claim.baselines),
            "stand_ins": stand_ins[one.claim.metric],
        }
        for one in verdicts
    ]
