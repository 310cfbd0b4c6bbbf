"""Who is asked to perform: models, the whole method, and the baselines, all in the same words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from magictalk_core.evaluation.baselines import BASELINES, Baselines
from magictalk_core.evaluation.generate import finish_of, to_motion
from magictalk_core.evaluation.loudness_mouth import Loudness
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["BaselinePerformer", "ModelPerformer", "Performer", "RefinedPerformer", "baseline_performers"]

Motion = NDArray[Any]


class Performer(Protocol):
    """Whoever makes motion (L, D) for each of some requests, in the channels of their styles. `clip_ids`: whose speech
    each of them has."""

    def perform(self, clip_ids: Sequence[str], requests: Sequence[MotionRequest]) -> list[Motion]: ...


@dataclass(frozen=True, eq=False)
class ModelPerformer:
    """A trained EmoDiff or its student. It remembers what it performed: whoever refines its motion asks the same."""

    model: EmoDiffModel
    _made: dict[str, list[Motion]] = field(default_factory=dict, init=False, repr=False)

    def perform(self, clip_ids: Sequence[str], requests: Sequence[MotionRequest]) -> list[Motion]:
        asked = _digest(requests)
        if asked not in self._made:
            self._made[asked] = list(self.model.generate_many(requests))
        return self._made[asked]


def _digest(requests: Sequence[MotionRequest]) -> str:
    found = hashlib.md5(usedforsecurity=False)
    for request in requests:
        for values in (request.speech, request.style, request.initial, request.voice):
            found.update(b"none" if values is None else repr(values.shape).encode() + values.tobytes())
        found.update(str(request.seed).encode())
    return found.hexdigest()


@dataclass(frozen=True, eq=False)
class RefinedPerformer:
    """The method of the paper: EmoDiff, and the lips refined."""

    emodiff: ModelPerformer
    refiner: LipRefiner

    def perform(self, clip_ids: Sequence[str], requests: Sequence[MotionRequest]) -> list[Motion]:
        model, made = self.emodiff.model, self.emodiff.perform(clip_ids, requests)
        return [
            self.refiner.refine(
                motion, model.channels, request.speech, model.feature_id, request.style, model.voice_of(request.voice)
            )
            for motion, request in zip(made, requests, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class BaselinePerformer:
    """One of the baselines; it has no seed and no initial face. `channels` are those of the requests' styles; `model`
    is whose finish it gets, if any."""

    method: str
    model: EmoDiffModel | None
    baselines: Baselines
    loudness: Loudness
    channels: tuple[str, ...]

    def perform(self, clip_ids: Sequence[str], requests: Sequence[MotionRequest]) -> list[Motion]:
        places = [MOTION_NAMES.index(name) for name in self.channels]
        found = []
        for clip_id, request in zip(clip_ids, requests, strict=True):
            style = to_motion(request.style, self.channels)[:, self._own]
            heard = self.loudness(clip_id)[: len(request.speech)]
            own = replace(request, style=style)
            finish = None if self.model is None else finish_of(self.model, own, self.baselines.channels)
            made = self.baselines.motion(self.method, request.speech, style, heard, finish)
            found.append(to_motion(made, self.baselines.channels)[:, places])
        return found

    @property
    def _own(self) -> list[int]:
        return [MOTION_NAMES.index(name) for name in self.baselines.channels]


def baseline_performers(
    model: EmoDiffModel | None, baselines: Baselines, loudness: Loudness, channels: tuple[str, ...]
) -> Mapping[str, BaselinePerformer]:
    """Method -> performer of every baseline."""
    return {name: BaselinePerformer(name, model, baselines, loudness, channels) for name in BASELINES}
