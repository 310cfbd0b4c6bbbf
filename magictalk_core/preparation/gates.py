"""The quality gates: from stored scores to a decision. Nothing is decoded here: a threshold may change at any time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from magictalk_core.config import QualityConfig
from magictalk_core.vocabulary.clips import Reason

__all__ = ["GATES", "Gate", "Rejection", "decide"]

Rejection = tuple[Reason, str]


@dataclass(frozen=True)
class Gate:
    """Rejects with `reason` where `score` of a row is on the wrong side of `limit`; `says` has {score} and {limit}."""

    reason: Reason
    score: str
    limit: str
    is_bad: Callable[[float, float], bool]
    says: str


def _below(value: float, limit: float) -> bool:
    return value < limit


def _above(value: float, limit: float) -> bool:
    return value > limit


def _differs(value: float, limit: float) -> bool:
    return abs(value) > limit


GATES: tuple[Gate, ...] = (
    Gate(Reason.TOO_SHORT, "duration_s", "min_duration_s", _below, "{score:.2f} s, expected at least {limit} s"),
    Gate(Reason.TOO_LONG, "duration_s", "max_duration_s", _above, "{score:.1f} s, expected at most {limit} s"),
    Gate(
        Reason.SILENT,
        "loudest_dbfs",
        "silent_dbfs",
        _below,
        "loudest 100 ms at {score:.1f} dBFS, expected at least {limit}",
    ),
    Gate(
        Reason.LENGTH_MISMATCH,
        "audio_excess_s",
        "max_length_difference_s",
        _differs,
        "the sound is {score:+.2f} s longer than the picture, expected at most {limit} s of difference",
    ),
    Gate(
        Reason.SCENE_CUT,
        "cut_score",
        "max_cut_score",
        _above,
        "the picture changes at once, {score:.1f} times as much as around it, expected at most {limit}",
    ),
    Gate(
        Reason.SCENE_CUT,
        "fade_score",
        "max_fade_score",
        _above,
        "the picture fades to another one: {score:.2f} unlike, expected at most {limit}",
    ),
    Gate(
        Reason.SEVERAL_SPEAKERS,
        "other_speaker_share",
        "max_other_speaker_share",
        _above,
        "somebody else in {score:.0%} of the probed frames, expected at most {limit:.0%}",
    ),
    Gate(
        Reason.NO_FACE,
        "face_share",
        "min_face_share",
        _below,
        "a face in {score:.0%} of the probed frames, expected {limit:.0%}",
    ),
    Gate(
        Reason.SEVERAL_FACES,
        "second_face_share",
        "max_second_face_share",
        _above,
        "another face in {score:.0%} of the probed frames, expected at most {limit:.0%}",
    ),
    Gate(Reason.FACE_TOO_SMALL, "face_px", "min_face_px", _below, "face of {score:.0f} px, expected at least {limit}"),
    Gate(Reason.BLURRED, "sharpness", "min_sharpness", _below, "sharpness {score:.2f}, expected at least {limit}"),
    Gate(Reason.EXTREME_POSE, "yaw_deg", "max_yaw_deg", _above, "head turned by {score:.0f} deg, at most {limit}"),
    Gate(Reason.EXTREME_POSE, "roll_deg", "max_roll_deg", _above, "head tilted by {score:.0f} deg, at most {limit}"),
    Gate(
        Reason.TRUNCATED_FACE,
        "outside_share",
        "max_outside_share",
        _above,
        "{score:.0%} of the face beyond the edge of the picture, expected at most {limit:.0%}",
    ),
    Gate(
        Reason.TRUNCATED_FACE,
        "cut_off_share",
        "max_cut_off_share",
        _above,
        "the edge of the picture cuts the face off in {score:.0%} of the viewed frames, expected at most {limit:.0%}",
    ),
    Gate(
        Reason.OCCLUDED,
        "mesh_share",
        "min_mesh_share",
        _below,
        "landmarks in {score:.0%} of the viewed frames, expected {limit:.0%}: the face is hidden or cut off",
    ),
    Gate(
        Reason.OCCLUDED,
        "lips_contrast",
        "min_lips_contrast",
        _below,
        "lips differ by {score:.1f} from what is around them, expected at least {limit}: something covers the mouth",
    ),
    Gate(
        Reason.OCCLUDED,
        "covered_share",
        "max_covered_share",
        _above,
        "something covers the mouth in {score:.0%} of the viewed frames, expected at most {limit:.0%}",
    ),
    Gate(
        Reason.FROZEN,
        "frozen_share",
        "max_frozen_share",
        _above,
        "{score:.0%} of the probed frames equal the one before, expected at most {limit:.0%}",
    ),
)
"""In the order in which a clip with several faults gets its reason."""


def decide(row: Mapping[str, Any], quality: QualityConfig) -> Rejection | None:
    """The first gate that a row of MEDIA or CLIPS does not pass, or None. A score that is not there passes.

    `loudest_dbfs` of digital silence is minus infinity, which a table holds as such.
    """
    for gate in GATES:
        value, limit = row[gate.score], getattr(quality, gate.limit)
        if value is None or math.isnan(value):
            continue
        if gate.is_bad(float(value), float(limit)):
            return gate.reason, gate.says.format(score=float(value), limit=limit)
    return None
