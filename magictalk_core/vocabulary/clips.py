"""What is said of clips everywhere: status, reason, split, and the ids that files and rows are named by."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum

__all__ = [
    "Reason",
    "Split",
    "Status",
    "Use",
    "clip_id",
    "hash_bucket",
    "safe_name",
    "shard_key",
]


class Status(StrEnum):
    OK = "ok"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Use(StrEnum):
    """What a packed clip is for."""

    SPEECH = "speech"
    """Windows of motion and speech, and style."""
    STYLE = "style"
    """Style alone: there is motion, but no voice."""


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
    SCENE_CUT = "scene_cut"
    SEVERAL_SPEAKERS = "several_speakers"
    OCCLUDED = "occluded"
    TRUNCATED_FACE = "truncated_face"
    FROZEN = "frozen"
    OUT_OF_CHUNK = "out_of_chunk"
    LENGTH_MISMATCH = "length_mismatch"
    DUPLICATE = "duplicate"
    SPEAKER_MISMATCH = "speaker_mismatch"
    TRUNCATED = "truncated"
    TRACKING_FAILED = "tracking_failed"
    SPEECH_FAILED = "speech_failed"
    MISSING = "missing"
    WITHDRAWN = "withdrawn"


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
