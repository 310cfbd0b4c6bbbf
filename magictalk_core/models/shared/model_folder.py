"""Model folders of the lip families: weights, settings, channels and normalisation, and what must agree between them.

::

    model.safetensors  config.json  channels.json  normalizer.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.families import FAMILIES
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["LipFolder", "save_lip_model"]


def save_lip_model(
    family: str, weights: Mapping[str, Tensor], data: TrainingSet, settings: Mapping[str, Any], folder: Path
) -> None:
    """Write a model folder. `settings` join the facts of the training set in `config.json`."""
    save_file({name: value.cpu().contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    facts = {name: data.info[name] for name in ("feature_id", "feature_size", "tracker_kind", "corpora")}
    config = {"family": family, "version": FAMILIES[family].version, **facts, "training_set": data.info["digest"]}
    (folder / "config.json").write_text(json.dumps({**config, **settings}, indent=1), encoding="utf-8")
    (folder / "channels.json").write_text(json.dumps(list(data.channels), indent=1), encoding="utf-8")
    (folder / "normalizer.json").write_text(json.dumps(data.normalizer), encoding="utf-8")


@dataclass(frozen=True, eq=False)
class LipFolder:
    """An opened model folder. mean, std (D,) of `channels`; feature_mean, feature_std (F,)."""

    path: Path
    config: dict[str, Any]
    channels: tuple[str, ...]
    mean: Tensor
    std: Tensor
    feature_mean: Tensor
    feature_std: Tensor

    @classmethod
    def open(cls, path: Path, family: str) -> LipFolder:
        """Raises `PermanentError` when there is no model of `family` at `path`."""
        if not (path / "model.safetensors").is_file():
            raise PermanentError(f"no {family} model at {path}: type `magictalk run --select models/{family}`")
        config, channels, normalizer = (
            json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("config", "channels", "normalizer")
        )
        if config.get("family") != family:
            raise PermanentError(f"{path}: expected a model of family `{family}`, found `{config.get('family')}`")
        numbers = [
            torch.tensor(normalizer[a][b], dtype=torch.float32) for a in ("states", "features") for b in ("mean", "std")
        ]
        return cls(path, config, tuple(channels), *numbers)

    @property
    def feature_id(self) -> str:
        return str(self.config["feature_id"])

    @property
    def feature_size(self) -> int:
        return int(self.config["feature_size"])

    def weights(self) -> dict[str, Tensor]:
        return load_file(self.path / "model.safetensors")

    def normal_speech(self, speech: NDArray[np.float32]) -> Tensor:
        """(L, F) speech features to normalised ones. Raises `PermanentError` for another size."""
        if speech.ndim != 2 or not len(speech) or speech.shape[1] != self.feature_size:
            raise PermanentError(
                f"expected speech features (frames, {self.feature_size}) of `{self.feature_id}` with at least one "
                f"frame, found {speech.shape}"
            )
        return (torch.tensor(speech, dtype=torch.float32) - self.feature_mean) / self.feature_std

    def must_fit(self, data: TrainingSet) -> None:
        """Raises `PermanentError` when this model cannot teach on `data`: other features, channels or scales."""
        if self.feature_id != data.info["feature_id"] or self.channels != data.channels:
            raise PermanentError(
                f"{self.path}: trained on `{self.feature_id}` and {len(self.channels)} channels, the training set has "
                f"`{data.info['feature_id']}` and {len(data.channels)}: train {self.config['family']} again first"
            )

    def must_match(self, other: LipFolder) -> None:
        """Raises `PermanentError` when the two models were trained on different features or training sets."""
        for what in ("feature_id", "training_set"):
            if self.config[what] != other.config[what]:
                raise PermanentError(
                    f"{self.config['family']} has {what} `{self.config[what]}`, {other.config['family']} has "
                    f"`{other.config[what]}`: train the lip models on one training set"
                )
