"""What the packed models do with voices that none of them learned from, measured against the rules' own curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.closures import BILABIAL, LABIODENTAL, Phoneme, closures_at, phoneme_places
from magictalk_core.metrics.emotion import EmotionClassifier
from magictalk_core.metrics.lips import lips_of
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import measure_lips
from magictalk_core.recipes.base_models.expressions import MANNERS, STRENGTHS
from magictalk_core.recipes.base_models.takes import Take
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES, STATE_NAMES
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["Measured", "measure"]

Motion = NDArray[np.float32]

_JAW = STATE_NAMES.index("jawOpen")
_FACE = [column for column, name in enumerate(STATE_NAMES) if name not in POSE_NAMES]
_INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST = 24
"""Held-out recordings that are performed in every style."""


@dataclass(frozen=True)
class Measured:
    """Of one method, means over held-out recordings said in the style `neutral`, but for the styles themselves.

    `jaw_r`, `lips_r`: correlation of the jaw and of the opening between the lips; `jaw_std`: standard deviation of the
    jaw over the true one; `bilabial_auc`, `labiodental_auc`: lips nearer in these phones than in other speech; `rest`:
    mean jaw in recordings of silence; `blinks`: a minute. `level`, `movement`: share of motions in which a classifier
    sees the emotion that was asked for, from the face as it is and from its movement alone; `true_level`,
    `true_movement`: in the rules' own curves. `intensity`: least rank correlation over the emotions of the asked
    intensity with how far the face is from neutral.
    """

    jaw_r: float
    lips_r: float
    jaw_std: float
    bilabial_auc: float
    labiodental_auc: float
    rest: float
    blinks: float
    level: float
    movement: float
    true_level: float
    true_movement: float
    intensity: float


class _Method:
    """EmoDiff with refined lips, or alone."""

    def __init__(self, emodiff: EmoDiffModel, refiner: LipRefiner | None) -> None:
        self.emodiff, self.refiner = emodiff, refiner

    def __call__(self, speech: Sequence[Motion], styles: Sequence[Motion]) -> list[Motion]:
        pairs = list(zip(speech, styles, strict=True))
        made = self.emodiff.generate_many([MotionRequest(heard, style, seed=0) for heard, style in pairs])
        if self.refiner is None:
            return made
        names, feature = self.emodiff.channels, self.emodiff.feature_id
        return [
            self.refiner.refine(motion, names, heard, feature, style)
            for motion, (heard, style) in zip(made, pairs, strict=True)
        ]


def _whole(motion: Motion) -> NDArray[np.float64]:
    """(n, 58) of (n, 57)."""
    whole = np.zeros((len(motion), len(MOTION_NAMES)))
    whole[:, [MOTION_NAMES.index(name) for name in STATE_NAMES]] = motion
    return whole


def _gap(motion: Motion) -> NDArray[np.float64]:
    return lips_of(_whole(motion), builtin_rig()).gap


def _r(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0


def _mouths(takes: Sequence[Take], made: Sequence[Motion]) -> dict[str, float]:
    spoken = [(take, motion) for take, motion in zip(takes, made, strict=True) if take.recording.text]
    rows: dict[str, list[float]] = {"jaw_r": [], "lips_r": [], "jaw_std": [], "bilabial_auc": [], "labiodental_auc": []}
    for take, motion in spoken:
        true, gap = take.motion, _gap(motion)
        rows["jaw_r"].append(_r(motion[:, _JAW], true[:, _JAW]))
        rows["lips_r"].append(_r(gap, _gap(true)))
        rows["jaw_std"].append(float(motion[:, _JAW].std() / true[:, _JAW].std()))
        phones = [Phoneme(*span) for span in take.recording.spans]
        for name, kind in (("bilabial_auc", BILABIAL), ("labiodental_auc", LABIODENTAL)):
            auc = closures_at(gap, phoneme_places(phones, kind, len(gap), BILABIAL | LABIODENTAL), None).auc
            rows[name] += [] if auc is None else [auc]
    silent = [motion for take, motion in zip(takes, made, strict=True) if not take.recording.text]
    rows["rest"] = [float(motion[:, _JAW].mean()) for motion in silent] or [0.0]
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _level_free(motion: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(motion - motion.mean(axis=0))


@dataclass(frozen=True, eq=False)
class _Eyes:
    """Classifiers of emotion, fitted to what models learned from."""

    level: EmotionClassifier
    movement: EmotionClassifier

    @classmethod
    def of(cls, takes: Sequence[Take]) -> _Eyes:
        # Fullest and calm ones: what a weak mood shows is nearly nothing.
        taught = [take for take in takes if take.strength > STRENGTHS[1] or take.emotion == NEUTRAL]
        faces, emotions = [take.motion[:, _FACE] for take in taught], [take.emotion for take in taught]
        free = [_level_free(face) for face in faces]
        return cls(EmotionClassifier.fit(faces, emotions), EmotionClassifier.fit(free, emotions))

    def shares(self, made: Sequence[Motion], emotions: Sequence[str]) -> tuple[float, float]:
        faces = [motion[:, _FACE] for motion in made]
        free = [_level_free(face) for face in faces]
        return self.level.accuracy(faces, emotions), self.movement.accuracy(free, emotions)


def _intensity(method: _Method, speech: Sequence[Motion], styles: StyleBank) -> float:
    found = []
    for emotion in (name for name in MANNERS if name != NEUTRAL):
        asked = [styles.at_intensity(emotion, intensity) for intensity in _INTENSITIES]
        faces = [
            np.mean([m[:, _FACE].mean(0) for m in method(speech, [style] * len(speech))], axis=0) for style in asked
        ]
        far = [float(np.abs(face - faces[0]).sum()) for face in faces]
        found.append(float(spearmanr(_INTENSITIES, far).statistic))
    return min(found)


def _measured(method: _Method, styles: StyleBank, held_out: Sequence[Take], eyes: _Eyes) -> Measured:
    calm = [take for take in held_out if take.emotion == NEUTRAL]
    speech = [take.recording.features for take in calm]
    made = method(speech, [styles.frames(NEUTRAL)] * len(calm))
    blinks = [find_blinks(_whole(motion)) for motion in made]
    minute = float(sum(len(one.peaks) for one in blinks) / (sum(len(motion) for motion in made) / 1500))
    spoken = [take.recording.features for take in calm if take.recording.text][:_MOST]
    moods = [emotion for emotion in MANNERS for _ in spoken]
    shown = method(spoken * len(MANNERS), [styles.frames(emotion) for emotion in moods])
    level, movement = eyes.shares(shown, moods)
    full = [take for take in held_out if take.strength > STRENGTHS[2] or take.emotion == NEUTRAL]
    true = eyes.shares([take.motion for take in full], [take.emotion for take in full])
    intensity = _intensity(method, spoken[:2], styles)
    return Measured(
        **_mouths(calm, made),
        blinks=minute,
        level=level,
        movement=movement,
        true_level=true[0],
        true_movement=true[1],
        intensity=intensity,
    )


def measure(folder: Path, data: TrainingSet, taught: Sequence[Take], held_out: Sequence[Take]) -> dict[str, Any]:
    """Of the packed models in `folder`: `lips` (whether refinement is used) and `methods`, name to `Measured`."""
    emodiff, styles = EmoDiffModel.load(folder / "emodiff"), StyleBank.load(folder / "emodiff")
    refiner = LipRefiner.load(folder / "audio2bs", folder / "lip_residue")
    worth, eyes = measure_lips(emodiff, refiner, data), _Eyes.of(taught)
    student = EmoDiffModel.load(folder / "emodiff_student")
    methods = {
        "emodiff": _Method(emodiff, None),
        "magictalk": _Method(emodiff, refiner),
        "magictalk of the student": _Method(student, refiner),
    }
    return {
        "lips": None if worth is None else worth.model_dump(),
        "methods": {name: vars(_measured(method, styles, held_out, eyes)) for name, method in methods.items()},
    }
