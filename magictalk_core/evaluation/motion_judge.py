"""What the scores of a whole test set are measured with, fitted on real motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from magictalk_core.evaluation.generate import to_motion
from magictalk_core.evaluation.performers import Performer
from magictalk_core.evaluation.trials import INTENSITIES, StyledSpeech, Trials
from magictalk_core.metrics.diversity import diversity
from magictalk_core.metrics.emotion import EmotionClassifier
from magictalk_core.metrics.frechet import LEAST_WINDOWS, WindowFeatures, halves_distance, halvings, window_count
from magictalk_core.metrics.seams import pooled_seam_ratio, seam_ratio
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import SIGNATURES

__all__ = ["FRECHET", "LEVEL", "MOVEMENT", "FrechetSets", "Hits", "Judge", "StyleHit", "level_free"]

FRECHET = {"frechet_distance": False, "frechet_dynamics": True}
"""Metric -> whether it is of the dynamics alone."""

LEVEL, MOVEMENT = "style_accuracy", "style_dynamics_accuracy"
"""The emotion read from the face as it is, and from its movement alone."""

Motion = NDArray[Any]
Hits = Sequence["StyleHit"]


@dataclass(frozen=True)
class StyleHit:
    """Whether the motion for the speech of a clip shows the emotion that was asked for, to the classifier `metric`."""

    clip_id: str
    emotion: str
    metric: str
    shown: bool


@dataclass(frozen=True, eq=False)
class FrechetSets:
    """The rows of the real test clips, one after the other, and how to make such rows."""

    features: WindowFeatures
    real: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(cls, real: Sequence[Motion], dynamics: bool) -> FrechetSets | None:
        """From coefficients (n, C) of the real clips; None with too few windows for two halves."""
        if window_count(real) < 2 * LEAST_WINDOWS:
            return None
        features = WindowFeatures.fit(real, dynamics)
        return cls(features, tuple(features.rows([motion]) for motion in real))

    def distance(self, made: Sequence[Motion]) -> float | None:
        """Of coefficients (n, C) for the same clips in the same order."""
        return halves_distance([self.features.rows([m]) for m in made], self.real, halvings(len(self.real)))


@dataclass(frozen=True, eq=False)
class Judge:
    """`frechet`: metric -> sets, None with too few windows of real motion. `emotion` reads an emotion from a face less
    the mean of its speaker, `movement` from a face less its own mean; None without two emotions to learn from."""

    trials: Trials
    frechet: Mapping[str, FrechetSets | None]
    emotion: EmotionClassifier | None
    movement: EmotionClassifier | None

    @classmethod
    def fit(cls, trials: Trials, data: TrainingSet) -> Judge:
        """Frechet features on the real test clips, the emotion classifiers on the training clips."""
        motions, emotions = _faces_and_emotions(data, [trials.channels[i] for i in trials.coefficients])
        two = len(set(emotions)) > 1
        emotion = EmotionClassifier.fit(motions, emotions) if two else None
        movement = EmotionClassifier.fit([level_free(m) for m in motions], emotions) if two else None
        real = [_face(trials, m) for m in trials.real]
        frechet = {metric: FrechetSets.fit(real, dynamics) for metric, dynamics in FRECHET.items()}
        return cls(trials, frechet, emotion, movement)

    def frechet_of(self, metric: str, motions: Sequence[Motion]) -> float | None:
        """Of motions (n, D) for the test clips, in their order and in the model's channels; head pose is left out."""
        sets = self.frechet[metric]
        return None if sets is None else sets.distance([_face(self.trials, m) for m in motions])

    def real_frechet(self, metric: str) -> float | None:
        """Of real motion: what no method need be below."""
        return self.frechet_of(metric, self.trials.real)

    def style_hits(self, performer: Performer) -> list[StyleHit]:
        """For every speech in every style of its speaker; empty where nothing can be judged."""
        styled = self.trials.styled
        if self.emotion is None or self.movement is None or not styled:
            return []
        made = performer.perform([s.clip.clip_id for s in styled], self.trials.style_requests())
        return [hit for motion, s in zip(made, styled, strict=True) for hit in self.hits_of(motion, s)]

    def hits_of(self, motion: Motion, styled: StyledSpeech) -> list[StyleHit]:
        """Of one motion (n, D) in the model's channels."""
        assert self.emotion is not None and self.movement is not None
        face = _face(self.trials, motion)
        seen = {LEVEL: self.emotion.shows(face - styled.face), MOVEMENT: self.movement.shows(level_free(face))}
        clip, asked = styled.clip.clip_id, styled.emotion
        return [StyleHit(clip, asked, metric, shown == asked) for metric, shown in seen.items()]

    def real_hits(self, data: TrainingSet) -> list[StyleHit]:
        """On the real test clips: what a perfect method would reach."""
        names = [self.trials.channels[i] for i in self.trials.coefficients]
        motions, emotions, clips = _labelled(data, names, Split.TEST)
        if self.emotion is None or self.movement is None:
            return []
        found = []
        for motion, asked, clip in zip(motions, emotions, clips, strict=True):
            found.append(StyleHit(clip, asked, LEVEL, self.emotion.shows(motion) == asked))
            found.append(StyleHit(clip, asked, MOVEMENT, self.movement.shows(level_free(motion)) == asked))
        return found

    def intensity(self, performer: Performer) -> float | None:
        """Mean rank correlation of the asked intensity with the level of the emotion's signature channels."""
        asked = [(s, r) for s, r in self.trials.intensity_requests() if s.emotion in SIGNATURES]
        clips = [s.clip.clip_id for s, requests in asked for _ in requests]
        made = iter(performer.perform(clips, [request for _, requests in asked for request in requests]))
        found = []
        for styled, requests in asked:
            motions = [next(made) for _ in requests]
            for channels in SIGNATURES[styled.emotion]:
                seen = [self.trials.channels.index(name) for name in channels if name in self.trials.channels]
                levels = [float(motion[:, seen].mean()) for motion in motions] if seen else [0.0]
                if np.ptp(levels) > 0:
                    found.append(float(spearmanr(INTENSITIES, levels).statistic))
        return float(np.mean(found)) if found else None

    def diversity(self, performer: Performer) -> float | None:
        asked = self.trials.seed_requests()
        clips = [clip for clip, requests in zip(self.trials.clip_ids, asked, strict=True) for _ in requests]
        made = iter(performer.perform(clips, [request for requests in asked for request in requests]))
        values = [diversity([_face(self.trials, next(made)) for _ in requests]) for requests in asked]
        return float(np.mean(values)) if values else None

    def long_seams(self, model: EmoDiffModel, autoregressive: bool = True) -> float | None:
        """Seam ratio of a minute of speech."""
        request = self.trials.long_request()
        if request is None:
            return None
        motion = model.generate_many([request], autoregressive=autoregressive)[0]
        return seam_ratio(to_motion(motion, model.channels), model.window)

    def real_seams(self, window: int) -> float | None:
        """The ratio at the same places of the real test clips, which have no seams, all joints together."""
        return pooled_seam_ratio([to_motion(m, self.trials.channels) for m in self.trials.real], window)


def level_free(motion: Motion) -> Motion:
    """(n, C) less its own mean."""
    return np.asarray(motion - np.mean(motion, axis=0))


def _face(trials: Trials, motion: Motion) -> Motion:
    return np.asarray(motion)[:, list(trials.coefficients)]


def _faces_and_emotions(data: TrainingSet, names: Sequence[str]) -> tuple[list[Motion], list[str]]:
    motions, emotions, _ = _labelled(data, names, Split.TRAIN)
    return motions, emotions


def _labelled(data: TrainingSet, names: Sequence[str], split: Split) -> tuple[list[Motion], list[str], list[str]]:
    """Coefficients (n, C) of the labelled clips of a split less the mean face of their speaker, their emotions, their
    ids."""
    places = [data.channels.index(name) for name in names]
    spoken = data.spoken
    rows = spoken[(spoken["split"] == split) & spoken["emotion"].notna()]
    motions, emotions, clips = [], [], []
    for _, own in rows.groupby(["corpus", "speaker"], observed=True):
        segments = {
            str(clip): np.concatenate(
                [np.asarray(data.states[s : s + n]) for s, n in zip(r["start"], r["length"], strict=True)]
            )
            for clip, r in own.groupby("clip_id", observed=True)
        }
        face = np.concatenate(list(segments.values()))[:, places].mean(axis=0)
        labels = own.drop_duplicates("clip_id").set_index("clip_id")["emotion"]
        motions += [segment[:, places] - face for segment in segments.values()]
        emotions += [str(labels[clip]) for clip in segments]
        clips += list(segments)
    return motions, emotions, clips
