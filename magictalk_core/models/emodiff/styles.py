"""Emotional styles stored beside the model: a few frames of every training clip, found by clip id or by emotion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL, emotion_named

__all__ = ["StyleBank"]

FRAMES_PER_CLIP = 16
FRAMES_PER_EMOTION = 256


@dataclass(frozen=True, eq=False)
class StyleBank:
    """clip id -> (k, D) frames in natural units, and emotion -> clip ids."""

    clips: dict[str, NDArray[np.float32]]
    emotions: dict[str, list[str]]

    @classmethod
    def from_training_set(cls, data: TrainingSet) -> StyleBank:
        """Evenly spaced frames of every clip of the training split."""
        clips: dict[str, NDArray[np.float32]] = {}
        emotions: dict[str, list[str]] = {}
        index = data.index[data.index["split"] == Split.TRAIN]
        for clip, rows in index.groupby("clip_id", sort=True):
            parts = zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)
            frames = np.concatenate([np.asarray(data.states[start : start + n]) for start, n in parts])
            picks = np.linspace(0, len(frames) - 1, min(FRAMES_PER_CLIP, len(frames))).round().astype(int)
            clips[str(clip)] = np.ascontiguousarray(frames[picks])
            emotion = rows["emotion"].iloc[0]
            if isinstance(emotion, str):
                emotions.setdefault(emotion, []).append(str(clip))
        return cls(clips, emotions)

    def joined_by(self, other: StyleBank, places: Sequence[int]) -> StyleBank:
        """The styles of `other`, and those of this one that it lacks, in the channels at `places` of this one."""
        clips = {clip: np.ascontiguousarray(frames[:, list(places)]) for clip, frames in self.clips.items()}
        return StyleBank(clips | other.clips, self.emotions | other.emotions)

    def save(self, folder: Path) -> None:
        save_file(self.clips, folder / "styles.safetensors")
        (folder / "styles.json").write_text(json.dumps({"emotions": self.emotions}, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, model: Path) -> StyleBank:
        if not (model / "styles.safetensors").is_file():
            raise PermanentError(
                f"no style bank in {model}: train it again with `magictalk run --select models/emodiff`"
            )
        values = json.loads((model / "styles.json").read_text(encoding="utf-8"))
        return cls(load_file(model / "styles.safetensors"), values["emotions"])

    def at_intensity(self, style: str, intensity: float) -> NDArray[np.float32]:
        """`frames(style)` moved towards neutral: 1 is the style itself, 0 is neutral, in between every frame is a mix.

        Each style frame is mixed with a frame of the neutral clips of the bank. Raises `UserError` for an intensity
        outside of [0, 1], and below 1 for a bank without neutral clips.
        """
        if not 0.0 <= intensity <= 1.0:
            raise UserError(f"intensity {intensity}: expected a number from 0 (neutral) to 1 (as in the style)")
        frames = self.frames(style)
        if intensity == 1.0:
            return frames
        if NEUTRAL not in self.emotions:
            raise UserError(f"intensity {intensity}: the training clips have no `{NEUTRAL}` ones to move towards")
        calm = self.frames(NEUTRAL)
        # The same partner for every call; the pools may be of different size.
        partner = calm[np.arange(len(frames)) % len(calm)]
        return (intensity * frames + (1 - intensity) * partner).astype(np.float32)

    def name_of(self, style: str) -> str:
        """The training clip or the emotion of this bank that `style` means, in any case and common spelling.

        Raises `UserError` naming what there is.
        """
        if style in self.clips:
            return style
        same = {emotion_named(emotion): emotion for emotion in self.emotions}
        if not self.clips:
            raise UserError("the model's style bank is empty: train it with `magictalk run --select models/emodiff`")
        if emotion_named(style) not in same:
            known = ", ".join(sorted(self.emotions)) or "none (the training clips carry no emotion labels)"
            example = next(iter(self.clips), "none")
            raise UserError(
                f"unknown style `{style}`: expected an emotion ({known}) or a training clip, e.g. {example}"
            )
        return same[emotion_named(style)]

    def frames(self, style: str) -> NDArray[np.float32]:
        """Style frames (k, D) of what `name_of` finds."""
        style = self.name_of(style)
        if style in self.clips:
            return self.clips[style]
        # The same few clips for every call, spread over the speakers by their hash.
        order = sorted(self.emotions[style], key=lambda clip: hashlib.md5(clip.encode()).hexdigest())
        return np.concatenate([self.clips[clip] for clip in order])[:FRAMES_PER_EMOTION]
