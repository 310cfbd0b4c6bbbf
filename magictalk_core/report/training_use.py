"""Which clips the model learned from, as the training set itself says: its index, not the split of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from magictalk_core.training_set.dataset import LEFT_OUT, TrainingSet
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["UNUSED_MEANING", "TrainingUse", "training_use"]

UNUSED_MEANING: dict[str, str] = {
    "copy": "the same recording as another clip that is learned from",
    "leaking_copy": "the same recording as a clip that is held out",
    "out_of_sync": "the face does not move with the voice, says the sync gate",
    "no_speech": "no frames or no sound",
    "too_short": "no stretch with face and speech that is as long as a training window",
    "newer": "accepted since the training set was packed",
    "corpus_not_chosen": "its corpus is registered without training, or `training_set.corpora` leaves it out",
}
"""Why an accepted clip of the training split was not learned from."""


@dataclass(frozen=True)
class TrainingUse:
    """`seconds`: what was packed of each training clip, less than its length where the face was lost; `unused`: the
    other accepted clips of the training split and the reason of each, a key of UNUSED_MEANING."""

    seconds: Mapping[str, float]
    unused: Mapping[str, str]


def training_use(data: TrainingSet, clips: pd.DataFrame) -> TrainingUse:
    """From CLIPS rows of all corpora of a workspace."""
    packed = data.spoken[data.spoken["split"] == Split.TRAIN]
    frames = packed.groupby("clip_id", observed=True)["length"].sum()
    seconds = {str(clip): float(n) / FRAME_RATE for clip, n in frames.items()}
    left_out = pd.read_csv(data.path / LEFT_OUT)
    reasons = dict(zip(left_out["clip_id"], left_out["reason"], strict=True))
    usable = clips[(clips["status"] == Status.OK) & (clips["split"] == Split.TRAIN)]
    unused = {
        str(clip): reasons.get(str(clip), "newer") if corpus in data.info["corpora"] else "corpus_not_chosen"
        for clip, corpus in zip(usable["clip_id"], usable["corpus"], strict=True)
        if str(clip) not in seconds
    }
    return TrainingUse(seconds, unused)
