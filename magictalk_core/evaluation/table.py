"""From motions to rows of the SCORES table, and from rows to means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.amplitude import amplitude_ratios
from magictalk_core.metrics.beats import beat_alignment
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.catalogue import METRICS
from magictalk_core.metrics.closures import (
    BILABIAL,
    CONTACT,
    LABIODENTAL,
    Phoneme,
    closed_level,
    closures_at,
    phoneme_places,
    seen_closures,
)
from magictalk_core.metrics.coefficients import (
    channel_correlation,
    group_error,
    level_free_error,
    mean_correlation,
    velocity_error,
)
from magictalk_core.metrics.head import head_statistics
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.metrics.landmarks import PosableRig, landmark_distances
from magictalk_core.metrics.lips import LipRig, lips_of
from magictalk_core.metrics.seams import seam_ratio

__all__ = [
    "CHANCE",
    "GROUND_TRUTH",
    "METRICS_VERSION",
    "TRUE_CURVES",
    "ScoredRig",
    "Spoken",
    "motion_values",
    "score_clip",
    "score_ground_truth",
    "summary",
]

METRICS_VERSION = "5"
"""Raised when any metric changes its value for the same input."""

GROUND_TRUTH = "ground_truth"
"""The method name of rows measured on the real clip alone."""

CHANCE = "chance"
"""The real motion of another test clip: what a score is where nothing belongs together."""

TRUE_CURVES = "true_curves"
"""The curves that animated the clip, where they are known: what the tracker leaves of a perfect motion."""

_SPEED_GROUPS = ("mouth", "eyes", "brows", "cheeks_nose")
_SUMMARY_COLUMNS = ("method", "metric", "unit", "clips", "n", "mean", "low", "high", "stand_ins")


class ScoredRig(PosableRig, LipRig, Protocol):
    """What all metrics together need of a rig."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """What is known of the speech of a clip: `speaks` (frames,) where somebody does; `phonemes` None: not known."""

    speaks: NDArray[np.bool_]
    phonemes: Sequence[Phoneme] | None


def _rows(clip_id: str, method: str, values: dict[str, float | None]) -> list[dict[str, Any]]:
    return [
        {"clip_id": clip_id, "method": method, "metric": name, "value": value, "unit": METRICS[name].unit}
        for name, value in sorted(values.items())
    ]


def _own_values(motion: NDArray[Any], window: int) -> dict[str, float | None]:
    blinks = find_blinks(motion)
    return {
        "blinks_per_minute": blinks.per_minute,
        "blink_duration_s": blinks.mean_duration_s,
        "seam_ratio": seam_ratio(motion, window),
        **{f"head_{name}": value for name, value in head_statistics(motion).items()},
    }


def closure_values(truth: NDArray[Any], motion: NDArray[Any], rig: LipRig, spoken: Spoken) -> dict[str, float | None]:
    """Whether the lips of `motion` close where they should; `truth` (frames, 58) says what closed is."""
    real, made = lips_of(truth, rig), lips_of(motion, rig)
    shut, low = closed_level(real.gap), closed_level(real.drop, CONTACT)
    seen = closures_at(made.gap, seen_closures(real.gap, spoken.speaks[: len(real.gap)]), shut)
    values = {"seen_closure_auc": seen.auc, "seen_closure_share": seen.share}
    if spoken.phonemes is not None:
        frames = len(made.gap)
        lips = closures_at(made.gap, phoneme_places(spoken.phonemes, BILABIAL, frames, LABIODENTAL), shut)
        lip = closures_at(made.drop, phoneme_places(spoken.phonemes, LABIODENTAL, frames, BILABIAL), low)
        values |= {"bilabial_auc": lips.auc, "bilabial_closed_share": lips.share}
        values |= {"labiodental_auc": lip.auc, "labiodental_contact_share": lip.share}
    return values


def score_ground_truth(
    clip_id: str, truth: NDArray[Any], window: int, rig: LipRig, spoken: Spoken
) -> list[dict[str, Any]]:
    """SCORES rows of the real clip itself, without their stand-ins, for the metrics that need no second motion.

    `truth` has shape (frames, 58). They say what a perfect method would show: blinks, closed lips, a head that moves,
    and the seam ratio of motion that has no seams.
    """
    values = _own_values(truth, window) | closure_values(truth, truth, rig, spoken)
    return _rows(clip_id, GROUND_TRUTH, values)


def score_clip(
    clip_id: str,
    method: str,
    truth: NDArray[Any],
    generated: NDArray[Any],
    rig: ScoredRig,
    window: int,
    spoken: Spoken,
) -> list[dict[str, Any]]:
    """SCORES rows of one generated clip, without their stand-ins: one row per metric, `value` None where none.

    `truth` and `generated` have shape (frames, 58), NaN where not measured; `window` is the number of frames that the
    model generates at once. Raises `PermanentError` when the shapes differ.
    """
    if method == GROUND_TRUTH:
        raise PermanentError(
            f"`{GROUND_TRUTH}` is not a method that generates: its rows come from `score_ground_truth`"
        )
    values = motion_values(truth, generated, window) | landmark_distances(truth, generated, rig)
    return _rows(clip_id, method, values | closure_values(truth, generated, rig, spoken))


def motion_values(truth: NDArray[Any], generated: NDArray[Any], window: int) -> dict[str, float | None]:
    """Every metric of `score_clip` that needs no rig, by name; arguments as there."""
    values = _own_values(generated, window)
    free, speed = level_free_error(truth, generated), velocity_error(truth, generated)
    values |= {f"mae_{group}": found.value for group, found in group_error(truth, generated).items()}
    values |= {f"level_free_mae_{group}": free[group].value for group in _SPEED_GROUPS}
    values |= {f"velocity_mae_{group}": speed[group].value for group in _SPEED_GROUPS}
    values |= {f"amplitude_{group}": ratio for group, ratio in amplitude_ratios(truth, generated).items()}
    values["jaw_open_correlation"] = channel_correlation(truth, generated, "jawOpen")
    values["jaw_beat_alignment"] = beat_alignment(truth, generated)
    values["mouth_correlation"] = mean_correlation(truth, generated).value
    rates = find_blinks(truth).per_minute, values["blinks_per_minute"]
    values["blink_rate_error"] = None if rates[0] is None or rates[1] is None else abs(rates[0] - rates[1])
    return values


def summary(scores: pd.DataFrame, resamples: int = 2000) -> pd.DataFrame:
    """Mean and 95 % bootstrap interval over clips, one row per method and metric.

    `scores` is a SCORES table. Columns of the result: method, metric, unit, clips (rows there were), n (rows with a
    value), mean, low, high, stand_ins; mean is null without a value, low and high are null with fewer than 2. The
    interval is the percentile bootstrap over clips: it says how much the mean depends on which clips were drawn, not
    on the speakers.
    """
    rows: list[dict[str, Any]] = []
    for (method, metric), group in scores.groupby(["method", "metric"], sort=True, observed=True):
        ordered = group.sort_values("clip_id")
        values = ordered["value"].dropna().to_numpy(dtype=np.float64)
        low, high = mean_interval(values, f"{method}/{metric}", resamples) or (None, None)
        mean = float(values.mean()) if len(values) else None
        unit, stand_ins = ordered[["unit", "stand_ins"]].iloc[0]
        row = (method, metric, unit, len(ordered), len(values), mean, low, high, stand_ins)
        rows.append(dict(zip(_SUMMARY_COLUMNS, row, strict=True)))
    frame = pd.DataFrame(rows, columns=list(_SUMMARY_COLUMNS))
    return frame.astype({"mean": "float64", "low": "float64", "high": "float64"})
