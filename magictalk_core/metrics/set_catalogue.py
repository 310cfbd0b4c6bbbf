"""The metrics of a whole test set, in the order of the report."""

from __future__ import annotations

from magictalk_core.metrics.spec import Better, MetricSpec

__all__ = ["SET_CATALOGUE"]

_OURS = "this project"
_SAID_SETS = "yunik1004/SAiD, said/metric"

SET_CATALOGUE: tuple[MetricSpec, ...] = (
    MetricSpec(
        "frechet_distance",
        "Frechet distance",
        "1",
        Better.LOWER,
        "Distributions",
        "How far the coefficients and their changes are from other real clips' as a set; real clips show the least.",
        _SAID_SETS,
        2,
    ),
    MetricSpec(
        "frechet_dynamics",
        "Frechet distance of dynamics",
        "1",
        Better.LOWER,
        "Distributions",
        "The same of how the coefficients move alone: how they stand is taken out. A frozen face is far off.",
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
        "style_dynamics_accuracy",
        "Emotion shown in movement (motion_emotion)",
        "1",
        Better.HIGHER,
        "Emotion",
        "The same by how the face moves alone: the clip's mean is taken off. A frozen face is at chance.",
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
