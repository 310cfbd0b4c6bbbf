"""Training Audio2BS on neutral speech: runs of frames, L1 of the mouth and of its motion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.models.audio2bs.config import Audio2BSNetworkConfig, Audio2BSSettings
from magictalk_core.models.audio2bs.linear import Readout, Stretch, fit_readout
from magictalk_core.models.audio2bs.network import Audio2BS, of_channels
from magictalk_core.models.audio2bs.prior import CorrectedReadout, correct_readout
from magictalk_core.models.shared.losses import motion_errors
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder, evenly
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.windows import UNLABELLED, TrainingFrames
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["Audio2BSTask", "speech_of_runs"]

_VALIDATION_RUNS = 256
_SEEDS_PER_RUN = 1_000_003

Indices = NDArray[np.int64]


def speech_of_runs(frames: TrainingFrames, starts: Indices, run: int, config: Audio2BSNetworkConfig) -> Tensor:
    """(B, run + T - 1, k, F): the features that Audio2BS reads for the runs of `run` frames at `starts`."""
    features = np.arange(run + config.window - 1) - (config.window - 1) // 2
    return frames.speech_around(torch.from_numpy(starts[:, None] + features), starts, config.feature_frames)


def _calm_emotions(frames: TrainingFrames) -> frozenset[str] | None:
    """Whose mouths are neutral: clips labelled so. A training set without any is taken as it is, unlabelled clips
    first: HDTF is ordinary speech, and what nobody labelled in a labelled corpus may be any emotion."""
    for emotions in (frozenset({NEUTRAL}), frozenset({UNLABELLED})):
        if len(frames.segments(Split.TRAIN, emotions)):
            return emotions
    return None


class Audio2BSTask:
    """Batches of runs of neutral clips, or of all clips, whose level then counts in the neutral ones alone."""

    def __init__(self, settings: Audio2BSSettings, data: TrainingSet, initial: ModelFolder | None = None) -> None:
        """`initial`: the model that is begun from, in whose scales `data` is read; None: chance."""
        self.config, self.training, self.data = settings.network, settings.training, data
        self.initial = initial
        self.corrected: CorrectedReadout | None = None
        self.frames = TrainingFrames(data)
        self.mouth_columns = self.frames.columns(self.frames.mouth_names)
        self.mouth = self.frames.motion[:, self.mouth_columns]
        calm = _calm_emotions(self.frames)
        self.calm = np.isin(self.frames.emotions, sorted(calm or ())) | (calm is None)
        self.train = self.frames.segments(Split.TRAIN, calm if self.training.clips == "neutral" else None)
        starts = self.frames.training_windows(self.train, self.training.run, self.training.stride)
        self.order = BatchOrder(starts, self.training.batch, self.training.seed)
        held_out = self.frames.segments(Split.VAL, calm)
        self.held_out = self.frames.windows(held_out, self.training.run, self.training.stride)

    def build_network(self) -> nn.Module:
        network = Audio2BS(self.config, self.mouth.shape[1], int(self.data.info["feature_size"]))
        if self.initial is not None:
            return self._begun(network, self.initial)
        if self.config.base == "none":
            network.begin_at(self.frames.states.mean[self.mouth_columns])
            return network
        base = fit_readout(
            self._stretches(), self.config.feature_frames, self.config.base_components, self.config.base_ridge
        )
        network.stand_on(torch.from_numpy(base.weight), torch.from_numpy(base.bias))
        return network

    def _begun(self, network: Audio2BS, initial: ModelFolder) -> Audio2BS:
        """`network` with the weights of `initial`; a base that stands alone is corrected as far as left-out clips
        gain."""
        places = initial.places(self.frames.mouth_names, initial.config["mouth"])
        network.load_state_dict(of_channels(initial.weights(), places))
        if network.is_base_alone:
            prior = Readout(*(value.double().numpy() for value in network.base()))
            stretches, groups = list(self._stretches()), self._groups()
            jaw = self.frames.mouth_names.index("jawOpen")
            self.corrected = correct_readout(prior, stretches, groups, self.config.base_components, jaw)
            found = self.corrected.readout
            network.stand_on(torch.from_numpy(found.weight), torch.from_numpy(found.bias))
        return network

    def _groups(self) -> list[str]:
        """Of the training segments, in order: who speaks, and where that is one person, which clip it is."""
        speakers = self.train["speaker"].astype(str).tolist()
        return speakers if len(set(speakers)) > 1 else self.train["clip_id"].astype(str).tolist()

    def _stretches(self) -> Iterator[Stretch]:
        """What the base is fitted to: the training segments, as the network sees them."""
        for start, length in zip(self.train["start"], self.train["length"], strict=True):
            rows = slice(int(start), int(start) + int(length))
            level_counts = bool(self.calm[self.frames.segment_of(np.array([start]))[0]])
            yield Stretch(self.frames.speech[rows].numpy(), self.mouth[rows].numpy(), level_counts)

    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    def loss(
        self, network: nn.Module, starts: Indices, seed: int, noise: float, part: BatchPart = WHOLE_BATCH
    ) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        speech = speech_of_runs(self.frames, starts, self.training.run, self.config)
        if noise > 0:
            speech = speech + noise * torch.randn(speech.shape, generator=generator)
        wanted = self.mouth[torch.from_numpy(starts[:, None] + np.arange(self.training.run))]
        rank, processes = part
        mine = slice(rank, None, processes)
        found, _ = network(speech[mine].to(device))
        calm = torch.from_numpy(self.calm[self.frames.segment_of(starts)])[mine].to(device)
        errors = motion_errors(found, wanted[mine].to(device), self.training.velocity_weight, calm)
        return errors.sum() * (processes / len(starts))

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        seed = self.training.seed * _SEEDS_PER_RUN + step
        return self.loss(network, self.order.batch(step), seed, self.training.speech_noise, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        if not len(self.held_out):
            return None
        return float(self.loss(network, evenly(self.held_out, _VALIDATION_RUNS), 0, 0.0))

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        facts = {"network": self.config.model_dump(mode="json"), "mouth": list(self.frames.mouth_names)}
        if self.corrected is not None:
            # As words: JSON has no infinity.
            tried = {f"{penalty:g}": round(r, 4) for penalty, r in self.corrected.tried.items()}
            facts["readout"] = {"penalty": f"{self.corrected.penalty:g}", "left_out_r": tried}
        return facts
