"""The emotions, by MEAD's names, and what each does to a face."""

from __future__ import annotations

__all__ = ["EMOTIONS", "EMOTION_ALIASES", "NEUTRAL", "SIGNATURES", "emotion_named"]

EMOTIONS: tuple[str, ...] = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
"""MEAD's spelling, the vocabulary of the `emotion` column. Other spellings are in `EMOTION_ALIASES`."""

NEUTRAL = "neutral"

EMOTION_ALIASES: dict[str, str] = {
    "anger": "angry",
    "annoyed": "angry",
    "furious": "angry",
    "mad": "angry",
    "rage": "angry",
    "contemptuous": "contempt",
    "disdain": "contempt",
    "scorn": "contempt",
    "disgust": "disgusted",
    "disgusting": "disgusted",
    "afraid": "fear",
    "anxious": "fear",
    "fearful": "fear",
    "frightened": "fear",
    "scared": "fear",
    "terrified": "fear",
    "cheerful": "happy",
    "glad": "happy",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "smile": "happy",
    "smiling": "happy",
    "calm": "neutral",
    "none": "neutral",
    "normal": "neutral",
    "sadness": "sad",
    "sorrow": "sad",
    "unhappy": "sad",
    "amazed": "surprised",
    "astonished": "surprised",
    "surprise": "surprised",
    "surprising": "surprised",
}
"""Other spellings of MEAD's emotions: those of RAVDESS, CREMA-D and the literature, and what people type."""


def emotion_named(text: str) -> str:
    """MEAD's word for an emotion in any case or spelling of `EMOTION_ALIASES`; other words only in small letters."""
    word = text.strip().casefold()
    return EMOTION_ALIASES.get(word, word)


SIGNATURES: dict[str, tuple[tuple[str, ...], ...]] = {
    "happy": (("mouthSmileLeft", "mouthSmileRight"),),
    "surprised": (("browInnerUp",), ("jawOpen",)),
    "angry": (("browDownLeft", "browDownRight"),),
}
"""What an emotion raises above the same speaker's neutral clips, on the mean over clips; pairs are averaged."""
