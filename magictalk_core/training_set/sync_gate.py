"""The sync gate of the training set: clips whose face does not move with the voice, or moves before or after it.

The expert judges the clips that the next one learns from, so it comes from outside of the workspace: the one that comes
with the package, or a model folder of an earlier run, copied away; the preset names it. No training set then depends on
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import SyncGateConfig
from magictalk_core.errors import UserError
from magictalk_core.training_set.gaps import longest_measured
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.shipped import BASE

__all__ = ["ClipSync", "OpenJudge", "SpeakerJudge", "SyncGate", "expert_folder", "verdict_of"]

Motion = NDArray[np.float32]
Verdict = Literal["matched", "shifted", "mismatch", "unsure", "unjudged"]


class SpeakerJudge(Protocol):
    """A sync expert as the gate needs it: `names` are the channels it sees, `threshold` the least confidence of a match
    that it measured for itself, `digest` its identity; `method`: how it judges, in a word. One that `knows_strangers`
    has no confidence in a face that moves with no shift of the voice; another one only does not know then."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def knows_strangers(self) -> bool: ...

    def __call__(
        self, motion: Motion, channels: Sequence[str], speech: Motion, feature_id: str, /
    ) -> tuple[float, float, int]:
        """(distance, confidence, offset in frames) of motion (n, D) with its speech (n, F)."""
        ...


OpenJudge = Callable[[Path], SpeakerJudge]


@dataclass(frozen=True)
class ClipSync:
    """What a sync gate found in a clip. `shift`: frames by which its speech is moved later before packing; offset,
    distance, confidence and the method that found them are None without a verdict."""

    verdict: Verdict
    kept: bool
    shift: int
    offset: int | None
    distance: float | None
    confidence: float | None
    method: str | None = None


def verdict_of(confidence: float, offset: int, threshold: float, tolerance: int, knows_strangers: bool) -> Verdict:
    """`matched`: in sync; `shifted`: in sync at another offset, which can be corrected; `mismatch`: at none, says a
    judge that knows strangers; `unsure`: at none that is known."""
    if confidence < threshold:
        return "mismatch" if knows_strangers else "unsure"
    return "shifted" if abs(offset) > tolerance else "matched"


def expert_folder(expert: str) -> Path:
    """Of the expert that a preset names: `magictalk-base`, the one that comes with the package, or a folder."""
    if expert == BASE:
        return Path(str(resources.files("magictalk_core").joinpath("models", "shipped", BASE, "sync_expert")))
    return Path(expert).expanduser()


@dataclass(frozen=True, eq=False)
class SyncGate:
    """Judges clips one by one, as `SyncGateConfig` says."""

    config: SyncGateConfig
    judge: SpeakerJudge
    threshold: float

    @classmethod
    def open(cls, config: SyncGateConfig, open_judge: OpenJudge, own_models: Path | None = None) -> SyncGate:
        """Raises `UserError` when the preset names no expert that is there, one below `own_models`, or one that knows
        no threshold where the preset gives none."""
        path = expert_folder(config.expert)
        if not path.is_dir():
            raise UserError(
                f"training_set.sync_gate.expert: no folder {path}: copy the model folder of a sync expert of an "
                f"earlier run there, name `{BASE}` for the one of the package, or leave it empty for no gate"
            )
        if own_models is not None and path.resolve().is_relative_to(own_models.resolve()):
            raise UserError(
                f"training_set.sync_gate.expert: {path} is trained in this workspace on the training set that it would "
                f"judge, so that every run would change both: copy it (cp -rL {path} sync_expert) and name the copy"
            )
        judge = open_judge(path)
        threshold = judge.threshold if config.threshold is None else config.threshold
        if threshold is None:
            raise UserError(
                f"training_set.sync_gate: the expert {path} was trained without two validation clips and knows no "
                "threshold: set training_set.sync_gate.threshold, for example to 0.2"
            )
        return cls(config, judge, threshold)

    @property
    def digest(self) -> str:
        """Of the expert: it goes into the training set's info."""
        return self.judge.digest

    def __call__(self, motion: Motion, speech: Motion, feature_id: str) -> ClipSync:
        """motion (n, 58) in MOTION_NAMES order with NaN where no face was, speech (n, F) -> what to do with the clip.

        Of a motion with gaps the longest stretch between them is judged; a clip too short to slide stays, unjudged.
        Raises `PermanentError` for features other than the expert's.
        """
        n = min(len(motion), len(speech))
        part = longest_measured(motion[:n, [MOTION_NAMES.index(name) for name in self.judge.names]])
        if part.stop - part.start < self.config.least_frames:
            return ClipSync("unjudged", True, 0, None, None, None)
        distance, confidence, offset = self.judge(motion[part], MOTION_NAMES, speech[part], feature_id)
        verdict = verdict_of(confidence, offset, self.threshold, self.config.tolerance, self.judge.knows_strangers)
        corrected = self.config.action == "correct" and verdict == "shifted"
        kept = self.config.action == "report" or corrected or verdict in ("matched", "unsure")
        shift = offset if corrected else 0
        return ClipSync(verdict, kept, shift, offset, distance, confidence, self.judge.method)
