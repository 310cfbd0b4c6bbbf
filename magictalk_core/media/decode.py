"""Frames at a constant rate and mono audio, on one clock: time 0 is the first picture of the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.container import (
    MediaError,
    PacketCount,
    decode_packets,
    open_media,
    stream_start,
    to_rgb,
)
from magictalk_core.media.mono import ChannelLevels, Stretch
from magictalk_core.media.prepared import prepared_frames
from magictalk_core.media.streams import audio_stream, told_choice, told_early_sound, video_stream
from magictalk_core.media.timed import Timed
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["Sound", "at_constant_rate", "read_audio", "read_frames", "read_sound", "timed_frames"]

Item = TypeVar("Item")

_SEEK_FROM_S = 5.0
_UNDATED_S = 0.5
_MAX_AUDIO_S = 6 * 3600.0


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
    return prepared_frames(container, stream, _decoded_frames(container, stream, start_s, count))


def _decoded_frames(
    container: Any, stream: Any, start_s: float | None, count: PacketCount | None
) -> Iterator[Timed[Any]]:
    base = float(stream.time_base)
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    origin = stream_start(stream) if stream.start_time is not None else None
    if start_s is not None and start_s > _SEEK_FROM_S:
        _seek(container, stream, start_s)
    undated: list[Timed[Any]] = []
    expected = 0.0
    for frame in decode_packets(container, stream, count):
        duration = frame.duration * base if frame.duration else 1 / rate
        if frame.pts is None:
            # Some AVI and raw streams carry no times at all: count at the nominal rate. Others leave them out before
            # time zero only: wait for the first time, and count back from it.
            undated.append(Timed(expected, duration, frame))
            expected += duration
            if expected > _UNDATED_S:
                yield from undated
                undated = []
            continue
        if origin is None:
            origin = frame.pts * base
        time = frame.pts * base - origin
        yield from (Timed(time - expected + early.time_s, early.duration_s, early.item) for early in undated)
        undated = []
        expected = time + duration
        yield Timed(time, duration, frame)
    yield from undated


def _seek(container: Any, stream: Any, start_s: float) -> None:
    """To the key frame before `start_s`; a file without an index is read from its beginning."""
    target = (stream_start(stream) + start_s - 1.0) / float(stream.time_base)
    try:
        container.seek(int(target), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)


def read_frames(
    path: Path, fps: float = FRAME_RATE, start_s: float | None = None, end_s: float | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Upright RGB frames, uint8 (h, w, 3), at `fps`, from `start_s` to `end_s` of the video.

    Times count from the first picture. Frame k is the one nearest to k / fps, so constant, variable and other rates all
    work. Raises `MediaError` (no_video, unreadable).
    """
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(Reason.NO_VIDEO, f"`{path.name}` has no video stream")
        last: tuple[Any, NDArray[np.uint8]] | None = None
        for frame in at_constant_rate(timed_frames(container, stream, start_s), fps, start_s or 0.0, end_s):
            if last is None or last[0] is not frame:
                last = (frame, to_rgb(frame))
            yield last[1]
        if last is None:
            raise MediaError(Reason.UNREADABLE, f"`{path.name}` has no frame that can be decoded")


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono samples in [-1, 1], float32 (n,), and what is unusual about how they were read, one line each."""

    samples: NDArray[np.float32]
    remarks: tuple[str, ...] = ()


def read_audio(
    path: Path, sample_rate: int = SAMPLE_RATE, start_s: float | None = None, end_s: float | None = None
) -> NDArray[np.float32]:
    """The samples of `read_sound` on the picture's clock."""
    return read_sound(path, sample_rate, start_s, end_s).samples


def read_sound(
    path: Path,
    sample_rate: int = SAMPLE_RATE,
    start_s: float | None = None,
    end_s: float | None = None,
    own_clock: bool = False,
) -> Sound:
    """Mono sound from any sample format, rate and channel layout.

    Sample 0 belongs to `start_s` on the video's clock (of the audio's own beginning in a file without video, or with
    `own_clock`): audio that starts late is preceded by silence, audio from before is cut. Where channels cancel each
    other, as with one that is wired the wrong way round, the loudest is taken alone. Raises `MediaError` (no_audio,
    unreadable).
    """
    levels = ChannelLevels()
    samples, told = _mono(path, sample_rate, (start_s or 0.0, end_s), own_clock, None, levels)
    alone = levels.instead()
    if alone is not None:
        samples, _ = _mono(path, sample_rate, (start_s or 0.0, end_s), own_clock, alone[0], ChannelLevels())
        told.append(f"the channels of the sound cancel each other: channel {alone[0] + 1} of {alone[1]} taken")
    return Sound(samples, tuple(told))


def _mono(
    path: Path,
    sample_rate: int,
    span: tuple[float, float | None],
    own_clock: bool,
    channel: int | None,
    levels: ChannelLevels,
) -> tuple[NDArray[np.float32], list[str]]:
    """Samples of the span, of one channel or of all mixed, and which track they are from."""
    start, end_s = span
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(Reason.NO_AUDIO, f"`{path.name}` has no audio stream")
        video = None if own_clock else video_stream(container)
        told = told_choice(container, None, stream)
        origin = stream_start(stream if video is None else video)
        if start == 0.0:
            told += told_early_sound(stream_start(stream) - origin)
        if start > _SEEK_FROM_S:
            _seek(container, stream, start)
        pieces = list(_audio_pieces(container, stream, sample_rate, origin, end_s, channel, levels))
    if not pieces:
        raise MediaError(Reason.UNREADABLE, f"`{path.name}` has an audio stream without a sample that can be decoded")
    end = max(time + len(samples) / sample_rate for time, samples in pieces)
    end = end if end_s is None else min(end, end_s)
    if end - start > _MAX_AUDIO_S:
        raise MediaError(Reason.TOO_LONG, f"audio of {end - start:.0f} s, expected at most {_MAX_AUDIO_S:.0f} s")
    return _place(pieces, sample_rate, start, max(0, round((end - start) * sample_rate))), told


def _place(
    pieces: list[tuple[float, NDArray[np.float32]]], sample_rate: int, start_s: float, length: int
) -> NDArray[np.float32]:
    """The pieces at their times on a silent line."""
    line = np.zeros(length, np.float32)
    for time, samples in pieces:
        offset = round((time - start_s) * sample_rate)
        first, last = max(0, offset), min(length, offset + len(samples))
        if first < last:
            line[first:last] = samples[first - offset : last - offset]
    return line


def _audio_pieces(
    container: Any,
    stream: Any,
    sample_rate: int,
    origin: float,
    end_s: float | None,
    channel: int | None,
    levels: ChannelLevels,
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(time of the first sample, samples) of every stretch without a jump in time or a change of format."""
    stretch: Stretch | None = None
    for frame in decode_packets(container, stream):
        time = None if frame.pts is None else frame.pts * float(frame.time_base) - origin
        if time is not None and end_s is not None and time > end_s:
            break
        if stretch is not None and not stretch.takes(frame, time):
            yield stretch.finish()
            stretch = None
        if stretch is None:
            stretch = Stretch(frame, time or 0.0, sample_rate, channel, levels)
        stretch.add(frame)
    if stretch is not None:
        yield stretch.finish()
