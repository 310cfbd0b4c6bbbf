"""How strongly a portrait shows what moves it: the choices of the renderer that were judged by eye and by networks.

There are two. Whatever was trained and measured on rendered pictures (the sample corpus, the picture scores) stands on
the first; talking videos have the second, with the whole head (decisions 018 and 023).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FIRST_LOOK", "LOOK", "Look"]


@dataclass(frozen=True)
class Look:
    """`stronger`: factors on the rig's shapes, names without side, others 1. `side_light`: of the teeth at the sides of
    the arch, over those in front; `rim_light`: of the cheeks seen beside them, over the dark of the throat.
    `rests_eyes`: whether eyes that laugh in the picture are brought to rest. `clean_edges`: teeth and irises without a
    dark seam."""

    stronger: Mapping[str, float]
    side_light: float
    rim_light: float
    rests_eyes: bool
    clean_edges: bool


FIRST_LOOK = Look(
    {
        "mouthSmile": 1.6, "mouthFrown": 2.1, "mouthStretch": 1.3, "mouthUpperUp": 1.7, "mouthLowerDown": 1.4,
        "mouthPress": 1.3, "mouthShrugLower": 1.3, "browDown": 1.9, "browInnerUp": 1.8, "browOuterUp": 1.7,
        "eyeWide": 1.5, "eyeSquint": 1.6, "cheekSquint": 1.7, "noseSneer": 1.7,
    },
    side_light=0.16,
    rim_light=1.0,
    rests_eyes=False,
    clean_edges=False,
)  # fmt: skip
"""The rig's shapes are milder than what a tracker calls the same weight: with these MediaPipe reads on the portrait
about what drove it, and brows, squints and frowns are as strong as the judges of emotion see them (decision 018)."""

LOOK = Look(
    {
        **FIRST_LOOK.stronger,
        "mouthFrown": 2.6, "mouthShrugLower": 1.6, "browDown": 2.8, "browInnerUp": 2.2, "eyeSquint": 2.0,
    },
    side_light=0.34,
    rim_light=2.2,
    rests_eyes=True,
    clean_edges=True,
)  # fmt: skip
"""Anger and sadness as strong as they read on six portraits; beyond that no judge saw more of them, nor of surprise."""
