"""Presets whose trainings begin from finished models: what `magictalk run --init` makes a workspace's."""

from __future__ import annotations

import os
from pathlib import Path

from magictalk_core.config import InitialisedTraining
from magictalk_core.errors import UserError
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.training.family import INIT
from magictalk_core.training.initial import must_match
from magictalk_core.workspace import Workspace, absolute

__all__ = ["OWN_FACE", "begins_from", "preset_beginning_from"]

OWN_FACE = "own_face"
"""The preset that is made for it."""


def begins_from(preset: Preset) -> frozenset[str]:
    """What the trainings of `preset` begin from; empty where all begin from chance."""
    found = (getattr(family.settings_of(preset).training, INIT, "") for family in FAMILIES.values())
    return frozenset(name for name in found if name)


def preset_beginning_from(workspace: Workspace, init: str, preset: Preset | None) -> Preset:
    """`preset`, else the workspace's own where that begins from something, else `own_face`: with `init` for what every
    training begins from that can. Raises `UserError` where there is no such model, or its network is another one."""
    if not init:
        raise UserError("--init: expected `base`, a workspace or a folder of models, found nothing")
    chosen = preset or _own(workspace) or load_preset(OWN_FACE)
    named = str(absolute(Path(init))) if os.path.isdir(os.path.expanduser(init)) else init
    changed = {}
    for section in type(chosen).model_fields:
        settings = getattr(chosen, section)
        if isinstance(getattr(settings, "training", None), InitialisedTraining):
            training = settings.training.model_copy(update={INIT: named})
            changed[section] = settings.model_copy(update={"training": training})
    found = chosen.model_copy(update=changed)
    for family in FAMILIES.values():
        path = must_match(family, family.settings_of(found), found.speech.feature, found.training_set.window)
        if path is not None and path.resolve().is_relative_to((workspace.home / "models").resolve()):
            raise UserError(
                f"--init {init}: {path} is trained in this workspace, and every run would begin from another one: copy "
                "the models to a folder of their own, and name that"
            )
    return found


def _own(workspace: Workspace) -> Preset | None:
    if not workspace.preset.is_file():
        return None
    preset = load_preset(workspace.preset)
    return preset if begins_from(preset) else None
