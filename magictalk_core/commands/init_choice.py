"""Whether models that began from others are used: measured once, on clips that their training held out.

The answer lies in the user's cache, named by the weights that it is about.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from magictalk_core.models.lip_residue.gain import Face, Gain, measure_gain
from magictalk_core.storage.cache import cache_root, keep_in_cache
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.training.run import WEIGHTS
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.workspace import Workspace

__all__ = ["gain_over"]


def gain_over(workspace: Workspace, before: tuple[Face, list[Path]], after: tuple[Face, list[Path]]) -> Gain | None:
    """What the models `after`, with their folders, gained over those `before`; None where nothing was held out that
    both know how to read: no training set, no held-out clip, another speech feature."""
    if not (workspace.training_set / "info.json").is_file():
        return None
    data = TrainingSet.open(workspace.training_set)
    faces = before[0], after[0]
    if any(face.emodiff.feature_id != data.info["feature_id"] for face in faces):
        return None
    weights = [[file_md5(folder / WEIGHTS) for folder in folders] for _, folders in (before, after)]
    file = cache_root() / "gains" / f"{digest_of({'data': data.info['digest'], 'weights': weights})}.json"
    try:
        return Gain.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        known = measure_gain(*faces, data)
    if known is not None:
        keep_in_cache(file, known.model_dump_json(indent=1))
    return known
