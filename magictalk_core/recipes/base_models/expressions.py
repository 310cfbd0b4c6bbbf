"""What each of MEAD's eight emotions does to a face and to how it moves, after the action units of FACS.

Ekman and Friesen's prototypes in ARKit's channels: happy 6+12, sad 1+4+15+17, angry 4+5+7+23, fear 1+2+4+5+20,
surprised 1+2+5+26, disgusted 9+10+17, contempt one-sided 12+14. Manners of moving (sad ones slow and small, frightened
ones quick, angry ones nodding hard) after what is told of emotional speech; the numbers are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MANNERS", "STRENGTHS", "Manner"]

STRENGTHS = {1: 0.4, 2: 0.7, 3: 1.0}
"""MEAD's three levels, as shares of the expression at its fullest."""


@dataclass(frozen=True)
class Manner:
    """An emotion at its fullest.

    `face`: what is added to channels at rest; a name without a side means both. `opening`: factor on how far a mouth
    opens in speech; `swing`: how much the expression comes and goes, 0 to 1; `stress`: how much of it follows what is
    stressed in speech. `head`: factor on how far a head moves, `pace` on how quickly, `nod` on how it follows the jaw;
    `pose`: degrees added. `blink_s`: least and most between two blinks.
    """

    face: Mapping[str, float] = field(default_factory=dict)
    opening: float = 1.0
    swing: float = 0.15
    stress: float = 0.0
    head: float = 1.0
    pace: float = 1.0
    nod: float = 1.0
    pose: Mapping[str, float] = field(default_factory=dict)
    blink_s: tuple[float, float] = (2.2, 6.0)


MANNERS: dict[str, Manner] = {
    "neutral": Manner(),
    "happy": Manner(
        {"mouthSmile": 0.62, "mouthDimple": 0.12, "cheekSquint": 0.45, "eyeSquint": 0.25, "browOuterUp": 0.12},
        opening=1.1, swing=0.2, stress=0.15, head=1.3, pace=1.1, nod=1.2, pose={"head_pitch_deg": -2.0},
    ),
    "angry": Manner(
        {"browDown": 0.75, "noseSneer": 0.3, "eyeSquint": 0.35, "mouthPress": 0.15, "mouthFrown": 0.2,
         "jawForward": 0.12},
        opening=1.2, swing=0.12, stress=0.3, head=1.1, pace=1.4, nod=2.0, pose={"head_pitch_deg": 3.0},
        blink_s=(3.0, 7.0),
    ),
    "sad": Manner(
        {"browInnerUp": 0.7, "browDown": 0.12, "mouthFrown": 0.5, "mouthShrugLower": 0.25, "eyeLookDown": 0.3,
         "eyeSquint": 0.1},
        opening=0.8, swing=0.1, stress=0.0, head=0.6, pace=0.6, nod=0.6, pose={"head_pitch_deg": 5.0},
        blink_s=(1.8, 4.5),
    ),
    "fear": Manner(
        {"browInnerUp": 0.75, "browOuterUp": 0.35, "browDown": 0.25, "eyeWide": 0.6, "mouthStretch": 0.4,
         "mouthLowerDown": 0.1},
        opening=0.9, swing=0.3, stress=0.1, head=0.7, pace=2.0, nod=0.6, pose={"head_pitch_deg": -1.5},
        blink_s=(1.4, 3.2),
    ),
    "surprised": Manner(
        {"browInnerUp": 0.75, "browOuterUp": 0.75, "eyeWide": 0.65, "jawOpen": 0.08, "mouthFunnel": 0.08},
        opening=1.25, swing=0.25, stress=0.35, head=1.2, pace=1.2, nod=1.3, pose={"head_pitch_deg": -3.0},
        blink_s=(3.5, 8.0),
    ),
    "disgusted": Manner(
        {"noseSneer": 0.75, "browDown": 0.45, "mouthUpperUp": 0.3, "mouthFrown": 0.2, "mouthShrugUpper": 0.2,
         "mouthShrugLower": 0.2, "eyeSquint": 0.4, "cheekSquint": 0.3},
        opening=0.9, swing=0.25, stress=0.25, head=0.8, pace=0.9, nod=0.8, pose={"head_yaw_deg": 4.0},
    ),
    "contempt": Manner(
        {"mouthSmileRight": 0.45, "mouthDimpleRight": 0.45, "mouthRight": 0.12, "mouthPressRight": 0.15,
         "eyeSquint": 0.15, "browOuterUpRight": 0.3},
        opening=0.85, swing=0.15, stress=0.1, head=0.7, pace=0.7, nod=0.8,
        pose={"head_pitch_deg": -3.0, "head_roll_deg": 3.0}, blink_s=(3.0, 7.0),
    ),
}  # fmt: skip
"""By MEAD's names."""
