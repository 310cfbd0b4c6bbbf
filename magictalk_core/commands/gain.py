"""`tables/gain`: what a workspace's newest models gained over those that they began from, in numbers and words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.initial import begun_from
from magictalk_core.training.run import model_input, newest_run
from magictalk_core.training_set.dataset import TrainingSet, training_set_input
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    from magictalk_core.commands.opened_models import Beginning
    from magictalk_core.models.lip_residue.gain import Gain

__all__ = ["GAIN_VERSION", "GainTable", "write_gain"]

GAIN_VERSION = "1"
_FAMILIES = ("emodiff", "audio2bs", "lip_residue")


@dataclass(frozen=True)
class GainTable:
    """The written file, and what it says; `gain` is None where nothing was begun from, or nothing held out."""

    path: Path
    md5: str
    sentence: str
    gain: Gain | None


def write_gain(workspace: Workspace) -> GainTable:
    """`tables/gain.json`, or the finished one when models and held-out clips are unchanged. Raises `UserError`."""
    home, path = workspace.home, workspace.tables / "gain.json"
    folders = [newest_run(workspace.models(n)).path for n in _FAMILIES if runs_in_use(workspace.models(n)) is not None]
    began = _beginning(workspace, folders)
    folders += [] if began is None else began.models.folders
    inputs = (training_set_input(home, workspace.training_set), *(model_input(workspace, one) for one in folders))
    work = Work(home, "gain", path, GAIN_VERSION, inputs)
    gain = None if began is None else began.gain
    if began is None:
        sentence = "the models began from chance: there is nothing to compare them with"
    elif gain is None:
        sentence = f"nothing is held out that tells whether these models are better than {began.models.name}"
    else:
        sentence = gain.sentence(began.models.name)
    if not work.is_made():
        facts = None if gain is None else gain.model_dump()
        name = None if began is None else began.models.name
        write_text(path, json.dumps({"began_from": name, "gain": facts, "says": sentence}, indent=1))
        held_out = TrainingSet.open(workspace.training_set).spoken
        clips = None if gain is None else held_out.loc[held_out["split"] == gain.split, "clip_id"]
        work.record(clips=clips)
    return GainTable(path, file_md5(path), sentence, gain)


def _beginning(workspace: Workspace, folders: list[Path]) -> Beginning | None:
    """Torch and the models are loaded for fine-tuned ones alone: every run asks, and most began from chance."""
    if all(begun_from(folder) is None for folder in folders):
        return None
    from magictalk_core.commands.opened_models import beginning_of

    return beginning_of(workspace)
