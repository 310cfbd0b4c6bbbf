"""The three shard steps of a corpus: standardized media, blendshapes, speech features.

Each takes the index rows of one shard and leaves one Parquet file in the dataset folder. Bad clips become rows with a
reason, and a clip whose child crashed is named by the shard (`failed_clips`), so that the finished clip table has its
reason; a shard fails only when more than `MAX_FAILED_SHARE` of its clips crashed, which points at the machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from magictalk_core.config import DataSettings, MediaConfig
from magictalk_core.corpora.raw_files import raw_file
from magictalk_core.corpora.withdrawals import Withdrawals, read_withdrawals
from magictalk_core.errors import MachineError, PermanentError
from magictalk_core.preparation.gates import decide
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.preparation.records import WORTH_DECODING, media_work, table_work, weights_of_text
from magictalk_core.preparation.speech_batches import make_pieces_in_batches, make_speech_piece, speech_memory_gb
from magictalk_core.preparation.withdrawn import media_tombstone, near_withdrawn, withdrawal_of
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of
from magictalk_core.storage.machine import GO_ON
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import FRAMES, MEDIA, SPEECH, TableSpec
from magictalk_core.vocabulary.clips import Reason, Status
from magictalk_core.work.clip_steps import (
    ClipTask,
    StepLimits,
    StepOutcome,
    inputs_digest,
    piece_path,
    run_clip_tasks,
    unchanged_shard,
    write_shard,
)
from magictalk_core.work.isolation import default_workers, map_isolated
from magictalk_core.work.mapper import TaskMapper
from magictalk_core.work.pieces import write_piece_list
from magictalk_core.work.provenance import Weights
from magictalk_core.workspace import Workspace

__all__ = [
    "MAX_FAILED_SHARE",
    "ShardResult",
    "blendshapes_shard",
    "media_settings",
    "media_shard",
    "media_stem",
    "speech_shard",
]

MAX_FAILED_SHARE = 0.5
_FEW_FAILED = 2
"""So many crashes say nothing about the machine: a shard may hold one clip only."""

_TRACKING_MEMORY_GB = 6.0
"""Private memory of a tracking child. It maps 1.7 GB here on 2 cores with either tracker, most of it reserved by the
libraries and not used (0.3 GB resident), and more on machines with more cores."""

_TRACKING_TIMEOUT_S = 1800.0
_SPEECH_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class ShardResult:
    """What a shard step left behind."""

    path: Path
    md5: str
    clips: int
    rows: int
    computed: int
    rejected: int


def media_stem(clip_id: str) -> str:
    """`<source>-<clip>` of a clip id; the corpus and the shard are folders already."""
    return "-".join(clip_id.split("/")[1:])


def _refuse_broken_machine(step: str, shard: str, outcome: StepOutcome, clips: int) -> None:
    if len(outcome.crashes) > max(_FEW_FAILED, MAX_FAILED_SHARE * clips):
        clip = min(outcome.crashes)
        crash = outcome.crashes[clip]
        raise PermanentError(
            f"{step} of shard {shard}: {len(outcome.crashes)} of {clips} clips failed, more than "
            f"{MAX_FAILED_SHARE:.0%}; first {clip}: {crash.kind}: {crash.detail}"
        )


# --- media ---------------------------------------------------------------------------------------------------------


def media_settings(config: MediaConfig) -> dict[str, Any]:
    """The settings that change the result; limits of the machine do not."""
    return config.model_dump(exclude={"timeout_s", "max_memory_gb"})


def _media_key(row: Mapping[str, Any], settings: Mapping[str, Any], versions: str) -> str:
    names = "clip_id raw_md5 raw_audio_md5 start_s end_s box_x box_y box_width box_height"
    work = {name: row[name] for name in names.split()}
    return digest_of({"work": work, "settings": settings, "version": versions})


def make_media_piece(
    row: dict[str, Any], key: str, root: str, local: str, out_dir: str, config: dict[str, Any], piece: Path
) -> None:
    """Standardize one clip in a child process and leave its MEDIA row as JSON."""
    from magictalk_core.faces.detection import load_face_detector
    from magictalk_core.faces.visible import load_face_viewer
    from magictalk_core.media.crop import Window
    from magictalk_core.media.standardize import standardize_clip

    video, audio = raw_file(Path(root), Path(local), row["raw_path"]), row["raw_audio_path"]
    if not video.is_file():
        raise MachineError(f"{video}: is gone since this corpus was listed: look at that disk, {GO_ON}")
    window = None
    if row["box_x"] is not None:
        window = Window(*(int(row[f"box_{side}"]) for side in ("x", "y", "width", "height")))
    result = standardize_clip(
        video,
        None if audio is None else raw_file(Path(root), Path(local), audio),
        row["start_s"],
        row["end_s"],
        Path(out_dir),
        f"{media_stem(row['clip_id'])}.{key[:8]}",
        MediaConfig.model_validate(config),
        load_face_detector,
        window,
        load_face_viewer,
    )
    write_text(piece, json.dumps({"clip_id": row["clip_id"], **result}, sort_keys=True))


def _crash_row(clip_id: str, detail: str) -> dict[str, Any]:
    empty = dict.fromkeys(MEDIA.names)
    return {**empty, "clip_id": clip_id, "status": Status.REJECTED, "reason": Reason.UNREADABLE, "detail": detail}


def _none_for_nan(rows: pd.DataFrame) -> list[dict[str, Any]]:
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def _work(row: Mapping[str, Any]) -> float:
    """Pixels to decode, roughly. The longest work is begun first, so that no processor waits for it at the end."""
    sides = (row[name] or 0.0 for name in ("duration_s", "native_fps", "native_width", "native_height"))
    return float(math.prod(sides))


def _media_tasks(
    index: pd.DataFrame, root: Path, local: Path, out_dir: Path, config: MediaConfig, version: str
) -> list[ClipTask]:
    settings = media_settings(config)
    tasks = []
    for row in sorted(_none_for_nan(index), key=_work, reverse=True):
        if row["reason"] in WORTH_DECODING:
            key = _media_key(row, settings, version)
            arguments = (row, key, str(root), str(local), str(out_dir), config.model_dump())
            tasks.append(ClipTask(row["clip_id"], key, arguments))
    return tasks


def media_shard(
    workspace: Workspace,
    corpus: str,
    root: Path,
    shard: str,
    index: pd.DataFrame,
    preset: DataSettings,
    workers: int = 0,
    mapper: TaskMapper = map_isolated,
) -> ShardResult:
    """25 fps video with a fixed square crop and 16 kHz audio for the clips of `shard` that are `WORTH_DECODING`.

    `index` holds the CLIPS rows of the shard.
    """
    from magictalk_core.media.standardize import STANDARDIZE_VERSION

    config, out_dir = preset.media, workspace.media(corpus, shard)
    tasks = _media_tasks(index, root, workspace.local_media(corpus), out_dir, config, STANDARDIZE_VERSION)
    path = workspace.shard_table(corpus, "media", shard)
    inputs = inputs_digest(tasks)

    withdrawals = read_withdrawals(workspace)

    def is_valid(piece: Path) -> bool:
        if not piece.is_file():
            return False
        row = json.loads(piece.read_text(encoding="utf-8"))
        if row["reason"] == Reason.WITHDRAWN:
            return withdrawal_of(row) in withdrawals.active
        return all(row[name] is None or (out_dir / row[name]).is_file() for name in ("video_path", "audio_path"))

    limits = StepLimits(workers or default_workers(), config.timeout_s, config.max_memory_gb, PRELOAD, mapper)
    cache = workspace.cache("media")
    outcome = run_clip_tasks(f"{corpus}/media {shard}", tasks, make_media_piece, cache, ".json", limits, is_valid)
    _refuse_broken_machine(f"{corpus}/media", shard, outcome, len(tasks))
    rows = _known_again(outcome.pieces, out_dir, withdrawals, preset.quality.max_duplicate_distance)
    gone = {row["clip_id"]: row["detail"] for row in rows if row["reason"] == Reason.WITHDRAWN}
    inputs = digest_of({"tasks": inputs, "withdrawn": gone}) if gone else inputs
    md5 = unchanged_shard(path, inputs) if not outcome.crashes else None
    _list_pieces(workspace, corpus, "media", shard, outcome.pieces, is_same=md5 is not None and not outcome.computed)
    for row in rows:
        for name in ("video_path", "audio_path"):
            row[name] = None if row[name] is None else f"media/{shard}/{row[name]}"
    rows += [_crash_row(clip, f"{crash.kind}: {crash.detail}") for clip, crash in outcome.crashes.items()]
    if md5 is None:
        frame = pd.DataFrame(rows, columns=list(MEDIA.names)).astype(object)
        metadata = {"magictalk.inputs": inputs if not outcome.crashes else "incomplete", "version": STANDARDIZE_VERSION}
        metadata["settings"] = json.dumps(media_settings(config), sort_keys=True)
        md5 = write_table(MEDIA, _none_for_nan(frame), path, metadata)
        _prune_media(out_dir, rows)
    work = media_work(workspace, corpus, shard, STANDARDIZE_VERSION, {"media": media_settings(config)}, inputs)
    if not work.is_recorded(md5):
        work.record(md5=md5, files={path.name: md5}, clips=[row["clip_id"] for row in rows])
    rejected = sum(row["status"] != Status.OK or decide(row, preset.quality) is not None for row in rows)
    return ShardResult(path, md5, len(tasks), len(rows), outcome.computed, rejected)


def _list_pieces(
    workspace: Workspace, corpus: str, table: str, shard: str, pieces: Mapping[str, Path], *, is_same: bool
) -> None:
    """Leave the list of a shard's pieces; `is_same`: one that is there is of these pieces."""
    listed = workspace.piece_list(corpus, table, shard)
    if not is_same or not listed.is_file():
        write_piece_list(listed, pieces, workspace.cache(table))


def _known_again(
    pieces: Mapping[str, Path], out_dir: Path, withdrawals: Withdrawals, limit: float
) -> list[dict[str, Any]]:
    """The MEDIA rows of the pieces. A withdrawn recording that came back under another name is known by its signature
    once it is decoded: its files go, and its piece says so from then on."""
    rows = {clip: json.loads(piece.read_text(encoding="utf-8")) for clip, piece in pieces.items()}
    for clip, number in near_withdrawn(list(rows.values()), withdrawals, limit).items():
        row = media_tombstone(clip, number)
        write_text(pieces[clip], json.dumps(row, sort_keys=True))
        for name in ("video_path", "audio_path"):
            if rows[clip][name] is not None:
                (out_dir / rows[clip][name]).unlink(missing_ok=True)
        rows[clip] = row
    return list(rows.values())


def _prune_media(out_dir: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Remove media that no row names: results of earlier settings or of raw files that changed."""
    keep = {Path(row[name]).name for row in rows for name in ("video_path", "audio_path") if row[name]}
    for file in out_dir.glob("*"):
        if file.is_file() and file.name not in keep:
            file.unlink()


# --- tables made from the media ------------------------------------------------------------------------------------


def make_blendshapes_piece(video: str, clip_id: str, tracker: str, piece: Path) -> None:
    """Track one clip in a child process and leave its FRAMES rows."""
    from magictalk_core.faces.extract import extract_clip

    write_table(FRAMES, extract_clip(Path(video), clip_id, tracker), piece)


def _table_shard(
    workspace: Workspace,
    corpus: str,
    shard: str,
    spec: TableSpec,
    folder: str,
    tasks: Sequence[ClipTask],
    function: Any,
    limits: StepLimits,
    metadata: Mapping[str, str],
    weights: Sequence[Weights],
) -> ShardResult:
    path = workspace.shard_table(corpus, folder, shard)
    inputs = inputs_digest(tasks)
    settings = {name: value for name, value in metadata.items() if name not in ("version", "weights")}
    work = table_work(workspace, corpus, folder, shard, metadata["version"], settings, inputs)
    clips = [task.clip_id for task in tasks]
    md5 = unchanged_shard(path, inputs)
    if md5 is not None:
        cached = {task.clip_id: piece_path(workspace.cache(folder), task.key, ".parquet") for task in tasks}
        here = {clip: piece for clip, piece in cached.items() if piece.is_file()}
        _list_pieces(workspace, corpus, folder, shard, here, is_same=True)
        if not work.is_recorded(md5):
            work.record(md5=md5, files={path.name: md5}, clips=clips, weights=weights)
        rows = pq.read_metadata(path).num_rows
        return ShardResult(path, md5, len(tasks), rows, 0, 0)
    outcome = run_clip_tasks(f"{corpus}/{folder} {shard}", tasks, function, workspace.cache(folder), ".parquet", limits)
    _refuse_broken_machine(f"{corpus}/{folder}", shard, outcome, len(tasks))
    _list_pieces(workspace, corpus, folder, shard, outcome.pieces, is_same=False)
    md5, rows = write_shard(spec, list(outcome.pieces.values()), path, inputs, metadata, outcome.crashes)
    work.record(md5=md5, files={path.name: md5}, clips=clips, weights=weights)
    return ShardResult(path, md5, len(tasks), rows, outcome.computed, len(outcome.crashes))


def _media_rows(workspace: Workspace, corpus: str, shard: str, needs: str) -> list[dict[str, Any]]:
    media = read_frame(MEDIA, workspace.shard_table(corpus, "media", shard))
    return _none_for_nan(media[media[needs].notna()])


def blendshapes_shard(
    workspace: Workspace,
    corpus: str,
    shard: str,
    preset: DataSettings,
    workers: int = 0,
    mapper: TaskMapper = map_isolated,
) -> ShardResult:
    """ARKit coefficients of every clip of the shard that has a video, rejected clips included."""
    from magictalk_core.faces.extract import BLENDSHAPES_VERSION
    from magictalk_core.faces.tracker_ids import tracker_id, tracker_weights

    tracker = tracker_id(preset.faces.tracker)
    tasks = []
    for row in _media_rows(workspace, corpus, shard, "video_path"):
        work = {"clip": row["clip_id"], "video": row["video_md5"], "tracker": tracker, "version": BLENDSHAPES_VERSION}
        video = str(workspace.corpus(corpus) / row["video_path"])
        tasks.append(ClipTask(row["clip_id"], digest_of(work), (video, row["clip_id"], preset.faces.tracker)))
    limits = StepLimits(workers or default_workers(), _TRACKING_TIMEOUT_S, _TRACKING_MEMORY_GB, PRELOAD, mapper)
    metadata = {"tracker": tracker, "version": BLENDSHAPES_VERSION, "weights": tracker_weights(tracker)}
    used = weights_of_text(metadata["weights"])
    return _table_shard(
        workspace, corpus, shard, FRAMES, "blendshapes", tasks, make_blendshapes_piece, limits, metadata, used
    )


def speech_shard(
    workspace: Workspace,
    corpus: str,
    shard: str,
    preset: DataSettings,
    workers: int = 0,
    mapper: TaskMapper = map_isolated,
) -> ShardResult:
    """Speech features of every clip of the shard that has audio, one row per video frame.

    Raises `PermanentError` when the weights of the feature are not here, before any clip is touched.
    """
    from magictalk_core.speech.features import FEATURES, feature_weights

    feature = FEATURES[preset.speech.feature]
    weights = feature_weights(feature.id)
    tasks = []
    for row in _media_rows(workspace, corpus, shard, "audio_path"):
        n_frames = int(row["n_frames"])
        work = {"clip": row["clip_id"], "audio": row["audio_md5"], "frames": n_frames, "feature": feature.id}
        work["version"] = feature.version
        if weights is not None:
            work["weights"] = weights
        audio = str(workspace.corpus(corpus) / row["audio_path"])
        tasks.append(ClipTask(row["clip_id"], digest_of(work), (audio, row["clip_id"], n_frames, feature.id)))
    limits = StepLimits(workers or default_workers(), _SPEECH_TIMEOUT_S, speech_memory_gb(), PRELOAD, mapper)
    metadata = {"feature_id": feature.id, "version": feature.version}
    if weights is not None:
        metadata["weights"] = f"sha256:{weights}"
    done = 0
    changed = unchanged_shard(workspace.shard_table(corpus, "speech", shard), inputs_digest(tasks)) is None
    if feature.has_network and changed:
        cache, together = workspace.cache("speech"), feature.together
        done = make_pieces_in_batches(f"{corpus}/speech {shard}", tasks, cache, limits.workers, together, mapper)
    used = [] if weights is None else [Weights(name=feature.id, sha256=weights)]
    result = _table_shard(workspace, corpus, shard, SPEECH, "speech", tasks, make_speech_piece, limits, metadata, used)
    return replace(result, computed=result.computed + done)
