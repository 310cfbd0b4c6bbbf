"""What is said of a metric wherever its numbers are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Better", "MetricSpec"]


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
