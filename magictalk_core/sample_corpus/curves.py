"""Phonemes to motion: ARKit curves as functions of time, with an emotion, blinks, glances and head motion.

Every curve can be evaluated at any times, so the 30 fps video and the 25 fps truth come from the same functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES

__all__ = ["Utterance", "blended", "blinks", "glances", "motion_curves", "viseme", "wave"]

Curve = NDArray[np.float64]

_JAW = {
    "ɑː": 0.62, "ɑːɹ": 0.58, "æ": 0.55, "aɪ": 0.56, "aɪɚ": 0.54, "aʊ": 0.54, "ʌ": 0.42, "ɐ": 0.38, "ɔː": 0.46,
    "ɔːɹ": 0.42, "ɔ": 0.46, "ɔɪ": 0.42, "oː": 0.36, "oːɹ": 0.36, "oʊ": 0.34, "ɛ": 0.40, "eɪ": 0.34, "ɪ": 0.22,
    "i": 0.16, "iː": 0.16, "ᵻ": 0.20, "ʊ": 0.22, "ʊɹ": 0.22, "uː": 0.17, "ə": 0.24, "ɚ": 0.24, "əl": 0.22, "ɜː": 0.28,
    "b": 0.0, "m": 0.0, "p": 0.0, "f": 0.05, "v": 0.05, "s": 0.07, "z": 0.07, "ʃ": 0.09, "tʃ": 0.09, "dʒ": 0.09,
    "t": 0.13, "d": 0.13, "n": 0.14, "l": 0.17, "ɾ": 0.15, "θ": 0.14, "ð": 0.14, "k": 0.18, "ɡ": 0.18, "ŋ": 0.17,
    "h": 0.22, "ɹ": 0.15, "iə": 0.2, "ɪɹ": 0.2, "w": 0.11, "j": 0.13,
}  # fmt: skip
"""Jaw opening per phoneme, espeak's IPA symbols."""

_BILABIAL, _LABIODENTAL = frozenset("bmp"), frozenset("fv")
_ROUND = {
    "uː": 0.75, "ʊ": 0.5, "ʊɹ": 0.5, "oʊ": 0.6, "oː": 0.55, "oːɹ": 0.55, "ɔː": 0.35, "ɔːɹ": 0.4, "ɔɪ": 0.4, "w": 0.85,
    "ɹ": 0.35, "ʃ": 0.45, "tʃ": 0.4, "dʒ": 0.4, "aʊ": 0.25,
}  # fmt: skip
_WIDE = {"iː": 0.55, "i": 0.5, "ɪ": 0.35, "eɪ": 0.45, "ɛ": 0.3, "æ": 0.3, "s": 0.3, "z": 0.3, "aɪ": 0.25, "j": 0.3}
_REACH_S = 0.045
"""How far a phoneme's mouth shape reaches into its neighbours."""
_REST = 0.04
"""How strongly the rest pose pulls; a phoneme pulls with about 1."""


@dataclass(frozen=True)
class Utterance:
    """One entry of `speech/utterances.json`; phonemes are (symbol, start ms, end ms)."""

    key: str
    speaker: str
    emotion: str
    level: int
    take: int
    text: str
    duration_s: float
    phonemes: tuple[tuple[str, float, float], ...]

    @classmethod
    def read(cls, key: str, values: Mapping[str, Any]) -> Utterance:
        phonemes = tuple((str(s), float(a), float(b)) for s, a, b in values["phonemes"])
        return cls(key, **{**{k: v for k, v in values.items() if k != "phonemes"}, "phonemes": phonemes})


def viseme(
    jaw: float, wide: float, rounded: float, bilabial: bool = False, labiodental: bool = False
) -> tuple[dict[str, float], float]:
    """Channel values of a phoneme by how far it opens, spreads and rounds the mouth, 0 to 1, and how strongly it pulls
    to them: lips that must touch most, rounded ones more than others."""
    if bilabial:
        return {"mouthPress": 0.45, "mouthRollLower": 0.3, "mouthRollUpper": 0.2}, 5.0
    target = {
        "jawOpen": jaw,
        "mouthFunnel": 0.75 * rounded,
        "mouthPucker": 0.6 * rounded,
        "mouthStretch": 0.5 * wide,
        "mouthSmile": 0.18 * wide,
        "mouthLowerDown": 0.35 * jaw + 0.25 * wide,
        "mouthUpperUp": 0.25 * jaw + 0.15 * wide,
    }
    if labiodental:
        return target | {"mouthRollLower": 0.55, "mouthUpperUp": 0.25, "mouthLowerDown": 0.0}, 3.0
    return target, 1.6 if rounded else 1.0


def _mouth_targets(symbol: str) -> tuple[dict[str, float], float]:
    jaw, wide, rounded = _JAW.get(symbol, 0.15), _WIDE.get(symbol, 0.0), _ROUND.get(symbol, 0.0)
    return viseme(jaw, wide, rounded, symbol in _BILABIAL, symbol in _LABIODENTAL)


_MOUTH = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile", "mouthLowerDown", "mouthUpperUp",
          "mouthPress", "mouthRollLower", "mouthRollUpper")  # fmt: skip


def blended(
    spans: Iterable[tuple[str, float, float]],
    times: Curve,
    targets_of: Callable[[str], tuple[Mapping[str, float], float]],
    reach_s: float = _REACH_S,
) -> dict[str, Curve]:
    """Channels of the mouth at `times` (seconds) of phonemes (symbol, start s, end s), each a curve as long as `times`.

    Dominance blending (Cohen and Massaro 1993): each phoneme pulls towards its targets with its strength, less and less
    outside of its interval; the rest pose, 0, pulls a little all the time, and alone in pauses. `targets_of` a symbol:
    its channels and its strength.
    """
    total = np.full(len(times), _REST)
    sums: dict[str, Curve] = {}
    for symbol, start, end in spans:
        outside = np.maximum(np.maximum(start - times, times - end), 0.0)
        target, strength = targets_of(symbol)
        weight = strength * np.exp(-((outside / reach_s) ** 2))
        total += weight
        for name, value in target.items():
            sums[name] = sums.get(name, np.zeros(len(times))) + weight * value
    return {name: value / total for name, value in sums.items()}


def _speech(utterance: Utterance, times: Curve) -> dict[str, Curve]:
    spans = ((symbol, start / 1000, end / 1000) for symbol, start, end in utterance.phonemes)
    return {name: np.zeros(len(times)) for name in _MOUTH} | blended(spans, times, _mouth_targets)


_EMOTION: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 0.62, "cheekSquint": 0.45, "eyeSquint": 0.25, "browOuterUp": 0.12},
    "angry": {"browDown": 0.75, "noseSneer": 0.35, "eyeSquint": 0.3, "mouthPress": 0.15, "mouthFrown": 0.2},
    "sad": {"browInnerUp": 0.7, "mouthFrown": 0.5, "mouthShrugLower": 0.25, "eyeLookDown": 0.3},
}
_MOOD_PITCH = {"sad": 5.0, "angry": 3.0, "happy": -2.0}
_JAW_GAIN = {"neutral": 1.35, "angry": 1.5, "sad": 1.2, "happy": 1.4}
"""Synthetic speech is articulated clearly: trackers see an opening of the lips only beyond their thickness."""


def wave(times: Curve, random: np.random.Generator, periods_s: tuple[float, ...]) -> Curve:
    """A slow smooth curve in about -1..1."""
    parts = [np.sin(2 * np.pi * (times / p + random.random())) * random.uniform(0.6, 1.0) for p in periods_s]
    return np.asarray(np.sum(parts, axis=0) / len(parts))


def blinks(
    times: Curve, duration_s: float, random: np.random.Generator, every_s: tuple[float, float] = (1.6, 4.0)
) -> Curve:
    """Lids in 0..1, quick down, slower up; the first within the first two seconds, then one `every_s` (least, most)."""
    curve = np.zeros(len(times))
    at = random.uniform(0.4, min(1.6, duration_s - 0.5))
    while at < duration_s - 0.25:
        down, up = random.uniform(0.07, 0.09), random.uniform(0.12, 0.16)
        shape = np.where(
            times < at, np.exp(-(((times - at) / down) ** 2) * 2.2), np.exp(-(((times - at) / up) ** 2) * 2.2)
        )
        curve = np.maximum(curve, shape)
        at += random.uniform(*every_s)
    return curve


def glances(times: Curve, duration_s: float, random: np.random.Generator) -> Curve:
    """Horizontal gaze in -1..1: jumps between fixations, each in about 40 ms."""
    curve, at = np.zeros(len(times)), 0.0
    while at < duration_s:
        step = random.normal(0, 0.22)
        curve += step / (1 + np.exp(-np.clip((times - at) / 0.012, -50, 50)))
        at += random.uniform(0.7, 1.6)
    return np.asarray(np.clip(curve - curve.mean(), -0.5, 0.5))


def motion_curves(utterance: Utterance, times: Curve) -> NDArray[np.float32]:
    """(n, 58) motion at `times` (seconds) in MOTION_NAMES order; coefficients in [0, 1], angles in degrees."""
    seed = int.from_bytes(hashlib.md5(utterance.key.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    mood = 0.85 + 0.15 * wave(times, random, (1.7, 2.9))
    sides = _speech(utterance, times)
    sides["jawOpen"] = sides["jawOpen"] * _JAW_GAIN[utterance.emotion]
    for name, value in _EMOTION[utterance.emotion].items():
        # A smile is pulled in while the lips are rounded.
        room = 1 - 0.5 * sides["mouthPucker"] if name == "mouthSmile" else 1.0
        sides[name] = sides.get(name, np.zeros(len(times))) + value * mood * room
    motion = np.zeros((len(times), len(MOTION_NAMES)))
    for stem, curve in sides.items():
        for name in (stem, f"{stem}Left", f"{stem}Right"):
            if name in MOTION_NAMES:
                motion[:, MOTION_NAMES.index(name)] = np.clip(curve, 0, 1)
    blink, glance = blinks(times, utterance.duration_s, random), glances(times, utterance.duration_s, random)
    eyes = {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    eyes |= {"eyeLookOutLeft": glance, "eyeLookInRight": glance, "eyeLookInLeft": -glance, "eyeLookOutRight": -glance}
    for name, curve in eyes.items():
        motion[:, MOTION_NAMES.index(name)] = np.clip(curve, 0, 1)
    brow = np.clip(wave(times, random, (0.9, 1.6)), 0, 1) * 0.18
    motion[:, MOTION_NAMES.index("browInnerUp")] = np.clip(motion[:, MOTION_NAMES.index("browInnerUp")] + brow, 0, 1)
    _add_head(motion, utterance, times, random)
    return motion.astype(np.float32)


def _add_head(motion: Curve, utterance: Utterance, times: Curve, random: np.random.Generator) -> None:
    # The nod follows the jaw slowly; smoothed on a grid of its own, so that it does not depend on `times`.
    grid = np.arange(0.0, utterance.duration_s, 0.01)
    slow = gaussian_filter1d(_speech(utterance, grid)["jawOpen"] * _JAW_GAIN[utterance.emotion], 7.0, mode="nearest")
    nod = np.interp(times, grid, slow) * 3.0
    angles = {
        "head_pitch_deg": 2.0 * wave(times, random, (1.9, 3.1)) + nod + _MOOD_PITCH.get(utterance.emotion, 0.0),
        "head_yaw_deg": 4.0 * wave(times, random, (2.3, 3.7)),
        "head_roll_deg": 2.0 * wave(times, random, (2.7, 4.1)),
    }
    for name in POSE_NAMES:
        motion[:, MOTION_NAMES.index(name)] = angles.get(name, 0.0)
