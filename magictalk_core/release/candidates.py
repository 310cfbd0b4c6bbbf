"""What a model is worth on the test clips, clip by clip, whichever model it is; the evaluation is not touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.evaluation.baselines import MEAN_MOTION, NEAREST_SPEECH, NearestSpeech, constant_motion
from magictalk_core.evaluation.generate import emodiff_motion, test_clips, to_motion
from magictalk_core.evaluation.sync_scores import (
    QUALITY_METRICS,
    SYNC_METRICS,
    HeldOutClip,
    clip_quality,
    sync_values,
)
from magictalk_core.evaluation.table import motion_values
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.sync_expert.model import SyncExpertModel
from magictalk_core.models.sync_expert.offsets import MAX_OFFSET
from magictalk_core.preparation.reader import ClipData, CorpusReader, pick_style_clip
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import digest_of
from magictalk_core.training.run import current_model
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace

__all__ = ["CHANCE", "HeldOut", "baselines_of", "values_of"]

CHANCE = "chance"
"""The baseline of a judge: a coin for accuracy, a shift by lot."""

Motion = NDArray[np.float32]
Makers = Callable[[ClipData], Motion]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The fixed test set of a comparison: the accepted test clips (corpus, clip id) of today's manifests."""

    workspace: Workspace
    corpora: tuple[str, ...]
    preset: Preset
    clips: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, workspace: Workspace, corpora: Sequence[str], preset: Preset) -> HeldOut:
        clips = test_clips(workspace, corpora, preset.evaluation.max_clips)
        return cls(workspace, tuple(corpora), preset, tuple(clips))

    @cached_property
    def digest(self) -> str:
        """Changes with the clips, with what is measured of them, and with how a model is asked."""
        return digest_of(
            {
                "clips": self.clips,
                "manifests": {c: read_manifest(self.workspace.manifest(c)).digest for c in self.corpora},
                "sampling": self.preset.emodiff.sampling.model_dump(),
                "seed": self.preset.evaluation.seed,
                "window": self.preset.training_set.window,
            }
        )

    @cached_property
    def _readers(self) -> dict[str, CorpusReader]:
        return {corpus: CorpusReader(self.workspace, corpus) for corpus in self.corpora}

    def read(self) -> Iterator[ClipData]:
        for corpus, clip_id in self.clips:
            yield self._readers[corpus].clip(clip_id)

    def style_of(self, clip_id: str) -> Motion:
        """(k, 58) frames of the clip that gives the style, the same as in the evaluation."""
        reader = self._readers[clip_id.split("/")[0]]
        return reader.motion(pick_style_clip(reader, clip_id))[0]

    @cached_property
    def judge(self) -> SyncExpertModel:
        """The expert in use: both models are heard by the same one."""
        return SyncExpertModel.load(current_model(self.workspace.models("sync_expert")))

    def score(self, make: Makers, metrics: Sequence[str]) -> pd.DataFrame:
        """One row per clip, a column per metric, NaN where there is no value."""
        rows: dict[str, dict[str, float | None]] = {}
        for clip in self.read():
            made = make(clip)
            n = min(len(made), len(clip.motion))
            values = motion_values(clip.motion[:n], made[:n], self.preset.training_set.window)
            if set(metrics) & set(SYNC_METRICS):
                values |= sync_values(self.judge, made[:n], clip.speech[:n], clip.feature_id)
            rows[clip.clip_id] = values
        return _chosen(rows, metrics)


def _chosen(rows: Mapping[str, Mapping[str, float | None]], metrics: Sequence[str]) -> pd.DataFrame:
    known = next(iter(rows.values()), {})
    unknown = [name for name in metrics if name not in known]
    if unknown and rows:
        raise UserError(f"preset, release: no metric `{unknown[0]}` for this family; known: {', '.join(sorted(known))}")
    values = [[row[name] for name in metrics] for row in rows.values()]
    return pd.DataFrame(values, index=pd.Index(rows), columns=list(metrics), dtype=float)


def values_of(family: str, model: Path, held_out: HeldOut, metrics: Sequence[str]) -> pd.DataFrame:
    """The metrics of the model folder `model` on every test clip, indexed by clip id.

    Raises `PermanentError` where the model cannot be used on these clips, such as for features it was not trained on.
    """
    return _VALUES[family](model, held_out, metrics)


def _emodiff(model: Path, held_out: HeldOut, metrics: Sequence[str]) -> pd.DataFrame:
    made = emodiff_motion(held_out.workspace, held_out.corpora, held_out.clips, model, held_out.preset)
    return held_out.score(lambda clip: made[clip.clip_id], metrics)


def _audio2bs(model: Path, held_out: HeldOut, metrics: Sequence[str]) -> pd.DataFrame:
    found = Audio2BSModel.load(model)

    def make(clip: ClipData) -> Motion:
        _must_hear(found.folder.feature_id, clip)
        mouth, _ = found.neutral(found.folder.normal_speech(clip.speech))
        return to_motion(mouth[0].cpu().numpy(), found.mouth)

    return held_out.score(make, metrics)


def _lip_residue(model: Path, held_out: HeldOut, metrics: Sequence[str]) -> pd.DataFrame:
    refiner = LipRefiner.of(model, held_out.workspace.models("audio2bs"))

    def make(clip: ClipData) -> Motion:
        _must_hear(refiner.feature_id, clip)
        style = held_out.style_of(clip.clip_id)
        return to_motion(refiner.mouth_of(clip.speech, style, MOTION_NAMES).mouth, refiner.mouth)

    return held_out.score(make, metrics)


def _sync_expert(model: Path, held_out: HeldOut, metrics: Sequence[str]) -> pd.DataFrame:
    expert = SyncExpertModel.load(model)
    rows: dict[str, dict[str, float | None]] = {}
    for clip in held_out.read():
        _must_hear(expert.folder.feature_id, clip)
        rows[clip.clip_id] = clip_quality(expert, HeldOutClip(clip.motion, clip.speech))
    return _chosen(rows, metrics)


_VALUES: dict[str, Callable[[Path, HeldOut, Sequence[str]], pd.DataFrame]] = {
    "emodiff": _emodiff,
    "audio2bs": _audio2bs,
    "lip_residue": _lip_residue,
    "sync_expert": _sync_expert,
}


def _must_hear(feature_id: str, clip: ClipData) -> None:
    if clip.feature_id != feature_id:
        raise PermanentError(f"{clip.clip_id}: speech features are `{clip.feature_id}`, the model hears `{feature_id}`")


def baselines_of(family: str, held_out: HeldOut, metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """What costs no training, as `values_of`: the nearest speech and the mean motion, or chance for a judge."""
    if family == "sync_expert":
        ids = [clip_id for _, clip_id in held_out.clips]
        by_chance = dict(zip(QUALITY_METRICS, (0.5, 3 / (2 * MAX_OFFSET + 1)), strict=True))
        return {CHANCE: pd.DataFrame({name: by_chance[name] for name in metrics}, index=ids, dtype=float)}
    data = TrainingSet.open(held_out.workspace.training_set)
    nearest, mean = NearestSpeech.fit(data), _mean_state(data)
    makers: dict[str, Makers] = {
        NEAREST_SPEECH: lambda clip: to_motion(nearest.motion(clip.speech), data.channels),
        MEAN_MOTION: lambda clip: to_motion(constant_motion(mean, len(clip.motion)), data.channels),
    }
    return {name: held_out.score(make, metrics) for name, make in makers.items()}


def _mean_state(data: TrainingSet) -> NDArray[Any]:
    return np.array(data.normalizer["states"]["mean"], np.float32)
