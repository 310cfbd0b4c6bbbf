"""Whether refined lips follow speech better than EmoDiff's own: asked of people that neither learned from.

On few real clips refinement can destroy what EmoDiff had learned; it is used only where it was seen to gain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from magictalk_core.config import StrictModel
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.shipped.base import measured_of_base
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["LipWorth", "base_worth", "jaw_correlation", "measure_lips"]

_SEGMENTS = 24
"""Held-out segments that are asked at most."""

Motion = NDArray[np.float32]


class LipWorth(StrictModel):
    """Mean correlation of the jaw with that of held-out clips, by both methods, and how many clips that were."""

    emodiff: float
    refined: float
    clips: int = Field(ge=1)

    @property
    def is_worth(self) -> bool:
        return self.refined >= self.emodiff


def jaw_correlation(made: Sequence[Motion], true: Sequence[Motion], jaw: int) -> float:
    """Mean over clips (n, D) of the correlation of their columns `jaw`; 0 where one does not move."""
    found = []
    for a, b in zip(made, true, strict=True):
        moves = a[:, jaw].std() > 1e-6 and b[:, jaw].std() > 1e-6
        found.append(float(np.corrcoef(a[:, jaw], b[:, jaw])[0, 1]) if moves else 0.0)
    return float(np.mean(found))


def measure_lips(
    emodiff: EmoDiffModel, refiner: LipRefiner, data: TrainingSet, calm: Motion | None = None
) -> LipWorth | None:
    """On the validation split of `data`, each clip in its own style; None without a held-out clip. `calm` (k, D): the
    frames of the style `neutral`, in which clips without a label are then said."""
    rows = data.spoken[data.spoken["split"] == Split.VAL]
    if not len(rows):
        return None
    rows = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, _SEGMENTS).round().astype(int))]
    spans = [slice(s, s + n) for s, n in zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)]
    heard, true = ([np.array(values[span]) for span in spans] for values in (data.features, data.states))
    unnamed = rows["emotion"].isna().tolist()
    styles = [calm if calm is not None and bare else own for own, bare in zip(true, unnamed, strict=True)]
    asked = [MotionRequest(speech, style) for speech, style in zip(heard, styles, strict=True)]
    made = emodiff.generate_many(asked)
    names, feature, jaw = emodiff.channels, emodiff.feature_id, data.channels.index("jawOpen")
    refined = [
        refiner.refine(motion, names, speech, feature, style)
        for motion, speech, style in zip(made, heard, styles, strict=True)
    ]
    before, after = (jaw_correlation(motions, true, jaw) for motions in (made, refined))
    return LipWorth(emodiff=before, refined=after, clips=len(rows))


def base_worth() -> LipWorth:
    """Whether the shipped lip models beat the shipped EmoDiff on voices that neither had heard."""
    return LipWorth.model_validate(measured_of_base()["lips"])
