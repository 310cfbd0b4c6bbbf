"""What models that began from others gained over them: asked of clips that were held out, stretch by stretch.

Fine-tuning on minutes can lose what an hour had taught. What was begun from stays in use where it follows the held-out
jaws better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from magictalk_core.config import StrictModel
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["Face", "Gain", "measure_gain"]

_STRETCH = 75
"""Frames: three seconds, as long as a sentence of GRID. Of few clips, their stretches are what an interval is of."""
_MOVES = 1e-3
_RESAMPLES = 2000

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """The models that make a face: EmoDiff with its styles and, where lips are refined, what refines them."""

    emodiff: EmoDiffModel
    styles: StyleBank
    refiner: LipRefiner | None

    def jaws(self, speech: Sequence[Motion], own_styles: Sequence[Motion], known: Sequence[str]) -> list[_Jaws]:
        """Of speech (n, F) in the style `neutral`, else in frames (k, D) of each clip itself, whose columns are
        `known`."""
        names = self.emodiff.channels
        if NEUTRAL in self.styles.emotions:
            styles = [self.styles.frames(NEUTRAL)] * len(speech)
        else:
            styles = [frames[:, [list(known).index(name) for name in names]] for frames in own_styles]
        pairs = list(zip(speech, styles, strict=True))
        made = self.emodiff.generate_many([MotionRequest(heard, style) for heard, style in pairs])
        column, feature = names.index("jawOpen"), self.emodiff.feature_id
        found = []
        for motion, (heard, style) in zip(made, pairs, strict=True):
            final = motion
            if self.refiner is not None:
                final = self.refiner.refine(motion, names, heard, feature, style)
            found.append(_Jaws(motion[:, column], final[:, column]))
        return found


@dataclass(frozen=True, eq=False)
class _Jaws:
    """(n,) of one clip: EmoDiff's own, and what is used in the end."""

    emodiff: Motion
    final: Motion


class Gain(StrictModel):
    """Mean correlation of the jaw over held-out stretches, of the models that were begun from (`before`) and of those
    that came of them (`after`), whole and EmoDiff alone; `low`, `high`: 95 % interval of the paired difference."""

    before: float
    after: float
    low: float | None
    high: float | None
    emodiff_before: float
    emodiff_after: float
    stretches: int = Field(ge=1)
    clips: int = Field(ge=1)
    split: Literal["test", "val"]

    @property
    def is_worth(self) -> bool:
        return self.after >= self.before

    def sentence(self, name: str) -> str:
        """In words; `name` is that of the models that were begun from."""
        between = "" if self.low is None or self.high is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        gained = f"{self.after - self.before:+.2f}{between}"
        verdict = "" if self.is_worth else f": {name} stays in use"
        return f"{self._asked} r {self.after:.2f}, that of {name} with {self.before:.2f}: {gained}{verdict}"

    def sentence_of_emodiff(self, name: str) -> str:
        """The same of EmoDiff without refined lips."""
        return f"{self._asked} EmoDiff's r {self.emodiff_after:.2f}, that of {name} with {self.emodiff_before:.2f}"

    @property
    def _asked(self) -> str:
        seen = "" if self.split == "test" else ", by which the training was stopped"
        pieces = f"stretches of about {_STRETCH // FRAME_RATE} s: {self.stretches}{seen}"
        return f"on {self.clips} held-out clip{'s' * (self.clips > 1)} ({pieces}) the jaw follows with"


def measure_gain(before: Face, after: Face, data: TrainingSet) -> Gain | None:
    """On the test split of `data`, else on its validation split; None where nothing that moves is held out."""
    rows = data.spoken
    split = Split.TEST if (rows["split"] == Split.TEST).any() else Split.VAL
    rows = rows[rows["split"] == split]
    if not len(rows):
        return None
    spans = [slice(s, s + n) for s, n in zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)]
    heard, states = ([np.array(values[span]) for span in spans] for values in (data.features, data.states))
    true = [motion[:, data.channels.index("jawOpen")] for motion in states]
    old, new = (face.jaws(heard, states, data.channels) for face in (before, after))
    columns: tuple[list[float], ...] = ([], [], [], [])
    for a, b, wanted in zip(old, new, true, strict=True):
        for values, jaw in zip(columns, (a.final, b.final, a.emodiff, b.emodiff), strict=True):
            values += stretch_correlations(jaw, wanted)
    if not columns[0]:
        return None
    means = [float(np.mean(values)) for values in columns]
    interval = mean_interval(np.array(columns[1]) - np.array(columns[0]), "gain", _RESAMPLES)
    low, high = interval or (None, None)
    return Gain(
        before=means[0],
        after=means[1],
        low=low,
        high=high,
        emodiff_before=means[2],
        emodiff_after=means[3],
        stretches=len(columns[0]),
        clips=int(rows["clip_id"].nunique()),
        split="test" if split == Split.TEST else "val",
    )


def stretch_correlations(made: NDArray[Any], true: NDArray[Any]) -> list[float]:
    """Of jaws (n,), per stretch in which the true one moves; a made one that does not has 0. A rest that is longer than
    half a stretch is one of its own."""
    count = max(1, round(len(true) / _STRETCH))
    found = []
    for a, b in zip(np.array_split(made, count), np.array_split(true, count), strict=True):
        if b.std() > _MOVES:
            found.append(float(np.corrcoef(a, b)[0, 1]) if a.std() > _MOVES / 10 else 0.0)
    return found
