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
from magictalk_core.metrics.lips import Lips, lips_of
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import LipWorth
from magictalk_core.recipes.base_models.expressions import MANNERS, STRENGTHS
from magictalk_core.recipes.base_models.takes import Take
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES, STATE_NAMES
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["Measured", "measure"]

Motion = NDArray[np.float32]

_JAW = STATE_NAMES.index("jawOpen")
_FACE = [column for column, name in enumerate(STATE_NAMES) if name not in POSE_NAMES]
_INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOODS = tuple(name for name in MANNERS if name != NEUTRAL)
_MOST = 6
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


@dataclass(frozen=True, eq=False)
class _Asked:
    """Speech (n, F) and the style frames (k, D) that it is said in."""

    speech: list[Motion]
    styles: list[Motion]

    def performed(self, emodiff: EmoDiffModel) -> list[Motion]:
        pairs = zip(self.speech, self.styles, strict=True)
        return emodiff.generate_many([MotionRequest(heard, style, seed=0) for heard, style in pairs])

    def refined(self, made: Sequence[Motion], refiner: LipRefiner) -> list[Motion]:
        rows = zip(made, self.speech, self.styles, strict=True)
        return [refiner.refine(m, STATE_NAMES, heard, refiner.feature_id, style) for m, heard, style in rows]


@dataclass(frozen=True, eq=False)
class _Trials:
    """What is asked of every method: held-out recordings calmly, `moods` in every style, one in every intensity."""

    calm: list[Take]
    moods: list[str]
    parts: tuple[_Asked, _Asked, _Asked]

    @classmethod
    def of(cls, held_out: Sequence[Take], styles: StyleBank) -> _Trials:
        calm = [take for take in held_out if take.emotion == NEUTRAL]
        heard = [take.recording.features for take in calm]
        spoken = [take.recording.features for take in calm if take.recording.text]
        few = [spoken[i] for i in np.unique(np.linspace(0, len(spoken) - 1, _MOST).round().astype(int))]
        moods = [emotion for emotion in MANNERS for _ in few]
        levels = [styles.at_intensity(emotion, asked) for emotion in _MOODS for asked in _INTENSITIES]
        parts = (
            _Asked(heard, [styles.frames(NEUTRAL)] * len(calm)),
            _Asked(few * len(MANNERS), [styles.frames(emotion) for emotion in moods]),
            _Asked([spoken[0]] * len(levels), levels),
        )
        return cls(calm, moods, parts)


def _whole(motion: Motion) -> NDArray[np.float64]:
    """(n, 58) of (n, 57)."""
    whole = np.zeros((len(motion), len(MOTION_NAMES)))
    whole[:, [MOTION_NAMES.index(name) for name in STATE_NAMES]] = motion
    return whole


def _lips(motion: Motion) -> Lips:
    return lips_of(_whole(motion), builtin_rig())


def _r(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else 0.0


def _mouths(takes: Sequence[Take], made: Sequence[Motion]) -> dict[str, float]:
    spoken = [(take, motion) for take, motion in zip(takes, made, strict=True) if take.recording.text]
    rows: dict[str, list[float]] = {"jaw_r": [], "lips_r": [], "jaw_std": [], "bilabial_auc": [], "labiodental_auc": []}
    for take, motion in spoken:
        true, lips = take.motion, _lips(motion)
        rows["jaw_r"].append(_r(motion[:, _JAW], true[:, _JAW]))
        rows["lips_r"].append(_r(lips.gap, _lips(true).gap))
        rows["jaw_std"].append(float(motion[:, _JAW].std() / true[:, _JAW].std()))
        phones = [Phoneme(*span) for span in take.recording.spans]
        for name, kind, near in (
            ("bilabial_auc", BILABIAL, lips.gap),
            ("labiodental_auc", LABIODENTAL, lips.drop),
        ):
            auc = closures_at(near, phoneme_places(phones, kind, len(near), BILABIAL | LABIODENTAL), None).auc
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


def _intensity(made: Sequence[Motion]) -> float:
    found = []
    for number in range(len(_MOODS)):
        mine = made[number * len(_INTENSITIES) : (number + 1) * len(_INTENSITIES)]
        faces = [motion[:, _FACE].mean(axis=0) for motion in mine]
        far = [float(np.abs(face - faces[0]).sum()) for face in faces]
        found.append(float(spearmanr(_INTENSITIES, far).statistic))
    return min(found)


def _measured(trials: _Trials, made: Sequence[list[Motion]], eyes: _Eyes, true: tuple[float, float]) -> Measured:
    calm, moody, levels = made
    blinks = [find_blinks(_whole(motion)) for motion in calm]
    minutes = sum(len(motion) for motion in calm) / FRAME_RATE / 60
    level, movement = eyes.shares(moody, trials.moods)
    seen = {"level": level, "movement": movement, "true_level": true[0], "true_movement": true[1]}
    blinked = sum(len(one.peaks) for one in blinks) / minutes
    return Measured(**_mouths(trials.calm, calm), **seen, blinks=blinked, intensity=_intensity(levels))


def measure(folder: Path, taught: Sequence[Take], held_out: Sequence[Take]) -> dict[str, Any]:
    """Of the packed models in `folder`: `lips` (whether refinement is used) and `methods`, name to `Measured`.

    `taught` and `held_out`: the takes that models learned from, and those of voices that they never heard.
    """
    emodiff, styles = EmoDiffModel.load(folder / "emodiff"), StyleBank.load(folder / "emodiff")
    refiner = LipRefiner.load(folder / "audio2bs", folder / "lip_residue")
    trials, eyes = _Trials.of(held_out, styles), _Eyes.of(taught)
    full = [take for take in held_out if take.strength > STRENGTHS[2] or take.emotion == NEUTRAL]
    true = eyes.shares([take.motion for take in full], [take.emotion for take in full])
    alone = [part.performed(emodiff) for part in trials.parts]
    lips = [part.refined(made, refiner) for part, made in zip(trials.parts, alone, strict=True)]
    methods = {name: _measured(trials, made, eyes, true) for name, made in (("emodiff", alone), ("magictalk", lips))}
    spoken = sum(bool(take.recording.text) for take in trials.calm)
    worth = LipWorth(emodiff=methods["emodiff"].jaw_r, refined=methods["magictalk"].jaw_r, clips=spoken)
    return {"lips": worth.model_dump(), "methods": {name: vars(found) for name, found in methods.items()}}
