"""A trained Audio2BS in use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from magictalk_core.models.audio2bs.config import Audio2BSNetworkConfig
from magictalk_core.models.audio2bs.network import Audio2BS
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training_set.speech_context import speech_around

__all__ = ["Audio2BSModel"]


@dataclass(frozen=True, eq=False)
class Audio2BSModel:
    """Weights and everything needed to use them; `mouth` names the M columns that it predicts."""

    folder: ModelFolder
    config: Audio2BSNetworkConfig
    mouth: tuple[str, ...]
    network: Audio2BS

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Audio2BSModel:
        """Load a model folder as training leaves it. Raises `PermanentError` when it holds another family."""
        folder = ModelFolder.open(path, ("audio2bs",))
        config, mouth = Audio2BSNetworkConfig.model_validate(folder.config["network"]), tuple(folder.config["mouth"])
        network = Audio2BS(config, len(mouth), folder.feature_size)
        network.load_state_dict(folder.weights())
        network.eval().requires_grad_(False).to(device)
        return cls(folder, config, mouth, network)

    @torch.no_grad()
    def neutral(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised speech (L, F) -> neutral mouth (1, L, M) in 0..1 and states (1, L, H), on the model's device."""
        frames = torch.arange(len(speech) + self.config.window - 1)[None] - (self.config.window - 1) // 2
        low, high = torch.tensor([0]), torch.tensor([len(speech)])
        windows = speech_around(speech, frames, low, high, self.config.feature_frames)
        mouth, state = self.network(windows.to(next(self.network.parameters()).device))
        return mouth, state
