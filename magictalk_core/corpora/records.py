"""Clip records: what every corpus adapter produces, whatever the layout of the raw corpus."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = [
    "EMOTIONS",
    "ClipSource",
    "ListedBox",
    "Reason",
    "Split",
    "Status",
    "clip_id",
    "hash_bucket",
    "safe_name",
    "shard_key",
]

EMOTIONS: tuple[str, ...] = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
"""MEAD's spelling, the vocabulary of the `emotion` column. Other spellings are mapped by the adapter."""


class Status(StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Reason(StrEnum):
    """Why a clip is not used for training. Bad data is data: it becomes a row with one of these, never a crash."""

    UNREADABLE = "unreadable"
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    SILENT = "silent"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_TOO_SMALL = "face_too_small"
    BLURRED = "blurred"
    EXTREME_POSE = "extreme_pose"
    FROZEN = "frozen"
    OUT_OF_CHUNK = "out_of_chunk"
    LENGTH_MISMATCH = "length_mismatch"
    DUPLICATE = "duplicate"
    SPEAKER_MISMATCH = "speaker_mismatch"
    TRUNCATED = "truncated"
    MISSING = "missing"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class ListedBox:
    """The window that the corpus's list gives for a clip: left, top, width, height in pixels of a picture of
    `of_width` x `of_height` (None: not stated; the height then gives the scale, and 0 is no statement either)."""

    x: int
    y: int
    width: int
    height: int
    of_width: int | None = None
    of_height: int | None = None


@dataclass(frozen=True)
class ClipSource:
    """One clip as its corpus lists it, before anything was decoded.

    `path` is the raw video (None: listed, but not here), `audio_path` a separate audio file (None: the audio inside the
    video). A clip cut from a longer file has `start_s`/`end_s`, or `start_frame`/`end_frame`: native frames from 0,
    the last one included, counted from the start of the file or, with `chunk`, of that minute chunk of the file.
    `address` is where the source recording is published.
    """

    clip_id: str
    corpus: str
    shard: str
    speaker: str
    source: str
    path: Path | None
    audio_path: Path | None = None
    emotion: str | None = None
    level: int | None = None
    view: str | None = None
    licence: str = "unknown"
    start_s: float | None = None
    end_s: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    chunk: int | None = None
    box: ListedBox | None = None
    address: str | None = None
    split: Split = Split.TRAIN


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def safe_name(text: str) -> str:
    """`text` as one path part: letters, digits, `.`, `_`, `-`; never empty, never leading `.` or `-`.

    Two different texts never collide: where a character had to go, a short hash of the original is appended.
    """
    cleaned = _UNSAFE.sub("_", text).strip("._-")[:80] or "x"
    if cleaned == text:
        return cleaned
    return f"{cleaned}-{hashlib.md5(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def clip_id(corpus: str, source: str, clip: str) -> str:
    """`<corpus>/<source>/<clip>`, stable for ever and safe as a path below a folder of ours."""
    return "/".join(safe_name(part) for part in (corpus, source, clip))


def hash_bucket(key: str, buckets: int) -> int:
    """A stable bucket of `key`, the same on every machine and in every year."""
    return int.from_bytes(hashlib.md5(key.encode()).digest()[:8], "big") % buckets


def shard_key(source: str, buckets: int) -> str:
    """The shard of a clip as a pure function of its source video, for corpora without a natural shard."""
    return f"b{hash_bucket(source, buckets):03d}"
