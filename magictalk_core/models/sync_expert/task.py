"""Training the lip-sync expert: windows in sync against windows of the same clip that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.models.sync_expert.calibration import best_threshold, confidences
from magictalk_core.models.sync_expert.config import SyncExpertSettings
from magictalk_core.models.sync_expert.network import SyncExpert, pair_errors, sync_probability
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder, evenly
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.windows import TrainingFrames
from magictalk_core.vocabulary.clips import Split

__all__ = ["SyncExpertTask"]

_VALIDATION_SEED = 2**31 - 1
_VALIDATION_WINDOWS = 256
_SEEDS_PER_RUN = 1_000_003

Indices = NDArray[np.int64]


class SyncExpertTask:
    """Pairs of motion and speech windows, and their binary cross-entropy: one pair in sync, `negatives` pairs not."""

    def __init__(self, settings: SyncExpertSettings, data: TrainingSet) -> None:
        self.config, self.training, self.data = settings.network, settings.training, data
        self.frames = TrainingFrames(data)
        self.names = self.frames.mouth_names if self.config.channels == "mouth" else self.frames.coefficient_names
        self.motion = self.frames.normal[:, self.frames.columns(self.names)]
        train = self._starts(Split.TRAIN)
        if not len(train):
            raise PermanentError(f"lips: no training clip has {self._least()} frames: too short to be out of sync")
        self.order = BatchOrder(train, self.training.batch, self.training.seed)
        self.held_out = self._starts(Split.VAL)

    def _least(self) -> int:
        return self.config.frames + 2 * self.training.min_shift

    def _starts(self, split: Split) -> Indices:
        """Windows of segments so long that every window has a partner out of sync."""
        segments = self.frames.segments(split)
        return self.frames.windows(segments[segments["length"] >= self._least()], self.config.frames, 1)

    def build_network(self) -> nn.Module:
        return SyncExpert(self.config, len(self.names), int(self.data.info["feature_size"]))

    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    def _shifted(self, starts: Indices, generator: torch.Generator) -> Indices:
        """(B, negatives) starts in the same segment, at least `min_shift` frames away."""
        rows = self.frames.segment_of(starts)
        first, last = self.frames.starts[rows], self.frames.ends[rows] - self.config.frames
        before = np.maximum(starts - self.training.min_shift - first + 1, 0)
        after = np.maximum(last - starts - self.training.min_shift + 1, 0)
        share = torch.rand(len(starts), self.training.negatives, generator=generator, dtype=torch.float64).numpy()
        place = (share * (before + after)[:, None]).astype(np.int64)
        late = starts[:, None] + self.training.min_shift + place - before[:, None]
        return np.asarray(np.where(place < before[:, None], first[:, None] + place, late))

    def _disturbed(self, values: Tensor, noise: float, level: float, generator: torch.Generator) -> Tensor:
        """Noise on every value, and one offset per window and channel: the level of a face tells nothing about sync."""
        if noise > 0:
            values = values + noise * torch.randn(values.shape, generator=generator)
        if level > 0:
            offsets = torch.randn(*values.shape[:-2], 1, values.shape[-1], generator=generator)
            values = values + level * offsets
        return values

    def loss(
        self, network: nn.Module, starts: Indices, seed: int, disturb: bool, part: BatchPart = WHOLE_BATCH
    ) -> Tensor:
        """Half of the weight on the pair in sync, half on the pairs out of sync, of the windows at `starts`."""
        generator = torch.Generator().manual_seed(seed)
        device = next(network.parameters()).device
        training, offsets = self.training, np.arange(self.config.frames)
        others = np.concatenate([starts[:, None], self._shifted(starts, generator)], axis=1)
        motion = self.motion[torch.from_numpy(starts[:, None] + offsets)]
        speech = self.frames.speech[torch.from_numpy(others[:, :, None] + offsets)]
        if disturb:
            motion = self._disturbed(motion, training.motion_noise, training.level_noise, generator)
            speech = self._disturbed(speech, training.speech_noise, 0.0, generator)
        rank, processes = part
        motion, speech = motion[rank::processes].to(device), speech[rank::processes].to(device)
        moved, heard = network(motion, speech.flatten(0, 1))
        probability = sync_probability(moved[:, None], heard.unflatten(0, speech.shape[:2]))
        in_sync = torch.zeros_like(probability, dtype=torch.bool)
        in_sync[:, 0] = True
        errors = pair_errors(probability, in_sync)
        return (errors[:, 0] + errors[:, 1:].mean(dim=1)).sum() / 2 * (processes / len(starts))

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        return self.loss(network, self.order.batch(step), self.training.seed * _SEEDS_PER_RUN + step, True, part)

    @torch.no_grad()
    def validation_loss(self, network: nn.Module) -> float | None:
        if not len(self.held_out):
            return None
        return float(self.loss(network, evenly(self.held_out, _VALIDATION_WINDOWS), _VALIDATION_SEED, False))

    def _threshold(self, weights: dict[str, Tensor]) -> float | None:
        """Of the held-out clips; None without two of them: the network knows its training clips by heart."""
        network = SyncExpert(self.config, len(self.names), int(self.data.info["feature_size"]))
        network.load_state_dict({name: value.cpu() for name, value in weights.items()})
        rows = self.frames.segments(Split.VAL)
        rows = rows[rows["length"] >= self.config.frames]
        motion, speech = [], []
        for start, length in zip(rows["start"].tolist(), rows["length"].tolist(), strict=True):
            frames = torch.arange(start, start + length).unfold(0, self.config.frames, 1)
            moved, heard = network(self.motion[frames], self.frames.speech[frames])
            motion.append(moved)
            speech.append(heard)
        return best_threshold(*confidences(motion, speech))

    @torch.no_grad()
    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        facts = {"network": self.config.model_dump(mode="json"), "min_shift": self.training.min_shift}
        return {**facts, "names": list(self.names), "threshold": self._threshold(weights)}
