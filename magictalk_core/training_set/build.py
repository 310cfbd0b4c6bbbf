"""Packing a training set: accepted clips of all corpora as contiguous float32 arrays; `dataset` says what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.config import TrainingSetConfig
from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import directory_md5, file_md5
from magictalk_core.storage.parquet import read_frame, read_table
from magictalk_core.storage.schema import CLIPS, FRAMES, SPEECH
from magictalk_core.training_set.dataset import SYNC_GATE, TRAINING_SET_VERSION
from magictalk_core.vocabulary.arkit import MOTION_NAMES, STATE_NAMES, STATE_SETS
from magictalk_core.vocabulary.clips import Reason, Split, Status

__all__ = ["ClipJudge", "ClipSync", "CorpusTables", "TrainingSetInfo", "build_training_set"]

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
class ClipSync:
    """What a sync gate found in a clip. `shift`: frames by which its speech is moved later before packing; offset,
    distance and confidence are None without a verdict."""

    verdict: Literal["matched", "shifted", "mismatch", "unjudged"]
    kept: bool
    shift: int
    offset: int | None
    distance: float | None
    confidence: float | None


class ClipJudge(Protocol):
    """A sync gate: motion (n, 58), speech (n, F) and the feature id of a clip -> its verdict."""

    @property
    def digest(self) -> str: ...

    def __call__(self, motion: NDArray[np.float32], speech: NDArray[np.float32], feature_id: str, /) -> ClipSync: ...


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


Judged = dict[str, ClipSync]


def _judge(clips: pd.DataFrame, frames: pd.DataFrame, speech: pa.Table, feature_id: str, judge: ClipJudge) -> Judged:
    """The verdict of every clip that has motion and speech, by clip id."""
    motion_of = {str(clip): rows for clip, rows in frames.groupby("clip_id")}
    heard = speech.to_pandas().groupby("clip_id")
    found = {}
    for clip in sorted(set(clips["clip_id"]) & set(motion_of) & set(heard.groups)):
        motion = motion_of[clip].sort_values("frame_index")[list(MOTION_NAMES)].to_numpy(np.float32)
        vectors = np.stack(heard.get_group(clip).sort_values("frame_index")["features"].to_numpy())
        found[clip] = judge(motion, vectors.astype(np.float32), feature_id)
    return found


def _moved(features: NDArray[np.float32], shift: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features of n frames, `shift` frames later, and the frames that have one."""
    wanted = np.arange(n) - shift
    there = (wanted >= 0) & (wanted < len(features))
    return features[np.clip(wanted, 0, len(features) - 1)], there


def _corpus_segments(
    clips: pd.DataFrame,
    frames: pd.DataFrame,
    speech: pa.Table,
    channels: Sequence[str],
    window: int,
    shifts: Mapping[str, int],
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
        heard, there = _moved(speech_of[clip], shifts.get(clip, 0), len(motion))
        labels = {k: row[k] for k in ("clip_id", "corpus", "speaker", "source", "emotion", "level", "split")}
        for start, end in _runs(usable & there):
            if end - start >= window:
                features = heard[start:end].astype(np.float32)
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
    judge: ClipJudge | None = None,
) -> TrainingSetInfo:
    """Pack the accepted clips of all corpora, without the clip ids `left_out`, and as the sync gate `judge` says.

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
    segments: list[_Segment] = []
    verdicts: Judged = {}
    for clips, frames, speech in loaded.values():
        judged = _judge(clips, frames, speech, feature_id, judge) if judge else {}
        verdicts |= judged
        kept = clips[~clips["clip_id"].isin([clip for clip, sync in judged.items() if not sync.kept])]
        shifts = {clip: sync.shift for clip, sync in judged.items()}
        segments += _corpus_segments(kept, frames, speech, channels, config.window, shifts)
    train = [s for s in segments if s.row["split"] == Split.TRAIN]
    if not train:
        raise PermanentError(
            f"training set: no clip of the train split has {config.window} frames with a face in a row"
            + (" and passes the sync gate: see training_set.sync_gate in the preset" if judge else "")
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
        if judge:
            _write_verdicts(folder, verdicts)
            counts["clips_speaker_mismatch"] = sum(not sync.kept for sync in verdicts.values())
            counts["clips_speech_moved"] = sum(sync.shift != 0 for sync in verdicts.values())
            info["sync_gate"] = {"expert": judge.digest, **config.sync_gate.model_dump(exclude={"expert"})}
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


def _write_verdicts(folder: Path, verdicts: Judged) -> None:
    rows = [
        {"clip_id": clip, **asdict(sync), "reason": None if sync.kept else str(Reason.SPEAKER_MISMATCH)}
        for clip, sync in sorted(verdicts.items())
    ]
    columns = ["clip_id", *(f.name for f in fields(ClipSync)), "reason"]
    table = pd.DataFrame(rows, columns=columns).astype({"offset": "Int32"})
    table.to_csv(folder / SYNC_GATE, index=False, float_format="%.6g")
