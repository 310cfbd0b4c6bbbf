"""The readout that the recipe finds, as one small file: feature id, normalisation, matrix, names of its channels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from magictalk_core.errors import PermanentError
from magictalk_core.models.audio2bs.linear import Readout
from magictalk_core.speech.features import feature_spec, speech_features
from magictalk_core.storage.atomic import atomic_path

__all__ = ["VoiceReadout", "read_mouth"]


@dataclass(frozen=True, eq=False)
class VoiceReadout:
    """`readout` of the features `feature` less `mean` (F,) over `std` (F,); its columns are the channels `names`."""

    feature: str
    names: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    readout: Readout

    def mouth(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """(n, M) coefficients in [0, 1] of (n, F) features."""
        found = self.readout.mouth((features - self.mean) / self.std)
        return np.clip(found, 0.0, 1.0).astype(np.float32)

    def save(self, path: Path, about: dict[str, str]) -> None:
        """`about`: where it comes from."""
        arrays: dict[str, NDArray[np.floating]] = {
            "weight": self.readout.weight,
            "bias": self.readout.bias,
            "mean": self.mean,
            "std": self.std,
        }
        metadata = {"feature": self.feature, "names": json.dumps(self.names), **about}
        # safetensors writes an array's memory as it lies, and that of a transposed one in another order than it says.
        whole = {name: np.ascontiguousarray(value, np.float16) for name, value in arrays.items()}
        with atomic_path(path) as temporary:
            save_file(whole, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> VoiceReadout:
        """Raises `PermanentError` for a file that is none, or of another feature than it says."""
        try:
            with safe_open(path, "np") as file:
                about, arrays = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
            names = tuple(json.loads(about["names"]))
            weight, bias, mean, std = (arrays[name].astype(np.float32) for name in ("weight", "bias", "mean", "std"))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise PermanentError(f"{path}: no readout: {error}: make it with {__name__.rpartition('.')[0]}") from error
        size = feature_spec(about["feature"]).size
        if weight.shape[::2] != (len(names), size) or len(bias) != len(names) or len(mean) != size or len(std) != size:
            raise PermanentError(f"{path}: expected a matrix for {len(names)} channels of {size} values")
        return cls(about["feature"], names, mean, std, Readout(weight.astype(np.float64), bias.astype(np.float64)))


def read_mouth(path: Path, samples: NDArray[np.float32], frames: int) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Names (M,) and coefficients (frames, M) that the readout in `path` finds in 16 kHz mono samples."""
    readout = VoiceReadout.load(path)
    return readout.names, readout.mouth(speech_features(samples, frames, readout.feature))
