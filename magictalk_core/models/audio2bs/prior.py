"""A linear readout that begins at another: ridge regression towards known weights, as far as held-out clips bear it.

W = argmin |X W - Y|^2 + penalty |W - W0|^2, which is W0 and the ridge of what W0 leaves over. W0 knows many voices, the
data are minutes of somebody: an infinite penalty keeps W0, a small one forgets it. Weights are learned from how a mouth
moves within a clip, the level from all clips: how open a mouth is held differs from clip to clip for reasons that no
voice tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from magictalk_core.models.audio2bs.linear import Moments, Readout, Stretch

__all__ = ["PENALTIES", "CorrectedReadout", "correct_readout"]

PENALTIES = (0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, float("inf"))
"""That are tried, in units of the mean variance of the components; the last one leaves the prior as it is."""

_FOLDS = 5
_AS_GOOD = 0.005
"""Correlation within which of two penalties the stronger one is taken: the prior has heard more voices."""


@dataclass(frozen=True, eq=False)
class CorrectedReadout:
    """`readout` under the `penalty` that was chosen; `tried`: penalty to the mean correlation on clips left out."""

    readout: Readout
    penalty: float
    tried: dict[float, float]


def correct_readout(
    prior: Readout, stretches: Sequence[Stretch], groups: Sequence[str], components: int, channel: int
) -> CorrectedReadout:
    """The `prior` corrected as far as pays on what is left out: `stretches` of one of the `groups` are one fold's.

    Judged by the mean correlation over stretches of the column `channel` of the mouth. Without two groups nothing can
    be left out, and the prior stays.
    """
    width = prior.weight.shape[1]
    rest = [Stretch(s.features, s.mouth - prior.mouth(s.features), s.level_counts) for s in stretches]
    scores: dict[float, list[float]] = {penalty: [] for penalty in PENALTIES}
    for left_out in _folds(groups):
        kept = [rest[i] for i in range(len(rest)) if i not in left_out]
        if not any(one.level_counts for one in kept):
            continue
        moments = Moments.of(kept, width, components, is_within=True)
        for penalty in PENALTIES:
            tried = _sum(prior, moments, penalty)
            scores[penalty] += [_correlation(tried, stretches[i], channel) for i in left_out]
    means = {penalty: float(np.mean(found)) for penalty, found in scores.items() if found}
    if not means:
        return CorrectedReadout(prior, PENALTIES[-1], {})
    best = max(means.values())
    chosen = max(penalty for penalty, mean in means.items() if mean >= best - _AS_GOOD)
    return CorrectedReadout(_sum(prior, Moments.of(rest, width, components, is_within=True), chosen), chosen, means)


def _folds(groups: Sequence[str]) -> list[list[int]]:
    """Places of the stretches of each fold; no fold where there is one group."""
    names = sorted(set(groups))
    count = min(_FOLDS, len(names))
    if count < 2:
        return []
    return [[i for i, group in enumerate(groups) if names.index(group) % count == fold] for fold in range(count)]


def _sum(prior: Readout, moments: Moments, penalty: float) -> Readout:
    if not np.isfinite(penalty):
        return prior
    added = moments.readout(penalty)
    return Readout(prior.weight + added.weight, prior.bias + added.bias)


def _correlation(readout: Readout, stretch: Stretch, channel: int) -> float:
    made = np.clip(readout.mouth(stretch.features)[:, channel], 0.0, 1.0)
    true = np.asarray(stretch.mouth[:, channel], np.float64)
    moves = made.std() > 1e-6 and true.std() > 1e-6
    return float(np.corrcoef(made, true)[0, 1]) if moves else 0.0
