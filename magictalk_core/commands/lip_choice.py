"""Whether a workspace's lip models are used: measured once for a pair of models, on people whom the training held out.

The answer lies in the user's cache, named by the weights that it is about.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import LipWorth, measure_lips
from magictalk_core.storage.cache import cache_root, keep_in_cache
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.training.run import WEIGHTS
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.workspace import Workspace

__all__ = ["lip_worth"]


def lip_worth(workspace: Workspace, emodiff: EmoDiffModel, folder: Path, refiner: LipRefiner) -> LipWorth | None:
    """What refinement gains over the EmoDiff in `folder`; None where nobody was held out whom both models know how to
    read: no training set, no validation split, another speech feature or other channels."""
    if not (workspace.training_set / "info.json").is_file():
        return None
    data = TrainingSet.open(workspace.training_set)
    if (data.info["feature_id"], data.channels) != (emodiff.feature_id, emodiff.channels):
        return None
    weights = [file_md5(path / WEIGHTS) for path in (folder, refiner.audio2bs.folder.path, refiner.folder.path)]
    file = cache_root() / "lips" / f"{digest_of({'data': data.info['learned'], 'weights': weights})}.json"
    known = _read(file)
    if known is None:
        styles = StyleBank.load(folder)
        known = measure_lips(emodiff, refiner, data, styles.frames(NEUTRAL) if NEUTRAL in styles.emotions else None)
        if known is not None:
            keep_in_cache(file, known.model_dump_json(indent=1))
    return known


def _read(file: Path) -> LipWorth | None:
    """None, too, for a file of another form: it is measured again."""
    try:
        return LipWorth.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
