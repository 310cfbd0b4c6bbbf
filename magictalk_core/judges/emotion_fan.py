"""Emotion-FAN: which of eight emotions a video shows, by a ResNet whose frames are weighed by attention.

Meng et al., Frame attention networks for facial expression recognition in videos (2019), in the form that the field
retrained on MEAD: relation attention, a 1024-8 head, eight classes (yuangan/evaluation_eat,
code/emotionfan_basiccode/networks.py). Those weights are not public, so the project trains its own
(`models/emotion_fan`); a checkpoint in the public layout loads here too. Crops differ from the field's: a square of the
detected face, not dlib's turned face chips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import MissingWeights, PermanentError
from magictalk_core.judges.face_crops import FaceFinder, crop_all
from magictalk_core.judges.published import as_batches, load_strictly, ready, state_dict_of
from magictalk_core.metrics.pictures import picture_batch
from magictalk_core.training.model_folder import ModelFolder

__all__ = ["FACE_SCALE", "OWN_EMOTION_FAN", "PUBLIC_LABELS", "EmotionFan", "FanNetwork", "FanShape"]

OWN_EMOTION_FAN = "own model `emotion_fan`"
"""Whose weights those of a model folder are, in words."""

FACE_SCALE = 1.0
"""Sides of a crop over the longer side of the detected face."""

PUBLIC_LABELS = ("happy", "angry", "disgusted", "fear", "sad", "neutral", "surprised", "contempt")
"""Order of the classes in the field's checkpoint, in MEAD's words."""


@dataclass(frozen=True)
class FanShape:
    """`width` of the first of four stages, each twice as wide as the one before; `blocks` in each. `is_public`: the
    layers of the public layout: batch normalisation, and a head for self-attention, which is in the file and not used.
    Otherwise groups of 8 channels are normalised, which a batch on several processes and an average of weights leave as
    they are."""

    width: int = 64
    blocks: int = 2
    classes: int = 8
    is_public: bool = False

    def norm(self, width: int) -> nn.Module:
        return nn.BatchNorm2d(width) if self.is_public else nn.GroupNorm(width // math.gcd(width, 8), width)

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.width * 2**stage for stage in range(4))


class _Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, shape: FanShape) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = shape.norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = shape.norm(width)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), shape.norm(width))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))


class FanNetwork(nn.Module):
    """A ResNet-18 per frame, attention over the frames; the names of the weights are those of the public layout."""

    def __init__(self, shape: FanShape) -> None:
        super().__init__()
        first, last = shape.widths[0], shape.widths[-1]
        self.is_public = shape.is_public
        self.conv1 = nn.Conv2d(3, first, 7, 2, 3, bias=False)
        self.bn1 = shape.norm(first)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = first
        for number, width in enumerate(shape.widths, 1):
            strides = [1 if number == 1 else 2, *[1] * (shape.blocks - 1)]
            stage = []
            for stride in strides:
                stage.append(_Block(channels, width, stride, shape))
                channels = width
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.alpha = nn.Sequential(nn.Linear(last, 1), nn.Sigmoid())
        self.beta = nn.Sequential(nn.Linear(2 * last, 1), nn.Sigmoid())
        if shape.is_public:
            self.pred_fc1 = nn.Linear(last, shape.classes)
        self.pred_fc2 = nn.Linear(2 * last, shape.classes)

    def features(self, faces: Tensor) -> Tensor:
        """Faces (b, 3, S, S) in 0..1 to (b, F)."""
        x: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(faces))))
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))

    def verdict(self, features: Tensor) -> Tensor:
        """Features (b, k, F) of k frames of b videos to logits (b, classes)."""
        alpha: Tensor = self.alpha(features)
        mean = (features * alpha).sum(dim=1, keepdim=True) / alpha.sum(dim=1, keepdim=True)
        related = torch.cat([features, mean.expand_as(features)], dim=-1)
        weight = alpha * self.beta(related)
        # The field's evaluation sums the frames by alpha alone and divides by alpha beta: with its weights, so do we.
        summed = (related * (alpha if self.is_public else weight)).sum(dim=1) / weight.sum(dim=1)
        found: Tensor = self.pred_fc2(summed)
        return found

    def forward(self, faces: Tensor) -> Tensor:
        """(b, k, 3, S, S) in 0..1 to logits (b, classes)."""
        features = self.features(faces.flatten(0, 1))
        return self.verdict(features.reshape(*faces.shape[:2], -1))


class EmotionFan:
    """A trained Emotion-FAN in use. Not for several threads. `labels` are MEAD's names, in the order of the classes;
    `learned` those of them that a training clip showed; `origin` says whose weights these are."""

    def __init__(
        self,
        network: FanNetwork,
        labels: tuple[str, ...],
        side: int,
        origin: str,
        finder: FaceFinder,
        learned: frozenset[str] | None = None,
    ) -> None:
        self.network, self.labels, self.side, self.origin = network, labels, side, origin
        self.learned = frozenset(labels) if learned is None else learned
        self._finder = finder

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> EmotionFan:
        """From a model folder of the family `emotion_fan`, or from a checkpoint file in the public layout.

        Raises `MissingWeights` where there is neither, and `PermanentError` for a file of another layout.
        """
        if path.is_dir():
            return cls._own(path, device)
        if not path.is_file():
            raise MissingWeights(
                f"no Emotion-FAN at {path}: type `magictalk run --select models/emotion_fan`, or give the checkpoint "
                "`self_relation-attention_61_84.3655` of yuangan/evaluation_eat, which its authors hand out"
            )
        network = FanNetwork(FanShape(is_public=True))
        load_strictly(network, state_dict_of(path), str(path))
        return cls(ready(network, device), PUBLIC_LABELS, 224, f"public layout: {path.name}", FaceFinder.load())

    @classmethod
    def _own(cls, path: Path, device: str) -> EmotionFan:
        folder = ModelFolder.open(path, ("emotion_fan",))
        labels, facts = tuple(folder.config["labels"]), folder.config["network"]
        shape = FanShape(facts["width"], facts["blocks"], len(labels))
        network = FanNetwork(shape)
        load_strictly(network, folder.weights(), str(path))
        learned = frozenset(name for name, clips in folder.config["training_clips"].items() if clips)
        side = int(facts["side"])
        return cls(ready(network, device), labels, side, OWN_EMOTION_FAN, FaceFinder.load(), learned)

    def emotion(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """(8,) probabilities of one clip from its frames (n, H, W, 3) uint8 RGB, in the order of `labels`; all NaN
        where no frame shows a face. Raises `PermanentError` for anything but such frames, n >= 1."""
        pictures = picture_batch(frames)
        if not len(pictures):
            raise PermanentError("Emotion-FAN: expected at least one frame")
        crops = crop_all(pictures, self._finder.squares(pictures, FACE_SCALE, 0.0), self.side)
        if not len(crops):
            return np.full(len(self.labels), np.nan)
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            features = torch.cat([self.network.features(batch / 255) for batch in as_batches(crops, device)])
            return self.network.verdict(features[None])[0].double().softmax(dim=0).cpu().numpy()

    def shown(self, frames: NDArray[Any]) -> str | None:
        """The most probable emotion of a clip; None where no frame shows a face."""
        found = self.emotion(frames)
        return None if np.isnan(found).any() else self.labels[int(found.argmax())]
