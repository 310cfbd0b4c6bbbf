"""Speech features by id. Sets of different ids never mix in one training set, and a model refuses another's.

A DeepSpeech feature has 58 values per video frame: log(p + 1e-8) of the 29 classes at both 50 Hz steps of the frame,
the earlier step first. Log-probabilities, since the raw logits of a step may all be shifted by one number without
meaning anything; with a floor, since far below it they hold noise; both steps, since at 25 frames per second an average
would blur the bursts of plosives, and a model can still average for itself.

Whisper's has 384: the mean of both steps of layer 2, which is no list of letters but what they are read from.

Speech is brought to one level before it is heard (`level.py`): letters and bands of a voice 40 dB down are those of the
same voice nearby. Published networks get ordinary levels as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.audio import fit_length
from magictalk_core.media.container import MediaError
from magictalk_core.media.decode import read_audio
from magictalk_core.speech.alignment import STEPS_PER_FRAME, averaged_steps, stacked_steps
from magictalk_core.speech.level import ORDINARY_DBFS, at_speech_level
from magictalk_core.speech.logmel import BANDS, FLOOR, HOP, SPEECH_LEVEL, log_mel
from magictalk_core.storage.schema import SPEECH
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = [
    "FEATURES",
    "WHISPER",
    "FeatureSpec",
    "feature_spec",
    "feature_weights",
    "speech_clip",
    "speech_clips",
    "speech_features",
    "speech_table",
]

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureSpec:
    """One feature: its id, values per 25 fps frame, version (bumped when a value changes), and what computes it.

    `compute` takes 16 kHz mono clips and their frame counts and returns (frames, size) for each. No value lies outside
    `low` to `high`. `classes` is how many of the values belong to one step of a network that hears letters, 0 where it
    hears none. `has_network`: weights are needed. `together`: clips go through the network side by side, which is many
    times faster where it is large or runs on a GPU; a clip's last bits then depend on its neighbours. `ordinary`: dBFS
    of speech that stays at its level; None: all of it is brought to one. `uneven`: how much the values of silence
    may change from frame to frame in the mean.
    """

    id: str
    size: int
    version: str
    compute: Callable[[Sequence[Samples], Sequence[int]], list[Samples]]
    low: float
    high: float
    classes: int = 0
    has_network: bool = False
    together: bool = False
    ordinary: tuple[float, float] | None = None
    uneven: float = 0.0

    def levelled(self, samples: Samples) -> Samples:
        """16 kHz mono samples at the level at which this feature hears them."""
        return at_speech_level(samples, self.ordinary)


def _log_mel(clips: Sequence[Samples], n_frames: Sequence[int]) -> list[Samples]:
    levelled = (at_speech_level(samples) for samples in clips)
    return [log_mel(samples, frames, SPEECH_LEVEL) for samples, frames in zip(levelled, n_frames, strict=True)]


def _deepspeech(feature_id: str, clips: Sequence[Samples], n_frames: Sequence[int]) -> list[Samples]:
    # torch is imported when a network is needed, and not by everyone who looks up a feature's size.
    from magictalk_core.speech.extractor import floored_log_probabilities, raw_logits
    from magictalk_core.speech.published import load_model

    # Cut and padded to the video: 640 samples are two steps of either front end.
    spec = FEATURES[feature_id]
    fitted = [fit_length(spec.levelled(samples), n * HOP) for samples, n in zip(clips, n_frames, strict=True)]
    batches = [fitted] if spec.together else [[samples] for samples in fitted]
    logits = [values for batch in batches for values in raw_logits(load_model(feature_id), batch)]
    steps = (floored_log_probabilities(values) for values in logits)
    return [stacked_steps(values, frames) for values, frames in zip(steps, n_frames, strict=True)]


def _whisper(clips: Sequence[Samples], n_frames: Sequence[int]) -> list[Samples]:
    from magictalk_core.speech.whisper import load_whisper, whisper_steps

    spec = FEATURES[WHISPER]
    # A sound of a single frame is too short for a window: it is heard with silence behind.
    fitted = [fit_length(spec.levelled(samples), max(n, 1) * HOP) for samples, n in zip(clips, n_frames, strict=True)]
    steps = whisper_steps(load_whisper(), fitted)
    return [averaged_steps(values, frames) for values, frames in zip(steps, n_frames, strict=True)]


WHISPER = "whisper-tiny-en-l2"
_CLASSES = 29
_LOG_FLOOR = -18.43
_LOUDEST = 30.0
"""Natural log units above a clip's level that a log-mel band cannot reach with samples in [-1, 1]."""
_FARTHEST = 20.0
"""Largest magnitude of a Whisper value that is believed: measured -3 to 5 on speech, silence, noise and tones."""
_DRIFT = 0.08
"""Whisper knows where in a sound it is, so silence changes: by 0.03, speech by 0.16 and more."""


def _network(feature_id: str, is_published: bool = True) -> FeatureSpec:
    compute, ordinary = partial(_deepspeech, feature_id), ORDINARY_DBFS if is_published else None
    size = STEPS_PER_FRAME * _CLASSES
    return FeatureSpec(feature_id, size, "2", compute, _LOG_FLOOR, 0.0, _CLASSES, True, is_published, ordinary)


FEATURES: dict[str, FeatureSpec] = {
    spec.id: spec
    for spec in (
        FeatureSpec("logmel-29-1", BANDS, "2", _log_mel, FLOOR, _LOUDEST),
        _network("deepspeech-small-1", is_published=False),
        _network("deepspeech-0.9.3"),
        _network("deepspeech-0.9.3-tflite"),
        _network("deepspeech-0.1.0"),
        FeatureSpec(WHISPER, 384, "1", _whisper, -_FARTHEST, _FARTHEST, has_network=True, together=True, uneven=_DRIFT),
    )
}


def feature_spec(feature_id: str) -> FeatureSpec:
    if feature_id not in FEATURES:
        raise UserError(f"no speech feature `{feature_id}`; known: {', '.join(FEATURES)}")
    return FEATURES[feature_id]


def feature_weights(feature_id: str) -> str | None:
    """sha256 of the weights that a feature needs; None where it needs none.

    Raises `PermanentError` when the weights are not here: it names the file, its checksum, its source and what to type.
    """
    if not feature_spec(feature_id).has_network:
        return None
    from magictalk_core.speech.weight_files import weights_sha256

    return weights_sha256(feature_id)


def speech_features(samples: Samples, n_frames: int, feature_id: str) -> Samples:
    """(n_frames, size) of 16 kHz mono samples in [-1, 1], aligned to 25 fps video frames; always finite."""
    return feature_spec(feature_id).compute([_clean(samples)], [n_frames])[0]


def _clean(samples: Samples) -> Samples:
    """Without NaN and infinities, in [-1, 1]."""
    return np.asarray(np.clip(np.nan_to_num(samples), -1.0, 1.0), np.float32)


def _readable(audio: Path, clip_id: str) -> Samples:
    try:
        return _clean(read_audio(audio, SAMPLE_RATE))
    except MediaError as error:
        raise PermanentError(f"no speech of {clip_id}: `{audio.name}`: {error}") from error


def _table(values: Samples, clip_id: str, feature_id: str) -> pa.Table:
    columns = {
        "clip_id": [clip_id] * len(values),
        "frame_index": np.arange(len(values), dtype=np.int32),
        "features": pa.array(list(values), type=pa.list_(pa.float32())),
        "feature_id": [feature_id] * len(values),
    }
    return pa.table(columns, schema=SPEECH.schema())


def speech_table(samples: Samples, clip_id: str, n_frames: int, feature_id: str) -> pa.Table:
    """SPEECH rows of 16 kHz mono samples."""
    return _table(speech_features(samples, n_frames, feature_id), clip_id, feature_id)


def speech_clip(audio: Path, clip_id: str, n_frames: int, feature_id: str) -> pa.Table:
    """SPEECH rows of one standardized audio file."""
    return speech_clips([(audio, clip_id, n_frames)], feature_id)[0]


def speech_clips(clips: Sequence[tuple[Path, str, int]], feature_id: str) -> list[pa.Table]:
    """SPEECH rows of every (standardized audio file, clip id, number of frames), computed together."""
    samples = [_readable(audio, clip_id) for audio, clip_id, _ in clips]
    values = feature_spec(feature_id).compute(samples, [frames for _, _, frames in clips])
    return [_table(rows, clip_id, feature_id) for rows, (_, clip_id, _) in zip(values, clips, strict=True)]
