"""The speech features of one file: what `magictalk speech` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.untrusted import is_silent, must_be_file, sound_of
from magictalk_core.config import SpeechConfig
from magictalk_core.errors import UserError
from magictalk_core.speech.alignment import frame_count, step_windows
from magictalk_core.speech.features import feature_spec, feature_weights, speech_table
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import SPEECH
from magictalk_core.vocabulary.clips import safe_name
from magictalk_core.vocabulary.rates import SAMPLE_RATE
from magictalk_core.work.provenance import Weights

__all__ = ["LAYOUTS", "Featurized", "featurize_file"]

LAYOUTS = ("frames", "steps", "windows")
"""frames: one vector per 25 fps frame, the contract; steps: (T, 29), 50 per second; windows: (frames, 16, 29)."""


@dataclass(frozen=True)
class Featurized:
    """What was written."""

    output: str
    feature: str
    layout: str
    shape: str
    remarks: str | None = None
    """What is unusual about how the sound was read."""


def featurize_file(
    source: Path, output: Path, feature: str = SpeechConfig().feature, layout: str = "frames", logits: bool = False
) -> Featurized:
    """Write the features of the sound of `source`, any audio or video file.

    `output` is `.parquet` (a `speech` table, layout `frames` only) or `.npy` (float32). `steps` and `windows` hold
    log-probabilities of DeepSpeech's 29 classes, or its raw logits with `logits`, which is what AD-NeRF and VOCA take.
    """
    spec = feature_spec(feature)
    _check(source, output, layout, logits, spec.classes)
    must_be_writable(output)
    weights = feature_weights(feature)
    asked = {"feature": feature, "layout": layout, "logits": logits}
    work = file_work("features", output, spec.version, [file_input("audio", source)], asked)
    used = [] if weights is None else [Weights(name=feature, sha256=weights)]
    sound = sound_of(source, SAMPLE_RATE)
    samples, told = sound.samples, list(sound.remarks)
    if is_silent(samples):
        told.append("nothing but silence: the features say nothing")
    remarks = "; ".join(told) or None
    frames = frame_count(len(samples) / SAMPLE_RATE)
    if layout == "frames":
        table = speech_table(samples, safe_name(source.stem), frames, feature)
        if output.suffix == ".parquet":
            write_table(
                SPEECH, table, output, {"feature_id": feature, "version": spec.version, "weights": str(weights)}
            )
            work.record(weights=used)
            return Featurized(str(output), feature, layout, f"{frames} x {spec.size}", remarks)
        values = np.stack(table["features"].to_numpy())
    else:
        steps = _steps(samples, feature, logits)
        values = steps if layout == "steps" else step_windows(steps, frames)
    with atomic_path(output) as temporary, temporary.open("wb") as file:
        np.save(file, values.astype(np.float32))
    work.record(weights=used)
    return Featurized(str(output), feature, layout, " x ".join(map(str, values.shape)), remarks)


def _check(source: Path, output: Path, layout: str, logits: bool, classes: int) -> None:
    if layout not in LAYOUTS:
        raise UserError(f"--layout {layout}: expected one of {', '.join(LAYOUTS)}")
    if output.suffix not in (".parquet", ".npy"):
        raise UserError(f"{output}: expected a name that ends in .parquet or .npy")
    if output.suffix == ".parquet" and layout != "frames":
        raise UserError(f"{output}: layout `{layout}` goes into a .npy file")
    if logits and layout == "frames":
        raise UserError("--logits: raw logits come as --layout steps or windows; `frames` are log-probabilities")
    if layout != "frames" and not classes:
        known = [f for f in get_args(SpeechConfig.model_fields["feature"].annotation) if feature_spec(f).classes]
        raise UserError(f"--layout {layout}: expected a DeepSpeech feature ({', '.join(known)})")
    must_be_file(source, "audio or video file")  # told before weights are looked for


def _steps(samples: NDArray[np.float32], feature: str, logits: bool) -> NDArray[np.float32]:
    from magictalk_core.speech.extractor import floored_log_probabilities, raw_logits
    from magictalk_core.speech.published import load_model

    clean = np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)
    values = raw_logits(load_model(feature), [feature_spec(feature).levelled(clean)])[0]
    return values if logits else floored_log_probabilities(values)
