"""Videos of the test clips by every configured system of others, and the table that says what became of each.

A clip's video is made once: its work is known by the clip's files, the commands, and the system's code and weights, all
by content. What failed is not tried again while nothing of that changed, unless it is asked for: a system that hangs
would hang for its whole time at every run. Finished clips stand in the table at once, so that a run that was killed
goes on where it was.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.config import ExternalConfig
from magictalk_core.errors import UserError
from magictalk_core.evaluation.external.clips import TestClip, read_test_clips
from magictalk_core.evaluation.external.delivery import measure
from magictalk_core.evaluation.external.source import Outcome, Source, open_source
from magictalk_core.evaluation.table import GROUND_TRUTH
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, read_table, write_table
from magictalk_core.storage.schema import EXTERNAL_VIDEOS, SCORES
from magictalk_core.vocabulary.external import ExternalState
from magictalk_core.work.manifest import manifest_inputs
from magictalk_core.work.provenance import Input, Work, input_of, record_path
from magictalk_core.workspace import Workspace

__all__ = ["EXTERNAL_VERSION", "ExternalVideos", "external_files", "make_external_videos"]

logger = logging.getLogger("magictalk.external")

EXTERNAL_VERSION = "1"
Row = dict[str, Any]


@dataclass(frozen=True)
class ExternalVideos:
    """The table: path, md5, rows made and failed, how many videos this call made, and files that belong to no clip."""

    path: Path
    md5: str
    made: int
    failed: int
    computed: int
    unmatched: tuple[Path, ...]


def make_external_videos(
    workspace: Workspace,
    corpora: Sequence[str],
    preset: Preset,
    *,
    only: Sequence[str] = (),
    retry: bool = False,
) -> ExternalVideos:
    """Bring the videos of all configured systems up to date; those of systems and clips that are gone are removed.

    `only`: the systems to work on, empty: all. `retry`: what failed is tried again though nothing changed. Raises
    `UserError` for a system that has the name of a method of ours.
    """
    systems = preset.evaluation.external
    _refuse_own_names(workspace, systems)
    # Before anything is written: a corpus without its manifest ends here, and leaves no table without its record.
    manifests = manifest_inputs(workspace, corpora)
    clips = read_test_clips(workspace, corpora, preset.evaluation.max_clips) if systems else []
    rows = _Rows(workspace, {(one.system, clip.clip_id) for one in systems for clip in clips})
    computed = 0
    unmatched: list[Path] = []
    for config in systems:
        if only and config.system not in only:
            continue
        source = open_source(workspace, config, [clip.clip_id for clip in clips])
        unmatched += source.unmatched
        computed += _bring_up_to_date(workspace, source, clips, rows, retry)
    rows.write()
    _sweep(workspace, rows)
    _record(workspace, manifests, systems, rows)
    states = [row["state"] for row in rows]
    made = states.count(ExternalState.MADE)
    path = workspace.external_videos
    return ExternalVideos(path, file_md5(path), made, len(states) - made, computed, tuple(unmatched))


def external_files(workspace: Workspace) -> dict[str, dict[str, Path]]:
    """System -> clip id -> its video, of those that were made; empty where there is no table yet."""
    if not workspace.external_videos.is_file():
        return {}
    table = read_frame(EXTERNAL_VIDEOS, workspace.external_videos, filters=[("state", "==", ExternalState.MADE)])
    found: dict[str, dict[str, Path]] = {}
    for method, clip_id, file in zip(table["method"], table["clip_id"], table["file"], strict=True):
        found.setdefault(str(method), {})[str(clip_id)] = workspace.home / str(file)
    return found


class _Rows:
    """The rows of the table by (system, clip), written after every change: only those that are wanted now."""

    def __init__(self, workspace: Workspace, wanted: set[tuple[str, str]]) -> None:
        self._path = workspace.external_videos
        there = read_table(EXTERNAL_VIDEOS, self._path).to_pylist() if self._path.is_file() else None
        self._written = there
        kept = [row for row in there or [] if (row["method"], row["clip_id"]) in wanted]
        self._rows: dict[tuple[str, str], Row] = {(row["method"], row["clip_id"]): row for row in kept}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows[key] for key in sorted(self._rows))

    def get(self, system: str, clip_id: str) -> Row | None:
        return self._rows.get((system, clip_id))

    def put(self, row: Row) -> None:
        self._rows[row["method"], row["clip_id"]] = row
        self.write()

    def write(self) -> None:
        """Unless the file says so already: an equal one keeps its time."""
        rows = list(self)
        if rows != self._written:
            write_table(EXTERNAL_VIDEOS, rows, self._path)
            self._written = rows


def _bring_up_to_date(workspace: Workspace, source: Source, clips: Sequence[TestClip], rows: _Rows, retry: bool) -> int:
    computed = 0
    for number, clip in enumerate(clips, 1):
        target = _target(workspace, source.system, clip.clip_id)
        work = source.work(clip, target)
        before = rows.get(source.system, clip.clip_id)
        if _is_done(work, before, retry):
            continue
        # Finished by a run that was killed before it wrote the row, or whose table is gone.
        is_there = work.is_made()
        outcome = Outcome.of(measure(target)) if is_there else source.make(clip, target)
        computed += outcome.video is not None and not is_there
        if outcome.video is not None:
            work.record(clips=clip.ids)
        else:
            _remove(target)
            logger.warning("%s: no video of %s: %s: %s", source.system, clip.clip_id, outcome.reason, outcome.detail)
        rows.put(_row(workspace, source, clip, target, work, outcome))
        logger.info("%s: %d of %d clips", source.system, number, len(clips))
    return computed


def _is_done(work: Work, before: Row | None, retry: bool) -> bool:
    if before is None or before["work"] != work.digest:
        return False
    return work.is_made() if before["state"] == ExternalState.MADE else not retry


def _target(workspace: Workspace, system: str, clip_id: str) -> Path:
    return workspace.external / system / f"{clip_id.replace('/', '-')}.mp4"


def _row(workspace: Workspace, source: Source, clip: TestClip, target: Path, work: Work, outcome: Outcome) -> Row:
    video = outcome.video
    return {
        "clip_id": clip.clip_id,
        "method": source.system,
        "state": str(ExternalState.FAILED if video is None else ExternalState.MADE),
        "reason": None if outcome.reason is None else str(outcome.reason),
        "detail": outcome.detail,
        "file": None if video is None else target.relative_to(workspace.home).as_posix(),
        "md5": None if video is None else file_md5(target),
        "width": None if video is None else video.width,
        "height": None if video is None else video.height,
        "frames": None if video is None else video.frames,
        "origin": source.origin,
        "commit": source.commit,
        "work": work.digest,
    }


def _refuse_own_names(workspace: Workspace, systems: Sequence[ExternalConfig]) -> None:
    scores = workspace.scores / "scores.parquet"
    own = {GROUND_TRUTH}
    if scores.is_file():
        own |= set(read_frame(SCORES, scores, columns=["method"])["method"].unique())
    for one in systems:
        if one.system in own:
            raise UserError(f"`{one.system}` is a method of ours: give the other system another name in the preset")


def _sweep(workspace: Workspace, rows: _Rows) -> None:
    """Remove videos that no row speaks of."""
    kept = {workspace.home / row["file"] for row in rows if row["file"] is not None}
    for path in sorted(workspace.external.glob("*/*.mp4")):
        if path not in kept:
            _remove(path)
    for folder in workspace.external.iterdir():
        if folder.is_dir() and not any(folder.glob("*.mp4")):
            shutil.rmtree(folder)


def _remove(video: Path) -> None:
    video.unlink(missing_ok=True)
    record_path(video).unlink(missing_ok=True)


def _record(workspace: Workspace, manifests: Sequence[Input], systems: Sequence[ExternalConfig], rows: _Rows) -> None:
    home = workspace.home
    videos = [home / row["file"] for row in rows if row["file"] is not None]
    inputs = (
        *manifests,
        *(input_of(home, "external_video", path, is_recorded=True) for path in videos),
    )
    settings: Mapping[str, Any] = {"external": [one.model_dump(mode="json") for one in systems]}
    work = Work(home, "external_videos", workspace.external_videos, EXTERNAL_VERSION, inputs, settings)
    work.record(clips={row["clip_id"] for row in rows} or None)
