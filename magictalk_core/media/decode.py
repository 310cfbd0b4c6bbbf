"""Frames at a constant rate and mono audio, on one clock: time 0 is the first picture of the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.container import (
    MediaError,
    PacketCount,
    audio_stream,
    decode_packets,
    open_media,
    stream_start,
    to_rgb,
    video_stream,
)
from magictalk_core.media.prepared import prepared_frames
from magictalk_core.media.timed import Timed
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["at_constant_rate", "read_audio", "read_frames", "timed_frames"]

Item = TypeVar("Item")

_SEEK_FROM_S = 5.0
_JUMP_S = 0.05
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


def read_audio(
    path: Path, sample_rate: int = SAMPLE_RATE, start_s: float | None = None, end_s: float | None = None
) -> NDArray[np.float32]:
    """Mono samples in [-1, 1], float32 (n,), from any sample format, rate and channel layout.

    Sample 0 belongs to `start_s` on the video's clock (of the audio's own beginning in a file without video): audio
    that starts late is preceded by silence, audio from before is cut. Raises `MediaError` (no_audio, unreadable).
    """
    start = start_s or 0.0
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(Reason.NO_AUDIO, f"`{path.name}` has no audio stream")
        video = video_stream(container)
        origin = stream_start(stream if video is None else video)
        if start > _SEEK_FROM_S:
            _seek(container, stream, start)
        pieces = list(_audio_pieces(container, stream, sample_rate, origin, end_s))
    if not pieces:
        raise MediaError(Reason.UNREADABLE, f"`{path.name}` has an audio stream without a sample that can be decoded")
    end = max(time + len(samples) / sample_rate for time, samples in pieces)
    end = end if end_s is None else min(end, end_s)
    if end - start > _MAX_AUDIO_S:
        raise MediaError(Reason.TOO_LONG, f"audio of {end - start:.0f} s, expected at most {_MAX_AUDIO_S:.0f} s")
    return _place(pieces, sample_rate, start, max(0, round((end - start) * sample_rate)))


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
    container: Any, stream: Any, sample_rate: int, origin: float, end_s: float | None
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(time of the first sample, samples) of every stretch without a jump in time or a change of format."""
    stretch: _Stretch | None = None
    for frame in decode_packets(container, stream):
        time = None if frame.pts is None else frame.pts * float(frame.time_base) - origin
        if time is not None and end_s is not None and time > end_s:
            break
        if stretch is not None and not stretch.takes(frame, time):
            yield stretch.finish()
            stretch = None
        if stretch is None:
            stretch = _Stretch(frame, time or 0.0, sample_rate)
        stretch.add(frame)
    if stretch is not None:
        yield stretch.finish()


class _Stretch:
    """Consecutive audio frames of one format on their way to mono at the target rate."""

    def __init__(self, frame: Any, time_s: float, sample_rate: int) -> None:
        self.time_s = time_s
        self._end_s = time_s
        self._format = _format_of(frame)
        # 32-bit integers, not floats: the mixer scales a down-mix to full range only for integer output, so that loud
        # stereo does not clip.
        self._resampler = av.AudioResampler(format="s32", layout="mono", rate=sample_rate)
        self._blocks: list[NDArray[np.int32]] = []

    def takes(self, frame: Any, time_s: float | None) -> bool:
        jump = 0.0 if time_s is None else abs(time_s - self._end_s)
        return jump <= _JUMP_S and _format_of(frame) == self._format

    def add(self, frame: Any) -> None:
        self._end_s += frame.samples / frame.sample_rate
        frame.pts = None
        self._blocks += [block.to_ndarray().reshape(-1) for block in self._resampler.resample(frame)]

    def finish(self) -> tuple[float, NDArray[np.float32]]:
        self._blocks += [block.to_ndarray().reshape(-1) for block in self._resampler.resample(None)]
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int32)
        return self.time_s, samples.astype(np.float32) / np.float32(2**31)


def _format_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
