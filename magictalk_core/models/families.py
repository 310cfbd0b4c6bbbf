"""Every model family that can be trained, a line each. Light to import: see `training.family`."""

from __future__ import annotations

from magictalk_core.errors import UserError
from magictalk_core.models.audio2bs.family import AUDIO2BS
from magictalk_core.models.emodiff.family import EMODIFF, EMODIFF_NO_STYLE
from magictalk_core.models.emodiff_student.family import EMODIFF_STUDENT
from magictalk_core.models.emotion_fan.family import EMOTION_FAN
from magictalk_core.models.facevid2vid.family import FACEVID2VID
from magictalk_core.models.lip_residue.family import LIP_RESIDUE
from magictalk_core.models.sync_expert.family import SYNC_EXPERT, SYNC_EXPERT_ALL_CHANNELS, SYNC_JUDGES
from magictalk_core.training.family import ModelFamily

__all__ = ["FAMILIES", "family_named"]

FAMILIES: dict[str, ModelFamily] = {
    family.name: family
    for family in (
        EMODIFF,
        EMODIFF_NO_STYLE,
        EMODIFF_STUDENT,
        SYNC_EXPERT,
        SYNC_EXPERT_ALL_CHANNELS,
        *SYNC_JUDGES,
        AUDIO2BS,
        LIP_RESIDUE,
        EMOTION_FAN,
        FACEVID2VID,
    )
}


def family_named(name: str) -> ModelFamily:
    if name not in FAMILIES:
        raise UserError(f"no model family `{name}`; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
