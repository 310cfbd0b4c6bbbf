"""From trained weights to a model in use and a model folder; EmoDiff and its student share it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.models.emodiff.blinks import BlinkStatistics
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig, SamplingConfig
from magictalk_core.models.emodiff.model import SAMPLING_FILE, EmoDiffModel
from magictalk_core.models.emodiff.network import Denoiser
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.normalizer import Normalizer
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.vocabulary.clips import Split

__all__ = ["denoiser_for", "describe_emodiff", "sample_of"]


def denoiser_for(data: TrainingSet, config: EmoDiffNetworkConfig) -> Denoiser:
    """An untrained network of the sizes of the training set."""
    return Denoiser(config, int(data.info["window"]), len(data.channels), int(data.info["feature_size"]))


def _model_of(
    weights: dict[str, Tensor], config: EmoDiffNetworkConfig, sampling: SamplingConfig, data: TrainingSet
) -> EmoDiffModel:
    network = denoiser_for(data, config)
    network.load_state_dict({name: value.cpu() for name, value in weights.items()})
    network.eval().requires_grad_(False)
    sizes = data.info["feature_id"], int(data.info["feature_size"]), int(data.info["window"])
    states, features = (Normalizer.of(data.normalizer[name]) for name in ("states", "features"))
    blinks = BlinkStatistics.fit(data)
    return EmoDiffModel(network, config, sampling, data.channels, *sizes, states, features, blinks)


def sample_of(
    weights: dict[str, Tensor], config: EmoDiffNetworkConfig, sampling: SamplingConfig, data: TrainingSet
) -> NDArray[np.float32] | None:
    """Motion (n, 58) for the first validation segment in the style of its own frames.

    Channels that are not modelled rest at 0. None without a validation segment.
    """
    rows = data.spoken[data.spoken["split"] == Split.VAL]
    if not len(rows):
        return None
    start, length = int(rows["start"].iloc[0]), int(rows["length"].iloc[0])
    frames = slice(start, start + length)
    states = _model_of(weights, config, sampling, data).generate(
        np.array(data.features[frames]), np.array(data.states[frames])
    )
    motion = np.zeros((length, len(MOTION_NAMES)), np.float32)
    motion[:, [MOTION_NAMES.index(name) for name in data.channels]] = states
    return motion


def describe_emodiff(
    config: EmoDiffNetworkConfig,
    sampling: SamplingConfig,
    data: TrainingSet,
    folder: Path,
    initial: ModelFolder | None = None,
) -> dict[str, Any]:
    """The facts of a model folder: the network's settings; beside them styles, blinks, how the preset asks its
    models. The styles of a model that was begun from stay, but for emotions that the training clips show, and its
    blinks where these show none."""
    styles = StyleBank.from_training_set(data)
    if initial is not None:
        styles = StyleBank.load(initial.path).joined_by(styles, initial.places(data.channels))
    styles.save(folder)
    blinks = BlinkStatistics.fit(data)
    if initial is not None and not blinks.per_minute:
        # Somebody who did not blink in a minute of video has eyes all the same.
        blinks = BlinkStatistics.load(initial.path)
    blinks.save(folder)
    (folder / SAMPLING_FILE).write_text(sampling.model_dump_json(indent=1), encoding="utf-8")
    return {"network": config.model_dump(mode="json")}
