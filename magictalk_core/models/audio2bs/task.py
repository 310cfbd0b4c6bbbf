"""Training Audio2BS on neutral speech: runs of frames, L1 of the mouth and of its motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.config import LipsConfig, TrainingConfig
from magictalk_core.models.audio2bs.network import Audio2BS
from magictalk_core.models.shared.losses import motion_errors
from magictalk_core.models.shared.model_folder import save_lip_model
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.windows import LipFrames, batch_of, evenly
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["Audio2BSTask", "speech_of_runs"]

_VALIDATION_RUNS = 256
_SEEDS_PER_RUN = 1_000_003
_CALM = frozenset({NEUTRAL, ""})
"""Neutral clips, and those of corpora without emotion labels (HDTF), which are ordinary speech."""

Indices = NDArray[np.int64]


def speech_of_runs(frames: LipFrames, starts: Indices, config: LipsConfig) -> Tensor:
    """(B, run + T - 1, k, F): the features that Audio2BS reads for the runs of frames at `starts`."""
    features = np.arange(config.run + config.window - 1) - (config.window - 1) // 2
    return frames.speech_around(torch.from_numpy(starts[:, None] + features), starts, config.feature_frames)


class Audio2BSTask:
    """Batches of runs of neutral clips; of all clips when the training set has no neutral or unlabelled one."""

    def __init__(self, config: LipsConfig, training: TrainingConfig, data: TrainingSet) -> None:
        self.config, self.training, self.data = config, training, data
        self.frames = LipFrames(data)
        self.mouth = self.frames.motion[:, self.frames.mouth]
        calm = _CALM if len(self.frames.segments(Split.TRAIN, _CALM)) else None
        self.calm = np.isin(self.frames.emotions, sorted(_CALM)) | (calm is None)
        train = self.frames.segments(Split.TRAIN, calm if config.audio2bs_clips == "neutral" else None)
        self.starts = self.frames.training_runs(train, config.run, config.stride)
        self.held_out = self.frames.runs(self.frames.segments(Split.VAL, calm), config.run, config.stride)

    def build_network(self) -> nn.Module:
        network = Audio2BS(self.config, self.mouth.shape[1], int(self.data.info["feature_size"]))
        network.begin_at(self.frames.mean[self.frames.mouth])
        return network

    def steps_per_epoch(self) -> int:
        return max(1, len(self.starts) // self.training.batch)

    def loss(
        self, network: nn.Module, starts: Indices, seed: int, noise: float, part: BatchPart = WHOLE_BATCH
    ) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        speech = speech_of_runs(self.frames, starts, self.config)
        if noise > 0:
            speech = speech + noise * torch.randn(speech.shape, generator=generator)
        wanted = self.mouth[torch.from_numpy(starts[:, None] + np.arange(self.config.run))]
        rank, processes = part
        mine = slice(rank, None, processes)
        found, _ = network(speech[mine].to(device))
        calm = torch.from_numpy(self.calm[self.frames.segment_of(starts)])[mine].to(device)
        errors = motion_errors(found, wanted[mine].to(device), self.config.velocity_weight, calm)
        return errors.sum() * (processes / len(starts))

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        starts = batch_of(self.starts, self.training.batch, self.training.seed, step)
        return self.loss(network, starts, self.training.seed * _SEEDS_PER_RUN + step, self.config.speech_noise, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        if not len(self.held_out):
            return None
        return float(self.loss(network, evenly(self.held_out, _VALIDATION_RUNS), 0, 0.0))

    def save_model(self, weights: dict[str, Tensor], folder: Path) -> None:
        settings = {"lips": self.config.model_dump(mode="json"), "mouth": list(self.frames.mouth_names)}
        save_lip_model("audio2bs", weights, self.data, settings, folder)
