"""The training set: clips packed into contiguous float32 arrays, opened memory-mapped.

::

    training_set/
      features.npy      (frames, F) speech features
      states.npy        (frames, D) motion in natural units, channels as in info.json
      index.parquet     one row per segment: clip, speaker, emotion, split, start, length
      normalizer.json   mean and standard deviation per channel and per feature, of the training split
      info.json         channels, feature id, tracker kinds, window, corpus digests, counts, digest of all this

A segment is a stretch of a clip without a lost face; no window crosses its ends. The bytes depend on the input alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.config import TrainingSetConfig
from magictalk_core.corpora.records import Split, Status
from magictalk_core.errors import PermanentError
from magictalk_core.faces.arkit import STATE_NAMES, STATE_SETS
from magictalk_core.lineage.atomic import atomic_directory
from magictalk_core.lineage.hashes import directory_md5, file_md5
from magictalk_core.tables.parquet import read_frame, read_table
from magictalk_core.tables.schema import CLIPS, FRAMES, SPEECH

__all__ = ["TRAINING_SET_VERSION", "CorpusTables", "TrainingSet", "TrainingSetInfo", "build_training_set"]

TRAINING_SET_VERSION = "1"
MAX_GAP = 5
"""Frames without a face that are bridged by interpolation: 0.2 s, a blink of the tracker, not a turned head."""


@dataclass(frozen=True)
class CorpusTables:
    """The files of one corpus that go in, and the digest of its manifest."""

    clips: Path
    frames: Sequence[Path]
    speech: Sequence[Path]
    digest: str


@dataclass(frozen=True)
class TrainingSetInfo:
    """What was written: the digest over all files, and counts for people."""

    digest: str
    counts: dict[str, int]


@dataclass(frozen=True)
class _Segment:
    row: dict[str, Any]
    states: NDArray[np.float32]
    features: NDArray[np.float32]


def _bridge(motion: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Interpolate gaps of at most MAX_GAP lost frames; returns the motion and which frames are usable."""
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(motion).all(axis=1))
    filled = motion.copy()
    if not usable.any():
        return filled, usable
    known = np.flatnonzero(usable)
    for left, right in pairwise(known):
        gap = right - left - 1
        if 0 < gap <= MAX_GAP:
            weight = np.linspace(0, 1, gap + 2, dtype=np.float32)[1:-1, None]
            filled[left + 1 : right] = (1 - weight) * motion[left] + weight * motion[right]
            usable[left + 1 : right] = True
    return filled, usable


def _runs(usable: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, end) of the stretches of usable frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _load(tables: CorpusTables, left_out: frozenset[str]) -> tuple[pd.DataFrame, pd.DataFrame, pa.Table]:
    clips = read_frame(CLIPS, tables.clips)
    frames = pd.concat([read_frame(FRAMES, path) for path in tables.frames], ignore_index=True)
    speech = pa.concat_tables([read_table(SPEECH, path) for path in tables.speech])
    return clips[(clips["status"] == Status.OK) & ~clips["clip_id"].isin(left_out)], frames, speech


def _seen_channels(frames: pd.DataFrame) -> tuple[str, ...]:
    """Channels that the tracker sees: not null everywhere."""
    return tuple(name for name in STATE_NAMES if frames[name].notna().any())


def _corpus_segments(
    clips: pd.DataFrame, frames: pd.DataFrame, speech: pa.Table, channels: Sequence[str], window: int
) -> list[_Segment]:
    segments = []
    vectors = speech.to_pandas().sort_values(["clip_id", "frame_index"])
    speech_of = {str(clip): np.stack(rows["features"].to_numpy()) for clip, rows in vectors.groupby("clip_id")}
    frames_of = dict(tuple(frames.sort_values(["clip_id", "frame_index"]).groupby("clip_id")))
    for row in clips.sort_values("clip_id").to_dict("records"):
        clip = row["clip_id"]
        if clip not in speech_of or clip not in frames_of:
            continue
        motion, usable = _bridge(frames_of[clip][list(channels)].to_numpy(np.float32))
        n = min(len(motion), len(speech_of[clip]))
        labels = {k: row[k] for k in ("clip_id", "corpus", "speaker", "source", "emotion", "level", "split")}
        for start, end in _runs(usable[:n]):
            if end - start >= window:
                features = speech_of[clip][start:end].astype(np.float32)
                segments.append(_Segment({**labels, "clip_start": start}, motion[start:end], features))
    return segments


def _one_value(what: str, values: set[str], remedy: str) -> str:
    if len(values) != 1:
        raise PermanentError(f"training set: expected one {what}, found {sorted(values)}: {remedy}")
    return values.pop()


def _normalizer(values: NDArray[np.float32], min_std: float) -> dict[str, list[float]]:
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A channel that hardly moves must not be blown up by the tracker's noise.
    return {"mean": mean.tolist(), "std": np.maximum(std, min_std).tolist()}


def build_training_set(
    tables: Mapping[str, CorpusTables],
    config: TrainingSetConfig,
    feature_id: str,
    out: Path,
    left_out: frozenset[str] = frozenset(),
) -> TrainingSetInfo:
    """Pack the accepted clips of all corpora, without the clip ids `left_out`.

    Raises `PermanentError` when features or tracker kinds would mix, and when there is nothing to train on.
    """
    # A corpus of which only the lists are here has no shard.
    loaded = {corpus: _load(t, left_out) for corpus, t in sorted(tables.items()) if t.frames}
    if not loaded:
        raise PermanentError(f"training set: no clip of {', '.join(sorted(tables))} is here: `magictalk corpus check`")
    kinds = {str(t).split("/")[0] for _, frames, _ in loaded.values() for t in frames["tracker"].unique()}
    kind = _one_value("tracker kind", kinds, "set faces.tracker in the preset and run the extraction again")
    features = {f for _, _, speech in loaded.values() for f in speech["feature_id"].unique().to_pylist()}
    found = _one_value("speech feature", features, "set speech.feature in the preset and run again")
    if found != feature_id:
        raise PermanentError(f"training set: expected feature `{feature_id}`, the tables hold `{found}`: run again")
    seen = [set(_seen_channels(frames)) for _, frames, _ in loaded.values()]
    channels = tuple(name for name in STATE_SETS[config.state] if all(name in s for s in seen))
    segments = [
        segment
        for clips, frames, speech in loaded.values()
        for segment in _corpus_segments(clips, frames, speech, channels, config.window)
    ]
    train = [s for s in segments if s.row["split"] == Split.TRAIN]
    if not train:
        raise PermanentError(
            f"training set: no clip of the train split has {config.window} frames with a face in a row"
        )
    with atomic_directory(out) as folder:
        counts = _write(folder, segments, train, config)
        info = {
            "version": TRAINING_SET_VERSION,
            "channels": list(channels),
            "feature_id": feature_id,
            "feature_size": int(train[0].features.shape[1]),
            "tracker_kind": kind,
            "window": config.window,
            "stride": config.stride,
            "corpora": {corpus: t.digest for corpus, t in sorted(tables.items())},
            "counts": counts,
            "left_out": sorted(left_out),
        }
        files = [(p.name, file_md5(p)) for p in folder.iterdir()]
        info["digest"] = directory_md5([*files, ("info", json.dumps(info, sort_keys=True))])
        (folder / "info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")
    return TrainingSetInfo(str(info["digest"]), counts)


def _write(
    folder: Path, segments: Sequence[_Segment], train: Sequence[_Segment], config: TrainingSetConfig
) -> dict[str, int]:
    np.save(folder / "features.npy", np.concatenate([s.features for s in segments]))
    np.save(folder / "states.npy", np.concatenate([s.states for s in segments]))
    lengths = [len(s.states) for s in segments]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
    rows = [{**s.row, "start": int(a), "length": n} for s, a, n in zip(segments, starts, lengths, strict=True)]
    index = pd.DataFrame(rows).astype({"level": "Int32"})
    pq.write_table(
        pa.Table.from_pandas(index, preserve_index=False).replace_schema_metadata(None), folder / "index.parquet"
    )
    normalizer = {
        "states": _normalizer(np.concatenate([s.states for s in train]), config.min_std),
        "features": _normalizer(np.concatenate([s.features for s in train]), config.min_std),
    }
    (folder / "normalizer.json").write_text(json.dumps(normalizer), encoding="utf-8")
    counts = {f"segments_{split}": sum(s.row["split"] == split for s in segments) for split in Split}
    counts["frames"] = int(sum(lengths))
    counts["clips"] = len({s.row["clip_id"] for s in segments})
    return counts


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """An opened training set; arrays are memory-mapped and must not be written to."""

    path: Path
    info: dict[str, Any]
    index: pd.DataFrame
    features: NDArray[np.float32]
    states: NDArray[np.float32]
    normalizer: dict[str, dict[str, list[float]]]

    @classmethod
    def open(cls, path: Path) -> TrainingSet:
        if not (path / "info.json").is_file():
            raise PermanentError(f"no training set at {path}: type `magictalk run --select training_set`")
        info = json.loads((path / "info.json").read_text(encoding="utf-8"))
        if info["version"] != TRAINING_SET_VERSION:
            raise PermanentError(f"{path}: training set version {info['version']}, expected {TRAINING_SET_VERSION}")
        return cls(
            path,
            info,
            pq.read_table(path / "index.parquet").to_pandas(),
            np.load(path / "features.npy", mmap_mode="r"),
            np.load(path / "states.npy", mmap_mode="r"),
            json.loads((path / "normalizer.json").read_text(encoding="utf-8")),
        )

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.info["channels"])
