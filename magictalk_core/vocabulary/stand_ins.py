"""What a stand-in is, and the one that every animated portrait has; light, for whoever only names it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PORTRAIT", "StandIn"]


@dataclass(frozen=True)
class StandIn:
    """A part of ours: `part` says where, `used` what ran, `instead_of` what the field uses, `effect` the change."""

    part: str
    used: str
    instead_of: str
    effect: str = ""

    def __str__(self) -> str:
        return f"{self.part}={self.used}"


PORTRAIT = StandIn(
    "portrait",
    "mesh-texture-warp",
    "face-vid2vid, fine-tuned on TalkingHead-1KH",
    "hair and neck move little; a turned head does not show its other side",
)
