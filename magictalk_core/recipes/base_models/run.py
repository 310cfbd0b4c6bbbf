"""The recipe in one call: speak, perform, train, pack, measure on voices that were left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from magictalk_core.models.families import family_named
from magictalk_core.models.shipped.base import BASE, BASE_FAMILIES, MEASURED, SYNC_EXPERT
from magictalk_core.models.sync_expert.linear import LINEAR_SYNC, LinearSync
from magictalk_core.recipes.base_models.card import card
from magictalk_core.recipes.base_models.measure import measure
from magictalk_core.recipes.base_models.pack import pack_models
from magictalk_core.recipes.base_models.settings import BaseSettings, recipe_preset
from magictalk_core.recipes.base_models.styles import style_bank
from magictalk_core.recipes.base_models.sync import fit_sync, measure_sync
from magictalk_core.recipes.base_models.takes import takes_of, write_training_set
from magictalk_core.recipes.base_voice.recordings import Recording, record
from magictalk_core.storage.atomic import atomic_directory, write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["BASE_VERSION", "add_sync_expert", "run_recipe"]

BASE_VERSION = "1"
"""Of the shipped models: one more whenever they are made anew."""

logger = logging.getLogger("magictalk.recipes")

_STYLE_RECORDINGS = 4


def _speak(settings: BaseSettings, out: Path) -> list[Recording]:
    """What is said; writes `training_set` and `preset.yaml`, with which a family can be trained by hand too."""
    preset = recipe_preset(settings.changes)
    recordings = list(record(settings.recordings, preset.speech.feature, JAW_MOUTH_NAMES, settings.speakers))
    counts = write_training_set(
        recordings, settings.held_out, preset.speech.feature, preset.training_set, settings.seed, out / "training_set"
    )
    write_text(out / "preset.yaml", yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
    logger.info("training set: %s", counts)
    return recordings


def _train(settings: BaseSettings, out: Path) -> dict[str, Path]:
    """The model folder of every family; what is finished is not trained again."""
    preset, data = recipe_preset(settings.changes), out / "training_set"
    # The residue needs no sync expert: its mouth is compared with the rules' own alone.
    families = (
        replace(f, needs=tuple(n for n in f.needs if n in BASE_FAMILIES)) for f in map(family_named, BASE_FAMILIES)
    )
    trained = {f.name: train(f, preset, data, out / "models" / f.name, MemoryTracker()) for f in families}
    return {name: model.path for name, model in trained.items()}


def add_sync_expert(recordings: Sequence[Recording], settings: BaseSettings, folder: Path) -> dict[str, Any]:
    """Write the expert that finds late sound below `folder`; returns what was measured on the voices held out."""
    held_out = [one for one in recordings if one.speaker.voice in settings.held_out]
    taught = [one for one in recordings if one.speaker.voice not in settings.held_out]
    expert = fit_sync(taught, recipe_preset(settings.changes).speech.feature, settings.sync)
    (folder / SYNC_EXPERT).mkdir()
    expert.save(
        folder / SYNC_EXPERT / LINEAR_SYNC, {"recipe": f"{__package__} {BASE_VERSION}", "license": "Apache-2.0"}
    )
    # What is measured is what is shipped: in half precision.
    packed = LinearSync.load(folder / SYNC_EXPERT / LINEAR_SYNC)
    return asdict(measure_sync(packed, held_out, taught, settings.seed))


def run_recipe(out: Path, settings: BaseSettings) -> dict[str, Any]:
    """Write the folder `magictalk-base` into `out`, and beside it what it came from; returns what was measured.

    Needs espeak-ng, flite and festival: raises `UserError` that names what to install.
    """
    recordings = _speak(settings, out)
    takes = list(takes_of(recordings, settings.seed))
    held_out = [take for take in takes if take.recording.speaker.voice in settings.held_out]
    taught = [take for take in takes if take.recording.speaker.voice not in settings.held_out]
    models = _train(settings, out)
    spoken = [take.recording for take in taught if take.recording.text and take.number == 0 and take.strength == 0]
    with atomic_directory(out / BASE) as folder:
        pack_models(models, style_bank(spoken[:_STYLE_RECORDINGS]), folder)
        found = measure(folder, taught, held_out)
        found["offsets"] = add_sync_expert(recordings, settings, folder)
        minutes = sum(len(recording.mouth) for recording in recordings) / FRAME_RATE / 60
        measured: dict[str, Any] = {"version": BASE_VERSION, "minutes": round(minutes, 1), **found}
        (folder / "README.md").write_text(card(measured), encoding="utf-8")
        files = {p.relative_to(folder).as_posix(): file_md5(p) for p in sorted(folder.rglob("*")) if p.is_file()}
        measured["files"] = files
        (folder / MEASURED).write_text(json.dumps(measured, indent=1), encoding="utf-8")
    return measured
