"""From the listing to CLIPS rows: the adapter finds the clips, a look at each file's headers rejects the hopeless."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import MediaConfig
from magictalk_core.corpora import folder, mead
from magictalk_core.corpora.records import ClipSource, Reason, Status
from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.errors import UserError
from magictalk_core.isolation import Crash, default_workers, map_isolated
from magictalk_core.lineage.atomic import write_text
from magictalk_core.media.probe import MediaError, MediaProbe, check_length, probe
from magictalk_core.tables.schema import CLIPS

__all__ = ["INDEX_VERSION", "index_corpus", "probe_file"]

logger = logging.getLogger("magictalk.corpora")

INDEX_VERSION = "1"

_PROBE_TIMEOUT_S = 30.0
_PROGRESS_EVERY = 500
_ADAPTERS = {"mead": mead.find_clips, "sample": mead.find_clips, "folder": folder.find_clips}

Rejection = tuple[Reason, str]


def index_corpus(
    entry: CorpusEntry, source: pd.DataFrame, media: MediaConfig, cache: Path | None = None
) -> list[dict[str, Any]]:
    """CLIPS rows, sorted by id, from SOURCE rows. Crop, frame count and duration stay null until the clip is decoded.

    Every file's headers are read and one frame is decoded, in a child process each, so that unreadable, soundless, too
    short and too long clips have their reason here. What the headers said is remembered in the JSON file `cache` by the
    content of the file, so that a corpus that grew by one clip reads one. Raises `UserError` where two files give the
    same clip id.
    """
    clips = _ADAPTERS[entry.kind](entry, source)
    _check_unique(clips)
    by_path = dict(zip(source["path"], source["md5"], strict=True))
    md5 = {clip.path: by_path[clip.path.as_posix()] for clip in clips}
    version = f"{INDEX_VERSION}/{media.max_side_px}"
    known = _read_known(cache, version)
    probes = _probe_all(entry, md5, media, known)
    if cache is not None:
        kept = {digest: known[digest] for digest in sorted(set(md5.values()) & set(known))}
        write_text(cache, json.dumps({"version": version, "probes": kept}))
    return [_row(clip, md5[clip.path], probes[clip.path], media) for clip in clips]


def _check_unique(clips: Sequence[ClipSource]) -> None:
    seen: dict[str, ClipSource] = {}
    for clip in clips:
        other = seen.setdefault(clip.clip_id, clip)
        if other is not clip:
            raise UserError(
                f"two files give the clip `{clip.clip_id}`: {other.path.as_posix()} and {clip.path.as_posix()}: rename "
                "or remove one"
            )


def probe_file(path: str, max_side: int) -> MediaProbe | Rejection:
    """`probe` for a child process: what is wrong comes back as a value."""
    try:
        return probe(Path(path), max_side)
    except MediaError as error:
        return error.reason, str(error)


def _probe_all(
    entry: CorpusEntry, md5: Mapping[Path, str], media: MediaConfig, known: dict[str, Any]
) -> dict[Path, MediaProbe | Rejection]:
    """path -> what its headers say. `known` holds earlier answers by content, and takes in the new ones."""
    paths = [path for path in sorted(md5) if md5[path] not in known]
    tasks = [(str(entry.root / path), media.max_side_px) for path in paths]
    outcomes = map_isolated(
        probe_file,
        tasks,
        workers=default_workers(),
        timeout_s=_PROBE_TIMEOUT_S,
        memory_gb=media.max_memory_gb,
    )
    found: dict[Path, MediaProbe | Rejection] = {}
    for done, (index, outcome) in enumerate(outcomes, start=1):
        path = paths[index]
        if isinstance(outcome, Crash):
            # Not remembered: the machine may be to blame.
            found[path] = Reason.UNREADABLE, f"{outcome.kind}: {outcome.detail}"
        else:
            known[md5[path]] = asdict(outcome) if isinstance(outcome, MediaProbe) else list(outcome)
        if done % _PROGRESS_EVERY == 0 or done == len(tasks):
            logger.info("%s: %d of %d files probed", entry.name, done, len(tasks))
    return {path: _restored(known[md5[path]]) for path in md5 if path not in found} | found


def _restored(value: Any) -> MediaProbe | Rejection:
    return MediaProbe(**value) if isinstance(value, dict) else (Reason(value[0]), str(value[1]))


def _read_known(cache: Path | None, version: str) -> dict[str, Any]:
    if cache is None or not cache.is_file():
        return {}
    stored = json.loads(cache.read_text(encoding="utf-8"))
    return dict(stored["probes"]) if stored["version"] == version else {}


def _rejection(clip: ClipSource, probed: MediaProbe | Rejection, media: MediaConfig) -> Rejection | None:
    if not isinstance(probed, MediaProbe):
        return probed
    if not probed.has_video:
        return Reason.NO_VIDEO, "the file has sound but no video stream"
    if not probed.has_audio and clip.audio_path is None:
        return Reason.NO_AUDIO, "no audio stream in the video and no separate audio file"
    try:
        check_length(probed.duration_s, clip.start_s, clip.end_s, media)
    except MediaError as error:
        return error.reason, str(error)
    return None


def _row(clip: ClipSource, md5: str, probed: MediaProbe | Rejection, media: MediaConfig) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(CLIPS.names)
    row |= {
        name: getattr(clip, name)
        for name in ("clip_id", "corpus", "shard", "speaker", "source", "emotion", "level", "view", "licence")
    }
    row |= {"raw_path": clip.path.as_posix(), "raw_md5": md5, "start_s": clip.start_s, "end_s": clip.end_s}
    row["raw_audio_path"] = None if clip.audio_path is None else clip.audio_path.as_posix()
    row |= {"split": str(clip.split), "status": str(Status.OK)}
    if isinstance(probed, MediaProbe):
        row["native_rate"] = probed.sample_rate
        if probed.has_video:
            row |= {"native_fps": probed.fps, "native_width": probed.width, "native_height": probed.height}
    rejection = _rejection(clip, probed, media)
    if rejection is not None:
        row |= {"status": str(Status.REJECTED), "reason": str(rejection[0]), "detail": rejection[1]}
    return row
