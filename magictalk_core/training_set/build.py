"""Packing a training set: accepted clips of all corpora as contiguous float32 arrays; `dataset` says what is in it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.config import TrainingSetConfig
from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import digest_of, directory_md5, file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training_set.dataset import LEFT_OUT, SYNC_GATE, TRAINING_SET_VERSION
from magictalk_core.training_set.gaps import bridged, stretches
from magictalk_core.training_set.learned import learned_digest
from magictalk_core.training_set.packing import Packer
from magictalk_core.training_set.shard_clips import (
    ClipArrays,
    CorpusTables,
    distinct_values,
    feature_size,
    seen_channels,
    shard_clips,
)
from magictalk_core.training_set.sync_gate import ClipSync, SyncGate
from magictalk_core.vocabulary.arkit import MOTION_NAMES, STATE_SETS
from magictalk_core.vocabulary.clips import Reason, Status

__all__ = ["Excluded", "TrainingSetInfo", "build_training_set", "write_info"]

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingSetInfo:
    """What was written: the digest over all files, and counts for people."""

    digest: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Excluded:
    """Why a clip that is accepted, or serves as style, is not in the training set. `reason`: copy, leaking_copy,
    out_of_sync, no_speech, too_short; `detail`: in words, with the clip that it is a copy of."""

    clip_id: str
    reason: str
    detail: str


def _one_value(what: str, values: set[str], remedy: str) -> str:
    if len(values) != 1:
        raise PermanentError(f"training set: expected one {what}, found {sorted(values)}: {remedy}")
    return values.pop()


def _check_kinds(tables: Mapping[str, CorpusTables], feature_id: str) -> str:
    """The one tracker kind; nothing mixes."""
    frames = [path for t in tables.values() for path in t.frames]
    kinds = {tracker.split("/")[0] for tracker in distinct_values(frames, "tracker")}
    kind = _one_value("tracker kind", kinds, "set faces.tracker in the preset and run the extraction again")
    speech = [path for t in tables.values() for path in t.speech]
    found = _one_value(
        "speech feature", distinct_values(speech, "feature_id"), "set speech.feature in the preset and run again"
    )
    if found != feature_id:
        raise PermanentError(f"training set: expected feature `{feature_id}`, the tables hold `{found}`: run again")
    return kind


def _moved(features: Motion, shift: int, n: int) -> tuple[Motion, NDArray[np.bool_]]:
    """Features of n frames, `shift` frames later, and the frames that have one."""
    wanted = np.arange(n) - shift
    there = (wanted >= 0) & (wanted < len(features))
    return features[np.clip(wanted, 0, len(features) - 1)], there


def _segments(
    clip: ClipArrays, places: list[int], window: int, shift: int
) -> Iterator[tuple[int, Motion, Motion | None]]:
    """(first frame, states, features) of the stretches of a clip that hold a window; no features without a voice."""
    motion, usable = bridged(clip.motion[:, places])
    heard = None
    if clip.speech is not None:
        heard, there = _moved(clip.speech, shift, len(motion))
        usable = usable & there
    for start, end in stretches(usable):
        if end - start >= window:
            yield start, motion[start:end], None if heard is None else heard[start:end]


class _Builder:
    """Packs clip by clip, and notes what is not packed and why."""

    def __init__(
        self,
        config: TrainingSetConfig,
        feature_id: str,
        gate: SyncGate | None,
        packer: Packer,
        withdrawn: frozenset[str],
    ) -> None:
        self.config, self.feature_id, self.gate, self.packer = config, feature_id, gate, packer
        self.withdrawn = withdrawn
        self.verdicts: dict[str, ClipSync] = {}
        self.excluded: list[Excluded] = []

    def add_corpus(
        self, tables: CorpusTables, excluded: Mapping[str, Excluded], styles: frozenset[str], channels: list[str]
    ) -> None:
        """Pack the accepted clips of a corpus, and the motion of `styles`."""
        clips = read_frame(CLIPS, tables.clips)
        chosen = (clips["status"] == Status.OK) | clips["clip_id"].isin(styles)
        chosen &= ~clips["clip_id"].isin(self.withdrawn)
        clips = clips[chosen].set_index("clip_id", drop=False)
        self.excluded += [excluded[clip] for clip in clips.index if clip in excluded]
        wanted = clips.index.difference(list(excluded))
        places = [MOTION_NAMES.index(name) for name in channels]
        rows = {str(row["clip_id"]): row for row in clips.to_dict("records")}
        here = set()
        for clip in shard_clips(tables, wanted, styles):
            here.add(clip.clip_id)
            self._add_clip(clip, rows[clip.clip_id], places)
        for missing in sorted(set(wanted) - here):
            self.excluded.append(Excluded(missing, "no_speech", "no frames or no sound"))

    def _add_clip(self, clip: ClipArrays, row: dict[Any, Any], places: list[int]) -> None:
        sync = None
        if self.gate is not None and clip.speech is not None:
            sync = self.gate(clip.motion, clip.speech, self.feature_id)
        if sync is not None:
            self.verdicts[clip.clip_id] = sync
            if not sync.kept:
                self.excluded.append(Excluded(clip.clip_id, "out_of_sync", f"the sync gate says {sync.verdict}"))
                return
        labels = {k: row[k] for k in ("clip_id", "corpus", "speaker", "source", "emotion", "level", "split")}
        found = False
        for start, states, features in _segments(clip, places, self.config.window, sync.shift if sync else 0):
            self.packer.add({**labels, "clip_start": start}, states, features)
            found = True
        if not found:
            detail = f"no {self.config.window} frames with a face in a row"
            self.excluded.append(Excluded(clip.clip_id, "too_short", detail))


def build_training_set(
    tables: Mapping[str, CorpusTables],
    config: TrainingSetConfig,
    feature_id: str,
    out: Path,
    excluded: Mapping[str, Excluded] | None = None,
    gate: SyncGate | None = None,
    styles: frozenset[str] = frozenset(),
    withdrawn: frozenset[str] = frozenset(),
) -> TrainingSetInfo:
    """Pack the accepted clips of all corpora, without those that are `excluded` by id, and as the sync gate says.

    `styles` are rejected clips of which the motion is taken, for style; clips that are `withdrawn` go in nowhere, and
    are not named either. Clips lie in the order of corpus and id, those
    of the test split last. Raises `PermanentError` when features or tracker kinds would mix, and when there is nothing
    to train on.
    """
    # A corpus of which only the lists are here has no shard.
    here = {corpus: t for corpus, t in sorted(tables.items()) if t.frames}
    if not here:
        raise PermanentError(f"training set: no clip of {', '.join(sorted(tables))} is here: `magictalk corpus check`")
    kind = _check_kinds(here, feature_id)
    seen = frozenset.intersection(*(seen_channels(t.frames) for t in here.values()))
    channels = [name for name in STATE_SETS[config.state] if name in seen]
    size = feature_size([path for t in here.values() for path in t.speech])
    with (
        atomic_directory(out) as folder,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-") as scratch,
        closing(Packer(folder, Path(scratch), len(channels), size)) as packer,
    ):
        builder = _Builder(config, feature_id, gate, packer, withdrawn)
        for one in here.values():
            builder.add_corpus(one, excluded or {}, styles, channels)
        if not packer.trains:
            raise PermanentError(
                f"training set: no clip of the train split has {config.window} frames with a face in a row"
                + (" and passes the sync gate: see training_set.sync_gate in the preset" if gate else "")
            )
        counts = packer.finish(config.min_std)
        _write_left_out(folder, builder.excluded)
        counts["clips_left_out"] = len(builder.excluded)
        info = {
            "version": TRAINING_SET_VERSION,
            "channels": channels,
            "feature_id": feature_id,
            "feature_size": size,
            "tracker_kind": kind,
            "window": config.window,
            "stride": config.stride,
            "corpora": {corpus: t.digest for corpus, t in sorted(tables.items())},
            "counts": counts,
        }
        if withdrawn:
            info["withdrawn"] = digest_of({"clips": sorted(withdrawn)})
        if gate:
            _write_verdicts(folder, builder.verdicts)
            counts["clips_speaker_mismatch"] = sum(not sync.kept for sync in builder.verdicts.values())
            counts["clips_speech_moved"] = sum(sync.shift != 0 for sync in builder.verdicts.values())
            info["sync_gate"] = {"expert": gate.digest, **config.sync_gate.model_dump(exclude={"expert"})}
        write_info(folder, info)
    return TrainingSetInfo(str(info["digest"]), counts)


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """`info.json` of the packed files in `folder`, with the digests of what a training reads and of everything."""
    info["learned"] = learned_digest(folder, info)
    files = [(p.name, file_md5(p)) for p in folder.iterdir()]
    info["digest"] = directory_md5([*files, ("info", json.dumps(info, sort_keys=True))])
    (folder / "info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")


def _write_left_out(folder: Path, excluded: list[Excluded]) -> None:
    rows: list[dict[str, Any]] = [asdict(one) for one in sorted(excluded, key=lambda one: one.clip_id)]
    columns = [field.name for field in fields(Excluded)]
    pd.DataFrame(rows, columns=columns).to_csv(folder / LEFT_OUT, index=False)


def _write_verdicts(folder: Path, verdicts: Mapping[str, ClipSync]) -> None:
    rows = [
        {"clip_id": clip, **asdict(sync), "reason": None if sync.kept else str(Reason.SPEAKER_MISMATCH)}
        for clip, sync in sorted(verdicts.items())
    ]
    columns = ["clip_id", *(f.name for f in fields(ClipSync)), "reason"]
    table = pd.DataFrame(rows, columns=columns).astype({"offset": "Int32"})
    table.to_csv(folder / SYNC_GATE, index=False, float_format="%.6g")
