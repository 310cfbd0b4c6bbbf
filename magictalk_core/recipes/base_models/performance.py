"""A mouth that speaks, made a whole face in a mood: expression, lids, gaze, brows, head; 25 frames a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from magictalk_core.recipes.base_models.expressions import Manner
from magictalk_core.sample_corpus.curves import blinks, glances, wave
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, POSE_NAMES, STATE_NAMES, mirror_name
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["PLAIN", "Persona", "perform"]

Curve = NDArray[np.float64]

_CLOSED = 0.3
"""Of `mouthPress` or of a rolled lower lip, from which on nothing may hold the lips apart."""
_OPENS = ("jawOpen", "mouthFunnel", "mouthLowerDown", "mouthUpperUp")
_SPREADS = ("mouthSmile", "mouthFrown", "mouthStretch", "mouthDimple")
_OPENED_BY_SPEECH = (*_OPENS, "mouthStretch")
_STRESS_S = 0.2
"""Standard deviation of the window over which the jaw says what is stressed."""
_NOD_S = 0.07
_HEAD_IN_SILENCE = 0.6


@dataclass(frozen=True)
class Persona:
    """How a person differs from others: factors on head motion, on the time between blinks and on the brows, and
    whether one-sided expressions are on the other side."""

    head: float = 1.0
    blinking: float = 1.0
    brows: float = 1.0
    is_mirrored: bool = False

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Persona:
        head, blinking, brows = np.exp(random.normal(0.0, 0.25, 3))
        return cls(float(head), float(blinking), float(brows), bool(random.random() < 0.5))


PLAIN = Persona()


def perform(
    mouth: NDArray[np.float32], manner: Manner, strength: float, persona: Persona, random: np.random.Generator
) -> NDArray[np.float32]:
    """(n, 57) motion as `STATE_NAMES` of a mouth (n, 27) that speaks, or rests, in a mood at a `strength` of 0 to 1.

    In silence the mouth is that of the expression alone; where lips meet in speech, no expression parts them.
    """
    frames = len(mouth)
    times, length = (np.arange(frames) + 0.5) / FRAME_RATE, frames / FRAME_RATE
    motion = np.zeros((frames, len(STATE_NAMES)))
    motion[:, _columns(JAW_MOUTH_NAMES)] = mouth
    stress = _stress(motion)
    _speak(motion, 1 + strength * (manner.opening - 1))
    _express(motion, manner, strength, _mood(times, manner, stress, random))
    _look(motion, times, length, manner, persona, random)
    _raise_brows(motion, times, stress, persona, random)
    coefficients = len(STATE_NAMES) - len(POSE_NAMES)
    motion[:, :coefficients] = np.clip(motion[:, :coefficients], 0.0, 1.0)
    _move_head(motion, times, manner, strength, persona, random)
    return (_mirrored(motion) if persona.is_mirrored else motion).astype(np.float32)


def _columns(names: tuple[str, ...]) -> list[int]:
    return [STATE_NAMES.index(name) for name in names]


def _sides(stem: str) -> list[int]:
    """The columns of a channel, or of its two sides."""
    return _columns(tuple(name for name in (stem, f"{stem}Left", f"{stem}Right") if name in STATE_NAMES))


def _jaw(motion: Curve) -> Curve:
    return motion[:, STATE_NAMES.index("jawOpen")]


def _stress(motion: Curve) -> Curve:
    """(n,) 0 to 1: how much the jaw moves around here, over its most."""
    slow = gaussian_filter1d(_jaw(motion), _STRESS_S * FRAME_RATE, mode="nearest")
    return np.asarray(slow / slow.max() if slow.max() > 0.02 else np.zeros(len(slow)))


def _mood(times: Curve, manner: Manner, stress: Curve, random: np.random.Generator) -> Curve:
    """(n,) around 0.85: how the expression comes and goes."""
    slow = wave(times, random, (1.7 / manner.pace, 2.9 / manner.pace))
    return np.asarray(0.85 + manner.swing * slow + manner.stress * (stress - 0.4))


def _speak(motion: Curve, opening: float) -> None:
    for stem in _OPENED_BY_SPEECH:
        motion[:, _sides(stem)] *= opening


def _express(motion: Curve, manner: Manner, strength: float, mood: Curve) -> None:
    rounding, closing = motion[:, _sides("mouthPucker")[0]], np.zeros(len(motion))
    for stem in ("mouthPress", "mouthRollLower"):
        closing = np.maximum(closing, np.clip(motion[:, _sides(stem)[0]] / _CLOSED, 0, 1))
    closing, rounding = closing.copy(), rounding.copy()
    for name, value in manner.face.items():
        room = np.ones(len(motion))
        if name.startswith(_OPENS):
            room = 1 - closing
        elif name.startswith(_SPREADS):
            # A smile is pulled in while the lips are rounded.
            room = 1 - np.clip(rounding, 0, 0.5)
        motion[:, _sides(name)] += (strength * value * mood * room)[:, None]


def _look(
    motion: Curve, times: Curve, length: float, manner: Manner, persona: Persona, random: np.random.Generator
) -> None:
    least, most = manner.blink_s
    every = least * persona.blinking, most * persona.blinking
    closed, gaze = blinks(times, length, random, every), glances(times, length, random)
    for side, other in (("Left", "Right"), ("Right", "Left")):
        motion[:, _sides(f"eyeBlink{side}")] = np.maximum(motion[:, _sides(f"eyeBlink{side}")], closed[:, None])
        # A closed lid is neither wide nor pressed together.
        for stem in ("eyeWide", "eyeSquint"):
            motion[:, _sides(f"{stem}{side}")] *= (1 - closed)[:, None]
        sign = 1 if side == "Left" else -1
        motion[:, _sides(f"eyeLookOut{side}")] += np.clip(sign * gaze, 0, 1)[:, None]
        motion[:, _sides(f"eyeLookIn{other}")] += np.clip(sign * gaze, 0, 1)[:, None]


def _raise_brows(motion: Curve, times: Curve, stress: Curve, persona: Persona, random: np.random.Generator) -> None:
    raised = np.clip(wave(times, random, (0.9, 1.6)), 0, 1) * 0.12 + 0.08 * stress
    motion[:, _sides("browInnerUp")] += persona.brows * raised[:, None]
    motion[:, _sides("browOuterUp")] += 0.5 * persona.brows * raised[:, None]


def _move_head(
    motion: Curve, times: Curve, manner: Manner, strength: float, persona: Persona, random: np.random.Generator
) -> None:
    def between(factor: float) -> float:
        return 1 + strength * (factor - 1)

    pace, nods = between(manner.pace), between(manner.nod)
    jaw = gaussian_filter1d(_jaw(motion), _NOD_S * FRAME_RATE, mode="nearest")
    far = between(manner.head) * persona.head * (1.0 if jaw.max() > 0.05 else _HEAD_IN_SILENCE)

    def swing(reach: float, *periods_s: float) -> Curve:
        return reach * far * wave(times, random, tuple(period / pace for period in periods_s))

    curves = {
        "head_pitch_deg": swing(2.0, 1.9, 3.1) + 4.0 * nods * persona.head * jaw,
        "head_yaw_deg": swing(4.0, 2.3, 3.7),
        "head_roll_deg": swing(2.0, 2.7, 4.1),
        "head_x_cm": swing(0.4, 2.9, 4.7),
        "head_y_cm": swing(0.2, 2.1, 3.9),
        "head_z_cm": swing(0.4, 3.3, 5.1),
    }
    for name in POSE_NAMES:
        motion[:, STATE_NAMES.index(name)] = curves[name] + strength * manner.pose.get(name, 0.0)


def _mirrored(motion: Curve) -> Curve:
    other = motion[:, _columns(tuple(mirror_name(name) for name in STATE_NAMES))]
    for name in ("head_yaw_deg", "head_roll_deg", "head_x_cm"):
        other[:, STATE_NAMES.index(name)] *= -1
    return np.asarray(other)
