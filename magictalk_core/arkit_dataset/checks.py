"""Is the dataset sane, and has it drifted? Each check looks at statistics and says what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from magictalk_core.arkit_dataset.statistics import DatasetStatistics
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS, POSE_NAMES
from magictalk_core.vocabulary.emotions import NEUTRAL, SIGNATURES

__all__ = ["CHECKS", "Finding", "check_drift", "run_checks", "signature_gains"]

_STILL_STD = 1e-4
_ASYMMETRY = 0.15
_MIN_GAIN = 0.01
_MIN_CLIPS_FOR_SYMMETRY = 8
_DRIFT_STDS = 0.5
_DRIFT_FLOOR = 0.02


@dataclass(frozen=True)
class Finding:
    """What a check found. `blocking`: the dataset must not be used. `facts`: names and numbers for people."""

    name: str
    passed: bool
    blocking: bool
    text: str
    facts: Mapping[str, Any]


def check_ranges(stats: DatasetStatistics) -> Finding:
    """Coefficients in [0, 1], pitch in [-90, 90], yaw and roll in [-180, 180] degrees, the head in front."""
    limits = dict.fromkeys(ARKIT_NAMES, (0.0, 1.0)) | dict.fromkeys(POSE_NAMES[1:3], (-180.0, 180.0))
    limits |= {POSE_NAMES[0]: (-90.0, 90.0), POSE_NAMES[5]: (-10_000.0, 0.0)}
    rows = stats.by_channel()
    wrong = {
        name: f"{rows[name]['min']:.3f} .. {rows[name]['max']:.3f}"
        for name, (low, high) in limits.items()
        if rows[name]["count"] and not (low <= rows[name]["min"] and rows[name]["max"] <= high)
    }
    return Finding("values_in_range", not wrong, True, "every value lies in the range of its column", wrong)


def check_nulls(stats: DatasetStatistics) -> Finding:
    """In a frame with a face every channel has a value unless its tracker is blind to it."""
    kinds = {str(tracker).split("/")[0] for tracker in stats.clips["tracker"].unique()}
    blind = {name for kind in kinds for name in BLIND_CHANNELS.get(kind, ())}
    wrong = {n: int(row["nulls"]) for n, row in stats.by_channel().items() if row["nulls"] and n not in blind}
    return Finding("nulls_are_blind_channels", not wrong, True, "only blind channels are null", wrong)


def check_movement(stats: DatasetStatistics) -> Finding:
    """A channel that never moves tells a dead network output from a face at rest."""
    rows = stats.by_channel()
    still = {n: f"std {rows[n]['std']:.2g}" for n in ARKIT_NAMES if rows[n]["count"] and rows[n]["std"] < _STILL_STD}
    return Finding("channels_move", not still, False, "every channel that has values moves", still)


def check_symmetry(stats: DatasetStatistics) -> Finding:
    """Over many people left and right do the same; a mirrored corpus or swapped columns do not."""
    mean = {name: row["mean"] for name, row in stats.by_channel().items()}
    pairs = [n.removesuffix("Left") for n in ARKIT_NAMES if n.endswith("Left") and f"{n[:-4]}Right" in ARKIT_NAMES]
    # Looking, shifting the jaw and the mouth are not done to both sides at once.
    pairs = [stem for stem in pairs if not stem.startswith(("eyeLook", "jaw")) and stem != "mouth"]
    wrong = {
        stem: f"left {mean[stem + 'Left']:.3f}, right {mean[stem + 'Right']:.3f}"
        for stem in pairs
        if abs(mean[f"{stem}Left"] - mean[f"{stem}Right"]) > _ASYMMETRY
    }
    enough = len(stats.clips) >= _MIN_CLIPS_FOR_SYMMETRY
    text = "left and right agree on average" if enough else f"fewer than {_MIN_CLIPS_FOR_SYMMETRY} clips: not judged"
    return Finding("left_right_symmetry", not (enough and wrong), False, text, wrong if enough else {})


def signature_gains(clips: pd.DataFrame) -> dict[str, float]:
    """`<emotion> <channels>` -> mean gain over the neutral clips of the same speaker; speakers count the same.

    `clips` as in `DatasetStatistics`; a speaker without neutral clips says nothing.
    """
    gains: dict[str, list[float]] = {}
    for _, own in clips.groupby(["corpus", "speaker"], observed=True):
        neutral = own[own["emotion"] == NEUTRAL]
        for emotion, signature in SIGNATURES.items():
            acted = own[own["emotion"] == emotion]
            if not len(acted) or not len(neutral):
                continue
            for channels in signature:
                gain = acted[list(channels)].mean(axis=1).mean() - neutral[list(channels)].mean(axis=1).mean()
                gains.setdefault(f"{emotion} {'+'.join(channels)}", []).append(float(gain))
    return {name: sum(values) / len(values) for name, values in gains.items()}


def check_signatures(stats: DatasetStatistics) -> Finding:
    """Emotions look like themselves: labels and channels are not mixed up."""
    gains = signature_gains(stats.clips)
    # A channel that the tracker does not see has no gain.
    failed = [name for name, gain in gains.items() if gain < _MIN_GAIN]
    facts = {name: round(gain, 3) for name, gain in gains.items()}
    text = "emotions raise their channels" if facts else "no speaker with neutral and other emotions: not judged"
    return Finding("emotion_signatures", not failed, False, text, facts)


CHECKS: tuple[Callable[[DatasetStatistics], Finding], ...] = (
    check_ranges,
    check_nulls,
    check_movement,
    check_symmetry,
    check_signatures,
)


def check_drift(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> Finding:
    """Means against those of the last dataset with other data, in its standard deviations (at least 0.02).

    Both in the form of `DatasetStatistics.as_json`.
    """
    if before is None:
        return Finding("drift", True, False, "no earlier dataset to compare with", {})
    moved = {}
    for name in ARKIT_NAMES:
        old, new = before["channels"].get(name), now["channels"][name]
        if old is None or old["mean"] is None or new["mean"] is None:
            continue
        shift = (new["mean"] - old["mean"]) / max(old["std"], _DRIFT_FLOOR)
        if abs(shift) > _DRIFT_STDS:
            moved[name] = f"mean {old['mean']:.3f} -> {new['mean']:.3f}, {shift:+.1f} standard deviations"
    return Finding("drift", not moved, False, "means have stayed where they were", moved)


def run_checks(stats: DatasetStatistics, before: Mapping[str, Any] | None) -> list[Finding]:
    """All checks; `before`: the statistics of the last dataset with other data, as JSON."""
    return [*(check(stats) for check in CHECKS), check_drift(stats.as_json(), before)]
