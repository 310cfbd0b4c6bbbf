"""What must hold of speech features: length, range, one feature only, and that silence is heard as silence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.speech.features import FEATURES, feature_spec, feature_weights, speech_features
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.work.isolation import Crash, map_isolated

__all__ = [
    "clip_problems",
    "feature_problems",
    "silence_problems",
    "silence_problems_of",
    "speech_problems",
]

_SUM_TOLERANCE = 1e-3
_SILENCE_FRAMES = 50


def feature_problems(values: NDArray[np.float32], feature_id: str) -> list[str]:
    """What is wrong with the (frames, size) values of one clip; empty when all is well.

    They must be finite, as many per frame as the feature has, within its range, and for a network that hears letters
    the probabilities of every step must sum to 1.
    """
    spec = feature_spec(feature_id)
    if values.ndim != 2 or values.shape[1] != spec.size:
        return [f"expected {spec.size} values per frame for `{feature_id}`, found shape {values.shape}"]
    if not np.isfinite(values).all():
        return [f"{int((~np.isfinite(values)).any(axis=1).sum())} frames hold values that are not finite"]
    problems = []
    if values.size and not spec.low <= float(values.min()) <= float(values.max()) <= spec.high:
        found = f"{float(values.min()):.3f} to {float(values.max()):.3f}"
        problems.append(f"expected values from {spec.low} to {spec.high}, found {found}")
    if spec.classes and values.size:
        sums = np.exp(values.reshape(-1, spec.classes).astype(np.float64)).sum(axis=1)
        if float(np.abs(sums - 1).max()) > _SUM_TOLERANCE:
            problems.append(
                f"expected probabilities that sum to 1, found sums from {sums.min():.3f} to {sums.max():.3f}"
            )
    return problems


def clip_problems(rows: pa.Table, n_frames: int, feature_id: str) -> list[str]:
    """What is wrong with the SPEECH rows of one clip: `feature_problems`, and one row per video frame, in order."""
    if set(rows["feature_id"].to_pylist()) - {feature_id}:
        return [f"expected feature `{feature_id}`, found {sorted(set(rows['feature_id'].to_pylist()))}"]
    if rows["frame_index"].to_pylist() != list(range(n_frames)):
        return [f"expected frames 0 to {n_frames - 1}, found {rows.num_rows} rows"]
    lengths = set(pc.list_value_length(rows["features"]).to_pylist())
    size = feature_spec(feature_id).size
    if lengths - {size}:
        return [f"expected {size} values per frame for `{feature_id}`, found {sorted(map(str, lengths))}"]
    values = pc.list_flatten(rows["features"]).to_numpy().astype(np.float32).reshape(-1, size)
    return feature_problems(values, feature_id)


def speech_problems(table: pa.Table, n_frames: Mapping[str, int]) -> dict[str, list[str]]:
    """Problems by clip of a SPEECH table; `n_frames` holds the video frames of every clip that must be in it.

    All rows must be of one feature, that of the first row. Clips without a problem are left out.
    """
    problems: dict[str, list[str]] = {}
    clips = table["clip_id"].to_pylist()
    if not clips:
        return {clip: ["no rows"] for clip in n_frames}
    feature_id = str(table["feature_id"][0].as_py())
    if feature_id not in FEATURES:
        return {"": [f"no speech feature `{feature_id}`; known: {', '.join(FEATURES)}"]}
    starts = [0, *(i for i in range(1, len(clips)) if clips[i] != clips[i - 1]), len(clips)]
    rows_of = {clips[a]: table.slice(a, b - a) for a, b in pairwise(starts)}
    for clip, frames in n_frames.items():
        found = ["no rows"] if clip not in rows_of else clip_problems(rows_of[clip], frames, feature_id)
        if found:
            problems[clip] = found
    problems |= {clip: ["not a clip with sound"] for clip in rows_of if clip not in n_frames}
    return problems


def silence_problems_of(feature_id: str, cache: Path, preload: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`silence_problems` found in a child process, so that torch and a network never enter this one; asked once for a
    feature and its weights, and remembered in the folder `cache`.

    `preload` is what this process's other children need (`work.isolation.map_isolated`).
    Raises `PermanentError` when the child does not come back.
    """
    spec = feature_spec(feature_id)
    about = {"feature": feature_id, "version": spec.version, "weights": feature_weights(feature_id)}
    known = cache / f"{digest_of(about)}.json"
    with one_at_a_time(known.with_suffix(".lock")):  # shards side by side ask at the same moment
        if not known.is_file():
            ((_, outcome),) = map_isolated(
                silence_problems, [(feature_id,)], workers=1, timeout_s=600.0, preload=preload
            )
            if isinstance(outcome, Crash):
                raise PermanentError(f"no features of silence by `{feature_id}`: {outcome.detail}")
            write_text(known, json.dumps({**about, "problems": list(outcome)}, indent=1))
    return tuple(json.loads(known.read_text(encoding="utf-8"))["problems"])


def silence_problems(feature_id: str) -> list[str]:
    """Whether digital silence is heard as CTC's blank at every step; for features without classes, whether it is even.

    Raises `PermanentError` when the weights of the feature are not here.
    """
    spec = feature_spec(feature_id)
    values = speech_features(np.zeros(_SILENCE_FRAMES * 640, np.float32), _SILENCE_FRAMES, feature_id)
    if not spec.classes:
        changes = float(np.abs(np.diff(values, axis=0)).mean())
        return [] if changes <= spec.uneven else [f"silence changes by {changes:.3f} a frame, not by {spec.uneven}"]
    heard = values.reshape(-1, spec.classes).argmax(axis=1)
    wrong = int((heard != spec.classes - 1).sum())
    return [f"{wrong} of {len(heard)} steps of silence are heard as letters"] if wrong else []
