"""What two snapshots hold differently: clips, verdicts, tables, and how far each channel of motion has shifted.

Tables are read from DVC's cache by the hashes in the manifests that Git holds, so nothing is laid out and DVC is not
loaded. Frames are read shard by shard into histograms: the memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.errors import PermanentError
from magictalk_core.lineage.dvc_data import object_path
from magictalk_core.lineage.git_history import GitHistory
from magictalk_core.lineage.snapshots import find_snapshot
from magictalk_core.storage.parquet import read_frame, read_table
from magictalk_core.storage.schema import CLIPS, FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.clips import Status
from magictalk_core.work.manifest import Manifest, manifests_of, parse_manifest, read_manifest
from magictalk_core.workspace import Workspace

__all__ = ["ChannelShift", "CorpusDiff", "Decision", "SnapshotDiff", "diff_snapshots"]

_VERDICT = ("status", "reason", "detail")
_BINS = 256
"""Of a coefficient's range 0 to 1; the distance of two distributions is right to one bin."""


@dataclass(frozen=True)
class Decision:
    """A clip whose verdict is another: `status` or `status: reason`."""

    clip_id: str
    before: str
    after: str


@dataclass(frozen=True)
class ChannelShift:
    """One channel over the frames of accepted clips. `distance`: of Kolmogorov and Smirnov, 0 equal to 1 disjoint."""

    channel: str
    mean_before: float
    mean_after: float
    distance: float


@dataclass(frozen=True)
class CorpusDiff:
    """One corpus; `changed` names the columns of a clip that hold other values, verdicts not counted."""

    corpus: str
    digest_before: str | None
    digest_after: str | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    decided: tuple[Decision, ...]
    tables: tuple[str, ...]


@dataclass(frozen=True)
class SnapshotDiff:
    """From `one` to `other`: corpora that differ, and channels by falling distance, where any frame differs."""

    one: str
    other: str
    corpora: tuple[CorpusDiff, ...]
    frames_before: int
    frames_after: int
    channels: tuple[ChannelShift, ...]


@dataclass(frozen=True)
class _Side:
    """Where the tables of one state are: of a snapshot in the cache, or as they lie in the workspace."""

    name: str
    manifests: Mapping[str, Manifest]
    workspace: Workspace
    is_now: bool

    def table(self, corpus: str, name: str) -> Path:
        if self.is_now:
            return self.workspace.dataset(corpus) / name
        path = object_path(self.workspace.home, dict(self.manifests[corpus].entries)[name])
        if not path.is_file():
            raise PermanentError(
                f"{corpus}/{name} of snapshot {self.name} is not in DVC's cache ({path}): type `magictalk snapshot "
                "pull --all`; what was purged for a withdrawal is gone from everywhere"
            )
        return path

    def files(self, corpus: str) -> dict[str, str]:
        return dict(self.manifests[corpus].entries) if corpus in self.manifests else {}

    def clips(self, corpus: str) -> pd.DataFrame:
        if corpus not in self.manifests:
            nothing: pd.DataFrame = CLIPS.schema().empty_table().to_pandas()
            return nothing.set_index("clip_id")
        return read_frame(CLIPS, self.table(corpus, "clips.parquet")).set_index("clip_id")


def diff_snapshots(workspace: Workspace, one: str, other: str | None = None) -> SnapshotDiff:
    """From snapshot `one` to `other`; None: to the data as they lie in the workspace, by their manifests."""
    before = _side(workspace, one)
    after = _now(workspace) if other is None else _side(workspace, other)
    names = sorted({*before.manifests, *after.manifests})
    differing = [name for name in names if before.files(name) != after.files(name)]
    corpora = tuple(_corpus_diff(name, before, after) for name in differing)
    sums = [_channels(side, differing, names) for side in (before, after)]
    return SnapshotDiff(before.name, after.name, corpora, sums[0].frames, sums[1].frames, _shifts(*sums))


def _side(workspace: Workspace, ref: str) -> _Side:
    snapshot = find_snapshot(workspace, ref)
    names = [f"manifests/{corpus}.json" for corpus in snapshot.datasets]
    files = GitHistory(workspace.home).files(snapshot.id, *names)
    manifests = {Path(name).stem: parse_manifest(content.decode()) for name, content in files.items()}
    return _Side(snapshot.id[:10], manifests, workspace, is_now=False)


def _now(workspace: Workspace) -> _Side:
    manifests = {corpus: read_manifest(path) for corpus, path in manifests_of(workspace).items()}
    return _Side("now", manifests, workspace, is_now=True)


def _corpus_diff(corpus: str, before: _Side, after: _Side) -> CorpusDiff:
    old, new = before.clips(corpus), after.clips(corpus)
    both = old.index.intersection(new.index)
    differs = _differing(old.loc[both], new.loc[both])
    content = differs.drop(columns=list(_VERDICT))
    changed = {
        str(clip): tuple(map(str, content.columns[row])) for clip, row in zip(both, content.to_numpy(), strict=True)
    }
    verdict = differs[["status", "reason"]].any(axis=1).to_numpy()
    decided = [Decision(str(c), _verdict(old.loc[c]), _verdict(new.loc[c])) for c in both[verdict]]
    files = before.files(corpus), after.files(corpus)
    tables = sorted(name for name in {*files[0], *files[1]} if files[0].get(name) != files[1].get(name))
    return CorpusDiff(
        corpus,
        before.manifests[corpus].digest if files[0] else None,
        after.manifests[corpus].digest if files[1] else None,
        tuple(map(str, sorted(new.index.difference(old.index)))),
        tuple(map(str, sorted(old.index.difference(new.index)))),
        {clip: columns for clip, columns in changed.items() if columns},
        tuple(decided),
        tuple(tables),
    )


def _differing(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Whether a value is another one; none equals none."""
    return (old != new) & ~(old.isna() & new.isna())


def _verdict(row: pd.Series[Any]) -> str:
    return str(row["status"]) if pd.isna(row["reason"]) else f"{row['status']}: {row['reason']}"


@dataclass
class _Sums:
    """Histograms of all channels over the frames of accepted clips."""

    counts: np.ndarray
    totals: np.ndarray
    numbers: np.ndarray
    frames: int = 0


def _channels(side: _Side, differing: Iterable[str], corpora: Iterable[str]) -> _Sums:
    n = len(ARKIT_NAMES)
    sums = _Sums(np.zeros((n, _BINS), dtype=np.int64), np.zeros(n), np.zeros(n, dtype=np.int64))
    if not list(differing):
        return sums
    for corpus in (name for name in corpora if name in side.manifests):
        status = side.clips(corpus)["status"]
        accepted = set(status.index[status == Status.OK])
        for name in (name for name in side.files(corpus) if name.startswith("blendshapes/")):
            table = read_table(FRAMES, side.table(corpus, name), columns=["clip_id", *ARKIT_NAMES])
            frame = table.to_pandas()
            _add(sums, frame[frame["clip_id"].isin(accepted)][list(ARKIT_NAMES)].to_numpy(dtype=np.float64))
    return sums


def _add(sums: _Sums, values: np.ndarray) -> None:
    """`values`: frames by channels, 0 to 1; a channel that the tracker does not see is NaN."""
    sums.frames += len(values)
    for channel in range(values.shape[1]):
        seen = values[:, channel][~np.isnan(values[:, channel])]
        bins = np.clip((seen * _BINS).astype(np.int64), 0, _BINS - 1)
        sums.counts[channel] += np.bincount(bins, minlength=_BINS)
        sums.totals[channel] += seen.sum()
        sums.numbers[channel] += len(seen)


def _shifts(before: _Sums, after: _Sums) -> tuple[ChannelShift, ...]:
    found = []
    for i, channel in enumerate(ARKIT_NAMES):
        if not before.numbers[i] or not after.numbers[i]:
            continue
        means = [float(sums.totals[i] / sums.numbers[i]) for sums in (before, after)]
        one, other = (np.cumsum(sums.counts[i]) / sums.numbers[i] for sums in (before, after))
        found.append(ChannelShift(channel, means[0], means[1], float(np.abs(one - other).max())))
    return tuple(sorted(found, key=lambda shift: -shift.distance))
