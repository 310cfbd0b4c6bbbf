"""Speech features by id. Sets of different ids never mix in one training set, and a model refuses another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.media.decode import read_audio
from magictalk_core.speech.logmel import BANDS, SAMPLE_RATE, log_mel
from magictalk_core.tables.schema import SPEECH

__all__ = ["FEATURES", "FeatureSpec", "feature_spec", "speech_clip", "speech_features"]


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: its id, values per 25 fps frame, version (bumped when a value changes), and what computes it."""

    id: str
    size: int
    version: str
    compute: Callable[[NDArray[np.float32], int], NDArray[np.float32]]


FEATURES: dict[str, FeatureSpec] = {"logmel-29-1": FeatureSpec("logmel-29-1", BANDS, "1", log_mel)}


def feature_spec(feature_id: str) -> FeatureSpec:
    if feature_id not in FEATURES:
        raise UserError(f"no speech feature `{feature_id}`; known: {', '.join(FEATURES)}")
    return FEATURES[feature_id]


def speech_features(samples: NDArray[np.float32], n_frames: int, feature_id: str) -> NDArray[np.float32]:
    """(n_frames, size) of 16 kHz mono samples in [-1, 1], aligned to 25 fps video frames; always finite."""
    return feature_spec(feature_id).compute(np.nan_to_num(samples), n_frames)


def speech_clip(audio: Path, clip_id: str, n_frames: int, feature_id: str) -> pa.Table:
    """SPEECH rows of one standardized audio file."""
    values = speech_features(read_audio(audio, SAMPLE_RATE), n_frames, feature_id)
    columns = {
        "clip_id": [clip_id] * n_frames,
        "frame_index": np.arange(n_frames, dtype=np.int32),
        "features": pa.array(list(values), type=pa.list_(pa.float32())),
        "feature_id": [feature_id] * n_frames,
    }
    return pa.table(columns, schema=SPEECH.schema())
