"""ARKit blendshape names, their groups and the motion state. Names are the contract; never rely on an index.

Order: Apple's documentation order (eyes, jaw, mouth, brows, cheeks, nose, tongue). MediaPipe lists the same names
alphabetically and lacks `tongueOut`; other tools swap jawLeft/jawRight. Everything here maps by name.

Head pose: right-handed axes with +x towards the subject's own left (right in the picture), +y up, +z towards the
viewer. R = Ry(yaw) @ Rx(pitch) @ Rz(roll), degrees. Positive yaw turns the nose to the subject's left, positive pitch
looks down, positive roll turns counter-clockwise in the picture. Translation in centimetres along the same axes.
"""

from __future__ import annotations

__all__ = [
    "ARKIT_NAMES",
    "BLIND_CHANNELS",
    "BROW_NAMES",
    "CHEEK_NOSE_NAMES",
    "EYE_NAMES",
    "GROUPS",
    "JAW_MOUTH_NAMES",
    "MOTION_NAMES",
    "POSE_NAMES",
    "STATE_NAMES",
    "STATE_SETS",
    "mirror_name",
]


def _pair(*stems: str) -> tuple[str, ...]:
    return tuple(stem + side for stem in stems for side in ("Left", "Right"))


_EYE_STEMS = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")

EYE_NAMES: tuple[str, ...] = tuple(s + "Left" for s in _EYE_STEMS) + tuple(s + "Right" for s in _EYE_STEMS)
JAW_NAMES: tuple[str, ...] = ("jawForward", "jawLeft", "jawRight", "jawOpen")
MOUTH_NAMES: tuple[str, ...] = (
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    *_pair("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch"),
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    *_pair("mouthPress", "mouthLowerDown", "mouthUpperUp"),
)
BROW_NAMES: tuple[str, ...] = (*_pair("browDown"), "browInnerUp", *_pair("browOuterUp"))
CHEEK_NOSE_NAMES: tuple[str, ...] = ("cheekPuff", *_pair("cheekSquint", "noseSneer"))

JAW_MOUTH_NAMES: tuple[str, ...] = JAW_NAMES + MOUTH_NAMES
"""The 27 channels that lip refinement replaces."""

ARKIT_NAMES: tuple[str, ...] = EYE_NAMES + JAW_MOUTH_NAMES + BROW_NAMES + CHEEK_NOSE_NAMES + ("tongueOut",)
"""All 52 names, in Apple's order."""

POSE_NAMES: tuple[str, ...] = (
    "head_pitch_deg",
    "head_yaw_deg",
    "head_roll_deg",
    "head_x_cm",
    "head_y_cm",
    "head_z_cm",
)

_MEDIAPIPE_BLIND = ("tongueOut", "cheekPuff", *_pair("cheekSquint", "noseSneer"))
"""Not in its network, or below 0.002 in every frame of real people, disgust and anger included: `benchmarks/
blind_channels.py` measures it."""

BLIND_CHANNELS: dict[str, tuple[str, ...]] = {
    "mediapipe": _MEDIAPIPE_BLIND,
    "litert-blendshapes": _MEDIAPIPE_BLIND,
    "litert-geometric": (
        "tongueOut",
        "cheekPuff",
        "jawForward",
        "mouthShrugUpper",
        *_pair("jaw", "mouthFrown"),
        *_pair("cheekSquint", "noseSneer", "eyeLookIn", "eyeLookOut", "eyeLookUp"),
    ),
}
"""Channels that a tracker kind (the tracker id up to its first `/`) cannot see: always null."""

STATE_NAMES: tuple[str, ...] = tuple(n for n in ARKIT_NAMES if n != "tongueOut") + POSE_NAMES
"""EmoDiff's default state: 51 measurable coefficients and 6 head pose values (L_exp = 57)."""

STATE_SETS: dict[str, tuple[str, ...]] = {
    "full57": STATE_NAMES,
    "paper49": tuple(n for n in STATE_NAMES if not n.startswith("eyeLook")),
}
"""States by name. `paper49`: L_exp = 49, the reading of the paper's 50-dimensional condition (state and indicator bit)
that its text, its Algorithm 1 and the code it follows share; which 43 coefficients it means is not published."""

MOTION_NAMES: tuple[str, ...] = ARKIT_NAMES + POSE_NAMES
"""The 58 motion columns of the `frames` and `motion` tables."""

GROUPS: dict[str, tuple[str, ...]] = {
    "mouth": JAW_MOUTH_NAMES,
    "eyes": EYE_NAMES,
    "brows": BROW_NAMES,
    "cheeks_nose": CHEEK_NOSE_NAMES,
    "pose": POSE_NAMES,
}


def mirror_name(name: str) -> str:
    """The channel that a mirrored picture shows instead: Left <-> Right, everything else unchanged."""
    for stem, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(stem):
            return name[: -len(stem)] + other
    return name
