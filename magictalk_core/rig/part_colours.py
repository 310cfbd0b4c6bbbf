"""How a piece of a head looks that says no colour: by what its name says it is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "EYE_WHITE",
    "IRIS_COLOUR",
    "IRIS_DEGREES",
    "PUPIL_COLOUR",
    "PUPIL_DEGREES",
    "SKIN_COLOUR",
    "SKIN_GLOSS",
    "PartLook",
    "part_look",
]

SKIN_COLOUR, SKIN_GLOSS = (0.80, 0.64, 0.55), 0.18


@dataclass(frozen=True)
class PartLook:
    """`colour` 0..1, `gloss` 0..1; `hidden`: a transparent layer, which would hide what lies behind it."""

    colour: tuple[float, float, float] = SKIN_COLOUR
    gloss: float = SKIN_GLOSS
    hidden: bool = False
    eyeball: bool = False
    """Gets an iris where it looks ahead."""


IRIS_COLOUR, PUPIL_COLOUR, EYE_WHITE = (0.25, 0.36, 0.42), (0.03, 0.03, 0.04), (0.86, 0.85, 0.84)
IRIS_DEGREES, PUPIL_DEGREES = 26.0, 10.0
"""How far from where the eye looks its iris and its pupil reach."""

_LOOKS = (
    (("occlusion", "lacrimal", "eyeblend", "eye_blend", "cornea", "tearline", "eyeao", "eyeshadow",
      "lash"), PartLook(hidden=True)),
    (("pupil",), PartLook(PUPIL_COLOUR, 0.6)),
    (("iris",), PartLook(IRIS_COLOUR, 0.6)),
    (("sclera", "eyeball", "eyewhite", "wolf3d_eye", "eyeleft", "eyeright", "eye_left", "eye_right", "eyes"),
     PartLook(EYE_WHITE, 0.7, eyeball=True)),
    (("gum", "tongue", "mouth_interior", "innermouth"), PartLook((0.66, 0.34, 0.34), 0.4)),
    (("teeth", "tooth"), PartLook((0.90, 0.87, 0.80), 0.5)),
    (("brow", "hair", "beard"), PartLook((0.22, 0.16, 0.13), 0.05)),
    (("lip",), PartLook((0.70, 0.42, 0.40), 0.3)),
)  # fmt: skip
"""Words in a name, and what such a part looks like; the first that fits counts."""


def part_look(name: str) -> PartLook:
    """The look of a part by its name; skin where the name says nothing."""
    plain = name.lower().replace(" ", "").replace("-", "_")
    return next((look for words, look in _LOOKS if any(word in plain for word in words)), PartLook())
