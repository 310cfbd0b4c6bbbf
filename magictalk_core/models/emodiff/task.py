"""EmoDiff as a training task: windows, styles and noise of one step, and the loss of Eq. 4.

Every random choice of a step is drawn from a generator seeded by (seed, step), and the order of windows by
(seed, epoch). So a resumed run sees exactly what an unbroken run sees, and no random state needs saving.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.config import TrainingConfig
from magictalk_core.models.emodiff.conditions import STYLE_FRAMES, condition_matrix
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig, EmoDiffSettings
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, hold_first
from magictalk_core.models.emodiff.network import of_channels
from magictalk_core.models.emodiff.trained import denoiser_for, describe_emodiff, sample_of
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder, evenly
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.style_pool import StylePools
from magictalk_core.training_set.windows import TrainingFrames
from magictalk_core.vocabulary.clips import Split

__all__ = ["DenoisingWindows", "EmoDiffTask"]

_STYLE_NOISE = 0.2
"""Noise on style frames over that on the speech: levels are what they are for."""

_VALIDATION_SEED = 2**31 - 1
_VALIDATION_WINDOWS = 128
_SEEDS_PER_RUN = 1_000_003

Indices = NDArray[np.int64]


class DenoisingWindows:
    """The windows of a training set as a denoiser takes them: states around their style, conditions, speech."""

    def __init__(self, data: TrainingSet, config: EmoDiffNetworkConfig, training: TrainingConfig) -> None:
        self.data, self.config = data, config
        self.length = int(data.info["window"])
        self.frames = TrainingFrames(data)
        train, held_out = (self.frames.segments(split) for split in (Split.TRAIN, Split.VAL))
        stride = int(data.info["stride"])
        starts = self.frames.training_windows(train, self.length, stride)
        self.order = BatchOrder(starts, training.batch, training.seed)
        self.held_out = self.frames.windows(held_out, self.length, stride)
        self.styles = StylePools(data.index, self.length)
        self._sums = self.styles.sums(self.frames.normal) if config.is_relative else None

    @property
    def is_relative(self) -> bool:
        return self._sums is not None

    def places(self, starts: Indices) -> Tensor:
        """(B, window) frames of the windows that begin at `starts`."""
        return torch.from_numpy(starts[:, None] + np.arange(self.length))

    def states(self, starts: Indices) -> Tensor:
        """(B, window, D) normalised; the differences to the mean of each window's style pool where that is asked."""
        found = self.frames.normal[self.places(starts)]
        return found if self._sums is None else found - self.styles.means(starts, self._sums, STYLE_FRAMES)[:, None]

    def style(self, starts: Indices, generator: torch.Generator) -> Tensor:
        """(B, 3, D) style frames, normalised."""
        return self.frames.normal[torch.from_numpy(self.styles.draw(starts, STYLE_FRAMES, generator))]

    def condition(self, initial: Tensor, style: Tensor) -> Tensor:
        return condition_matrix(initial, None if self.config.style == "none" else style, self.length)

    def speech(self, starts: Indices) -> Tensor:
        """(B, window, F') of every frame, with its context."""
        width = 2 * self.config.speech_context + 1
        return self.frames.speech_around(self.places(starts), starts, width).flatten(2)


class EmoDiffTask:
    """Builds batches from a training set and computes the loss of the denoiser."""

    def __init__(self, settings: EmoDiffSettings, data: TrainingSet, initial: ModelFolder | None = None) -> None:
        """`initial`: the model that is begun from, in whose scales `data` is read; None: chance."""
        self.config, self.training, self.sampling = settings.network, settings.training, settings.sampling
        self.data, self.initial = data, initial
        self.schedule = NoiseSchedule(self.config)
        self.windows = DenoisingWindows(data, self.config, self.training)

    def build_network(self) -> nn.Module:
        network = denoiser_for(self.data, self.config)
        if self.initial is not None:
            places = self.initial.places(self.data.channels)
            network.load_state_dict(of_channels(self.initial.weights(), places, len(self.initial.channels)))
        return network

    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the training windows; the few that are left over change with every epoch."""
        return self.windows.order.steps_per_epoch

    def loss(
        self,
        network: nn.Module,
        starts: Indices,
        seed: int,
        drop: float,
        blur: float,
        levels: float = 0.0,
        part: BatchPart = WHOLE_BATCH,
    ) -> Tensor:
        """Weighted squared error of the predicted noise (Eq. 4) on the windows that begin at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        x0 = self.windows.states(starts)
        style = self.windows.style(starts, generator)
        if levels > 0:
            # Another face of the same mood: the level must come from the conditions, not from the few known people.
            offset = levels * torch.randn(len(starts), 1, x0.shape[2], generator=generator)
            style = style + offset
            x0 = x0 if self.windows.is_relative else x0 + offset
        condition = self.windows.condition(x0[:, 0], style)
        t = torch.randint(self.config.steps, (len(starts),), generator=generator)
        noise = torch.randn(x0.shape, generator=generator)
        dropped = torch.rand(len(starts), generator=generator) < drop
        held = self.config.fixed_initial_frame
        noisy = hold_first(self.schedule.add_noise(x0, noise, t), x0[:, 0] if held else None)
        speech = self.windows.speech(starts)
        if blur > 0:
            # Hardly on the given frames, not at all on the initial state: a window that doubts it begins with a jump.
            given = condition[:, 1:, -1:]
            noises = torch.randn(condition[:, 1:, :-1].shape, generator=generator)
            condition[:, 1:, :-1] += _STYLE_NOISE * blur * given * noises
            speech = speech + blur * torch.randn(speech.shape, generator=generator)
        rank, processes = part
        mine = slice(rank, None, processes)
        predicted = network(*(v[mine].to(device) for v in (noisy, t, condition, speech, dropped)))
        errors: Tensor = (predicted - noise[mine].to(device))[:, 1 if held else 0 :].square().mean(dim=(1, 2))
        weights = self.schedule.loss_weights(self.training.loss)[t[mine]].to(device)
        return (errors * weights).sum() * (processes / len(starts))

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        settings, starts = self.training, self.windows.order.batch(step)
        noises = settings.condition_noise, settings.level_noise
        return self.loss(network, starts, settings.seed * _SEEDS_PER_RUN + step, settings.condition_drop, *noises, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        """The loss on evenly chosen validation windows, with noise that is the same every time; None without any."""
        starts = self.windows.held_out
        if not len(starts):
            return None
        return float(self.loss(network, evenly(starts, _VALIDATION_WINDOWS), _VALIDATION_SEED, 0.0, 0.0))

    def sample_motion(self, weights: dict[str, Tensor]) -> NDArray[np.float32] | None:
        return sample_of(weights, self.config, self.sampling, self.data)

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        return describe_emodiff(self.config, self.sampling, self.data, folder, self.initial)
