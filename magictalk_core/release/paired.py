"""Two models compared clip by clip in the declared metrics, with bootstrap intervals, and what it means in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from magictalk_core.config import MetricRule, StrictModel
from magictalk_core.metrics.intervals import mean_interval

__all__ = ["Compared", "compare", "is_better", "losses", "wins"]

_RESAMPLES = 5000


class Compared(StrictModel):
    """One metric: means of both models, and the gain of the challenger with its 95 % interval, in the metric's unit.

    The gain is positive where the challenger is better, whichever way the metric counts. Without two clips that have a
    value of both models there is no interval.
    """

    metric: str
    margin: float
    clips: int
    challenger: float | None
    champion: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_gain(self) -> bool:
        """Better for sure: the whole interval is."""
        return self.low is not None and self.low > 0

    @property
    def is_loss(self) -> bool:
        """A loss beyond the margin is not excluded."""
        return self.low is None or self.low < -self.margin

    def __str__(self) -> str:
        if self.challenger is None or self.champion is None or self.gain is None:
            return f"{self.metric}: no value on the test clips"
        text = f"{self.metric} from {self.champion:.4g} to {self.challenger:.4g}"
        if self.low is None or self.high is None:
            return f"{text} ({self.clips} clip: no interval)"
        how = "better" if self.is_gain else "worse" if self.high < 0 else "no sure difference"
        interval = f"95 % interval of the gain {self.low:+.4g} to {self.high:+.4g}"
        return f"{text} ({how}; {interval}, {self.clips} clips, margin {self.margin:g})"


def compare(
    challenger: pd.DataFrame, champion: pd.DataFrame, rules: Sequence[MetricRule], name: str
) -> tuple[Compared, ...]:
    """`challenger` and `champion` have a row per clip and a column per metric; only clips of both count.

    `name` seeds the draws.
    """
    found = []
    for rule in rules:
        both = pd.DataFrame({"new": challenger[rule.metric], "old": champion[rule.metric]}).dropna()
        if both.empty:
            found.append(Compared(metric=rule.metric, margin=rule.margin, clips=0, challenger=None, champion=None))
            continue
        gains = (both["new"] - both["old"]).to_numpy(np.float64) * (1 if rule.better == "higher" else -1)
        low, high = mean_interval(gains, f"release/{name}/{rule.metric}", _RESAMPLES) or (None, None)
        means = {"challenger": float(both["new"].mean()), "champion": float(both["old"].mean())}
        found.append(
            Compared(
                metric=rule.metric,
                margin=rule.margin,
                clips=len(both),
                gain=float(gains.mean()),
                low=low,
                high=high,
                **means,
            )
        )
    return tuple(found)


def wins(found: Sequence[Compared]) -> list[Compared]:
    return [each for each in found if each.is_gain]


def losses(found: Sequence[Compared]) -> list[Compared]:
    return [each for each in found if each.is_loss]


def is_better(found: Sequence[Compared]) -> bool:
    """One metric is better for sure, and of none a loss beyond its margin is possible."""
    return bool(wins(found)) and not losses(found)
