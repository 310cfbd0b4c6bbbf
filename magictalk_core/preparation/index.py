"""From the listing to CLIPS rows: the kind finds the clips, a look at each file's headers rejects the hopeless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.raw_files import raw_file
from magictalk_core.corpora.records import ClipSource, ListedBox
from magictalk_core.corpora.withdrawals import Withdrawals
from magictalk_core.errors import UserError
from magictalk_core.media.probe import MediaProbe
from magictalk_core.preparation.gates import Rejection, decide
from magictalk_core.preparation.headers import HEADERS_VERSION, Headers, read_headers
from magictalk_core.preparation.withdrawn import tombstone
from magictalk_core.storage.schema import CLIPS
from magictalk_core.vocabulary.clips import Reason, Status
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["INDEX_VERSION", "find_clips", "index_corpus"]

INDEX_VERSION = f"4/{HEADERS_VERSION}"


def find_clips(entry: CorpusEntry, source: pd.DataFrame) -> list[ClipSource]:
    """The clips of a corpus, sorted by id, from its SOURCE rows. Raises `UserError` where two files give one id."""
    clips = kind_of(entry).find_clips(corpus_of(entry), list(source["path"]))
    seen: dict[str, ClipSource] = {}
    for clip in clips:
        other = seen.setdefault(clip.clip_id, clip)
        if other is not clip:
            raise UserError(
                f"two files give the clip `{clip.clip_id}`: {other.path} and {clip.path}: rename or remove one"
            )
    return clips


def index_corpus(
    entry: CorpusEntry,
    source: pd.DataFrame,
    local: Path,
    media: MediaConfig,
    quality: QualityConfig,
    cache: Path | None = None,
    withdrawals: Withdrawals | None = None,
) -> tuple[list[dict[str, Any]], bool]:
    """CLIPS rows, sorted by id, from SOURCE rows; and whether all questions were answered (`Headers.complete`).

    Of a clip in `withdrawals` a `tombstone` is left; a file of which everything is withdrawn is not opened.

    Crop, frame count and scores stay null until the clip is decoded.

    Unreadable, soundless, too short and too long clips have their reason here already, from the headers of their files
    (`read_headers`, which remembers them in `cache`), and so have clips that are listed but whose file is not here.
    """
    clips = find_clips(entry, source)
    md5 = dict(zip(source["path"], source["md5"], strict=True))
    gone = withdrawals or Withdrawals()
    files: dict[str, Path] = {}
    chunked: dict[str, Path] = {}
    for clip in clips:
        if clip.path is None or _is_named(gone, clip) or gone.whole_file(md5[clip.path.as_posix()]):
            continue
        name = clip.path.as_posix()
        if md5[name] not in files:
            files[md5[name]] = raw_file(entry.root, local, name)
        if clip.chunk is not None:
            chunked[md5[name]] = files[md5[name]]
    headers = read_headers(entry.name, files, chunked, media, cache)
    return [_row(clip, md5, headers, quality, gone) for clip in clips], headers.complete


def _is_named(withdrawals: Withdrawals, clip: ClipSource) -> bool:
    """Whether a clip is withdrawn whatever its file holds."""
    return withdrawals.named(clip.clip_id, clip.corpus, clip.speaker, clip.source) is not None


def _rejection(clip: ClipSource, probed: MediaProbe | Rejection | None, cut: _Cut) -> Rejection | None:
    """What the headers say against a clip; lengths are left to the gates."""
    if probed is None:
        return Reason.MISSING, "the corpus lists this clip, but its file is not here: see `magictalk corpus check`"
    if not isinstance(probed, MediaProbe):
        return probed
    if not probed.has_video:
        return Reason.NO_VIDEO, "the file has sound but no video stream"
    if cut.lost is not None:
        return Reason.OUT_OF_CHUNK, cut.lost
    if not probed.has_audio and clip.audio_path is None:
        return Reason.NO_AUDIO, "no audio stream in the video and no separate audio file"
    return None


@dataclass(frozen=True)
class _Cut:
    """Where the clip lies in its file, seconds; its length there; and what the file lacks of it, in words."""

    start_s: float | None = None
    end_s: float | None = None
    length_s: float | None = None
    lost: str | None = None


def _cut(clip: ClipSource, probed: MediaProbe, chunks: Sequence[float], quality: QualityConfig) -> _Cut:
    """The listed cut in seconds of the file, its end moved to the end of what is there where little is missing."""
    start, end, fps = clip.start_s, clip.end_s, probed.fps or FRAME_RATE
    there = probed.duration_s if probed.duration_s > 0 else None
    if clip.start_frame is not None and clip.end_frame is not None:
        origin = 0.0
        if clip.chunk is not None:
            if clip.chunk >= len(chunks):
                return _Cut(lost=f"the list cuts chunk {clip.chunk}, and the file has {len(chunks)} chunks")
            origin = chunks[clip.chunk]
            there = chunks[clip.chunk + 1] if clip.chunk + 1 < len(chunks) else there
        # The last frame is shown for its whole length.
        start, end = origin + clip.start_frame / fps, origin + (clip.end_frame + 1) / fps
    if there is None or (start is None and end is None):
        return _Cut(start, end, there if end is None else end - (start or 0.0))
    first, last = start or 0.0, there if end is None else end
    found = min(there, last) - first
    if found <= 0 or last - first - found > quality.max_lost_frames / fps:
        return _Cut(start, end, last - first, f"the list cuts {first:.2f}-{last:.2f} s, and there are {there:.2f} s")
    return _Cut(start, None if end is None else min(end, there), found)


def _box(box: ListedBox, width: int, height: int) -> dict[str, int] | None:
    """The listed window in pixels of the real picture, clamped into it; None where nothing of it is inside.

    Edges are scaled by width and height apart where the list states both, else by the height, and rounded.
    """
    y_scale = height / box.of_height if box.of_height else 1.0
    x_scale = width / box.of_width if box.of_width else y_scale
    left, right = (min(max(0, round(x * x_scale)), width) for x in (box.x, box.x + box.width))
    top, bottom = (min(max(0, round(y * y_scale)), height) for y in (box.y, box.y + box.height))
    if right - left < 2 or bottom - top < 2:
        return None
    return {"box_x": left, "box_y": top, "box_width": right - left, "box_height": bottom - top}


def _row(
    clip: ClipSource,
    md5: Mapping[str, str],
    headers: Headers,
    quality: QualityConfig,
    withdrawals: Withdrawals,
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(CLIPS.names)
    names = "clip_id corpus shard speaker source address emotion level view licence"
    row |= {name: getattr(clip, name) for name in names.split()}
    for kind, path in (("raw", clip.path), ("raw_audio", clip.audio_path)):
        if path is not None:
            row |= {f"{kind}_path": path.as_posix(), f"{kind}_md5": md5[path.as_posix()]}
    row |= {"split": str(clip.split), "status": str(Status.OK)}
    digest = row["raw_md5"]
    cut = _Cut(clip.start_s, clip.end_s)
    gone = withdrawals.named(clip.clip_id, clip.corpus, clip.speaker, clip.source)
    gone = gone or (None if digest is None else withdrawals.whole_file(digest))
    if gone is not None:
        return tombstone(row | {"start_s": cut.start_s, "end_s": cut.end_s}, gone)
    probed = None if digest is None else headers.files[digest]
    rejection: Rejection | None = None
    if isinstance(probed, MediaProbe):
        cut = _cut(clip, probed, headers.chunks.get(digest, ()), quality)
        row |= {"native_rate": probed.sample_rate, "duration_s": cut.length_s}
        if probed.has_video:
            row |= {"native_fps": probed.fps, "native_width": probed.width, "native_height": probed.height}
            if clip.box is not None:
                box = _box(clip.box, probed.width, probed.height)
                row |= box or {}
                if box is None:
                    rejection = Reason.OUT_OF_CHUNK, "the listed window lies outside of the picture"
    row |= {"start_s": cut.start_s, "end_s": cut.end_s}
    gone = withdrawals.number(row)
    if gone is not None:
        return tombstone(row, gone)
    rejection = _rejection(clip, probed, cut) or rejection or decide(row, quality)
    if rejection is not None:
        row |= {"status": str(Status.REJECTED), "reason": str(rejection[0]), "detail": rejection[1]}
    return row
