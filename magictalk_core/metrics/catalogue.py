"""Every metric of the project: its name in `scores` and `set_scores`, unit, meaning and which direction is better.

The score table, the report and `README.md` read these lists; a metric that is not in one is not reported.
"""

from __future__ import annotations

from magictalk_core.metrics.clip_catalogue import CLIP_CATALOGUE
from magictalk_core.metrics.picture_catalogue import PICTURE_CATALOGUE
from magictalk_core.metrics.set_catalogue import SET_CATALOGUE
from magictalk_core.metrics.spec import Better, MetricSpec

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

CATALOGUE: tuple[MetricSpec, ...] = CLIP_CATALOGUE
"""The metrics of one clip."""

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in CATALOGUE}

SET_METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in SET_CATALOGUE}
"""The metrics of a whole test set."""

PICTURE_METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in PICTURE_CATALOGUE}
"""The metrics of pictures: of generated videos, on crops of one size for real and generated frames."""
