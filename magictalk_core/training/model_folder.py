"""Model folders: what the trainer leaves of every family, and what every family's models are opened from.

::

    model.safetensors  config.json  channels.json  normalizer.json  and what a family adds

`config.json` holds the family and its version, the facts of the training set, and what the family says of itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.training.family import INIT, ModelFamily, Models
from magictalk_core.training_set.channels import columns_of
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.normalizer import Normalizer

__all__ = ["ModelFolder", "write_model_folder"]

_DATA_FACTS = ("feature_id", "feature_size", "tracker_kind", "corpora", "window")


def write_model_folder(
    family: ModelFamily, weights: Mapping[str, Tensor], data: TrainingSet, facts: Mapping[str, Any], folder: Path
) -> None:
    """Write a model into the existing `folder`. `facts` are what the family says of the model, JSON values."""
    save_file({name: value.cpu().contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    known = {name: data.info[name] for name in _DATA_FACTS}
    config = {"family": family.name, "version": family.version, "training_set": data.info["digest"], **known, **facts}
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    (folder / "channels.json").write_text(json.dumps(list(data.channels), indent=1), encoding="utf-8")
    (folder / "normalizer.json").write_text(json.dumps(data.normalizer), encoding="utf-8")


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """An opened model folder. `states` normalises the D `channels`, `features` the F speech features."""

    path: Path
    config: dict[str, Any]
    channels: tuple[str, ...]
    states: Normalizer
    features: Normalizer

    @classmethod
    def open(cls, path: Path, families: Sequence[str]) -> ModelFolder:
        """Raises `PermanentError` when there is no model of one of `families` at `path`."""
        if not (path / "model.safetensors").is_file():
            raise PermanentError(
                f"no {families[0]} model at {path}: type `magictalk run --select models/{families[0]}`"
            )
        config, channels, normalizer = (
            json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("config", "channels", "normalizer")
        )
        if config.get("family") not in families:
            raise PermanentError(f"{path}: expected a model of {' or '.join(families)}, found `{config.get('family')}`")
        return cls(
            path, config, tuple(channels), Normalizer.of(normalizer["states"]), Normalizer.of(normalizer["features"])
        )

    @property
    def family(self) -> str:
        return str(self.config["family"])

    @property
    def feature_id(self) -> str:
        return str(self.config["feature_id"])

    @property
    def feature_size(self) -> int:
        return int(self.config["feature_size"])

    @classmethod
    def begun_from(cls, models: Models, family: str) -> ModelFolder | None:
        """The model, among those that a family is built with, that its training begins from; None: chance."""
        return cls.open(models[INIT], (family,)) if INIT in models else None

    def weights(self) -> dict[str, Tensor]:
        """In single precision, whatever they are stored in."""
        found = load_file(self.path / "model.safetensors")
        return {name: value.float() if value.is_floating_point() else value for name, value in found.items()}

    def places(self, wanted: Sequence[str], known: Sequence[str] | None = None) -> list[int]:
        """Where the `wanted` channels lie among the `known` ones, this model's own if not said."""
        return columns_of(wanted, self.channels if known is None else known, str(self.path))

    def normal_speech(self, speech: NDArray[np.float32]) -> Tensor:
        """(L, F) speech features to normalised ones. Raises `PermanentError` for another size."""
        if speech.ndim != 2 or not len(speech) or speech.shape[1] != self.feature_size:
            raise PermanentError(
                f"expected speech features (frames, {self.feature_size}) of `{self.feature_id}` with at least one "
                f"frame, found {speech.shape}"
            )
        return self.features.normal(torch.tensor(speech, dtype=torch.float32))

    def must_fit(self, data: TrainingSet) -> None:
        """Raises `PermanentError` when this model cannot teach on `data`: other features, channels or scales."""
        if self.feature_id != data.info["feature_id"] or self.channels != data.channels:
            raise PermanentError(
                f"{self.path}: trained on `{self.feature_id}` and {len(self.channels)} channels, the training set has "
                f"`{data.info['feature_id']}` and {len(data.channels)}: train {self.family} again first"
            )
