"""Which stream of a file is its video, and which its sound: one rule for every reader.

Video: no cover art and no thumbnails, no single picture beside other streams; of what is left one marked as default
first, then the largest, then the longest, as ffmpeg chooses. Sound: tracks marked as default first, then the order of
the file; of these the first that is not digitally silent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from magictalk_core.media.container import (
    MAX_SIDE_PX,
    MediaError,
    check_side,
    declared_duration,
    decode_packets,
    open_media,
)
from magictalk_core.vocabulary.clips import Reason

__all__ = ["audio_stream", "told_choice", "told_early_sound", "video_stream"]

_FLAG = av.stream.Disposition
_NO_VIDEO = _FLAG.attached_pic | _FLAG.timed_thumbnails | _FLAG.still_image | _FLAG.metadata | _FLAG.dependent
_PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp", "jpegxl", "jpeg2000"})
_ENOUGH_PACKETS = 500
"""Once one stream has shown so many packets, another with a single one is a picture."""
_SILENT_PEAK = 1e-4
"""Of full scale: -80 dBFS, above the rounding of a codec that was given nothing."""
_NOTICED_S = 0.1


def video_stream(container: Any, max_side: int = MAX_SIDE_PX, threads: int = 1) -> Any | None:
    """The stream that is the video, ready to decode; None if there is none.

    One thread, for clips run in parallel, and errors then surface at the frame that has them. Raises `MediaError`.
    """
    stream = _chosen_video(container)
    if stream is None:
        return None
    context = stream.codec_context
    check_side(context.width, context.height, max_side)
    context.thread_count = threads
    if threads > 1:
        context.thread_type = "FRAME"
    context.options = {"max_pixels": str(max_side * max_side)}
    return stream


def _chosen_video(container: Any) -> Any | None:
    shown = [s for s in container.streams.video if not int(s.disposition) & int(_NO_VIDEO)]
    streams = [s for s in shown if s.codec_context is not None]
    if shown and not streams:
        raise MediaError(Reason.UNREADABLE, "no decoder for the video stream")
    # A lone picture beside sound is a cover that is not marked as one; a lone H.264 frame is a very short video.
    cover = bool(container.streams.audio) and any(s.codec_context.name in _PICTURE_CODECS for s in streams)
    if len(streams) > 1 or cover:
        moving = _moving(container, [s.index for s in streams])
        streams = [s for s in streams if s.index in moving]

    def rank(stream: Any) -> tuple[bool, int, float]:
        context = stream.codec_context
        return _is_default(stream), context.width * context.height, declared_duration(container, stream)[0]

    return max(streams, key=rank, default=None)


def _moving(container: Any, indices: Sequence[int]) -> set[int]:
    """Those of the streams that hold more than one picture."""
    found: Counter[int] = Counter()
    with open_media(_path_of(container)) as again:
        packets = again.demux([again.streams[index] for index in indices])
        while (
            len([n for n in found.values() if n > 1]) < len(indices)
            and max(found.values(), default=0) < _ENOUGH_PACKETS
        ):
            try:
                packet = next(packets)
            except (StopIteration, av.error.InvalidDataError, av.error.EOFError):
                break
            found[packet.stream_index] += bool(packet.size)
    return {index for index, n in found.items() if n > 1}


def audio_stream(container: Any) -> Any | None:
    """The stream that is the sound, with a decoder and a sample rate, or None."""
    streams = _audible(container)
    if len(streams) < 2:
        return next(iter(streams), None)
    # `sorted` keeps the order of the file among equals.
    ordered = sorted(streams, key=lambda stream: not _is_default(stream))
    return next((s for s in ordered if _sounds(container, s.index)), ordered[0])


def _audible(container: Any) -> list[Any]:
    return [s for s in container.streams.audio if s.codec_context is not None and s.sample_rate]


def _sounds(container: Any, index: int) -> bool:
    """Whether a track holds anything but silence; the file is opened once more and read until it does."""
    with open_media(_path_of(container)) as again:
        return any(_peak(frame) > _SILENT_PEAK for frame in decode_packets(again, again.streams[index]))


def _peak(frame: Any) -> float:
    samples = frame.to_ndarray()
    if samples.dtype == np.uint8:
        return float(np.abs(samples.astype(np.int16) - 128).max(initial=0)) / 128
    scale = float(np.iinfo(samples.dtype).max) if samples.dtype.kind == "i" else 1.0
    return float(np.abs(samples.astype(np.float64)).max(initial=0.0)) / scale


def _is_default(stream: Any) -> bool:
    return bool(int(stream.disposition) & int(_FLAG.default))


def _path_of(container: Any) -> Path:
    """The file that `open_media` opened."""
    return Path(str(container.name).removeprefix("file:"))


def told_choice(container: Any, video: Any | None, audio: Any | None) -> list[str]:
    """In words, which streams were taken, where there were several."""
    told = []
    videos, sounds = list(container.streams.video), _audible(container)
    if video is not None and len(videos) > 1:
        number, context = videos.index(video) + 1, video.codec_context
        told.append(f"video {number} of {len(videos)} taken ({context.width}x{context.height}, {context.name})")
    if audio is not None and len(sounds) > 1:
        marked = ", marked as default" if _is_default(audio) else ""
        told.append(f"sound track {sounds.index(audio) + 1} of {len(sounds)} taken{marked}")
    return told


def told_early_sound(offset_s: float) -> list[str]:
    """In words, that sound from before the picture has no frame; `offset_s` is its start after the picture's."""
    return [] if offset_s > -_NOTICED_S else [f"the first {-offset_s:.2f} s of sound, before the picture, left out"]
