"""What jaw and lips do for each phone of English, as ARKit channels over time.

Phones are ARPABET (CMU's dictionary). The heights of the jaw are ordered as phonetics orders them: low vowels before
mid before high ones, spread ones a little more open than rounded ones of the same height; a diphthong is its two ends;
h has the mouth of the vowel that follows. Bilabials close the lips, labiodentals lay the lower lip against the teeth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.sample_corpus.curves import blended, viseme
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["JAW", "Span", "mouth_curves"]

Span = tuple[str, float, float]
"""A phone, and when it begins and ends, in seconds."""

JAW = {
    "AA": 0.56, "AE": 0.56, "AH": 0.36, "AO": 0.42, "AX": 0.22, "EH": 0.48, "ER": 0.20, "IH": 0.28, "IY": 0.20,
    "O": 0.30, "UH": 0.20, "UW": 0.14,
    "B": 0.0, "M": 0.0, "P": 0.0, "F": 0.05, "V": 0.05, "S": 0.07, "Z": 0.07, "SH": 0.09, "ZH": 0.09, "CH": 0.09,
    "JH": 0.09, "T": 0.13, "D": 0.13, "N": 0.15, "L": 0.19, "DX": 0.15, "TH": 0.14, "DH": 0.14, "K": 0.19, "G": 0.19,
    "NG": 0.18, "R": 0.13, "W": 0.10, "Y": 0.16,
}  # fmt: skip
"""Opening of the jaw; `O` is where OW begins, `AX` the schwa, `DX` the flapped t."""

_ROUND = {"UW": 0.75, "UH": 0.5, "O": 0.6, "AO": 0.35, "W": 0.85, "R": 0.35, "ER": 0.3, "SH": 0.45, "ZH": 0.45,
          "CH": 0.4, "JH": 0.4}  # fmt: skip
_NARROW = frozenset(("UW", "UH", "W", "R", "ER"))
"""Rounded with lips nearly together; other rounded ones hold them open, as a funnel."""
_FUNNEL_LEFT, _PUCKER_GAINED = 0.25, 2.0
"""Of narrow ones, so that pucker and funnel together are as much as before."""
_WIDE = {"IY": 0.55, "IH": 0.35, "EH": 0.35, "AE": 0.3, "S": 0.3, "Z": 0.3, "Y": 0.3}
_BILABIAL, _LABIODENTAL = frozenset(("B", "M", "P")), frozenset(("F", "V"))
_VOWELS = frozenset(("AA", "AE", "AH", "AO", "AX", "EH", "ER", "IH", "IY", "O", "UH", "UW"))
_DIPHTHONGS = {"AY": ("AA", "IH"), "AW": ("AH", "UH"), "OY": ("AO", "IH"), "OW": ("O", "UH"), "EY": ("EH", "IH")}
_FIRST_SHARE = 0.6
"""Of a diphthong's time its beginning has this."""
_REACH_S = 0.04
_OPENING = {"jawOpen": 1.35, "mouthLowerDown": 1.0, "mouthUpperUp": 1.0, "mouthStretch": 1.0, "mouthSmile": 1.0}
"""Channels that open or spread the mouth, and the gain of each at an effort of 1."""


def _targets(phone: str) -> tuple[dict[str, float], float]:
    jaw, wide, rounded = JAW[phone], _WIDE.get(phone, 0.0), _ROUND.get(phone, 0.0)
    target, strength = viseme(jaw, wide, rounded, phone in _BILABIAL, phone in _LABIODENTAL)
    if phone in _NARROW:
        # A funnel opens the lips of ARKit's face as far as a third of the jaw does: w would gape more than i.
        target["mouthFunnel"] *= _FUNNEL_LEFT
        target["mouthPucker"] = min(1.0, _PUCKER_GAINED * target["mouthPucker"])
    return target, strength


def _shapes(spans: Sequence[Span]) -> Iterator[Span]:
    """Phones with one mouth each: diphthongs as their two ends, h as the vowel that follows; pauses are left out."""
    for index, (phone, start, end) in enumerate(spans):
        if phone == "HH":
            following = spans[index + 1][0] if index + 1 < len(spans) else "AX"
            phone = _DIPHTHONGS.get(following, (following,))[0]
            phone = phone if phone in _VOWELS else "AX"
        if phone in _DIPHTHONGS:
            middle = start + _FIRST_SHARE * (end - start)
            first, second = _DIPHTHONGS[phone]
            yield first, start, middle
            yield second, middle, end
        elif phone in JAW:
            yield phone, start, end


def mouth_curves(spans: Sequence[Span], n_frames: int, names: Sequence[str], effort: float) -> NDArray[np.float32]:
    """(n_frames, len(names)) coefficients in [0, 1] at 25 fps, each at the middle of its frame.

    `effort`: how far the mouth opens and spreads; 1 as the sample corpus, whose synthetic speech is articulated
    clearly. Closing and rounding take no effort.
    """
    times = (np.arange(n_frames) + 0.5) / FRAME_RATE
    curves = blended(_shapes(spans), times, _targets, _REACH_S)
    motion = np.zeros((n_frames, len(names)), np.float32)
    for column, name in enumerate(names):
        stem = name.removesuffix("Left").removesuffix("Right")
        if stem in curves:
            motion[:, column] = np.clip(
                curves[stem] * effort * _OPENING[stem] if stem in _OPENING else curves[stem], 0, 1
            )
    return motion
