"""Frames at a constant rate and mono audio, on one clock: time 0 is the first picture of the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.container import (
    SEEK_FROM_S,
    MediaError,
    PacketCount,
    decode_packets,
    open_media,
    reading,
    seek_before,
    stream_start,
    to_rgb,
)
from magictalk_core.media.picture_folder import PictureFolder
from magictalk_core.media.prepared import prepared_frames
from magictalk_core.media.sound import read_sound
from magictalk_core.media.streams import video_stream
from magictalk_core.media.timed import Timed
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["at_constant_rate", "open_frames", "read_audio", "read_frames", "timed_frames"]

Item = TypeVar("Item")

_UNDATED_S = 0.5


def at_constant_rate(
    frames: Iterable[Timed[Item]], fps: float, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[Item]:
    """For every time `start_s + k / fps` the item whose own time is nearest (the earlier one of two equally near).

    Yields round(length * fps) items, at least one, where the length ends at `end_s` or with the last item, whichever is
    first. Items that do not advance in time are left out.
    """
    limit = None if end_s is None else max(1, round((end_s - start_s) * fps))
    previous: Timed[Item] | None = None
    index = 0
    for current in frames:
        if previous is not None:
            if current.time_s <= previous.time_s:
                continue
            middle = (previous.time_s + current.time_s) / 2
            while (limit is None or index < limit) and start_s + index / fps <= middle:
                yield previous.item
                index += 1
        if index == limit:
            return
        previous = current
    if previous is None:
        return
    total = max(1, round((previous.time_s + previous.duration_s - start_s) * fps))
    for _ in range(index, total if limit is None else min(total, limit)):
        yield previous.item


def timed_frames(
    container: Any, stream: Any, start_s: float | None = None, count: PacketCount | None = None
) -> Iterator[Timed[Any]]:
    """Decoded and prepared frames (PyAV) with their time on the video's clock, seconds. Starts at or before `start_s`.

    All are progressive, of ordinary range, in square pixels and of the first one's size (`media.prepared`).
    """
    count = count if count is not None else PacketCount()
    return prepared_frames(container, stream, _decoded_frames(container, stream, start_s, count), count)


def _decoded_frames(
    container: Any, stream: Any, start_s: float | None, count: PacketCount | None
) -> Iterator[Timed[Any]]:
    base = float(stream.time_base)
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    origin = stream_start(stream) if stream.start_time is not None else None
    if start_s is not None and start_s > SEEK_FROM_S:
        seek_before(container, stream, start_s)
    undated: list[Timed[Any]] = []
    expected = 0.0
    for frame in decode_packets(container, stream, count):
        duration = frame.duration * base if frame.duration else 1 / rate
        if frame.pts is None:
            # Some AVI and raw streams carry no times at all: count at the nominal rate. Others leave them out before
            # time zero only: wait for the first time, and count back from it.
            undated.append(Timed.of(expected, duration, frame))
            expected += duration
            if expected > _UNDATED_S:
                yield from undated
                undated = []
            continue
        if origin is None:
            origin = frame.pts * base
        time = frame.pts * base - origin
        yield from (Timed.of(time - expected + early.time_s, early.duration_s, early.item) for early in undated)
        undated = []
        expected = time + duration
        yield Timed.of(time, duration, frame)
    yield from undated


@contextmanager
def open_frames(
    source: Path | PictureFolder, threads: int = 1, start_s: float | None = None, count: PacketCount | None = None
) -> Iterator[Iterator[Timed[Any]]]:
    """The prepared frames of a video or of a folder of pictures. Raises `MediaError` (no_video, unreadable)."""
    if isinstance(source, PictureFolder):
        with reading():
            yield source.frames()
        return
    with open_media(source) as container:
        stream = video_stream(container, threads=threads)
        if stream is None:
            raise MediaError(Reason.NO_VIDEO, f"`{source.name}` has no video stream")
        yield timed_frames(container, stream, start_s, count)


def read_frames(
    path: Path, fps: float = FRAME_RATE, start_s: float | None = None, end_s: float | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Upright RGB frames, uint8 (h, w, 3), at `fps`, from `start_s` to `end_s` of the video.

    Times count from the first picture. Frame k is the one nearest to k / fps, so constant, variable and other rates all
    work. Raises `MediaError` (no_video, unreadable).
    """
    with open_frames(path, start_s=start_s) as timed:
        last: tuple[Any, NDArray[np.uint8]] | None = None
        for frame in at_constant_rate(timed, fps, start_s or 0.0, end_s):
            if last is None or last[0] is not frame:
                last = (frame, to_rgb(frame))
            yield last[1]
        if last is None:
            raise MediaError(Reason.UNREADABLE, f"`{path.name}` has no frame that can be decoded")


def read_audio(
    path: Path, sample_rate: int = SAMPLE_RATE, start_s: float | None = None, end_s: float | None = None
) -> NDArray[np.float32]:
    """The samples of `read_sound` on the picture's clock."""
    return read_sound(path, sample_rate, start_s, end_s).samples
