"""The emotions, by MEAD's names, and what each does to a face."""

from __future__ import annotations

__all__ = ["EMOTIONS", "EMOTION_ALIASES", "NEUTRAL", "SIGNATURES"]

EMOTIONS: tuple[str, ...] = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
"""MEAD's spelling, the vocabulary of the `emotion` column. Other spellings are in `EMOTION_ALIASES`."""

NEUTRAL = "neutral"

EMOTION_ALIASES: dict[str, str] = {
    "anger": "angry",
    "contemptuous": "contempt",
    "disgust": "disgusted",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "calm": "neutral",
    "none": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}
"""Other spellings of MEAD's emotions, as RAVDESS, CREMA-D and the literature write them."""

SIGNATURES: dict[str, tuple[tuple[str, ...], ...]] = {
    "happy": (("mouthSmileLeft", "mouthSmileRight"),),
    "surprised": (("browInnerUp",), ("jawOpen",)),
    "angry": (("browDownLeft", "browDownRight"),),
}
"""What an emotion raises above the same speaker's neutral clips, on the mean over clips; pairs are averaged."""
