"""The stand-ins behind a number that was read from pictures: those of the motion, of the renderer and of the judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from magictalk_core.evaluation.pictures.render import Renderer
from magictalk_core.evaluation.stand_ins import EMOTION_FAN, NONE, PORTRAIT, PartsUsed, StandIn, stand_ins_of
from magictalk_core.evaluation.table import GROUND_TRUTH

__all__ = ["RERENDERED", "picture_stand_ins"]

RERENDERED = "ground_truth_curves"
"""The recording's own tracked curves, drawn: what the renderer costs, whatever the motion."""


def picture_stand_ins(parts: PartsUsed, row: Mapping[str, Any]) -> str:
    """Of a PICTURE_SCORES row, as its column `stand_ins` holds them. A recording stands on none but its judge."""
    found: list[StandIn] = []
    renderer = row["renderer"]
    if renderer in (Renderer.PORTRAIT, Renderer.RIG):
        motion = GROUND_TRUTH if row["method"] == RERENDERED else row["method"]
        found += stand_ins_of(parts, motion, "lmd_rig" if renderer == Renderer.RIG else "")
    if renderer == Renderer.PORTRAIT:
        found.append(PORTRAIT)
    if row["metric"] == "emotion_fan_accuracy":
        found.append(EMOTION_FAN)
    return "; ".join(map(str, found)) or NONE
