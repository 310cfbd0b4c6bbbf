"""EmoDiff as a training task: windows, styles and noise of one step, and the loss of Eq. 4.

Every random choice of a step is drawn from generators seeded by (seed, step), and the order of windows by
(seed, epoch). So a resumed run sees exactly what an unbroken run sees.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from magictalk_core.config import Preset
from magictalk_core.corpora.records import Split
from magictalk_core.emodiff.conditions import STYLE_FRAMES, condition_matrix
from magictalk_core.emodiff.diffusion import NoiseSchedule
from magictalk_core.emodiff.network import Denoiser
from magictalk_core.emodiff.styles import StyleBank
from magictalk_core.errors import PermanentError
from magictalk_core.training.dataset import TrainingSet

__all__ = ["EMODIFF_VERSION", "EmoDiffTask"]

EMODIFF_VERSION = "1"
"""Bumped when the same data and settings would train another model."""

_VALIDATION_SEED = 2**31 - 1


class EmoDiffTask:
    """Builds batches from a training set and computes the loss of the denoiser."""

    def __init__(self, preset: Preset, data: TrainingSet) -> None:
        self.preset, self.data = preset, data
        self.window = int(data.info["window"])
        self.schedule = NoiseSchedule(preset.emodiff)
        numbers = {
            k: {m: torch.tensor(v, dtype=torch.float32) for m, v in n.items()} for k, n in data.normalizer.items()
        }
        # The arrays of a whole corpus fit in memory once more in normalised form: about 300 bytes a frame.
        self.states = (torch.from_numpy(np.array(data.states)) - numbers["states"]["mean"]) / numbers["states"]["std"]
        features = torch.from_numpy(np.array(data.features))
        self.features = (features - numbers["features"]["mean"]) / numbers["features"]["std"]
        self.starts = {split: self._window_starts(split) for split in (Split.TRAIN, Split.VAL)}
        self._prepare_style_pools()

    def build_network(self) -> nn.Module:
        size = int(self.data.info["feature_size"])
        return Denoiser(self.preset.emodiff, self.window, self.states.shape[1], size)

    def _window_starts(self, split: Split) -> NDArray[np.int64]:
        rows = self.data.index[self.data.index["split"] == split]
        stride = self.preset.training_set.stride
        spans = zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)
        starts = [np.arange(start, start + n - self.window + 1, stride) for start, n in spans]
        return np.concatenate(starts) if starts else np.zeros(0, np.int64)

    def _prepare_style_pools(self) -> None:
        """For every segment the frames its style may come from: another clip of the same speaker and emotion.

        Where the speaker has no other clip of that emotion, the segment itself is the pool, and the window is left out
        when drawing if anything remains.
        """
        index = self.data.index.reset_index(drop=True)
        spans = list(zip(index["start"].tolist(), index["length"].tolist(), strict=True))
        frames = [np.arange(start, start + n) for start, n in spans]
        clips = index["clip_id"].tolist()
        keys = index[["corpus", "speaker", "emotion", "split"]].fillna("").agg("|".join, axis=1)
        self.segment_of = np.zeros(len(self.states), np.int64)
        self.pools: list[NDArray[np.int64]] = []
        members: dict[str, list[int]] = {str(k): list(map(int, v)) for k, v in pd.Series(index.index).groupby(keys)}
        for segment, (start, n) in enumerate(spans):
            self.segment_of[start : start + n] = segment
            others = [i for i in members[str(keys[segment])] if clips[i] != clips[segment]]
            self.pools.append(np.concatenate([frames[i] for i in others]) if others else frames[segment])

    def _style(self, starts: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        picks = np.zeros((len(starts), STYLE_FRAMES), np.int64)
        numbers = torch.rand(len(starts), STYLE_FRAMES, generator=generator, dtype=torch.float64).numpy()
        for i, start in enumerate(starts):
            pool = self.pools[self.segment_of[start]]
            outside = pool[(pool < start) | (pool >= start + self.window)]
            pool = outside if len(outside) >= STYLE_FRAMES else pool
            picks[i] = pool[(numbers[i] * len(pool)).astype(np.int64)]
        return self.states[torch.from_numpy(picks)]

    def steps_per_epoch(self) -> int:
        if not len(self.starts[Split.TRAIN]):
            raise PermanentError("the training split holds no window: add clips or lower training_set.window")
        return max(1, len(self.starts[Split.TRAIN]) // self.preset.emodiff_training.batch)

    def batch_starts(self, step: int) -> NDArray[np.int64]:
        """Window starts of optimizer step `step`, a pure function of (seed, step)."""
        epoch, position = divmod(step, self.steps_per_epoch())
        order = np.random.default_rng([self.preset.emodiff_training.seed, epoch]).permutation(self.starts[Split.TRAIN])
        batch = self.preset.emodiff_training.batch
        return np.asarray(order[position * batch : (position + 1) * batch])

    def loss(self, network: nn.Module, starts: NDArray[np.int64], seed: int, drop: float) -> Tensor:
        """Mean squared error of the predicted noise (Eq. 4) on the windows that begin at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        frames = torch.from_numpy(starts[:, None] + np.arange(self.window))
        x0, speech = self.states[frames], self.features[frames]
        condition = condition_matrix(x0[:, 0], self._style(starts, generator), self.window)
        t = torch.randint(self.preset.emodiff.steps, (len(starts),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        dropped = torch.rand(len(starts), generator=generator) < drop
        noisy = self.schedule.add_noise(x0, noise, t)
        predicted = network(*(v.to(device) for v in (noisy, t, condition, speech, dropped)))
        return nn.functional.mse_loss(predicted, noise.to(device))

    def training_loss(self, network: nn.Module, step: int) -> Tensor:
        seed = self.preset.emodiff_training.seed * 1_000_003 + step
        return self.loss(network, self.batch_starts(step), seed, self.preset.emodiff.condition_drop)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        """The loss on up to 256 evenly chosen validation windows, with noise that is the same every time."""
        starts = self.starts[Split.VAL]
        if not len(starts):
            return None
        chosen = starts[np.linspace(0, len(starts) - 1, min(256, len(starts))).round().astype(int)]
        return float(self.loss(network, chosen, _VALIDATION_SEED, 0.0))

    def save_model(self, weights: dict[str, Tensor], folder: Path) -> None:
        """What generation needs: weights, settings, normalisation, styles."""
        save_file({k: v.cpu().contiguous() for k, v in weights.items()}, folder / "model.safetensors")
        config = {
            "family": "emodiff",
            "version": EMODIFF_VERSION,
            "emodiff": self.preset.emodiff.model_dump(mode="json"),
            "channels": list(self.data.channels),
            "window": self.window,
            "fps": self.preset.media.fps,
            "feature_id": self.data.info["feature_id"],
            "feature_size": self.data.info["feature_size"],
            "tracker_kind": self.data.info["tracker_kind"],
            "training_set": self.data.info["digest"],
            "corpora": self.data.info["corpora"],
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (folder / "normalizer.json").write_text(json.dumps(self.data.normalizer), encoding="utf-8")
        StyleBank.from_training_set(self.data).save(folder)
