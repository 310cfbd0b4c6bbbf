"""What decides the shipped models: voices, faces, and where the preset `base`, which is for minutes of somebody's
video, gives way to an hour and more of synthetic takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.recipes.base_models.sync import SyncSettings
from magictalk_core.recipes.base_voice.recordings import SPEAKERS, RecordingSettings
from magictalk_core.recipes.base_voice.speaking import Speaker

__all__ = ["HELD_OUT", "BaseSettings", "recipe_preset"]

HELD_OUT = frozenset(("en-us+m4", "en+f4", "awb"))
"""Voices by which everything was chosen and measured: no model learns from them."""

_DIFFERS: dict[str, Any] = {
    # Its own clips are in sync by construction.
    "training_set": {"stride": 4, "sync_gate": {"expert": ""}},
    "emodiff": {
        "network": {"speech_context": 1},
        "training": {"epochs": 4, "condition_noise": 0.3, "level_noise": 0.3, "threads": 1},
        # An hour of takes holds a thousand blinks: this network makes its own, 17 a minute.
        "sampling": {"blinks": "model"},
    },
    "audio2bs": {"training": {"epochs": 0, "clips": "neutral", "threads": 1}},
    "lip_residue": {
        "network": {"reads": "mouth", "relative_to_style": False},
        "training": {
            "epochs": 2,
            "stride": 6,
            "sync_weight": 0.0,
            "speech_noise": 0.0,
            "style_noise": 0.2,
            "threads": 1,
        },
    },
}
"""A style of the recipe is the same for all who speak, so levels are learned and not copied from the style clip: the
mouth needs no mean over the clip, and rests in a pause. Neutral takes of every voice teach the neutral mouth."""


@dataclass(frozen=True)
class BaseSettings:
    """`seed` of the faces; `speakers` say the recordings, those with a voice in `held_out` are validation."""

    recordings: RecordingSettings = field(default_factory=RecordingSettings)
    speakers: tuple[Speaker, ...] = SPEAKERS
    held_out: frozenset[str] = HELD_OUT
    seed: int = 19
    sync: SyncSettings = field(default_factory=SyncSettings)
    changes: Mapping[str, Any] = field(default_factory=dict)


def _merged(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the leaves of `changes` in their places."""
    found = dict(values)
    for name, change in changes.items():
        found[name] = _merged(values[name], change) if isinstance(change, Mapping) else change
    return found


def recipe_preset(changes: Mapping[str, Any]) -> Preset:
    """The preset `base` as the recipe trains with it, and with `changes` (section, part, setting) on top."""
    values = _merged(load_preset("base").model_dump(), _DIFFERS)
    return Preset.model_validate(_merged(values, changes) | {"name": "base_models"})
