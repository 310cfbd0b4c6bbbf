"""What a living head does while it does nothing: it breathes, and is never quite still.

A closed form of time: the same seed gives the same movement, whatever was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["Idle", "idle_motion"]

_BREATHS_HZ = (0.22, 0.28)
"""13 to 17 breaths a minute: an adult at rest."""
_CHEST_CM = 0.22
_NOD_DEG = 0.35
"""The head goes back as the chest rises."""
_SWAY = (("head_pitch_deg", 0.35), ("head_yaw_deg", 0.6), ("head_roll_deg", 0.4))
_SWAY_HZ = (0.09, 0.17, 0.31)
"""No two of them are multiples of each other, so that nothing comes back while one looks."""


@dataclass(frozen=True, eq=False)
class Idle:
    """`motion` (n, 58), to be added to a performance; `breath_cm` (n,): how far the chest is raised."""

    motion: NDArray[np.float32]
    breath_cm: NDArray[np.float32]


def idle_motion(frames: int, fps: float, seed: int) -> Idle:
    """Of so many frames."""
    chance = np.random.default_rng([seed, 0x1D1E])
    times = np.arange(frames) / fps
    rate, begin = chance.uniform(*_BREATHS_HZ), chance.uniform(0, 1)
    phase = (times * rate + begin) % 1.0
    # In two fifths of the time in, then slowly out.
    breath = np.where(
        phase < 0.4, 0.5 - 0.5 * np.cos(np.pi * phase / 0.4), 0.5 + 0.5 * np.cos(np.pi * (phase - 0.4) / 0.6)
    )
    motion = np.zeros((frames, len(MOTION_NAMES)))
    for name, degrees in _SWAY:
        waves = [np.sin(2 * np.pi * (hz * times + chance.uniform(0, 1))) for hz in _SWAY_HZ]
        motion[:, MOTION_NAMES.index(name)] = degrees * np.sum(waves, axis=0) / np.sqrt(len(waves))
    motion[:, MOTION_NAMES.index("head_pitch_deg")] -= _NOD_DEG * (breath - 0.5)
    return Idle(motion.astype(np.float32), (_CHEST_CM * (breath - 0.5)).astype(np.float32))
