"""Training Emotion-FAN: a few frames of a clip, and the emotion that the clip is labelled with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.errors import PermanentError
from magictalk_core.judges.emotion_fan import FanNetwork, FanShape
from magictalk_core.models.emotion_fan.config import EmotionFanSettings
from magictalk_core.models.emotion_fan.faces import ClipFaces
from magictalk_core.training.task import WHOLE_BATCH, BatchPart
from magictalk_core.training_set.batches import BatchOrder
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["EmotionFanTask"]

_SEEDS_PER_RUN = 1_000_003
_VALIDATION_BATCH = 32

Indices = NDArray[np.int64]


class EmotionFanTask:
    """Cross-entropy over the eight emotions, of `frames` frames of every clip of a batch. Emotions that no training
    clip shows are classes that the model will hardly ever name."""

    def __init__(self, settings: EmotionFanSettings, data: TrainingSet) -> None:
        self.config, self.training = settings.network, settings.training
        self.clips = ClipFaces.cut(data, self.config.side, self.training.clip_frames)
        self.trained, self.held_out = self.clips.rows(Split.TRAIN), self.clips.rows(Split.VAL)
        if len(set(self.clips.emotions[self.trained].tolist())) < 2:
            raise PermanentError(f"{data.path}: the training clips show fewer than two emotions: nothing to tell apart")
        self.order = BatchOrder(self.trained, min(self.training.batch, len(self.trained)), self.training.seed)

    def build_network(self) -> nn.Module:
        return FanNetwork(FanShape(self.config.width, self.config.blocks, len(EMOTIONS)))

    def steps_per_epoch(self) -> int:
        return self.order.steps_per_epoch

    def _faces(self, rows: Indices, seed: int) -> Tensor:
        """(b, frames, 3, S, S) in 0..1: frames of the clips, mirrored, moved and lit by chance."""
        rng = np.random.default_rng(seed)
        kept, side = self.training.clip_frames, self.config.side
        # A third of a clip each, as Emotion-FAN draws its three frames, so that none is seen twice in a step.
        edges = np.linspace(0, kept, self.training.frames + 1)
        draws = rng.uniform(edges[:-1], edges[1:], (len(rows), self.training.frames)).astype(np.int64)
        mirrored = rng.random(len(rows)) < 0.5
        moves = np.round(rng.uniform(-1, 1, (len(rows), 2)) * self.training.shift * side).astype(int)
        light = np.maximum(0.2, rng.normal(1, self.training.light_noise, len(rows))).astype(np.float32)
        reach = int(np.ceil(self.training.shift * side))
        found = np.empty((len(rows), self.training.frames, side, side, 3), np.float32)
        for i, row in enumerate(rows):
            crops = np.asarray(self.clips.crops[row])[np.minimum(draws[i], kept - 1)]
            padded = np.pad(crops, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
            top, left = reach + moves[i]
            cut = padded[:, top : top + side, left : left + side]
            found[i] = (cut[:, :, ::-1] if mirrored[i] else cut) * (light[i] / 255)
        return torch.from_numpy(found.clip(0, 1)).permute(0, 1, 4, 2, 3)

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        rows = self.order.batch(step)
        faces = self._faces(rows, self.training.seed * _SEEDS_PER_RUN + step)
        rank, processes = part
        device = next(network.parameters()).device
        wanted = torch.from_numpy(self.clips.emotions[rows][rank::processes]).to(device)
        logits = network(faces[rank::processes].to(device))
        return functional.cross_entropy(logits.float(), wanted, reduction="sum") * (processes / len(rows))

    def validation_loss(self, network: nn.Module) -> float | None:
        """Over all held-out clips with all of their kept frames, as the finished model is asked."""
        if not len(self.held_out):
            return None
        wanted = torch.from_numpy(self.clips.emotions[self.held_out])
        return float(functional.cross_entropy(self._logits(network, self.held_out), wanted))

    @torch.no_grad()
    def _logits(self, network: nn.Module, rows: Indices) -> Tensor:
        device, found = next(network.parameters()).device, []
        for start in range(0, len(rows), _VALIDATION_BATCH):
            crops = np.asarray(self.clips.crops[rows[start : start + _VALIDATION_BATCH]])
            faces = torch.from_numpy(crops.astype(np.float32) / 255).permute(0, 1, 4, 2, 3)
            found.append(network(faces.to(device)).float().cpu())
        return torch.cat(found)

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        """`validation_accuracy` is over the held-out clips: the upper bound that a score by this model is read with."""
        network = self.build_network()
        network.load_state_dict({name: value.cpu() for name, value in weights.items()})
        network.eval()
        accuracy = None
        if len(self.held_out):
            named = self._logits(network, self.held_out).argmax(dim=1).numpy()
            accuracy = float((named == self.clips.emotions[self.held_out]).mean())
        counts = Counter(EMOTIONS[i] for i in self.clips.emotions[self.trained])
        return {
            "network": self.config.model_dump(mode="json"),
            "labels": list(EMOTIONS),
            "training_clips": {name: counts[name] for name in EMOTIONS},
            "validation_accuracy": accuracy,
            "validation_clips": len(self.held_out),
        }
