"""Whether a video is all there: what its headers promise against what was decoded."""

from __future__ import annotations

from pathlib import Path

from magictalk_core.media.container import MediaError, PacketCount, declared_duration, open_media
from magictalk_core.media.sound import read_sound
from magictalk_core.media.streams import video_stream

__all__ = ["is_incomplete", "told_missing", "too_many_bad"]

_MAX_BAD_PACKETS = 0.1
_MISSING_S, _MISSING_SHARE = 0.5, 0.05


def is_incomplete(reached_s: float, expected_s: float) -> bool:
    """Whether a noticeable part is missing at the end."""
    return expected_s - reached_s > max(_MISSING_S, _MISSING_SHARE * expected_s)


def too_many_bad(count: PacketCount) -> bool:
    """Whether a noticeable part does not decode."""
    return count.bad > _MAX_BAD_PACKETS * count.read


def told_missing(path: Path, found_s: float, count: PacketCount) -> list[str]:
    """In words, what of a video could not be read; `found_s`: length of its frames. Raises `MediaError`."""
    told = []
    with open_media(path) as container:
        expected, is_of_stream = declared_duration(container, video_stream(container))
    if is_incomplete(found_s, expected):
        # A file that names only its own length may have a sound that is longer than its picture.
        reached = found_s if is_of_stream else max(found_s, _sound_s(path))
        if is_incomplete(reached, expected):
            told.append(f"decoding stops at {found_s:.2f} s of {expected:.2f} s: the rest is missing")
    if count.bad:
        told.append(f"{count.bad} of {count.read} video packets do not decode")
    return told


def _sound_s(path: Path) -> float:
    rate = 16_000
    try:
        return len(read_sound(path, rate).samples) / rate
    except MediaError:
        return 0.0
