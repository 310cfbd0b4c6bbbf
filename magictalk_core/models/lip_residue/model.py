"""Lip refinement: EmoDiff's mouth replaced by one that is read from the speech (section 3.3)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.emodiff.rest import at_rest, rest_state
from magictalk_core.models.lip_residue.config import LipResidueNetworkConfig
from magictalk_core.models.lip_residue.network import ResidueGenerator, style_clip
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training.run import run_with_weights
from magictalk_core.training_set.channels import columns_of
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES

__all__ = ["LipRefiner", "LipStyle", "RefinedMouth", "audio2bs_md5", "audio2bs_of"]

Motion = NDArray[np.float32]


def audio2bs_md5(residue: Path) -> str:
    """md5 of the weights of the Audio2BS that the residue generator at `residue` was trained on."""
    return str(json.loads((residue / "config.json").read_text(encoding="utf-8"))["audio2bs"])


def audio2bs_of(residue: Path, runs: Path) -> Path:
    """The model folder, among the `runs` of Audio2BS, that the residue generator at `residue` was trained on."""
    wanted = audio2bs_md5(residue)
    found = run_with_weights(runs, wanted)
    if found is None:
        raise PermanentError(
            f"{residue}: the Audio2BS that it was trained on (weights md5 {wanted}) is not in {runs}: type `magictalk "
            'run --select "models/audio2bs models/lip_residue"`'
        )
    return found.path


@dataclass(frozen=True, eq=False)
class RefinedMouth:
    """mouth (L, M) = clip(neutral + residue, 0, 1); neutral and residue (L, M). Columns as `LipRefiner.mouth`.

    With `relative_to_style` the mean of neutral + residue over the clip gives way to that of the style frames.
    """

    mouth: Motion
    neutral: Motion
    residue: Motion


@dataclass(frozen=True, eq=False)
class LipStyle:
    """A style: `clip` (1, S, C) normalised coefficients, `level` (M,) its mean mouth."""

    clip: Tensor
    level: Tensor


@dataclass(frozen=True, eq=False)
class LipRefiner:
    """Audio2BS, and the residue generator that was trained on it."""

    audio2bs: Audio2BSModel
    folder: ModelFolder
    config: LipResidueNetworkConfig
    coefficients: tuple[str, ...]
    network: ResidueGenerator

    @classmethod
    def load(cls, audio2bs: Path, residue: Path, device: str = "cpu") -> LipRefiner:
        """Load both model folders. Raises `PermanentError` when the residue was trained on another Audio2BS."""
        neutral, folder = Audio2BSModel.load(audio2bs, device), ModelFolder.open(residue, ("lip_residue",))
        if folder.config["audio2bs"] != file_md5(audio2bs / "model.safetensors"):
            raise PermanentError(
                f"{residue}: trained on another Audio2BS than {audio2bs}: type `magictalk run --select "
                "models/lip_residue`"
            )
        config = LipResidueNetworkConfig.model_validate(folder.config["network"])
        coefficients = tuple(folder.config["coefficients"])
        network = ResidueGenerator(config, neutral.config.hidden, len(neutral.mouth), len(coefficients))
        network.load_state_dict(folder.weights())
        network.eval().requires_grad_(False).to(device)
        return cls(neutral, folder, config, coefficients, network)

    @classmethod
    def of(cls, residue: Path, runs: Path, device: str = "cpu") -> LipRefiner:
        """The residue generator at `residue` with the Audio2BS that it was trained on, found among the `runs` of that
        family: a released pair stays a pair, whatever is trained later. Raises `PermanentError` when it is gone."""
        return cls.load(audio2bs_of(residue, runs), residue, device)

    @property
    def mouth(self) -> tuple[str, ...]:
        """The channels that refinement replaces: ARKit's 27 of jaw and mouth, less those the tracker is blind to."""
        return self.audio2bs.mouth

    @property
    def feature_id(self) -> str:
        return self.folder.feature_id

    def style_of(self, style: Motion, channels: Sequence[str]) -> LipStyle:
        """The style frames (k, D) with columns named by `channels` as the residue generator takes them.

        Raises `PermanentError` for missing channels and a style without one whole frame.
        """
        columns = columns_of(self.coefficients, channels, "lip refinement, style")
        frames = torch.tensor(style[:, columns], dtype=torch.float32)
        frames = frames[torch.isfinite(frames).all(dim=1)]
        if not len(frames):
            raise PermanentError("lip refinement: the style has no frame with a face: choose another style clip")
        device = next(self.network.parameters()).device
        own = columns_of(self.mouth, self.coefficients, str(self.folder.path))
        clip = style_clip(self._normal_style(frames), self.config.style_frames)[None]
        return LipStyle(clip.to(device), frames[:, own].mean(dim=0).to(device))

    def mouth_of(self, speech: Motion, style: Motion, channels: Sequence[str]) -> RefinedMouth:
        """The mouth of speech (L, F), emotional as the style frames (k, D) with columns named by `channels`.

        Raises `PermanentError` for speech of another size, and what `style_of` does not take.
        """
        taken = self.style_of(style, channels)
        with torch.inference_mode():
            neutral, state = self.audio2bs.neutral(self.folder.normal_speech(speech))
            residue = self.network(neutral, state, taken.clip)
            mouth = neutral + residue
            if self.config.relative_to_style:
                mouth = mouth - mouth.mean(dim=1, keepdim=True) + taken.level
            mouth = mouth.clamp(0, 1)
        return RefinedMouth(*(v[0].cpu().numpy() for v in (mouth, neutral, residue)))

    def _normal_style(self, frames: Tensor) -> Tensor:
        columns = columns_of(self.coefficients, self.folder.channels, str(self.folder.path))
        return self.folder.states.columns(columns).normal(frames)

    def refine(
        self,
        motion: Motion,
        channels: Sequence[str],
        speech: Motion,
        feature_id: str,
        style: Motion,
        voice: Motion | None = None,
    ) -> Motion:
        """A copy of `motion` (L, D) with another mouth; every other column, the head pose too, keeps its bits.

        speech (L, F) of the features `feature_id`, style (k, D) frames of a reference clip; the columns of motion and
        style are named by `channels`. With `voice` (L,), the activity of `speech.activity`, the mouth rests while
        nobody speaks. Raises `PermanentError` for features that the models were not trained on, another
        number of frames, missing channels, and mouth channels that these models do not make.
        """
        if feature_id != self.feature_id:
            raise PermanentError(
                f"lip refinement: trained on features `{self.feature_id}`, found `{feature_id}`: train the lip models "
                "again, or set speech.feature in the preset"
            )
        if len(speech) != len(motion):
            raise PermanentError(f"lip refinement: {len(motion)} frames of motion, but {len(speech)} of speech")
        columns = columns_of(self.mouth, channels, "lip refinement, motion")
        self._must_own_the_mouth(motion, channels)
        refined = motion.copy()
        refined[:, columns] = self.mouth_of(speech, style, channels).mouth
        if voice is None:
            return refined
        rest = rest_state(style[np.isfinite(style[:, columns]).all(axis=1)], channels)
        return at_rest(refined, channels, rest, voice[: len(motion)])

    def _must_own_the_mouth(self, motion: Motion, channels: Sequence[str]) -> None:
        """A lip of one model beside a lip of another is no mouth; a blind channel's column of NaN is nothing."""
        foreign = [
            name
            for column, name in enumerate(channels)
            if name in JAW_MOUTH_NAMES and name not in self.mouth and not np.isnan(motion[:, column]).all()
        ]
        if foreign:
            raise PermanentError(
                f"lip refinement: the motion has {', '.join(foreign)}, which these models do not make: train EmoDiff "
                "and the lip models on one training set"
            )
