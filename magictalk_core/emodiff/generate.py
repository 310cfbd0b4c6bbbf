"""A trained EmoDiff: motion of any length by Algorithm 1, long-term dynamic sampling."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from magictalk_core.config import EmoDiffConfig
from magictalk_core.emodiff.conditions import condition_matrix, draw_style
from magictalk_core.emodiff.diffusion import guided, sample
from magictalk_core.emodiff.network import Denoiser
from magictalk_core.errors import PermanentError
from magictalk_core.faces.arkit import POSE_NAMES

__all__ = ["EmoDiffModel"]


@dataclass(frozen=True, eq=False)
class EmoDiffModel:
    """Weights and everything needed to use them. `channels` names the D columns of states, styles and results."""

    network: Denoiser
    config: EmoDiffConfig
    channels: tuple[str, ...]
    feature_id: str
    window: int
    fps: int
    mean: Tensor
    std: Tensor
    feature_mean: Tensor
    feature_std: Tensor

    @classmethod
    def load(cls, path: Path) -> EmoDiffModel:
        """Load a model folder as training leaves it (safetensors and JSON)."""
        if not (path / "model.safetensors").is_file():
            raise PermanentError(f"no EmoDiff model at {path}: type `magictalk run --select models/emodiff`")
        info = json.loads((path / "config.json").read_text(encoding="utf-8"))
        normalizer = json.loads((path / "normalizer.json").read_text(encoding="utf-8"))
        config = EmoDiffConfig.model_validate(info["emodiff"])
        network = Denoiser(config, info["window"], len(info["channels"]), info["feature_size"])
        network.load_state_dict(load_file(path / "model.safetensors"))
        network.eval().requires_grad_(False)
        numbers = [
            torch.tensor(normalizer[a][b], dtype=torch.float32) for a in ("states", "features") for b in ("mean", "std")
        ]
        return cls(network, config, tuple(info["channels"]), info["feature_id"], info["window"], info["fps"], *numbers)

    @property
    def mean_state(self) -> NDArray[np.float32]:
        """(D,) mean of the training split, the baseline that every method must beat."""
        return self.mean.numpy()

    def generate(
        self,
        speech: NDArray[np.float32],
        style: NDArray[np.float32],
        initial: NDArray[np.float32] | None = None,
        seed: int = 0,
        on_window: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Motion (L, D) in natural units for speech features (L, F); coefficients in [0, 1].

        style (k, D) frames of a reference clip, three of which are drawn anew for every window. initial (D,) the state
        to start from; None draws one of the style frames. Windows advance by N - 1 frames: the last state of one is the
        initial state of the next. The end is padded by repeating the last feature and cut. Source: Algorithm 1.
        """
        length = len(speech)
        step = self.window - 1
        windows = max(1, -(-(length - 1) // step))
        padded = np.concatenate([speech, np.repeat(speech[-1:], windows * step + 1 - length, axis=0)])
        features = (torch.from_numpy(padded) - self.feature_mean) / self.feature_std
        frames = (torch.from_numpy(np.ascontiguousarray(style)) - self.mean) / self.std
        generator = torch.Generator().manual_seed(seed)
        state = draw_style(frames, 1, generator)[:, 0]
        if initial is not None:
            state = ((torch.from_numpy(initial) - self.mean) / self.std)[None]
        result = torch.zeros(windows * step + 1, len(self.channels))
        for number in range(windows):
            start = number * step
            condition = condition_matrix(state, draw_style(frames, 1, generator), self.window)
            motion = self._window(condition, features[None, start : start + self.window], generator)
            # The first window also writes frame 0; later ones leave the frame that both windows share as it was.
            first = 0 if number == 0 else 1
            result[start + first : start + self.window] = motion[0, first:]
            state = motion[:, -1]
            if on_window:
                on_window(number + 1, windows)
        return self._natural(result[:length])

    def _window(self, condition: Tensor, speech: Tensor, generator: torch.Generator) -> Tensor:
        batch = len(condition)
        both, sound = torch.cat([condition, condition]), torch.cat([speech, speech])
        dropped = torch.tensor([False] * batch + [True] * batch)

        def predict(x: Tensor, t: Tensor) -> Tensor:
            noise = self.network(torch.cat([x, x]), torch.cat([t, t]), both, sound, dropped)
            conditional, unconditional = noise.chunk(2)
            return guided(conditional, unconditional, self.config.guidance)

        with torch.inference_mode():
            return sample(predict, (batch, self.window, len(self.channels)), self.config, generator)

    def _natural(self, motion: Tensor) -> NDArray[np.float32]:
        values = (motion * self.std + self.mean).numpy().astype(np.float32)
        coefficients = [i for i, name in enumerate(self.channels) if name not in POSE_NAMES]
        values[:, coefficients] = values[:, coefficients].clip(0.0, 1.0)
        return values
