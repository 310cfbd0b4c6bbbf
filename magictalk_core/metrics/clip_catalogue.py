"""The metrics of one clip, in the order of the report."""

from __future__ import annotations

from magictalk_core.metrics.spec import Better, MetricSpec

__all__ = ["CLIP_CATALOGUE"]

_SPEECH, _FACE, _EYES, _HEAD, _FLOW = (
    "Mouth and speech",
    "Whole face on the rig",
    "Eyes, brows, cheeks",
    "Head",
    "Continuity",
)
_SAID = "coefficient metrics of SAiD (yunik1004/SAiD, said/metric)"
_LMD = "LMD of EAT (yuangan/evaluation_eat, test_lmd.py), on rig vertices instead of detected landmarks"
_BLINK = "blink rate of the field, from coefficients instead of the eye aspect ratio"
_OURS = "this project"
_JUDGES = "this project's three `sync_expert_judge_*`, scored as SyncNet's evaluation slides (joonson/syncnet_python)"
_EXPERT = "this project's `sync_expert`, scored as SyncNet's evaluation slides (joonson/syncnet_python)"


def _error(group: str, title: str, section: str) -> tuple[MetricSpec, ...]:
    return (
        MetricSpec(
            f"mae_{group}",
            f"{title} error",
            "1",
            Better.LOWER,
            section,
            f"Mean absolute difference of the {title.lower()} coefficients (0 to 1) from the real clip, per frame.",
            _SAID,
        ),
        MetricSpec(
            f"velocity_mae_{group}",
            f"{title} speed error",
            "1/frame",
            Better.LOWER,
            section,
            f"The same for the change from frame to frame of the {title.lower()}: it sees jitter and frozen parts.",
            _SAID,
            4,
        ),
        MetricSpec(
            f"level_free_mae_{group}",
            f"{title} error, level taken off",
            "1",
            Better.LOWER,
            section,
            f"The {title.lower()} error after the clip's mean of every channel is taken off on both sides: what moves.",
            _OURS,
            4,
        ),
        _amplitude(group, title, section),
    )


def _amplitude(group: str, title: str, section: str) -> MetricSpec:
    return MetricSpec(
        f"amplitude_{group}",
        f"{title} amplitude",
        "1",
        Better.NEAR_ONE,
        section,
        f"How much the {title.lower()} moves: generated standard deviation over the real one. Below 1 is too still.",
        _OURS,
        2,
    )


def _places(name: str, title: str, unit: str, meaning: str) -> MetricSpec:
    return MetricSpec(name, title, unit, Better.HIGHER, _SPEECH, meaning, _OURS, 2)


def _judged(name: str, title: str, unit: str, better: Better, meaning: str, decimals: int = 3) -> MetricSpec:
    return MetricSpec(f"sync_judge_{name}", title, unit, better, _SPEECH, meaning, _JUDGES, decimals)


def _of_head(name: str, title: str, unit: str, meaning: str) -> MetricSpec:
    return MetricSpec(f"head_{name}", title, unit, Better.LIKE_TRUTH, _HEAD, meaning, _OURS, 2)


CLIP_CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "jaw_open_correlation",
        "Jaw follows speech",
        "1",
        Better.HIGHER,
        _SPEECH,
        "Correlation over time of the jaw opening with the real clip's: 1 is in step, 0 is unrelated.",
        _OURS,
        2,
    ),
    MetricSpec(
        "jaw_open_correlation_true_curve",
        "Jaw follows the true curve",
        "1",
        Better.HIGHER,
        _SPEECH,
        "The same against the curve that animated the clip, no tracker in between. Exists for the sample corpus only.",
        _OURS,
        2,
    ),
    MetricSpec(
        "jaw_beat_alignment",
        "Jaw beats in time",
        "1",
        Better.HIGHER,
        _SPEECH,
        "How near the moments of fastest jaw motion are to the real clip's: 1 when they coincide; chance is 0.85.",
        "this project, after the beat consistency of SAiD, which compares pauses with sounds (metrics/beats.py)",
        2,
    ),
    MetricSpec(
        "mouth_correlation",
        "Mouth follows speech",
        "1",
        Better.HIGHER,
        _SPEECH,
        "Mean of the same correlation over all jaw and mouth channels that move.",
        _OURS,
        2,
    ),
    _places(
        "bilabial_auc",
        "Lips meet at p, b, m",
        "1",
        "Chance that the lips are nearer in a frame of p, b or m than in other speech; 0.5 knows nothing.",
    ),
    _places(
        "bilabial_closed_share",
        "Lips closed at p, b, m",
        "1",
        "Share of p, b and m at which the lips are as near as the real clip's nearest 15 %. A shut mouth reaches 1.",
    ),
    _places(
        "labiodental_auc",
        "Lip meets teeth at f, v",
        "1",
        "Chance that the lower lip is higher in a frame of f or v than in other speech; 0.5 knows nothing.",
    ),
    _places(
        "labiodental_contact_share",
        "Lip on teeth at f, v",
        "1",
        "Share of f and v at which the lower lip is as high as the real clip's highest third. A shut mouth reaches 1.",
    ),
    _places(
        "seen_closure_auc",
        "Lips meet where the real ones do",
        "1",
        "As for p, b, m, at the places where the tracked lips came together in speech: needs no phonemes.",
    ),
    _places(
        "seen_closure_share",
        "Lips closed where the real ones are",
        "1",
        "Share of those places at which the lips close. The real clip's own value is below 1: some are narrow only.",
    ),
    _judged(
        "distance",
        "Sync distance (judges)",
        "1",
        Better.LOWER,
        "Distance of mouth and speech to experts that lip refinement never saw, at the best shift; mean of three.",
    ),
    _judged(
        "confidence",
        "Sync confidence (judges)",
        "1",
        Better.HIGHER,
        "Median distance over shifts of -15 to 15 frames less the best one, to the same judges: 0 is no preference.",
    ),
    _judged(
        "offset_error",
        "Sync offset (judges)",
        "frames",
        Better.LOWER,
        "How many frames the shift that fits best is away from none, to the same judges.",
        1,
    ),
    MetricSpec(
        "sync_expert_distance",
        "Sync distance (refinement's own expert)",
        "1",
        Better.LOWER,
        _SPEECH,
        "Distance to the expert that lip refinement learned to please, at the best shift, 0 to 1. Not SyncNet's LSE-D.",
        _EXPERT,
    ),
    MetricSpec(
        "sync_expert_confidence",
        "Sync confidence (refinement's own expert)",
        "1",
        Better.HIGHER,
        _SPEECH,
        "Median distance over shifts of -15 to 15 frames less the best one: 0 is no preference. Not SyncNet's LSE-C.",
        _EXPERT,
    ),
    MetricSpec(
        "sync_expert_offset_error",
        "Sync offset (refinement's own expert)",
        "frames",
        Better.LOWER,
        _SPEECH,
        "How many frames the shift that fits best is away from none.",
        _EXPERT,
        1,
    ),
    *_error("mouth", "Mouth", _SPEECH),
    MetricSpec(
        "lmd_rig_mouth_px256",
        "Mouth landmark distance",
        "px at 256",
        Better.LOWER,
        _SPEECH,
        "Mean distance of the rig's lip points in the head's own frame, both centred on the mouth: shape, not place.",
        _LMD,
        2,
    ),
    MetricSpec(
        "lmd_rig_px256",
        "Landmark distance",
        "px at 256",
        Better.LOWER,
        _FACE,
        "Mean distance of 468 face points of the rig posed by both motions, both centred; head turns count.",
        _LMD,
        2,
    ),
    MetricSpec(
        "lmd_rig_truth_pose_px256",
        "Landmark distance, true head pose",
        "px at 256",
        Better.LOWER,
        _FACE,
        "The same with the real clip's head pose given to both, so that only the expression counts.",
        _LMD,
        2,
    ),
    MetricSpec(
        "lmd_rig_iod_percent",
        "Landmark distance, aligned",
        "% of eye distance",
        Better.LOWER,
        _FACE,
        "The same after the best shift, turn and scale in the picture, in percent of the distance between the eyes.",
        _LMD,
        2,
    ),
    *_error("eyes", "Eyes", _EYES),
    *_error("brows", "Brows", _EYES),
    *_error("cheeks_nose", "Cheeks and nose", _EYES),
    MetricSpec(
        "blinks_per_minute",
        "Blinks",
        "1/min",
        Better.LIKE_TRUTH,
        _EYES,
        "Blinks per minute: both lids go down and up within 60 to 400 ms. People who speak blink 15 to 30 times.",
        _BLINK,
        1,
    ),
    MetricSpec(
        "blink_rate_error",
        "Blink rate error",
        "1/min",
        Better.LOWER,
        _EYES,
        "Absolute difference of that rate from the same clip's; coarse on short clips.",
        _BLINK,
        1,
    ),
    MetricSpec(
        "blink_duration_s",
        "Blink length",
        "s",
        Better.LIKE_TRUTH,
        _EYES,
        "Mean length of a blink at half its height, in clips that have one.",
        _BLINK,
        2,
    ),
    MetricSpec(
        "mae_head_rotation",
        "Head turn error",
        "deg",
        Better.LOWER,
        _HEAD,
        "Mean absolute difference of pitch, yaw and roll. Head motion is free: a different turn can look as natural.",
        _OURS,
        2,
    ),
    MetricSpec(
        "mae_head_translation",
        "Head place error",
        "cm",
        Better.LOWER,
        _HEAD,
        "Mean absolute difference of the head position along its three axes.",
        _OURS,
        2,
    ),
    _amplitude("head_rotation", "Head turn", _HEAD),
    _amplitude("head_translation", "Head place", _HEAD),
    _of_head(
        "std_deg", "Head turns", "deg", "Standard deviation of pitch, yaw and roll in the clip, the mean of them."
    ),
    _of_head("speed_deg_s", "Head speed", "deg/s", "Mean absolute speed of pitch, yaw and roll."),
    _of_head(
        "fast_share",
        "Head trembling",
        "1",
        "Share of the energy of the head's turns at 4 Hz and above. A tracker trembles too: see the true curves.",
    ),
    _of_head(
        "step_autocorrelation",
        "Head smoothness",
        "1",
        "Correlation of one step of the head with the next: near 1 is smooth, 0 a random walk, below 0 trembles.",
    ),
    MetricSpec(
        "seam_ratio",
        "Seam at window joints",
        "1",
        Better.NEAR_ONE,
        _FLOW,
        "Step where two generated windows meet over the usual step: 1 means the joint is not visible.",
        _OURS,
        2,
    ),
)
